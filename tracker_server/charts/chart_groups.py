"""A group of runs on a chart: what its members have in each cell of the grid, put together. Pure NumPy.

A member is represented in a cell by the mean of its own points there, so that one that logs often weighs no more than
one that logs seldom. A member without points in a cell is not counted there: nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from .buckets import Cells

# Members times cells put together at once.
_MAX_TABLE = 1 << 20

Floats = NDArray[np.float64]


class GroupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Runs to be shown as one line with its spread."""

    name: str
    runs: list[str]


@dataclass(frozen=True, slots=True)
class GroupCells:
    """A group on a grid of n cells: statistics over the members' means in each.

    Attributes:
        mean, min, max, median: float64[n], NaN where no member has a finite value.
        std: float64[n], the sample standard deviation (of n - 1), NaN where fewer than two members are.
        sem: float64[n], `std / sqrt(n)`.
        n: uint32[n], how many members are in the cell.
        smooth: float64[n], the mean of the members' smoothed lines, or None.
    """

    mean: Floats
    std: Floats
    sem: Floats
    min: Floats
    max: Floats
    median: Floats
    n: NDArray[np.uint32]
    smooth: Floats | None


def group_cells(members: Sequence[Cells], n_cells: int) -> GroupCells:
    """Return what the members have together in each cell."""
    parts = []
    width = max(_MAX_TABLE // max(len(members), 1), 1)
    for start in range(0, max(n_cells, 1), width):
        stop = min(start + width, n_cells)
        parts.append(_statistics([member.mean[start:stop] for member in members], stop - start))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    lines = [member.smooth for member in members if member.smooth is not None]
    smooth = _average(lines, n_cells) if lines else None
    return GroupCells(n=joined.pop("n").astype(np.uint32), smooth=smooth, **joined)


def _statistics(means: Sequence[Floats], n_cells: int) -> dict[str, NDArray[np.float64]]:
    """Return float64[n_cells] by name."""
    table = np.sort(np.reshape(means, (len(means), n_cells)).astype(np.float64, copy=False), axis=0)  # NaN last
    n = np.count_nonzero(~np.isnan(table), axis=0)
    if len(means) == 0 or n_cells == 0:
        return {name: np.full(n_cells, np.nan) for name in ("mean", "std", "sem", "min", "max", "median")} | {"n": n}
    top = np.take_along_axis(table, np.maximum(n - 1, 0)[None], axis=0)[0]
    # Each cell in a scale of its own, exactly (a power of two), so that no square overflows or vanishes.
    exponents = np.frexp(np.fmax(np.abs(table[0]), np.abs(top)))[1]
    scaled = np.ldexp(table, -exponents)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(scaled, axis=0) / n
        mean = np.clip(mean, scaled[0], np.ldexp(top, -exponents))
        variance = np.nansum((scaled - mean) ** 2, axis=0) / np.where(n > 1, n - 1, np.nan)
        std = np.sqrt(variance)
    halves = [np.take_along_axis(scaled, np.maximum(at, 0)[None], axis=0)[0] for at in ((n - 1) // 2, n // 2)]
    # With no or one member, both are that of place 0; n // 2 is never beyond the last.
    found = {"mean": mean, "std": std, "sem": std / np.sqrt(np.maximum(n, 1)), "median": halves[0] / 2 + halves[1] / 2}
    return {name: np.ldexp(values, exponents) for name, values in found.items()} | {"min": table[0], "max": top, "n": n}


def _average(lines: Sequence[Floats], n_cells: int) -> Floats:
    """Return the mean of the lines that are there, taken in steps so that no sum overflows."""
    average, n = np.zeros(n_cells), np.zeros(n_cells)
    for line in lines:
        is_there = ~np.isnan(line)
        n += is_there
        average += np.where(is_there, line / np.maximum(n, 1) - average / np.maximum(n, 1), 0.0)
    return np.where(n > 0, average, np.nan)

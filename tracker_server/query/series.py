"""One metric of one run as arrays, put together from sealed and unsealed parts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codec.chunk_codec import widen


@dataclass(frozen=True, slots=True)
class Series:
    """Every point of a metric, in the order logged: nothing is sampled, merged or sorted.

    Attributes:
        steps: int64[n].
        wall_time_ns: int64[n], nanoseconds since the Unix epoch.
        values: int64[n] where only integers were logged, float64[n] where only numbers were, else object[n].
        order: int64[n], ascending: a row's place among all rows of the run, equal for metrics of the same row.
    """

    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    values: NDArray[Any]
    order: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """Rows of one journal in sequence order. `sequences` is called only where the order needs it."""

    first_sequence: int
    last_sequence: int
    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    values: NDArray[Any]
    sequences: Callable[[], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class PointPart:
    """Points of one journal in sequence order: `x` is int64[n], steps or times. `sequences` as in `SeriesPart`."""

    first_sequence: int
    last_sequence: int
    x: NDArray[np.int64]
    values: NDArray[Any]
    sequences: Callable[[], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Points:
    """Points in ascending x, ties in the order logged: journal after journal, within each by sequence number.

    Attributes:
        x: int64[n].
        values: float64[n].
        sequences: int64[n], of the rows; empty unless asked for.
    """

    x: NDArray[np.int64]
    values: NDArray[np.float64]
    sequences: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)


def join_points(journals: Sequence[Sequence[PointPart]], with_sequences: bool = False) -> Points:
    """Return the points of all journals of a line, by x.

    Args:
        journals: per journal, in the order of its sessions, its parts in any order.
        with_sequences: whether `sequences` are wanted, which makes sense for one journal.
    """
    parts: list[PointPart] = []
    for journal in journals:
        ordered = sorted(journal, key=lambda part: part.first_sequence)
        is_in_order = all(one.last_sequence < other.first_sequence for one, other in pairwise(ordered))
        parts.extend(ordered if is_in_order else [_interleaved(ordered)])
    nothing = np.empty(0, np.int64)
    if not parts:
        return Points(nothing, np.empty(0), nothing)
    x = np.concatenate([part.x for part in parts])
    values = np.concatenate([widen(part.values).astype(np.float64, copy=False) for part in parts])
    sequences = np.concatenate([part.sequences() for part in parts]) if with_sequences else nothing
    if bool((x[1:] >= x[:-1]).all()):
        return Points(x, values, sequences)
    order = np.argsort(x, kind="stable")
    return Points(x[order], values[order], sequences[order] if with_sequences else nothing)


def _interleaved(parts: Sequence[PointPart]) -> PointPart:
    """Return parts of one journal whose sequences lie between one another's as one."""
    sequences = np.concatenate([part.sequences() for part in parts])
    order = np.argsort(sequences, kind="stable")
    sequences = sequences[order]
    x = np.concatenate([part.x for part in parts])[order]
    values = np.concatenate([widen(part.values).astype(np.float64, copy=False) for part in parts])[order]
    return PointPart(int(sequences[0]), int(sequences[-1]), x, values, lambda: sequences)


def join_parts(journals: Sequence[Sequence[SeriesPart]], with_order: bool = True) -> Series:
    """Return the parts as one series: journal after journal, within each by sequence number.

    Args:
        journals: per journal, in the order of its sessions, its parts in any order.
        with_order: False leaves `order` empty, which saves decoding.
    """
    parts: list[SeriesPart] = []
    orders: list[NDArray[np.int64]] = []
    offset = 0
    for journal in journals:
        ordered = _in_sequence(journal)
        parts.extend(ordered)
        if with_order:
            orders.extend(part.sequences() + offset for part in ordered)
            offset += max((part.last_sequence for part in ordered), default=-1) + 1
    if not parts:
        nothing = np.empty(0, np.int64)
        return Series(nothing, nothing, np.empty(0), nothing)
    return Series(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.wall_time_ns for part in parts]),
        _join_values([part.values for part in parts]),
        np.concatenate(orders) if with_order else np.empty(0, np.int64),
    )


def _in_sequence(parts: Sequence[SeriesPart]) -> list[SeriesPart]:
    ordered = sorted(parts, key=lambda part: part.first_sequence)
    if all(one.last_sequence < other.first_sequence for one, other in pairwise(ordered)):
        return ordered
    sequences = np.concatenate([part.sequences() for part in ordered])
    order = np.argsort(sequences, kind="stable")
    sequences = sequences[order]
    return [
        SeriesPart(
            int(sequences[0]),
            int(sequences[-1]),
            np.concatenate([part.steps for part in ordered])[order],
            np.concatenate([part.wall_time_ns for part in ordered])[order],
            _join_values([part.values for part in ordered])[order],
            lambda: sequences,
        )
    ]


def _join_values(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    wide = [widen(column) for column in columns]
    if any(column.dtype == object for column in wide):
        wide = [_as_objects(column) for column in wide]
    return wide[0] if len(wide) == 1 else np.concatenate(wide)


def _as_objects(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype == object:
        return column
    objects = np.empty(len(column), object)
    objects[:] = column.tolist()
    return objects


def numbers_only(series: Series) -> Series:
    """Return the points whose value is a number, so that a text logged once does not cost a metric its chart."""
    if series.values.dtype != object:
        return series
    is_number = np.array([isinstance(value, (int, float)) for value in series.values], bool)
    values = np.array([float(value) for value in series.values[is_number]], np.float64)
    order = series.order[is_number] if len(series.order) else series.order
    return Series(series.steps[is_number], series.wall_time_ns[is_number], values, order)


def align(series: Series, other: Series) -> NDArray[np.float64]:
    """Return float64[n]: for each point of `series` the value that metric `other` had there, NaN where it had none.

    That is the value in the same row, else the last one at the same step, else the latest logged before.
    """
    if not len(other):
        return np.full(len(series), np.nan)
    values = other.values.astype(np.float64)
    latest = np.searchsorted(other.order, series.order, side="right") - 1
    aligned = np.where(latest >= 0, values[latest], np.nan)
    is_same_row = (latest >= 0) & (other.order[latest] == series.order)
    by_step = np.argsort(other.steps, kind="stable")
    steps = other.steps[by_step]
    at_step = np.searchsorted(steps, series.steps, side="right") - 1
    has_step = (at_step >= 0) & (steps[at_step] == series.steps) & ~is_same_row
    aligned[has_step] = values[by_step][at_step[has_step]]
    return aligned


def align_by_time(series: Series, other: Series) -> NDArray[np.float64]:
    """Return float64[n] as `align` does, for series of which no rows are the same: "before" is by wall time."""
    order = np.argsort(other.wall_time_ns, kind="stable")
    times = other.wall_time_ns[order]
    by_time = Series(other.steps[order], times, other.values[order], times)
    return align(Series(series.steps, series.wall_time_ns, series.values, series.wall_time_ns), by_time)

"""Smoothing of the lines of a chart of many points, each from its beginning to its end whatever part is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..query.metric_source import MetricSource
from ..store.store_lines import EVERYTHING, Bounds
from . import chart_smoothing
from .buckets import Cells, Grid, fill_line
from .cells import CellTable
from .chart_fill import merged_steps, merged_times
from .chart_plan import Filled, Found, LinePlan, Read, View, level_of_times, read_parts
from .chart_smoothing import Smoothing, smooth_cells, smooth_points

# So many cells are smoothed for each bucket that a chart of the whole line has.
_CELLS_PER_BUCKET = 4


def smooth_lines(
    read: Read, lines: Sequence[LinePlan], view: View, filled: Filled, smoothing: Smoothing, units: float
) -> tuple[list[Cells], bool]:
    """Return the cells of all lines with `smooth`, and whether raw points were smoothed in all of them.

    Args:
        read, lines, view: as for `fill_lines`.
        filled: its answer.
        smoothing: checked, of a kind other than none.
        units: as for `smooth_points`.
    """
    done: dict[int, Cells] = {}
    is_raw = all(line.n_points <= chart_smoothing.MAX_RAW_POINTS for line in lines)
    for level, width, places in _by_level(lines, view):
        own = [lines[place] for place in places]
        if width == 0:
            found = _smooth_points(read, own, view, filled.grid, smoothing, units)
        else:
            cells = [filled.cells[place] for place in places]
            found = _smooth_cells(read, own, cells, view, filled.grid, level, width, smoothing, units)
        done.update(zip(places, found, strict=True))
    return [done[place] for place in range(len(lines))], is_raw


def _by_level(lines: Sequence[LinePlan], view: View) -> list[tuple[int, int, list[int]]]:
    """Return level of cells, width of those that are smoothed, and places of lines; 0 and 0 for raw points."""
    found: dict[tuple[int, int], list[int]] = {}
    for place, line in enumerate(lines):
        key = (0, 0)
        if line.n_points > chart_smoothing.MAX_RAW_POINTS:
            low, high = line.bounds(view.axis)
            wanted = max((high - low + 1) // (_CELLS_PER_BUCKET * view.n_buckets), 1)
            width = 1 << wanted.bit_length() - 1
            key = (width.bit_length() - 1 if view.axis == "step" else level_of_times(line.extent, width), width)
        found.setdefault(key, []).append(place)
    return [(*key, places) for key, places in found.items()]


def _smooth_points(
    read: Read, lines: Sequence[LinePlan], view: View, grid: Grid, smoothing: Smoothing, units: float
) -> list[Cells]:
    def ask(source: MetricSource, ranges: Mapping[str, Bounds]) -> Found:
        return {}, source.points(-1, view.axis, ranges)

    done = []
    for line, parts in zip(lines, read_parts(read, lines, EVERYTHING, ask), strict=True):
        points = parts.joined()
        x = points.x - line.offset
        smooth, _ = smooth_points(x, points.values, smoothing, units, view.widths)
        done.append(fill_line(grid, x, points.values, view.x_min, view.x_max, smooth))
    return done


def _smooth_cells(
    read: Read,
    lines: Sequence[LinePlan],
    cells: Sequence[Cells],
    view: View,
    grid: Grid,
    level: int,
    width: int,
    smoothing: Smoothing,
    units: float,
) -> list[Cells]:
    def ask(source: MetricSource, ranges: Mapping[str, Bounds]) -> Found:
        return source.cells(level, view.axis, ranges), source.points(level, view.axis, ranges)

    done = []
    for line, own, parts in zip(lines, cells, read_parts(read, lines, EVERYTHING, ask), strict=True):
        table = merged_steps(parts, level) if view.axis == "step" else merged_times(parts, width, line.offset)[0]
        smooth = np.full(len(grid.lower), np.nan)
        if table is not None and len(table):
            smoothed = smooth_cells(table.place * width, table.table[4], table.count, smoothing, units)
            smooth = _on_grid(grid, table, width, smoothed)
        done.append(replace(own, smooth=np.where(own.count > 0, smooth, np.nan)))
    return done


def _on_grid(grid: Grid, table: CellTable, width: int, smoothed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[n]: the mean over the smoothed cells that begin in each bucket, else of that in which it lies."""
    x = table.place * width
    is_there = table.count > 0
    x, smoothed, counts = x[is_there], smoothed[is_there], table.count[is_there].astype(np.float64)
    if not len(x):
        return np.full(len(grid.lower), np.nan)
    found = smoothed[np.maximum(np.searchsorted(x, grid.lower, "right") - 1, 0)]
    if grid.width is None:
        return found
    starts = np.searchsorted(x, grid.lower, "left")
    stops = np.append(starts[1:], len(x) if grid.end is None else np.searchsorted(x, np.int64(grid.end)))
    bounds = np.stack([starts, stops], axis=1).reshape(-1)
    # reduceat takes up to the next bound; one beyond the end is not allowed, so there is one value more.
    sums = np.add.reduceat(np.append(smoothed * counts, 0.0), bounds)[::2]
    totals = np.add.reduceat(np.append(counts, 1.0), bounds)[::2]
    return np.where(stops > starts, sums / totals, found)

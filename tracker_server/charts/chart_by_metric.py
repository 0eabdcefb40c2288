"""Charts of many points over another metric, where each row that is drawn has that metric too.

A cell holds the bounds of all metrics of its rows, so it is put where the middle of the other metric's bounds lies, and
the chart says by how much a point can be misplaced. Where few rows are shown these are read themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..query.metric_source import MetricSource
from ..query.series import PointPart, join_points
from ..store.store_lines import EVERYTHING, Bounds, CellPart
from .buckets import Cells, Grid, choose_grid, fill_line, float_buckets, shown_range, sort_by_x
from .cells import CellTable, Floats, Ints, SortedRows, fill_places, join_tables, merge_cells, place_rows, table_of
from .chart_fill import cells_on_grid
from .chart_plan import (
    CELLS_PER_BUCKET,
    MAX_POINTS,
    Filled,
    Found,
    LinePlan,
    Read,
    View,
    by_metric,
    count_rows,
    lowest_level,
)

# So many cells of a line, about, tell which of its steps are shown.
_N_COARSE = 512
_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class _CellsOverX:
    """Cells of one journal with the bounds of x in each, float64[n]."""

    table: CellTable
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class _PointsOverX:
    """Points of one journal in the order logged, whose x is finite."""

    x: Floats
    values: Floats
    sequences: Ints


@dataclass(frozen=True, slots=True)
class _Line:
    """What was read of one line, per journal."""

    cells: list[list[_CellsOverX]]
    points: list[_PointsOverX]


def fill_by_metric(
    read: Read, lines: Sequence[LinePlan], x_key: str, x_extent: tuple[float, float], view: View
) -> Filled | None:
    """Return the lines on a grid of the metric `x_key`; None where some row of a line does not have it, or not finite.

    Args:
        read, lines, view: as for `fill_lines`.
        x_key: the metric.
        x_extent: its lowest and highest value in all of these runs.
    """
    ranges = _shown_steps(read, lines, x_key, view)
    grid = _buckets(x_extent, view)
    level = _level(read, lines, ranges, len(grid.lower))
    xs = read(x_key, partial(_found, level, ranges))
    paired: list[_Line] = []
    for metric, own in by_metric(lines):
        ys = read(metric, partial(_found, level, ranges))
        for line in own:
            pair = _paired(line, ys, xs)
            if pair is None:
                return None
            paired.append(pair)
    has_cells = any(cells for line in paired for cells in line.cells)
    return _on_buckets(paired, grid) if has_cells else _on_points(paired, x_extent, view)


def _buckets(x_extent: tuple[float, float], view: View) -> Grid:
    low, high = shown_range(*x_extent, view.x_min, view.x_max)
    return float_buckets(low, max(low, high), view.n_buckets)


def _found(level: int, ranges: dict[str, Bounds], source: MetricSource) -> Found:
    return source.cells(level, "step", ranges), source.points(level, "step", ranges)


def _shown_steps(read: Read, lines: Sequence[LinePlan], x_key: str, view: View) -> dict[str, Bounds]:
    """Return for each journal about which steps are shown, and some on either side."""
    ranges = {name: EVERYTHING for line in lines for name in line.names}
    if view.x_min is None and view.x_max is None:
        return ranges
    span = max(line.extent.max_step - line.extent.min_step for line in lines)
    level = max((span // _N_COARSE).bit_length() - 1, 0)
    cells, points = read(x_key, partial(_found, level, ranges))
    low = -np.inf if view.x_min is None else view.x_min
    high = np.inf if view.x_max is None else view.x_max
    return {name: _steps_of(cells.get(name, []), points.get(name, []), low, high) for name in ranges}


def _steps_of(cells: Sequence[CellPart], points: Sequence[PointPart], low: float, high: float) -> Bounds:
    """Return the steps of what lies in a range of x, and of the next cell on either side."""
    starts, stops = [], []
    for part in cells:
        table = part.table
        inside = np.flatnonzero((table.count > 0) & (table.table[2] <= high) & (table.table[3] >= low))
        if len(inside):
            starts.append(int(table.first_step[max(inside[0] - 1, 0)]))
            stops.append(int(table.last_step[min(inside[-1] + 1, len(table) - 1)]))
    for piece in points:
        is_in = (piece.values >= low) & (piece.values <= high)
        if is_in.any():
            starts.append(int(piece.x.min()))
            stops.append(int(piece.x.max()))
    return (min(starts), max(stops)) if starts else (0, -1)


def _level(read: Read, lines: Sequence[LinePlan], ranges: dict[str, Bounds], n_buckets: int) -> int:
    """Return the level of the cells to read, below 0 where the points themselves are few enough."""
    if sum(read(metric, partial(count_rows, "step", ranges)) for metric, _ in by_metric(lines)) <= MAX_POINTS:
        return -1
    spans = []
    for line in lines:
        for low, high in (ranges[name] for name in line.names):
            spans.append(min(high, line.extent.max_step) - max(low, line.extent.min_step) + 1)
    wanted = (max(spans) // (CELLS_PER_BUCKET * n_buckets)).bit_length()
    return max(wanted, max(lowest_level(line.extent) for line in lines))


def _paired(line: LinePlan, ys: Found, xs: Found) -> _Line | None:
    """Return a line with the x of everything, None where that is not known."""
    found = _Line([], [])
    for name in line.names:
        by_id = {part.cells_id: part.table for part in xs[0].get(name, [])}
        cells = []
        for part in ys[0].get(name, []):
            x = by_id.get(part.cells_id)
            if x is None or x.nonfinite.any():
                return None
            cells.append(_CellsOverX(part.table, x.table[2], x.table[3]))
        points = _paired_points(ys[1].get(name, []), xs[1].get(name, []))
        if points is None:
            return None
        found.cells.append(cells)
        found.points.append(points)
    return found


def _paired_points(ys: list[PointPart], xs: list[PointPart]) -> _PointsOverX | None:
    y, x = join_points([ys], with_sequences=True), join_points([xs], with_sequences=True)
    order, x_order = np.argsort(y.sequences), np.argsort(x.sequences)
    sequences, x_sequences = y.sequences[order], x.sequences[x_order]
    at = np.searchsorted(x_sequences, sequences)
    if len(at) and (at[-1] >= len(x_sequences) or (x_sequences[at] != sequences).any()):
        return None
    own = x.values[x_order][at]
    is_finite = np.isfinite(own)
    return _PointsOverX(own[is_finite], y.values[order][is_finite], sequences[is_finite])


def _on_points(lines: Sequence[_Line], x_extent: tuple[float, float], view: View) -> Filled:
    joined = []
    for line in lines:
        x = np.concatenate([part.x for part in line.points])
        joined.append(sort_by_x(x, np.concatenate([part.values for part in line.points])))
    grid = choose_grid([x for x, _ in joined], view.n_buckets, view.x_min, view.x_max, "decimal", x_extent)
    return Filled(grid, [fill_line(grid, x, values, view.x_min, view.x_max) for x, values in joined], 0)


def _on_buckets(lines: Sequence[_Line], grid: Grid) -> Filled:
    filled: list[Cells] = []
    error = 0.0
    for line in lines:
        tables = []
        for rank, (cells, points) in enumerate(zip(line.cells, line.points, strict=True)):
            for part in cells:
                table, displaced = _placed(grid, part, rank)
                tables.append(table)
                error = max(error, displaced)
            if len(points.x):
                tables.append(_points_in_buckets(grid, points, rank))
        filled.append(cells_on_grid(grid, merge_cells(join_tables(tables)), 0))
    return Filled(grid, filled, error)


def _placed(grid: Grid, part: _CellsOverX, rank: int) -> tuple[CellTable, float]:
    """Return cells in the buckets in which their middles lie, and how far out of these they reach."""
    edges = _edges(grid)
    place = np.searchsorted(edges, part.low / 2 + part.high / 2, "right") - 1
    is_inside = (place >= 0) & (place < len(grid.lower))
    at = place[is_inside]
    reach = np.maximum(edges[at] - part.low[is_inside], part.high[is_inside] - edges[at + 1])
    ranks = np.full(len(place), rank, np.int64)
    table = replace(part.table, place=place, first_step=_sortable(part.low), last_step=_sortable(part.high), rank=ranks)
    return table, max(float(reach.max(initial=0.0)), 0.0)


def _points_in_buckets(grid: Grid, points: _PointsOverX, rank: int) -> CellTable:
    order = np.argsort(points.x, kind="stable")
    x, sequences = points.x[order], points.sequences[order]
    place = np.searchsorted(_edges(grid), x, "right") - 1
    rows = SortedRows(np.arange(len(x)), place, sequences, np.zeros(len(x), np.int64))
    places, starts = place_rows(rows, 0)
    table = table_of(places.fields(), fill_places(rows, [points.values[order]], places, starts)[0], rank)
    stops = np.append(starts[1:], len(x)) - 1
    return replace(table, first_step=_sortable(x[starts]), last_step=_sortable(x[stops]))


def _edges(grid: Grid) -> Floats:
    """Return float64[n + 1]: where each of n buckets begins, and where the last ends."""
    assert grid.end is not None
    return np.append(grid.lower, grid.end).astype(np.float64)


def _sortable(x: Floats) -> NDArray[Any]:
    """Return int64[n] in the order of these floats."""
    bits = np.ascontiguousarray(x).view(np.int64)
    return np.where(bits < 0, bits ^ _SIGN, bits)

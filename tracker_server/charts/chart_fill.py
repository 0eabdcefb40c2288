"""One line of a chart from cells and points, put together exactly. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..query.series import PointPart, Points, join_points
from ..store.store_lines import CellPart
from .buckets import Cells, Grid
from .cells import CellTable, Ints, SortedRows, fill_places, join_tables, merge_cells, place_rows, table_of


@dataclass(frozen=True, slots=True)
class LineParts:
    """What was read of one line, per journal in the order of its sessions."""

    cells: list[list[CellPart]]
    points: list[list[PointPart]]

    @property
    def has_cells(self) -> bool:
        """Whether any cells were read."""
        return any(self.cells)

    def joined(self) -> Points:
        """Return the points alone, by x."""
        return join_points(self.points)


def merged_steps(parts: LineParts, level: int, shown: tuple[int, int] | None = None) -> CellTable | None:
    """Return the line in cells of a level, ascending; None where it is empty.

    Args:
        parts: whose cells are of that level or lower ones.
        level: the level.
        shown: the first cell wanted and the one behind the last; None takes all.
    """
    tables = []
    for rank, (cells, points) in enumerate(zip(parts.cells, parts.points, strict=True)):
        tables += [_shown(_raised(part, level, rank), shown) for part in cells]
        if points:
            tables.append(_table_of_points(join_points([points], with_sequences=True), level, rank))
    return merge_cells(join_tables(tables)) if tables else None


def _raised(part: CellPart, level: int, rank: int) -> CellTable:
    table = part.table
    place = table.place >> (level - part.level)
    return replace(table, place=place, rank=np.full(len(table), rank, np.int64) if rank else table.rank)


def _shown(table: CellTable, shown: tuple[int, int] | None) -> CellTable:
    """Return the part of ascending cells that is wanted."""
    if shown is None:
        return table
    start, stop = np.searchsorted(table.place, shown)
    return table if stop - start == len(table) else table.chosen(slice(int(start), int(stop)))


def _table_of_points(points: Points, level: int, rank: int) -> CellTable:
    nothing = np.zeros(len(points), np.int64)
    rows = SortedRows(np.arange(len(points)), points.x, points.sequences, nothing)
    places, starts = place_rows(rows, level)
    return table_of(places.fields(), fill_places(rows, [points.values], places, starts)[0], rank)


def cells_on_grid(grid: Grid, table: CellTable, first_place: int) -> Cells:
    """Return merged cells as those of a grid.

    Args:
        grid: of n buckets.
        table: one cell for each place.
        first_place: of the grid's first bucket.
    """
    n = len(grid.lower)
    at = table.place - first_place
    if len(at) and (at[0] < 0 or at[-1] >= n):
        is_inside = (at >= 0) & (at < n)
        table, at = table.chosen(is_inside), at[is_inside]
    columns = np.full((5, n), np.nan)
    columns[:, at] = table.table
    first, last, low, high, mean = columns
    return Cells(first, last, low, high, mean, _spread(at, table.count, n), _spread(at, table.nonfinite, n))


def _spread(at: Ints, counts: Ints, n: int) -> NDArray[np.uint32]:
    spread = np.zeros(n, np.uint32)
    spread[at] = counts
    return spread


def n_distinct_steps(table: CellTable, level: int, low: int, high: int) -> int:
    """Return how many different steps lie in a range, at least."""
    is_inside = (table.place >= -(-low >> level)) & (table.place < (high + 1) >> level)
    return int(table.n_steps[is_inside].sum())


def n_distinct(x: Ints, low: int, high: int) -> int:
    """Return how many different of these sorted x lie in a range."""
    part = x[np.searchsorted(x, low, "left") : np.searchsorted(x, high, "right")]
    return int(np.count_nonzero(part[1:] != part[:-1])) + 1 if len(part) else 0


def merged_times(
    parts: LineParts, width: int, offset: int, shown: tuple[int, int] | None = None
) -> tuple[CellTable, int]:
    """Return the line in buckets of time, ascending, and how far from its bucket a point can lie, in ns.

    Args:
        parts: with the times of the cells.
        width: of a bucket; buckets begin at its multiples.
        offset: is taken from the times first.
        shown: the first bucket wanted and the one behind the last; None takes all.
    """
    tables, error = [], 0
    for rank, (cells, points) in enumerate(zip(parts.cells, parts.points, strict=True)):
        for part in cells:
            table, displaced = _placed(part, width, offset, rank, shown)
            tables.append(table)
            error = max(error, displaced)
        if points:
            joined = join_points([points], with_sequences=True)
            tables.append(_table_in_buckets(replace(joined, x=joined.x - offset), width, rank))
    return (merge_cells(join_tables(tables)) if tables else NO_CELLS), error


def _placed(part: CellPart, width: int, offset: int, rank: int, shown: tuple[int, int] | None) -> tuple[CellTable, int]:
    """Return cells in the buckets in which their middles lie, and how far out of these they reach."""
    assert part.times is not None
    table, low, high = part.table, part.times[0] - offset, part.times[1] - offset
    place = (low + (high - low) // 2) // width
    if shown is not None:
        is_in = (place >= shown[0]) & (place < shown[1])
        if not is_in.all():
            table, place, low, high = table.chosen(is_in), place[is_in], low[is_in], high[is_in]
    reach = np.maximum(place * width - low, high - (place + 1) * width + 1)
    ranks = np.full(len(place), rank, np.int64)
    return replace(table, place=place, first_step=low, last_step=high, rank=ranks), max(int(reach.max(initial=0)), 0)


def _table_in_buckets(points: Points, width: int, rank: int) -> CellTable:
    place = points.x // width
    nothing = np.zeros(len(place), np.int64)
    rows = SortedRows(np.arange(len(place)), place, points.sequences, nothing)
    places, starts = place_rows(rows, 0)
    table = table_of(places.fields(), fill_places(rows, [points.values], places, starts)[0], rank)
    stops = np.append(starts[1:], len(place)) - 1
    return replace(table, first_step=points.x[starts], last_step=points.x[stops])


_NO_INTS = np.empty(0, np.int64)
NO_CELLS = CellTable(
    _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, np.empty((5, 0))
)

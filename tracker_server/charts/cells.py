"""Cells: what the points of a metric in an aligned range of steps add up to, exactly. Pure NumPy.

A cell of level l holds all points with steps in [i * 2**l, (i + 1) * 2**l). Cells of the same place, whatever they were
made of (parts of a journal, sessions, layouts of rows), can be merged in any order: each knows at which step and
sequence its first and last finite values were logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Only where its cells hold so many rows on average is a level kept: below, points take little more than cells.
MIN_ROWS_PER_CELL = 24
LEVEL_STRIDE = 2
MAX_LEVEL = 62

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Places:
    """Where rows lie in cells of one level, which all metrics of these rows share; n cells, ascending.

    Attributes:
        index: int64[n], the place of the cell: its first step is `index << level`.
        n_rows, n_steps: int64[n], how many rows, and how many different steps at least.
        first_step, last_step: int64[n], of the rows.
        first_sequence, last_sequence: int64[n], those of the first row of the first step and the last of the last.
        min_time, max_time: int64[n], bounds of the wall times in ns.
    """

    index: Ints
    n_rows: Ints
    n_steps: Ints
    first_step: Ints
    last_step: Ints
    first_sequence: Ints
    last_sequence: Ints
    min_time: Ints
    max_time: Ints

    def __len__(self) -> int:
        return len(self.index)

    def part(self, start: int, stop: int) -> Places:
        """Return the cells at these places."""
        return Places(*(getattr(self, name)[start:stop] for name in self.__slots__))

    def fields(self) -> dict[str, Ints]:
        """Return the arrays by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Finite:
    """Where the finite values of a metric lie in each cell, for one that has others too; as in `Places`."""

    count: Ints
    first_step: Ints
    last_step: Ints
    first_sequence: Ints
    last_sequence: Ints


@dataclass(frozen=True, slots=True)
class CellValues:
    """The values of one metric in n cells.

    Attributes:
        table: float64[5, n]: first, last, min, max, mean of the finite values; NaN where there is none.
        finite: None where all values are finite, so that `Places` says all.
    """

    table: Floats
    finite: Finite | None

    def part(self, start: int, stop: int) -> CellValues:
        """Return the cells at these places."""
        finite = self.finite
        if finite is not None:
            finite = Finite(*(getattr(finite, name)[start:stop] for name in finite.__slots__))
        return CellValues(self.table[:, start:stop], finite)


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows by step, ties by sequence. int64[n] each; `order` is where each row was before."""

    order: Ints
    steps: Ints
    sequences: Ints
    times: Ints

    def __len__(self) -> int:
        return len(self.steps)


def sort_rows(steps: Ints, sequences: Ints, times: Ints) -> SortedRows:
    """Return rows that are given in sequence order by step."""
    if len(steps) < 2 or bool((steps[1:] >= steps[:-1]).all()):
        return SortedRows(np.arange(len(steps)), steps, sequences, times)
    order = np.argsort(steps, kind="stable")
    return SortedRows(order, steps[order], sequences[order], times[order])


def finest_level(steps: Ints, usual: int | None = None) -> int | None:
    """Return the lowest level whose cells hold enough of these sorted steps on average, or None.

    Args:
        steps: int64[n], ascending, n > 0.
        usual: the level that neighbouring rows have; it is kept where it is about right.
    """
    if usual is not None and 0.8 <= len(steps) / _n_cells(steps, usual) / MIN_ROWS_PER_CELL <= 2.6:
        return usual
    span = int(steps[-1]) - int(steps[0]) + 1
    level = max((span * MIN_ROWS_PER_CELL // len(steps)).bit_length() - 3, 0)
    while level <= MAX_LEVEL and len(steps) < MIN_ROWS_PER_CELL * _n_cells(steps, level):
        level += 1
    return level if level <= MAX_LEVEL else None


def _n_cells(steps: Ints, level: int) -> int:
    index = steps >> level
    return 1 + int(np.count_nonzero(index[1:] != index[:-1]))


def place_rows(rows: SortedRows, level: int) -> tuple[Places, Ints]:
    """Return the cells of a level, and int64[n_cells] where in `rows` each begins."""
    index = rows.steps >> level
    starts = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
    stops = np.append(starts[1:], len(rows))
    is_new_step = np.concatenate(([True], rows.steps[1:] != rows.steps[:-1]))
    places = Places(
        index[starts],
        stops - starts,
        np.add.reduceat(is_new_step.astype(np.int64), starts),
        rows.steps[starts],
        rows.steps[stops - 1],
        rows.sequences[starts],
        rows.sequences[stops - 1],
        np.minimum.reduceat(rows.times, starts),
        np.maximum.reduceat(rows.times, starts),
    )
    return places, starts


def fill_places(rows: SortedRows, values: Sequence[Floats], places: Places, starts: Ints) -> list[CellValues]:
    """Return what metrics have in the cells that `place_rows` made.

    Args:
        rows: the rows.
        values: per metric float64[n], in the order that the rows had before they were sorted.
        places, starts: the cells.
    """
    is_sorted = bool((rows.order[1:] > rows.order[:-1]).all())
    return [_fill(rows, one if is_sorted else one[rows.order], places, starts) for one in values]


def _fill(rows: SortedRows, values: Floats, places: Places, starts: Ints) -> CellValues:
    is_finite = np.isfinite(values)
    if is_finite.all():
        return CellValues(_aggregates(values, starts, places.n_rows), None)
    index = np.repeat(np.arange(len(places)), places.n_rows)[is_finite]
    table = np.full((5, len(places)), np.nan)
    own = np.stack([np.zeros_like(places.index), *(getattr(places, name) for name in Finite.__slots__[1:])])
    if len(index):
        begins = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
        ends = np.append(begins[1:], len(index))
        full, steps, sequences = index[begins], rows.steps[is_finite], rows.sequences[is_finite]
        table[:, full] = _aggregates(values[is_finite], begins, ends - begins)
        found = (ends - begins, steps[begins], steps[ends - 1], sequences[begins], sequences[ends - 1])
        own[:, full] = np.stack(found)
    return CellValues(table, Finite(*own))


def _aggregates(values: Floats, starts: Ints, counts: Ints) -> Floats:
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    mean = np.clip(_means(values, starts, counts), low, high)
    return np.stack([values[starts], values[starts + counts - 1], low, high, mean])


def _means(values: Floats, starts: Ints, counts: Ints) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        means: Floats = np.add.reduceat(values, starts) / counts
        if np.isfinite(means).all():
            return means
        # A sum beyond the largest float: add shares of it.
        shares = np.add.reduceat(values / counts.max(), starts) * (counts.max() / counts)
    return np.where(np.isfinite(means), means, shares)


def coarsen(places: Places, values: Sequence[CellValues]) -> tuple[Places, list[CellValues]]:
    """Return the cells that are `LEVEL_STRIDE` levels higher."""
    index = places.index >> LEVEL_STRIDE
    starts = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
    ends = np.append(starts[1:], len(index)) - 1
    above = Places(
        index[starts],
        np.add.reduceat(places.n_rows, starts),
        np.add.reduceat(places.n_steps, starts),
        places.first_step[starts],
        places.last_step[ends],
        places.first_sequence[starts],
        places.last_sequence[ends],
        np.minimum.reduceat(places.min_time, starts),
        np.maximum.reduceat(places.max_time, starts),
    )
    return above, [_coarser(places, one, index, above, starts, ends) for one in values]


def _coarser(places: Places, values: CellValues, index: Ints, above: Places, starts: Ints, ends: Ints) -> CellValues:
    if values.finite is not None:
        merged = merge_cells(replace(table_of(places.fields(), values), place=index))
        return CellValues(merged.table, Finite(*(getattr(merged, name) for name in Finite.__slots__)))
    first, last, low, high, mean = values.table
    low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    mean = _weighted_means(mean, places.n_rows, starts, above.n_rows)
    return CellValues(np.stack([first[starts], last[ends], low, high, np.clip(mean, low, high)]), None)


@dataclass(frozen=True, slots=True)
class CellTable:
    """Cells of one metric, of whatever origin; n cells in any order.

    Attributes:
        place: int64[n], which cell of the target each is part of.
        count, nonfinite, n_steps: int64[n]; `n_steps` is how many different steps there are at least.
        first_step, last_step, first_sequence, last_sequence: int64[n], of the finite values.
        rank: int64[n], the place of the journal among those of the line: sequences of a lower one come first.
        table: float64[5, n], as in `CellValues`.
    """

    place: Ints
    count: Ints
    nonfinite: Ints
    n_steps: Ints
    first_step: Ints
    last_step: Ints
    first_sequence: Ints
    last_sequence: Ints
    rank: Ints
    table: Floats

    def __len__(self) -> int:
        return len(self.place)

    def chosen(self, which: NDArray[Any] | slice) -> CellTable:
        """Return the cells at these places, or where this mask is set."""
        return CellTable(*(getattr(self, name)[..., which] for name in self.__slots__))


def table_of(places: Mapping[str, Ints], values: CellValues, rank: int = 0) -> CellTable:
    """Return the cells of one metric with all that merging needs; `place` is their index.

    Args:
        places: the fields of `Places` by name; the times need not be there.
        values: of as many cells.
        rank: see `CellTable`.
    """
    own = values.finite
    n_rows = places["n_rows"]
    count = n_rows if own is None else own.count
    at: dict[str, Ints] = {name: places[name] if own is None else getattr(own, name) for name in Finite.__slots__[1:]}
    ranks = np.full(len(count), rank, np.int64)
    return CellTable(places["index"], count, n_rows - count, places["n_steps"], rank=ranks, table=values.table, **at)


def join_tables(tables: Sequence[CellTable]) -> CellTable:
    """Return the cells of all, one after the other."""
    if len(tables) == 1:
        return tables[0]
    names = CellTable.__slots__
    return CellTable(*(np.concatenate([getattr(table, name) for table in tables], axis=-1) for name in names))


def merge_cells(cells: CellTable) -> CellTable:
    """Return one cell for each place, ascending. `n_steps` is the largest of any part, so a lower bound."""
    if len(cells) < 2:
        return cells
    place = cells.place
    if not bool((place[1:] >= place[:-1]).all()):
        cells = cells.chosen(np.argsort(place, kind="stable"))
    starts = np.flatnonzero(np.concatenate(([True], cells.place[1:] != cells.place[:-1])))
    if len(starts) == len(cells):
        return cells
    ends = np.append(starts[1:], len(cells)) - 1
    count = np.add.reduceat(cells.count, starts)
    first, last = _earliest(cells, starts), _latest(cells, ends)
    low, high = np.fmin.reduceat(cells.table[2], starts), np.fmax.reduceat(cells.table[3], starts)
    mean = np.clip(_weighted_means(cells.table[4], cells.count, starts, count), low, high)
    return CellTable(
        cells.place[starts],
        count,
        np.add.reduceat(cells.nonfinite, starts),
        np.maximum.reduceat(cells.n_steps, starts),
        cells.first_step[first],
        cells.last_step[last],
        cells.first_sequence[first],
        cells.last_sequence[last],
        cells.rank[first],
        np.stack([cells.table[0, first], cells.table[1, last], low, high, mean]),
    )


def _weighted_means(means: Floats, counts: Ints, starts: Ints, total: Ints) -> Floats:
    """Return the means of groups of cells; those without a finite value (count 0) do not matter."""
    means = np.where(counts > 0, means, 0.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        merged: Floats = np.add.reduceat(means * counts, starts) / total
        if np.isfinite(merged[total > 0]).all():
            return merged
        largest = float(total.max())
        shares = np.add.reduceat(means * (counts / largest), starts) * (largest / total)
    return np.where(np.isfinite(merged) | (total == 0), merged, shares)


def _earliest(cells: CellTable, starts: Ints) -> Ints:
    """Return where the first finite value of each group of neighbours is."""
    keys = (cells.first_sequence, cells.rank, cells.first_step)
    return _leading(cells, keys, starts)


def _latest(cells: CellTable, ends: Ints) -> Ints:
    backwards = (cells.last_sequence[::-1], cells.rank[::-1], cells.last_step[::-1])
    starts = len(cells) - 1 - ends[::-1]
    flipped = cells.chosen(slice(None, None, -1))
    return len(cells) - 1 - _leading(flipped, backwards, starts, is_descending=True)[::-1]


def _leading(cells: CellTable, keys: tuple[Ints, Ints, Ints], starts: Ints, is_descending: bool = False) -> Ints:
    """Return the cell with a finite value and the lowest (step, rank, sequence) of each group, its first if none."""
    sequence, rank, step = (~key if is_descending else key for key in keys)
    group_start = np.zeros(len(cells), bool)
    group_start[starts] = True
    is_tie = step[1:] == step[:-1]
    is_after = (rank[1:] > rank[:-1]) | ((rank[1:] == rank[:-1]) & (sequence[1:] >= sequence[:-1]))
    is_later = (step[1:] > step[:-1]) | (is_tie & is_after)
    if bool((is_later | group_start[1:]).all()) and bool((cells.count > 0).all()):
        return starts
    group = np.cumsum(group_start) - 1
    order = np.lexsort((sequence, rank, step, cells.count == 0, group))
    return order[starts]


def merge_places(parts: Sequence[Places]) -> Places:
    """Return places of one level, of one journal, that may share cells, as one."""
    index = np.concatenate([part.index for part in parts])
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.concatenate(([True], index[order][1:] != index[order][:-1])))
    low = np.concatenate([part.min_time for part in parts])[order]
    high = np.concatenate([part.max_time for part in parts])[order]
    # As cells of a metric that is always zero.
    tables = [table_of(part.fields(), CellValues(np.zeros((5, len(part))), None)) for part in parts]
    merged = merge_cells(join_tables(tables))
    return Places(
        merged.place,
        merged.count,
        merged.n_steps,
        merged.first_step,
        merged.last_step,
        merged.first_sequence,
        merged.last_sequence,
        np.minimum.reduceat(low, starts),
        np.maximum.reduceat(high, starts),
    )


def merge_values(parts: Sequence[tuple[Places, CellValues]]) -> CellValues:
    """Return one metric in the cells that `merge_places` makes of the same parts."""
    merged = merge_cells(join_tables([table_of(places.fields(), values) for places, values in parts]))
    if all(values.finite is None for _, values in parts):
        return CellValues(merged.table, None)
    return CellValues(merged.table, Finite(*(getattr(merged, name) for name in Finite.__slots__)))

"""Read what a chart needs of one metric of many journals: cells of a level, and points of the rows without such cells.

First the bounds of everything are read, then only the bytes of what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, func, or_, select

from ..charts.cells import CellTable, Ints, table_of
from ..codec.cell_codec import decode_places, decode_times, decode_values
from ..codec.chunk_codec import decode_column, decode_objects
from ..query.series import PointPart
from .store_schema import cell_column, cell_rows, row_chunk, value_chunk

Axis = Literal["step", "time"]
Bounds = tuple[int, int]
EVERYTHING: Bounds = (-(1 << 63), (1 << 63) - 1)
_MAX_IDS = 10_000


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows of one metric of one journal: how many, and bounds of their steps and wall times in ns, ends included."""

    n_rows: int
    min_step: int
    max_step: int
    min_time: int
    max_time: int

    def bounds(self, axis: Axis) -> Bounds:
        """Return the ends of one axis."""
        return (self.min_step, self.max_step) if axis == "step" else (self.min_time, self.max_time)


@dataclass(frozen=True, slots=True)
class CellPart:
    """Cells of one level of a metric.

    Attributes:
        cells_id: which; metrics of the same rows have the same.
        level: theirs.
        table: the cells; `place` is their index.
        times: int64[n] twice, bounds of the wall times in ns, where they were asked for.
    """

    cells_id: int
    level: int
    table: CellTable
    times: tuple[Ints, Ints] | None


@dataclass(frozen=True, slots=True)
class ObjectChunk:
    """Where rows are that hold something other than numbers; all arrays int64[n], in the order logged."""

    journal: str
    value_id: int
    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    sequences: NDArray[np.int64]


Decode = Callable[[tuple[int, str | int], bytes, int], NDArray[Any]]


class SealedMetric:
    """One metric of some journals, within one read transaction.

    Args:
        connection: the transaction; None where there is no index.
        metric_id: None where the index does not know the metric.
        names: the journals by id.
        next_sequences: where what is sealed of each journal ends.
        is_system: whether of samples of the machine.
        decode: returns a column that was perhaps decoded before.
    """

    def __init__(
        self,
        connection: Connection | None,
        metric_id: int | None,
        names: Mapping[int, str],
        next_sequences: Mapping[str, int],
        is_system: bool,
        decode: Decode,
    ) -> None:
        self._connection = connection
        self._metric_id = metric_id
        self._names = names
        self._is_system = is_system
        self._decode = decode
        self.next_sequences = next_sequences

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        if self._connection is None or self._metric_id is None or not self._names:
            return []
        return self._connection.execute(query).all()

    def extents(self) -> dict[str, Extent]:
        """Return what is sealed of each journal that has the metric."""
        c = row_chunk.c
        bounds = (func.min(c.min_step), func.max(c.max_step), func.min(c.min_time), func.max(c.max_time))
        query = self._of_chunks(value_chunk.c.journal_id, func.sum(c.n_rows), *bounds)
        found = self._rows(query.group_by(value_chunk.c.journal_id))
        return {self._names[journal_id]: Extent(int(n_rows), *rest) for journal_id, n_rows, *rest in found}

    def n_rows(self, axis: Axis, ranges: Mapping[str, Bounds]) -> int:
        """Return how many rows the chunks have that lie in each journal's range at least in part."""
        if len(set(ranges.values())) > 1:
            return sum(header.n_rows for header in self._chunks(-1, axis, ranges))
        ids = [journal_id for journal_id, name in self._names.items() if name in ranges]
        query = self._of_chunks(func.sum(row_chunk.c.n_rows)).where(value_chunk.c.journal_id.in_(ids))
        found = self._rows(query.where(_overlaps(row_chunk, axis, ranges)))
        return int(found[0][0] or 0) if found else 0

    def cells(self, level: int, axis: Axis, ranges: Mapping[str, Bounds]) -> dict[str, list[CellPart]]:
        """Return cells of `level`, or as near below it as rows have, that lie in each journal's range at least in part.

        Each row is in one cell. Those whose cells all are of a higher level are left to `points`.
        """
        c, v = cell_rows.c, cell_column.c
        at_level = and_(v.level <= level, or_(v.level >= level - 1, v.is_top))
        columns = (c.n_cells, c.first_index, c.first_sequence, *_bounds_of(cell_rows))
        query = (
            select(v.column_id, v.journal_id, v.cells_id, v.level, *columns)
            .join(cell_rows, c.cells_id == v.cells_id)
            .where(v.metric_id == self._metric_id, v.journal_id.in_(list(self._names)))
            .where(at_level, c.is_system == self._is_system, _overlaps(cell_rows, axis, ranges))
            .order_by(v.journal_id, c.first_sequence)
        )
        headers = [row for row in self._rows(query) if _is_in_range(row, axis, ranges.get(self._names[row.journal_id]))]
        found: dict[str, list[CellPart]] = {}
        blobs = self._cell_blobs([row.column_id for row in headers], axis == "time")
        for header in headers:
            part = _cell_part(header, *blobs[header.column_id])
            found.setdefault(self._names[header.journal_id], []).append(part)
        return found

    def _cell_blobs(self, ids: Sequence[int], with_times: bool) -> dict[int, tuple[bytes, bytes, bytes]]:
        times = (cell_rows.c.times,) if with_times else ()
        query = select(cell_column.c.column_id, cell_column.c.data, cell_rows.c.places, *times).join(
            cell_rows, cell_rows.c.cells_id == cell_column.c.cells_id
        )
        rows = self._by_ids(query, cell_column.c.column_id, ids)
        return {row[0]: (row[1], row[2], row[3] if with_times else b"") for row in rows}

    def points(
        self,
        finest_above: int,
        axis: Axis,
        ranges: Mapping[str, Bounds],
        with_neighbours: bool = False,
    ) -> dict[str, list[PointPart]]:
        """Return the rows without cells of level `finest_above` or below, of the chunks in range at least in part.

        With `with_neighbours` also the chunks with the next row on either side of each journal's range.
        """
        headers = self._chunks(finest_above, axis, ranges, with_neighbours)
        x = row_chunk.c.steps if axis == "step" else row_chunk.c.wall_times
        query = select(value_chunk.c.value_id, value_chunk.c.data, x, row_chunk.c.sequences).join(
            row_chunk, row_chunk.c.chunk_id == value_chunk.c.chunk_id
        )
        blobs = {row[0]: row[1:] for row in self._by_ids(query, value_chunk.c.value_id, [h.value_id for h in headers])}
        found: dict[str, list[PointPart]] = {}
        for header in headers:
            part = self._point_part(header, axis, *blobs[header.value_id])
            found.setdefault(self._names[header.journal_id], []).append(part)
        return found

    def _point_part(self, header: Any, axis: Axis, data: bytes, x: bytes, sequences: bytes) -> PointPart:
        chunk_id, n_rows = header.chunk_id, header.n_rows
        assert self._metric_id is not None
        return PointPart(
            header.first_sequence,
            header.last_sequence,
            self._decode((chunk_id, "steps" if axis == "step" else "wall_times"), x, n_rows),
            self._decode((chunk_id, self._metric_id), data, n_rows),
            lambda: self._decode((chunk_id, "sequences"), sequences, n_rows),
        )

    def objects(self) -> list[ObjectChunk]:
        """Return where the values are that are no numbers, without the values."""
        c, v = row_chunk.c, value_chunk.c
        # Behind a checksum of four bytes a column says of what type it is.
        query = self._of_chunks(v.value_id, v.journal_id, c.chunk_id, c.n_rows, c.steps, c.wall_times, c.sequences)
        query = query.where(func.substr(v.data, 5, 1) == b"o").order_by(v.journal_id, c.first_sequence)
        return [
            ObjectChunk(
                self._names[row.journal_id],
                row.value_id,
                self._decode((row.chunk_id, "steps"), row.steps, row.n_rows),
                self._decode((row.chunk_id, "wall_times"), row.wall_times, row.n_rows),
                self._decode((row.chunk_id, "sequences"), row.sequences, row.n_rows),
            )
            for row in self._rows(query)
        ]

    def object_values(self, chunk: ObjectChunk, places: Sequence[int]) -> list[Any]:
        """Return the values of a chunk at these ascending places."""
        query = select(value_chunk.c.data).where(value_chunk.c.value_id == chunk.value_id)
        return decode_objects(self._rows(query)[0].data, len(chunk.steps), places)

    def _chunks(
        self,
        finest_above: int,
        axis: Axis,
        ranges: Mapping[str, Bounds],
        with_neighbours: bool = False,
    ) -> list[Any]:
        c, v = row_chunk.c, value_chunk.c
        columns = (c.n_rows, c.first_sequence, c.last_sequence, *_bounds_of(row_chunk))
        query = self._of_chunks(v.value_id, v.journal_id, v.chunk_id, *columns).where(c.finest_level > finest_above)
        if not with_neighbours:
            query = query.where(_overlaps(row_chunk, axis, ranges))
        rows = self._rows(query.order_by(v.journal_id, c.first_sequence))
        found: list[Any] = []
        for journal_id, own in groupby(rows, key=lambda row: int(row.journal_id)):
            name = self._names[journal_id]
            if name in ranges:
                found.extend(_in_range(list(own), axis, ranges[name], with_neighbours))
        return found

    def _of_chunks(self, *columns: Any) -> Select[Any]:
        return (
            select(*columns)
            .select_from(value_chunk)
            .join(row_chunk, row_chunk.c.chunk_id == value_chunk.c.chunk_id)
            .where(value_chunk.c.metric_id == self._metric_id)
            .where(value_chunk.c.journal_id.in_(list(self._names)))
            .where(row_chunk.c.is_system == self._is_system)
        )

    def _by_ids(self, query: Select[Any], column: ColumnElement[int], ids: Sequence[int]) -> Iterator[Any]:
        for start in range(0, len(ids), _MAX_IDS):
            yield from self._rows(query.where(column.in_(ids[start : start + _MAX_IDS])))


NOTHING_SEALED = SealedMetric(None, None, {}, {}, False, lambda name, data, n_rows: decode_column(data, n_rows))


def _bounds_of(table: Table) -> tuple[Column[Any], ...]:
    return (table.c.min_step, table.c.max_step, table.c.min_time, table.c.max_time)


def _overlaps(table: Table, axis: Axis, ranges: Mapping[str, Bounds]) -> ColumnElement[bool]:
    """Return the condition that rows lie in any of the ranges, as far as one pair of bounds can say it."""
    low = min((one[0] for one in ranges.values()), default=0)
    high = max((one[1] for one in ranges.values()), default=0)
    c = table.c
    at_most, at_least = (c.min_step, c.max_step) if axis == "step" else (c.min_time, c.max_time)
    return and_(at_most <= high, at_least >= low)


def _bounds(row: Any, axis: Axis) -> Bounds:
    return (row.min_step, row.max_step) if axis == "step" else (row.min_time, row.max_time)


def _is_in_range(row: Any, axis: Axis, wanted: Bounds | None) -> bool:
    low, high = _bounds(row, axis)
    return wanted is not None and low <= wanted[1] and high >= wanted[0]


def _in_range(rows: Sequence[Any], axis: Axis, wanted: Bounds, with_neighbours: bool) -> list[Any]:
    """Return those in range, and perhaps those with the next row below and above it."""
    bounds = [_bounds(row, axis) for row in rows]
    is_found = [low <= wanted[1] and high >= wanted[0] for low, high in bounds]
    if not with_neighbours:
        return [row for row, is_in in zip(rows, is_found, strict=True) if is_in]
    inside = [one for one, is_in in zip(bounds, is_found, strict=True) if is_in]
    # What lies in range in part may have a nearer row already.
    below = max((low for low, _ in inside if low < wanted[0]), default=EVERYTHING[0])
    above = min((high for _, high in inside if high > wanted[1]), default=EVERYTHING[1])
    next_below = max((high for _, high in bounds if below <= high < wanted[0]), default=None)
    next_above = min((low for low, _ in bounds if above >= low > wanted[1]), default=None)
    checked = zip(rows, bounds, is_found, strict=True)
    return [row for row, (low, high), is_in in checked if is_in or high == next_below or low == next_above]


def _cell_part(header: Any, data: bytes, places: bytes, times: bytes) -> CellPart:
    n, level, sequence = header.n_cells, header.level, header.first_sequence
    where = decode_places(places, n, level, header.first_index, sequence)
    values = decode_values(data, where, level, sequence)
    bounds = decode_times(times, n, header.min_time) if times else None
    return CellPart(header.cells_id, level, table_of(where, values), bounds)

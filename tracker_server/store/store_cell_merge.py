"""Join short rows of cells of one level that follow each other, in bounded steps. Each is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, delete, func, select

from ..charts.cell_pack import MAX_CELLS, pack_merged
from ..charts.cells import CellValues, Places, merge_places, merge_values
from ..codec.cell_codec import decode_places, decode_times, decode_values
from .store_cells import insert_cells
from .store_schema import cell_column, cell_rows, journal

# A row with fewer is short; so many short ones are joined.
SHORT_CELLS = 512
MIN_ROWS = 8
# At most so many cells, of all metrics together, in one step, but for a single piece.
_MAX_VALUES = 1 << 18
_MAX_GROUPS = 500


def join_cells(connection: Connection, journal_ids: Sequence[int] | None = None) -> bool:
    """Join short rows of cells. Says whether there is more to be done.

    Args:
        connection: within a transaction that may write.
        journal_ids: only cells of these journals. None: of all.
    """
    n_left = _MAX_VALUES
    for group in _groups(connection, journal_ids):
        # Two processes that share a database must not do the same work.
        own = select(journal.c.journal_id).where(journal.c.journal_id == group.journal_id)
        connection.execute(own.with_for_update())
        for piece in _pieces(_short_rows(connection, group)):
            if n_left <= 0:
                return True
            with suppress(ValueError):  # what is damaged stays as it is: charts read the points instead
                n_left -= _join(connection, group, piece)
    return False


def _groups(connection: Connection, journal_ids: Sequence[int] | None) -> Sequence[Any]:
    c = cell_rows.c
    columns = (c.journal_id, c.layout, c.level, c.is_top, c.is_system)
    query = select(*columns).where(c.n_cells < SHORT_CELLS).group_by(*columns)
    if journal_ids is not None:
        query = query.where(c.journal_id.in_(journal_ids))
    return connection.execute(query.having(func.count() >= MIN_ROWS).limit(_MAX_GROUPS)).all()


def _short_rows(connection: Connection, group: Any) -> Sequence[Any]:
    c = cell_rows.c
    columns = (c.cells_id, c.n_cells, c.first_index, c.first_sequence, c.min_time, c.places, c.times)
    query = select(*columns).where(c.journal_id == group.journal_id, c.layout == group.layout)
    query = query.where(c.level == group.level, c.is_top == group.is_top, c.n_cells < SHORT_CELLS)
    return connection.execute(query.order_by(c.first_sequence)).all()


def _pieces(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the rows to be joined. They need not be neighbours: cells can be merged in any order."""
    piece: list[Any] = []
    for row in rows:
        if piece and sum(one.n_cells for one in piece) + row.n_cells > MAX_CELLS:
            yield piece
            piece = []
        piece.append(row)
    if len(piece) >= MIN_ROWS:
        yield piece


def _join(connection: Connection, group: Any, rows: Sequence[Any]) -> int:
    """Put one row in the place of several; returns how many cells of all metrics that took."""
    level = int(group.level)
    decoded = {row.cells_id: _places(row, level) for row in rows}
    columns = list(_columns(connection, rows, decoded, level))
    merged = merge_places(list(decoded.values()))
    for table in (cell_column, cell_rows):
        connection.execute(delete(table).where(table.c.cells_id.in_(list(decoded))))
    insert_cells(connection, group, pack_merged(merged, level, group.is_top, columns), lambda metric_id: metric_id)
    return len(columns) * sum(int(row.n_cells) for row in rows)


def _places(row: Any, level: int) -> Places:
    low, high = decode_times(row.times, row.n_cells, row.min_time)
    found = decode_places(row.places, row.n_cells, level, row.first_index, row.first_sequence)
    return Places(**found, min_time=low, max_time=high)


def _columns(
    connection: Connection, rows: Sequence[Any], decoded: dict[int, Places], level: int
) -> Iterator[tuple[int, CellValues]]:
    """Yield each metric with its values in all of the cells."""
    c = cell_column.c
    bases = {row.cells_id: row.first_sequence for row in rows}
    query = select(c.metric_id, c.cells_id, c.data).where(c.cells_id.in_(list(decoded)))
    parts: dict[int, dict[int, bytes]] = {}
    for metric_id, cells_id, data in connection.execute(query.order_by(c.column_id)):
        parts.setdefault(metric_id, {})[cells_id] = data
    for metric_id, own in parts.items():
        found = [
            (places, decode_values(own[cells_id], places.fields(), level, bases[cells_id]))
            for cells_id, places in decoded.items()
        ]
        yield metric_id, merge_values(found)

"""Build the cells of sealed rows, in bounded steps. Each is one transaction, so that a kill between loses nothing.

A row chunk either is in cells wholly, and then says from which level on, or not at all: what a chart reads are the
cells of the level it wants and the points of those rows that have none so fine.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, and_, func, insert, or_, select, update

from ..charts import cell_pack
from ..charts.cell_pack import PackedCells, pack_cells
from ..charts.cells import Floats, SortedRows, finest_level, sort_rows
from ..codec.chunk_codec import decode_column, widen
from .store_schema import cell_column, cell_rows, journal, row_chunk, value_chunk

# What `row_chunk.finest_level` may be besides a level: above all of them, so that a reader takes the rows themselves.
NOT_LOOKED_AT = 127
NO_CELLS = 126

_MAX_GROUPS = 500
_MAX_CHUNKS = 512

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class CellOwner:
    """Whose rows they are that are in cells."""

    journal_id: int
    layout: int
    is_system: bool


def build_cells(connection: Connection, journal_ids: Sequence[int] | None = None) -> bool:
    """Put sealed rows into cells, of about four million points at most. Says whether there is more to be done.

    Args:
        connection: within a transaction that may write.
        journal_ids: only rows of these journals. None: of all.
    """
    groups = _pending(connection, journal_ids)
    n_left = cell_pack.N_POINTS
    for group in groups:
        if n_left <= 0:
            return True
        n_left -= _build_group(connection, group)
    return bool(groups)


def _pending(connection: Connection, journal_ids: Sequence[int] | None) -> Sequence[Any]:
    """Return journal and layout of rows that are due: many of them, or the journal is closed."""
    c = row_chunk.c
    n_rows, n_points = func.sum(c.n_rows), func.sum(c.n_rows * c.n_columns)
    is_due = or_(
        n_rows >= cell_pack.N_ROWS,
        and_(n_rows >= cell_pack.MIN_ROWS, n_points >= cell_pack.N_POINTS),
        journal.c.is_closed,
    )
    query = (
        select(c.journal_id, c.layout, c.is_system)
        .join(journal, journal.c.journal_id == c.journal_id)
        .where(c.finest_level == NOT_LOOKED_AT)
        .group_by(c.journal_id, c.layout, c.is_system, journal.c.is_closed)
        .having(is_due)
        .limit(_MAX_GROUPS)
    )
    if journal_ids is not None:
        query = query.where(c.journal_id.in_(journal_ids))
    return connection.execute(query).all()


def _build_group(connection: Connection, group: Any) -> int:
    """Put rows of one layout into cells; returns how many points were read."""
    # Two processes that share a database must not do the same work.
    connection.execute(select(journal.c.journal_id).where(journal.c.journal_id == group.journal_id).with_for_update())
    chunks = _chunks(connection, group)
    if not chunks:
        return 1
    level = _cells_of(connection, group, chunks)
    ids = [chunk.chunk_id for chunk in chunks]
    found = NO_CELLS if level is None else level
    connection.execute(update(row_chunk).where(row_chunk.c.chunk_id.in_(ids)).values(finest_level=found))
    return 1 if level is None else sum(chunk.n_rows * chunk.n_columns for chunk in chunks)


def _cells_of(connection: Connection, group: Any, chunks: Sequence[Any]) -> int | None:
    """Store the cells of rows; returns their lowest level, None where there are none."""
    if sum(chunk.n_rows for chunk in chunks) < cell_pack.MIN_ROWS:
        return None
    try:
        rows = _rows(chunks)
        level = finest_level(rows.steps, _usual_level(connection, group))
        if level is not None:
            packed = pack_cells(rows, level, _metrics(connection, chunks))
            insert_cells(connection, group, packed, lambda metric_id: metric_id)
        return level
    except ValueError:
        return None  # what is damaged has no cells, and is read from its journal


def _chunks(connection: Connection, group: Any) -> list[Any]:
    c = row_chunk.c
    query = (
        select(c.chunk_id, c.n_rows, c.n_columns, c.sequences, c.steps, c.wall_times)
        .where(c.finest_level == NOT_LOOKED_AT, c.journal_id == group.journal_id, c.layout == group.layout)
        .order_by(c.first_sequence)
        .limit(_MAX_CHUNKS)
    )
    found: list[Any] = []
    n_points = 0
    for chunk in connection.execute(query):
        # The last ones may be few: they go with those before them.
        if n_points >= cell_pack.N_POINTS and sum(one.n_rows for one in found) >= cell_pack.MIN_ROWS:
            break
        found.append(chunk)
        n_points += chunk.n_rows * chunk.n_columns
    return found


def _rows(chunks: Sequence[Any]) -> SortedRows:
    columns = (
        np.concatenate([decode_column(getattr(chunk, name), chunk.n_rows) for chunk in chunks])
        for name in ("steps", "sequences", "wall_times")
    )
    return sort_rows(*columns)


def _usual_level(connection: Connection, group: Any) -> int | None:
    c = row_chunk.c
    query = (
        select(c.finest_level)
        .where(c.journal_id == group.journal_id, c.layout == group.layout, c.finest_level < NO_CELLS)
        .order_by(c.first_sequence.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def _metrics(connection: Connection, chunks: Sequence[Any]) -> Iterator[tuple[int, Floats]]:
    """Yield each metric of these chunks that is numbers throughout, with its values in the order logged."""
    c = value_chunk.c
    # Not sorted by the database, which would copy all of it.
    query = select(c.metric_id, c.chunk_id, c.data).where(c.chunk_id.in_([chunk.chunk_id for chunk in chunks]))
    found: dict[int, dict[int, bytes]] = {}
    for metric_id, chunk_id, data in connection.execute(query):
        found.setdefault(int(metric_id), {})[chunk_id] = data
    for metric_id, own in found.items():
        columns = [widen(decode_column(own[chunk.chunk_id], chunk.n_rows)) for chunk in chunks]
        # Of one layout, so of one type.
        if columns[0].dtype != object:
            yield metric_id, np.concatenate([column.astype(np.float64, copy=False) for column in columns])


def insert_cells(connection: Connection, owner: Any, packed: PackedCells[K], metric_id_of: Callable[[K], int]) -> None:
    """Insert cells of rows that have none of these levels yet.

    Args:
        connection: within a transaction that may write.
        owner: has `journal_id`, `layout` and `is_system`.
        packed: the cells.
        metric_id_of: returns the id of what `packed` calls a metric.
    """
    fields = {"journal_id": owner.journal_id, "layout": owner.layout, "is_system": owner.is_system}
    ids = []
    for row in packed.rows:
        key = connection.execute(insert(cell_rows).values(**fields, **row)).inserted_primary_key
        assert key is not None
        ids.append(int(key[0]))
    columns = [
        {
            "metric_id": metric_id_of(metric),
            "journal_id": owner.journal_id,
            "cells_id": ids[place],
            "level": packed.rows[place]["level"],
            "is_top": packed.rows[place]["is_top"],
            "data": data,
        }
        for metric, place, data in packed.columns
    ]
    if columns:
        connection.execute(insert(cell_column), columns)

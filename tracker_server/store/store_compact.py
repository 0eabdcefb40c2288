"""Join small row chunks of one layout that follow each other, in bounded steps. Each is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, insert, select

from ..codec.chunk_codec import decode_column, encode_column, encode_integers
from .store_schema import journal, row_chunk, value_chunk

# A chunk with fewer rows is small; so many small neighbours are joined.
SMALL_ROWS = 4096
MIN_CHUNKS = 16
MAX_CHUNK_ROWS = 16_384
# At most so many points in one step, but for a single chunk.
_MAX_POINTS = 1 << 20
_MAX_GROUPS = 100
_CODES = {"<f8": "d", "<f4": "f", "<i8": "q", "<u8": "Q", "|b1": "?", "|O": "o"}


def join_chunks(connection: Connection, journal_ids: Sequence[int] | None = None) -> bool:
    """Join small row chunks, of about a million points at most. Says whether there is more to be done.

    Args:
        connection: within a transaction that may write.
        journal_ids: only chunks of these journals. None: of all.
    """
    n_left = _MAX_POINTS
    for journal_id, layout in _groups(connection, journal_ids):
        # Two processes that share a database must not do the same work.
        connection.execute(select(journal.c.journal_id).where(journal.c.journal_id == journal_id).with_for_update())
        for piece in _pieces(_headers(connection, journal_id, layout)):
            if n_left <= 0:
                return True
            n_left -= sum(chunk.n_rows for chunk in piece) * max(piece[0].n_columns, 1)
            with suppress(ValueError):  # what is damaged stays as it is, to be read from its journal
                _join(connection, [chunk.chunk_id for chunk in piece])
    return False


def _groups(connection: Connection, journal_ids: Sequence[int] | None) -> Sequence[Any]:
    c = row_chunk.c
    query = (
        select(c.journal_id, c.layout)
        .where(c.n_rows < SMALL_ROWS)
        .group_by(c.journal_id, c.layout)
        .having(func.count() >= MIN_CHUNKS)
        .limit(_MAX_GROUPS)
    )
    if journal_ids is not None:
        query = query.where(c.journal_id.in_(journal_ids))
    return connection.execute(query).all()


def _headers(connection: Connection, journal_id: int, layout: int) -> Sequence[Any]:
    c = row_chunk.c
    query = select(c.chunk_id, c.n_rows, c.n_columns, c.finest_level)
    return connection.execute(
        query.where(c.journal_id == journal_id, c.layout == layout).order_by(c.first_sequence)
    ).all()


def _pieces(chunks: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the neighbours to be joined: what all are in the same cells, or in none, stays so."""
    for (is_small, _), group in groupby(chunks, key=lambda chunk: (chunk.n_rows < SMALL_ROWS, chunk.finest_level)):
        neighbours = list(group)
        if not is_small or len(neighbours) < MIN_CHUNKS:
            continue
        piece: list[Any] = []
        for chunk in neighbours:
            n_rows = sum(one.n_rows for one in piece) + chunk.n_rows
            if piece and (n_rows > MAX_CHUNK_ROWS or n_rows * chunk.n_columns > _MAX_POINTS):
                yield piece
                piece = []
            piece.append(chunk)
        if len(piece) > 1:
            yield piece


def _join(connection: Connection, ids: Sequence[int]) -> None:
    chunks = connection.execute(
        select(row_chunk).where(row_chunk.c.chunk_id.in_(ids)).order_by(row_chunk.c.first_sequence)
    ).all()
    first, n_rows = chunks[0], {chunk.chunk_id: chunk.n_rows for chunk in chunks}
    row = {
        "journal_id": first.journal_id,
        "layout": first.layout,
        "finest_level": first.finest_level,
        "first_sequence": first.first_sequence,
        "last_sequence": chunks[-1].last_sequence,
        "min_step": min(chunk.min_step for chunk in chunks),
        "max_step": max(chunk.max_step for chunk in chunks),
        "min_time": min(chunk.min_time for chunk in chunks),
        "max_time": max(chunk.max_time for chunk in chunks),
        "n_rows": sum(n_rows.values()),
        "n_columns": first.n_columns,
        "is_system": first.is_system,
    }
    for name in ("sequences", "steps", "wall_times"):
        row[name] = encode_integers(_joined([(getattr(chunk, name), chunk.n_rows) for chunk in chunks]))
    packed = list(_columns(connection, list(n_rows), n_rows))
    key = connection.execute(insert(row_chunk).values(**row)).inserted_primary_key
    assert key is not None
    fields = {"journal_id": first.journal_id, "chunk_id": int(key[0])}
    columns = [{**fields, "metric_id": metric_id, "data": data} for metric_id, data in packed]
    for table in (value_chunk, row_chunk):
        connection.execute(delete(table).where(table.c.chunk_id.in_(ids)))
    if columns:
        connection.execute(insert(value_chunk), columns)


def _columns(connection: Connection, ids: list[int], n_rows: dict[int, int]) -> Iterator[tuple[int, bytes]]:
    """Yield each metric of the chunks, in the order of their columns, with all its values."""
    c = value_chunk.c
    # Not sorted by the database, which would copy all of it.
    query = select(c.value_id, c.metric_id, c.chunk_id, c.data).where(c.chunk_id.in_(ids))
    parts: dict[int, dict[int, bytes]] = {}
    for _, metric_id, chunk_id, data in sorted(connection.execute(query), key=lambda row: int(row.value_id)):
        parts.setdefault(metric_id, {})[chunk_id] = data
    for metric_id, own in parts.items():
        values = _joined([(own[chunk_id], n_rows[chunk_id]) for chunk_id in ids])
        yield metric_id, encode_column(values, _CODES[values.dtype.str])


def _joined(parts: Sequence[tuple[bytes, int]]) -> NDArray[Any]:
    return np.concatenate([decode_column(data, n_rows) for data, n_rows in parts])

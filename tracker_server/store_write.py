"""The only module that writes the index. A read-write connection exists only while `store.lock` is held."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, CursorResult, create_engine, delete, event, insert, inspect, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from .chunk_codec import encode_column, encode_integers
from .console_chunks import ConsoleChunk
from .kept_files import KeptFile
from .row_blocks import RowBlock
from .store_lock import try_store_lock
from .store_schema import (
    INDEX_VERSION,
    console_chunk,
    index_info,
    journal,
    kept_file,
    metadata,
    metric,
    row_chunk,
    value_chunk,
)

# Longer ones are hardly smaller, but must be decoded whole for a part; measured by benchmarks/store_size.py.
MAX_CHUNK_ROWS = 16_384

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Encoded rows of one key set."""

    keys: tuple[str, ...]
    is_system: bool
    n_rows: int
    first_sequence: int
    last_sequence: int
    sequences: bytes
    steps: bytes
    wall_times: bytes
    columns: list[bytes]


@dataclass(frozen=True, slots=True)
class Seal:
    """What is to be added to the index for one journal, if it still ends where `base_sequence` says."""

    path: str
    base_sequence: int
    sealed_offset: int
    next_sequence: int
    is_closed: bool
    fold: bytes
    chunks: list[Chunk]
    console: list[ConsoleChunk]
    files: list[tuple[int, KeptFile]]


def encode_chunks(blocks: Sequence[RowBlock]) -> list[Chunk]:
    """Return the rows of one journal, each block in sequence order, as chunks of about equal length."""
    return [_encode_chunk(part) for block in blocks for part in _parts(block)]


def _parts(block: RowBlock) -> Iterator[RowBlock]:
    n_parts = -(-len(block) // MAX_CHUNK_ROWS)
    cuts = [len(block) * index // n_parts for index in range(n_parts)]
    return (block.part(start, stop) for start, stop in pairwise([*cuts, len(block)]))


def _encode_chunk(block: RowBlock) -> Chunk:
    return Chunk(
        block.keys,
        block.is_system,
        len(block),
        int(block.sequences[0]),
        int(block.sequences[-1]),
        encode_integers(block.sequences),
        encode_integers(block.steps),
        encode_integers(block.wall_time_ns),
        [encode_column(block.column(index), code) for index, code in enumerate(block.codes)],
    )


@contextmanager
def index_writer(folder: str) -> Iterator[IndexWriter | None]:
    """Hold the lock of a tracker folder's index; yields None at once where it is taken or the folder is read-only."""
    with try_store_lock(os.path.join(folder, "store.lock")) as is_held:
        yield IndexWriter(os.path.join(folder, "index.sqlite")) if is_held else None


class IndexWriter:
    """Writes the index while the lock is held; only `index_writer` makes one."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self, seals: Sequence[Seal], removed: Collection[str]) -> set[str] | None:
        """Drop the removed journals and add seals, in one transaction.

        Returns:
            The paths whose seal was applied; the others had been sealed by another process meanwhile. None when
            nothing could be written.
        """
        try:
            return _write(self._path, seals, removed)
        except DatabaseError as error:
            if not _is_broken(error):
                _say_once(f"{self._path} cannot be written now, which costs memory but no data: {error.orig}")
                return None
        # The index is built from the journals: a broken one is no loss.
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self._path + suffix):
                os.unlink(self._path + suffix)
        return set()


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _log.warning(text)


def _is_broken(error: DatabaseError) -> bool:
    text = str(error.orig)
    return "malformed" in text or "not a database" in text


def _write(path: str, seals: Sequence[Seal], removed: Collection[str]) -> set[str]:
    with _read_write_connection(path) as connection:
        with connection.begin():
            _ensure_schema(connection)
            for gone in removed:
                _drop_journal(connection, gone)
            applied = {seal.path for seal in seals if _apply(connection, seal)}
        # On the bare connection: SQLAlchemy would begin a transaction first, in which no checkpoint can be made.
        bare = connection.connection.dbapi_connection
        assert bare is not None
        bare.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return applied


@contextmanager
def _read_write_connection(path: str) -> Iterator[Connection]:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _ensure_schema(connection: Connection) -> None:
    tables = inspect(connection).get_table_names()
    if "index_info" in tables:
        version = connection.execute(select(index_info.c.value).where(index_info.c.name == "version")).scalar()
        if version == INDEX_VERSION:
            return
    for table in tables:
        if not table.startswith("sqlite_"):
            connection.exec_driver_sql(f'DROP TABLE "{table}"')
    metadata.create_all(connection)
    rows = {"version": INDEX_VERSION, "build": secrets.token_hex(8)}
    connection.execute(insert(index_info), [{"name": name, "value": value} for name, value in rows.items()])


def _drop_journal(connection: Connection, path: str) -> None:
    journal_id = connection.execute(select(journal.c.journal_id).where(journal.c.path == path)).scalar()
    if journal_id is not None:
        for table in (value_chunk, row_chunk, console_chunk, kept_file, journal):
            connection.execute(delete(table).where(table.c.journal_id == journal_id))


def _apply(connection: Connection, seal: Seal) -> bool:
    row = connection.execute(
        select(journal.c.journal_id, journal.c.next_sequence).where(journal.c.path == seal.path)
    ).one_or_none()
    if (0 if row is None else row.next_sequence) != seal.base_sequence:
        return False
    fields = {
        "sealed_offset": seal.sealed_offset,
        "next_sequence": seal.next_sequence,
        "is_closed": seal.is_closed,
        "fold": seal.fold,
    }
    if row is None:
        journal_id = _inserted_id(connection.execute(insert(journal).values(path=seal.path, **fields)))
    else:
        journal_id = row.journal_id
        connection.execute(journal.update().where(journal.c.journal_id == journal_id).values(**fields))
    metric_ids = _metric_ids(connection, {key for chunk in seal.chunks for key in chunk.keys})
    for chunk in seal.chunks:
        _insert_chunk(connection, journal_id, chunk, metric_ids)
    for table, items in ((console_chunk, seal.console), (kept_file, [file for _, file in seal.files])):
        if items:
            connection.execute(insert(table), [{"journal_id": journal_id, **asdict(item)} for item in items])
    return True


def _inserted_id(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _metric_ids(connection: Connection, keys: set[str]) -> dict[str, int]:
    wanted = sorted(keys)
    if wanted:
        rows = [{"key": key} for key in wanted]
        connection.execute(upsert(metric).on_conflict_do_nothing(index_elements=["key"]), rows)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 10_000):
        query = select(metric.c.key, metric.c.metric_id).where(metric.c.key.in_(wanted[start : start + 10_000]))
        found.update((key, metric_id) for key, metric_id in connection.execute(query))
    return found


def _insert_chunk(connection: Connection, journal_id: int, chunk: Chunk, metric_ids: dict[str, int]) -> None:
    row = {
        "journal_id": journal_id,
        "first_sequence": chunk.first_sequence,
        "last_sequence": chunk.last_sequence,
        "n_rows": chunk.n_rows,
        "is_system": chunk.is_system,
        "sequences": chunk.sequences,
        "steps": chunk.steps,
        "wall_times": chunk.wall_times,
    }
    chunk_id = _inserted_id(connection.execute(insert(row_chunk).values(**row)))
    values = [
        {"metric_id": metric_ids[name], "journal_id": journal_id, "chunk_id": chunk_id, "data": data}
        for name, data in zip(chunk.keys, chunk.columns, strict=True)
    ]
    if values:
        connection.execute(insert(value_chunk), values)

"""Write sealed rows, output and files into the index."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, delete, insert, select
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..charts.cell_pack import PackedCells, pack_block
from ..codec.chunk_codec import encode_column, encode_integers
from ..ingest.console_chunks import ConsoleChunk
from ..ingest.kept_files import KeptFile
from ..ingest.row_blocks import RowBlock, layout_id
from ..runs.run_rows import RunRow
from . import store_tail
from .store_cells import NO_CELLS, NOT_LOOKED_AT, CellOwner, insert_cells
from .store_connection import IndexDatabase, Writing
from .store_dialect import is_beyond_limit, upsert
from .store_poisoned import NOT_SEALED, note_poisoned
from .store_runs import remove_runs, write_runs
from .store_schema import cell_column, cell_rows, console_chunk, journal, kept_file, metric, row_chunk, value_chunk
from .store_sqlite import NewerVersionError, SqliteIndex
from .store_upkeep import keep_up

# Longer ones are hardly smaller, but must be decoded whole for a part; measured by benchmarks/store_size.py.
MAX_CHUNK_ROWS = 16_384

_NOTHING_SEALED = {"sealed_offset": 0, "next_sequence": 0, "is_closed": False, "fold": b""}
# What a database or its driver raises at values that it cannot hold. One such journal must not stop the others.
_CONTENT_ERRORS = (DataError, IntegrityError, ValueError, OverflowError)

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Encoded rows of one key set."""

    keys: tuple[str, ...]
    layout: int
    is_system: bool
    n_rows: int
    first_sequence: int
    last_sequence: int
    min_step: int
    max_step: int
    min_time: int
    max_time: int
    sequences: bytes
    steps: bytes
    wall_times: bytes
    columns: list[bytes]
    finest_level: int = NOT_LOOKED_AT


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of all rows of one key set that are sealed with them. `layout` and `is_system` as in `Chunk`."""

    layout: int
    is_system: bool
    packed: PackedCells[str]


@dataclass(frozen=True, slots=True)
class Seal:
    """What is to be added to the index for one journal, if it still ends where `base_sequence` says.

    `resume_offset` is where the block begins in which the sealed part ends, or that follows it.
    """

    path: str
    base_sequence: int
    sealed_offset: int
    next_sequence: int
    is_closed: bool
    fold: bytes
    chunks: list[Chunk]
    console: list[ConsoleChunk]
    files: list[tuple[int, KeptFile]]
    resume_offset: int = 0
    cells: list[Cells] = field(default_factory=list)

    @property
    def needs_upkeep(self) -> bool:
        """Whether what the index then has of the journal may be made quicker to read."""
        return self.base_sequence > 0 or any(chunk.finest_level == NOT_LOOKED_AT for chunk in self.chunks)


def encode_rows(blocks: Sequence[RowBlock], is_last: bool, is_first: bool) -> tuple[list[Chunk], list[Cells]]:
    """Return the rows of one journal, each block in sequence order, as chunks, and as cells where they are many.

    Args:
        blocks: one per layout.
        is_last: whether no more rows are to come.
        is_first: whether none were sealed before.
    """
    chunks: list[Chunk] = []
    cells: list[Cells] = []
    for block in blocks:
        packed = pack_block(block, is_last)
        encoded = encode_chunks([block])
        if packed is not None:
            layout = layout_id(block.keys, block.codes, block.is_system)
            cells.append(Cells(layout, block.is_system, packed))
            encoded = [replace(chunk, finest_level=packed.finest_level) for chunk in encoded]
        elif is_first and is_last:
            encoded = [replace(chunk, finest_level=NO_CELLS) for chunk in encoded]
        chunks += encoded
    return chunks, cells


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
        layout_id(block.keys, block.codes, block.is_system),
        block.is_system,
        len(block),
        int(block.sequences[0]),
        int(block.sequences[-1]),
        int(block.steps.min()),
        int(block.steps.max()),
        int(block.wall_time_ns.min()),
        int(block.wall_time_ns.max()),
        encode_integers(block.sequences),
        encode_integers(block.steps),
        encode_integers(block.wall_time_ns),
        [encode_column(block.column(index), code) for index, code in enumerate(block.codes)],
    )


@contextmanager
def index_writer(index: str | IndexDatabase) -> Iterator[IndexWriter | None]:
    """Hold the right to write an index; yields None at once where someone else has it or nobody may write.

    Args:
        index: where the index is, or the tracker folder that has it.
    """
    database = SqliteIndex(index) if isinstance(index, str) else index
    with database.writing() as writing:
        yield None if writing is None else IndexWriter(database, writing)


class IndexWriter:
    """Writes the index; only `index_writer` makes one.

    Attributes:
        refused: of each journal whose seal the database could not take, why.
    """

    def __init__(self, database: IndexDatabase, writing: Writing) -> None:
        self._database = database
        self._writing = writing
        self.refused: dict[str, str] = {}

    def claim(self, paths: Sequence[str]) -> set[str]:
        """Return those of the journals that this process may seal now, because no other one does."""
        if not self._database.has_tail:
            return set(paths)
        nothing: set[str] = set()
        return self._written(lambda connection: store_tail.claim(connection, paths), nothing) or nothing

    def release(self) -> None:
        """Let go of what this process claimed."""
        if self._database.has_tail:
            self._written(store_tail.release, None)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open one transaction, for the writing functions of other modules; the schema is there."""
        with self._writing.transaction() as connection:
            yield connection

    def write(
        self, seals: Sequence[Seal], removed: Collection[str], removed_runs: Collection[tuple[str, str]] = ()
    ) -> set[str] | None:
        """Drop the removed journals and runs and add seals, in one transaction.

        Returns:
            The paths whose seal was applied; the others had been sealed by another process meanwhile. None when
            nothing could be written.
        """

        def work(connection: Connection) -> set[str]:
            if removed_runs:
                remove_runs(connection, removed_runs)
            for gone in sorted(removed):
                drop_journal(connection, gone)
            known = _known_metrics(connection, seals)
            in_order = sorted(seals, key=lambda seal: seal.path)
            applied = {seal.path for seal in in_order if self._apply(connection, seal, known)}
            note_poisoned(connection, self.refused, applied)
            return applied

        nothing: set[str] = set()
        return self._written(work, nothing)

    def forget(self, journals: Collection[str], runs: Collection[tuple[str, str]]) -> bool:
        """Delete all that is there of journals and runs, also what is not sealed; say whether that could be done."""

        def work(connection: Connection) -> bool:
            # In this order sealing locks them too, so that neither waits for the other.
            if self._database.has_tail:
                store_tail.remove(connection, sorted(journals))
            for path in sorted(journals):
                drop_journal(connection, path)
            remove_runs(connection, runs)
            return True

        return self._written(work, if_discarded=True) or False

    def _apply(self, connection: Connection, seal: Seal, known: dict[str, int]) -> bool:
        """Add one seal, or nothing of it where the database cannot take its content. `known`: ids of metrics."""
        try:
            with connection.begin_nested():
                if not self._database.has_tail:
                    return _apply(connection, seal, known)
                tail = store_tail.hold(connection, seal.path)
                if tail is None or not _apply(connection, seal, known):
                    return False  # deleted meanwhile, or sealed by another process
                store_tail.drop_sealed(connection, tail, seal.sealed_offset, seal.resume_offset, seal.is_closed)
                return True
        except (*_CONTENT_ERRORS, OperationalError) as error:
            if isinstance(error, OperationalError) and not is_beyond_limit(error):
                raise
            known.clear()  # some may have been added with what is taken back
            reason = error.orig if isinstance(error, DBAPIError) else error
            self.refused[seal.path] = f"{NOT_SEALED}{reason}"
            return False

    def keep_up(self, paths: Collection[str] | None, deadline_s: float) -> bool:
        """Make what was sealed quick to read, in steps until nothing is left or a time (monotonic) has come.

        Args:
            paths: the journals to look at. None: all, for rows that wait for cells.
            deadline_s: when to stop. At least one step is done.

        Returns:
            Whether there may be more to be done.
        """
        while self._written(lambda connection: keep_up(connection, paths), if_discarded=False):
            if time.monotonic() >= deadline_s:
                return True
        return False

    def write_runs(self, runs: Sequence[RunRow]) -> bool:
        """Keep these runs, of which nothing more is expected; says whether that could be done."""
        return self._written(lambda connection: _keep(connection, runs), if_discarded=False) or False

    def _written(self, work: Callable[[Connection], T], if_discarded: T) -> T | None:
        """Return what `work` returns, done in one transaction; None where nothing could be written."""
        try:
            with self._writing.transaction() as connection:
                return work(connection)
        except NewerVersionError as error:
            _say_once(f"{error}. Until then everything works from memory")
            return None
        except (DatabaseError, PoolTimeoutError) as error:
            if isinstance(error, DatabaseError) and self._writing.discard_if_broken(error):
                return if_discarded
            reason = error.orig if isinstance(error, DatabaseError) else error
            _say_once(f"{self._database.place} cannot be written now, which costs memory but no data: {reason}")
            return None


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _log.warning(text)


def _keep(connection: Connection, runs: Sequence[RunRow]) -> bool:
    write_runs(connection, runs)
    return True


def drop_journal(connection: Connection, path: str) -> None:
    """Delete all that the index has of a journal."""
    journal_id = connection.execute(select(journal.c.journal_id).where(journal.c.path == path)).scalar()
    if journal_id is None:
        return
    # By their chunks: these have no index that begins with the journal, and there are very many of them.
    for column, of in ((cell_column.c.cells_id, cell_rows.c.cells_id), (value_chunk.c.chunk_id, row_chunk.c.chunk_id)):
        chunks = select(of).where(of.table.c.journal_id == journal_id)
        connection.execute(delete(column.table).where(column.in_(chunks)))
    for table in (cell_rows, row_chunk, console_chunk, kept_file, journal):
        connection.execute(delete(table).where(table.c.journal_id == journal_id))


def _apply(connection: Connection, seal: Seal, known: dict[str, int]) -> bool:
    if seal.base_sequence == 0:
        # Of several processes that begin the same journal, one adds it and the others wait for that.
        upsert(connection, journal, [{"path": seal.path, **_NOTHING_SEALED}], ["path"])
    query = select(journal.c.journal_id, journal.c.next_sequence).where(journal.c.path == seal.path)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or row.next_sequence != seal.base_sequence:
        return False
    journal_id = row.journal_id
    fields = {
        "sealed_offset": seal.sealed_offset,
        "next_sequence": seal.next_sequence,
        "is_closed": seal.is_closed,
        "fold": seal.fold,
    }
    connection.execute(journal.update().where(journal.c.journal_id == journal_id).values(**fields))
    metric_ids = _metric_ids(connection, known, {key for chunk in seal.chunks for key in chunk.keys})
    for chunk in seal.chunks:
        _insert_chunk(connection, journal_id, chunk, metric_ids)
    for cells in seal.cells:
        owner = CellOwner(journal_id, cells.layout, cells.is_system)
        insert_cells(connection, owner, cells.packed, metric_ids.__getitem__)
    for table, items in ((console_chunk, seal.console), (kept_file, [file for _, file in seal.files])):
        if items:
            connection.execute(insert(table), [{"journal_id": journal_id, **asdict(item)} for item in items])
    return True


def _inserted_id(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _known_metrics(connection: Connection, seals: Sequence[Seal]) -> dict[str, int]:
    """Return the ids of all metrics at once: two processes that add them in one order do not wait for each other."""
    known: dict[str, int] = {}
    try:
        with connection.begin_nested():
            _metric_ids(connection, known, {key for seal in seals for chunk in seal.chunks for key in chunk.keys})
    except (*_CONTENT_ERRORS, OperationalError) as error:
        if isinstance(error, OperationalError) and not is_beyond_limit(error):
            raise
        known.clear()  # whose journal it is shows when each is tried on its own
    return known


def _metric_ids(connection: Connection, known: dict[str, int], keys: set[str]) -> dict[str, int]:
    """Return the ids of metrics by name; what is not in `known` yet is put there."""
    wanted = sorted(keys - known.keys())
    upsert(connection, metric, [{"key": key} for key in wanted], ["key"])
    for start in range(0, len(wanted), 10_000):
        query = select(metric.c.key, metric.c.metric_id).where(metric.c.key.in_(wanted[start : start + 10_000]))
        known.update((key, metric_id) for key, metric_id in connection.execute(query))
    return known


def _insert_chunk(connection: Connection, journal_id: int, chunk: Chunk, metric_ids: dict[str, int]) -> None:
    row = {
        "journal_id": journal_id,
        "layout": chunk.layout,
        "finest_level": chunk.finest_level,
        "first_sequence": chunk.first_sequence,
        "last_sequence": chunk.last_sequence,
        "min_step": chunk.min_step,
        "max_step": chunk.max_step,
        "min_time": chunk.min_time,
        "max_time": chunk.max_time,
        "n_rows": chunk.n_rows,
        "n_columns": len(chunk.keys),
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

"""Read sealed rows, output and files from the index.

Every query reads, in one read transaction, the chunks and up to which sequence number they go, so that the caller can
add exactly the rows that it has in memory from there on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.exc import DatabaseError

from ..codec.chunk_codec import decode_column
from ..ingest.console_chunks import ConsoleChunk, ConsoleLines, decode_lines, decode_numbers
from ..ingest.kept_files import MEDIA, KeptFile
from ..query.series import SeriesPart
from ..runs.run_view import RunView
from .store_connection import IndexDatabase
from .store_lines import SealedMetric
from .store_runs import project_list, read_runs, settled_runs
from .store_schema import (
    INDEX_VERSION,
    console_chunk,
    index_info,
    journal,
    kept_file,
    metric,
    row_chunk,
    value_chunk,
)
from .store_sqlite import SqliteIndex

_CACHE_BYTES = 128 << 20

# Made once: to put together what every query of a series asks takes SQLAlchemy longer than SQLite to answer it.
_INFO = select(index_info.c.name, index_info.c.value)
_METRIC_ID = select(metric.c.metric_id).where(metric.c.key == bindparam("key"))
_JOURNAL_IDS = select(journal.c.journal_id, journal.c.path, journal.c.next_sequence).where(
    journal.c.path.in_(bindparam("paths", expanding=True))
)
_JOURNALS = select(
    journal.c.path, journal.c.sealed_offset, journal.c.next_sequence, journal.c.is_closed, journal.c.fold
).where(journal.c.path.in_(bindparam("paths", expanding=True)))
_COLUMNS = (
    select(
        value_chunk.c.journal_id,
        row_chunk.c.chunk_id,
        row_chunk.c.n_rows,
        row_chunk.c.first_sequence,
        row_chunk.c.last_sequence,
        row_chunk.c.steps,
        row_chunk.c.wall_times,
        row_chunk.c.sequences,
        value_chunk.c.data,
    )
    .join(row_chunk, row_chunk.c.chunk_id == value_chunk.c.chunk_id)
    .where(value_chunk.c.metric_id == bindparam("metric_id"))
    .where(value_chunk.c.journal_id.in_(bindparam("journal_ids", expanding=True)))
    .where(row_chunk.c.is_system == bindparam("is_system"))
    .order_by(value_chunk.c.journal_id, row_chunk.c.first_sequence)
)


@dataclass(frozen=True, slots=True)
class SealedJournal:
    """How far the index goes for one journal, and what its records up to there add up to."""

    path: str
    sealed_offset: int
    next_sequence: int
    is_closed: bool
    fold: bytes


@dataclass(slots=True)
class SealedColumns:
    """The sealed part of one metric of one journal, in order of the first sequence. Rows from `next_sequence` on are
    not in it."""

    next_sequence: int = 0
    parts: list[SeriesPart] = field(default_factory=list)


class IndexReader:
    """Reads an index. Not thread-safe.

    An index that is not there or is of another version is as good as an empty one.

    Args:
        index: where the index is, or the tracker folder that has it.
    """

    def __init__(self, index: str | IndexDatabase) -> None:
        database = SqliteIndex(index) if isinstance(index, str) else index
        self._reading = database.reading()
        self._build = ""
        self._cache: OrderedDict[tuple[int, str | int], NDArray[Any]] = OrderedDict()
        self._cache_bytes = 0

    def close(self) -> None:
        """Close the connection; the next query opens it again."""
        self._reading.close()
        self._forget()

    def build(self) -> str:
        """Return what names this build of the index, "" where there is none."""
        with self.transaction() as connection:
            return "" if connection is None else self._build

    def paths(self) -> list[str]:
        """Return the path of every journal of which something is sealed."""
        with self.transaction() as connection:
            return [] if connection is None else list(connection.execute(select(journal.c.path)).scalars())

    def settled(self) -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
        """Return the settled runs by project and id: of each its journals and their sizes in bytes."""
        with self.transaction() as connection:
            return {} if connection is None else {run.key: run.journals for run in settled_runs(connection)}

    def settled_projects(self) -> list[tuple[str, int, int]]:
        """Return name, number of settled runs and time of the last sign of life, in ns, of every project."""
        with self.transaction() as connection:
            return [] if connection is None else project_list(connection)

    def settled_views(self, project: str | None) -> list[RunView]:
        """Return the settled runs of a project, or all, newest first."""
        with self.transaction() as connection:
            return [] if connection is None else list(read_runs(connection, project))

    def journals(self, paths: Sequence[str]) -> dict[str, SealedJournal]:
        """Return how far each of these journals is sealed, if it is at all, by path."""
        found: dict[str, SealedJournal] = {}
        with self.transaction() as connection:
            if connection is None:
                return found
            for start in range(0, len(paths), 10_000):
                for row in connection.execute(_JOURNALS, {"paths": paths[start : start + 10_000]}):
                    found[row.path] = SealedJournal(*row)
        return found

    def journal(self, path: str) -> SealedJournal | None:
        """Return how far one journal is sealed, or None."""
        return self.journals([path]).get(path)

    def columns(self, paths: Sequence[str], key: str, is_system: bool = False) -> dict[str, SealedColumns]:
        """Return the sealed part of a metric for each of the journals; an unsealed one has no parts."""
        found = {path: SealedColumns() for path in paths}
        with self.transaction() as connection:
            if connection is None:
                return found
            names = self._journal_ids(connection, found)
            metric_id = connection.execute(_METRIC_ID, {"key": key}).scalar()
            if metric_id is None or not names:
                return found
            parameters = {"metric_id": metric_id, "journal_ids": list(names), "is_system": is_system}
            for journal_id, *row in connection.execute(_COLUMNS, parameters):
                found[names[journal_id]].parts.append(self._column(metric_id, *row))
        return found

    @contextmanager
    def metric(self, paths: Sequence[str], key: str, is_system: bool = False) -> Iterator[SealedMetric]:
        """Open a metric of these journals for several queries, all in one read transaction."""
        ends = {path: SealedColumns() for path in paths}
        with self.transaction() as connection:
            names: dict[int, str] = {}
            metric_id = None
            if connection is not None:
                names = self._journal_ids(connection, ends)
                metric_id = connection.execute(_METRIC_ID, {"key": key}).scalar()
            sequences = {path: end.next_sequence for path, end in ends.items()}
            yield SealedMetric(connection, metric_id, names, sequences, is_system, self._decoded)

    def ends(self, paths: Sequence[str]) -> dict[str, int]:
        """Return the sequence number behind the last sealed record of each of these journals that has any."""
        found = {path: SealedKeys() for path in paths}
        with self.transaction() as connection:
            if connection is not None:
                self._journal_ids(connection, found)
        return {path: sealed.next_sequence for path, sealed in found.items() if sealed.next_sequence}

    def keys_in_order(self, path: str, is_system: bool = False) -> SealedKeys:
        """Return the chunks of a journal by key set, for reading whole rows."""
        keys = SealedKeys()
        with self.transaction() as connection:
            names = {} if connection is None else self._journal_ids(connection, {path: keys})
            if connection is None or not names:
                return keys
            query = (
                select(row_chunk.c.chunk_id, row_chunk.c.first_sequence, row_chunk.c.last_sequence)
                .where(row_chunk.c.journal_id.in_(list(names)), row_chunk.c.is_system == is_system)
                .order_by(row_chunk.c.first_sequence)
            )
            keys.build = self._build
            keys.chunks = [tuple(row) for row in connection.execute(query)]
        return keys

    def rows(self, chunk_id: int, build: str, first: int = 0, n_columns: int | None = None) -> SealedRows | None:
        """Return one chunk of this build of the index, or None where it is gone.

        It has all its metrics, or at most `n_columns` of them from the one at place `first` on.
        """
        with self.transaction() as connection:
            if connection is None or self._build != build:
                return None
            row = connection.execute(select(row_chunk).where(row_chunk.c.chunk_id == chunk_id)).one_or_none()
            if row is None:
                return None
            query = (
                select(metric.c.key, value_chunk.c.data)
                .join(metric, metric.c.metric_id == value_chunk.c.metric_id)
                .where(value_chunk.c.chunk_id == chunk_id)
                .order_by(value_chunk.c.value_id)
                .offset(first)
                .limit(n_columns)
            )
            columns = {key: decode_column(data, row.n_rows) for key, data in connection.execute(query)}
            return SealedRows(
                decode_column(row.sequences, row.n_rows),
                decode_column(row.steps, row.n_rows),
                decode_column(row.wall_times, row.n_rows),
                columns,
            )

    def console(self, path: str) -> SealedConsole:
        """Return the chunks of a journal's output, in the order written, without their lines."""
        found = SealedConsole()
        with self.transaction() as connection:
            names = {} if connection is None else self._journal_ids(connection, {path: found})
            if connection is None or not names:
                return found
            c = console_chunk.c
            query = (
                select(c.chunk_id, c.last_sequence, c.first_number, c.last_number, c.n_lines, c.numbers)
                .where(c.journal_id.in_(list(names)))
                .order_by(c.chunk_id)
            )
            found.build = self._build
            for chunk_id, last_sequence, first, last, n_lines, numbers in connection.execute(query):
                gaps = decode_numbers(first, n_lines, numbers) if numbers else None
                found.chunks.append(SealedLines(chunk_id, last_sequence, first, last, gaps))
        return found

    def console_lines(self, chunk_id: int, build: str) -> ConsoleLines | None:
        """Return the lines of one chunk of this build of the index, or None where it is gone."""
        with self.transaction() as connection:
            if connection is None or self._build != build:
                return None
            names = [field.name for field in fields(ConsoleChunk)]
            query = select(*[console_chunk.c[name] for name in names]).where(console_chunk.c.chunk_id == chunk_id)
            row = connection.execute(query).one_or_none()
            return None if row is None else decode_lines(ConsoleChunk(*row))

    def files(self, path: str, media: Collection[str] | None = None, with_media: bool = True) -> SealedFiles:
        """Return the files that a journal says were kept; with `media` only the media of these paths."""
        found = SealedFiles()
        with self.transaction() as connection:
            names = {} if connection is None else self._journal_ids(connection, {path: found})
            if connection is None or not names:
                return found
            columns = [kept_file.c[field.name] for field in fields(KeptFile)]
            query = select(*columns).where(kept_file.c.journal_id.in_(list(names))).order_by(kept_file.c.file_id)
            if media is not None:
                query = query.where(kept_file.c.kind == MEDIA, kept_file.c.path.in_(sorted(media)))
            elif not with_media:  # two ranges of an index: of media there may be very many
                query = query.where(or_(kept_file.c.kind < MEDIA, kept_file.c.kind > MEDIA))
            found.files = [KeptFile(*row) for row in connection.execute(query)]
        return found

    def _journal_ids(self, connection: Connection, found: dict[str, Any]) -> dict[int, str]:
        paths, names = list(found), {}
        for start in range(0, len(paths), 10_000):
            wanted = {"paths": paths[start : start + 10_000]}
            for journal_id, path, next_sequence in connection.execute(_JOURNAL_IDS, wanted):
                names[journal_id] = path
                found[path].next_sequence = next_sequence
        return names

    def _column(
        self,
        metric_id: int,
        chunk_id: int,
        n_rows: int,
        first: int,
        last: int,
        steps: bytes,
        wall_times: bytes,
        sequences: bytes,
        data: bytes,
    ) -> SeriesPart:
        return SeriesPart(
            first,
            last,
            self._decoded((chunk_id, "steps"), steps, n_rows),
            self._decoded((chunk_id, "wall_times"), wall_times, n_rows),
            self._decoded((chunk_id, metric_id), data, n_rows),
            lambda: self._decoded((chunk_id, "sequences"), sequences, n_rows),
        )

    def _decoded(self, name: tuple[int, str | int], data: bytes, n_rows: int) -> NDArray[Any]:
        values = self._cache.get(name)
        if values is not None:
            self._cache.move_to_end(name)
            return values
        values = decode_column(data, n_rows)
        values.flags.writeable = False
        if values.dtype != object:
            self._cache[name] = values
            self._cache_bytes += values.nbytes
            while self._cache_bytes > _CACHE_BYTES:
                self._cache_bytes -= self._cache.popitem(last=False)[1].nbytes
        return values

    def _forget(self) -> None:
        self._cache.clear()
        self._cache_bytes = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection | None]:
        """Open one read transaction, for the queries of other modules too; yields None without a usable index.

        Raises:
            IndexUnreadableError: the database failed.
        """
        with self._reading.transaction() as connection:
            yield connection if connection is not None and self._is_usable(connection) else None

    def _is_usable(self, connection: Connection) -> bool:
        try:
            info = {row.name: row.value for row in connection.execute(_INFO)}
        except DatabaseError:
            return False
        if info.get("build") != self._build:
            self._forget()
            self._build = info.get("build", "")
        return info.get("version") == INDEX_VERSION


@dataclass(slots=True)
class SealedKeys:
    """The chunks of one journal as (chunk id, first sequence, last sequence), and where they end."""

    next_sequence: int = 0
    build: str = ""
    chunks: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SealedRows:
    """One chunk: arrays of n rows, one per metric in `columns`."""

    sequences: NDArray[np.int64]
    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SealedLines:
    """Which lines of output a chunk holds. `numbers`, int64[n], is None where they have no gap."""

    chunk_id: int
    last_sequence: int
    first_number: int
    last_number: int
    numbers: NDArray[np.int64] | None


@dataclass(slots=True)
class SealedConsole:
    """The chunks of one journal's output, and where they end."""

    next_sequence: int = 0
    build: str = ""
    chunks: list[SealedLines] = field(default_factory=list)


@dataclass(slots=True)
class SealedFiles:
    """The files kept by one journal, and where they end."""

    next_sequence: int = 0
    files: list[KeptFile] = field(default_factory=list)

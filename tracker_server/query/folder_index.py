"""Between the journals in memory and the index: what to seal, and how to go on where the two do not meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

import msgspec

from ..ingest.console_chunks import ConsoleLines
from ..ingest.journal_source import JournalPath, JournalSource
from ..ingest.journal_tail import CONTENT_ERRORS, JournalTail
from ..ingest.kept_files import MEDIA, KeptFile
from ..ingest.row_blocks import RowBlock
from ..ingest.tail_parts import parts_of, tail_pieces
from ..runs.run_rows import RunRow
from ..runs.run_view import RunView
from ..store.store_connection import IndexDatabase, IndexUnreadableError, StoreConnection
from ..store.store_lines import NOTHING_SEALED
from ..store.store_poisoned import NOT_SEALED
from ..store.store_read import (
    IndexReader,
    SealedColumns,
    SealedConsole,
    SealedFiles,
    SealedJournal,
    SealedKeys,
    SealedRows,
)
from ..store.store_sqlite import SqliteIndex
from ..store.store_write import IndexWriter, Seal, index_writer
from .console_log import ConsoleLog, ConsolePiece
from .metric_source import MetricSource
from .series import SeriesPart

# So much of the journals is held in memory at most, however much of them is not sealed yet.
SEAL_BATCH_BYTES = 8 << 20
_ATTEMPTS = 3
_RETRY_S = 30.0
_KEEP_UP_S = 0.25

T = TypeVar("T")
P = TypeVar("P", SealedKeys, SealedConsole, SealedFiles)


class FolderIndex:
    """The index of one tracker folder, as good as empty where it cannot be read or written. Not thread-safe.

    Args:
        folder: the tracker folder.
        is_writer: False never writes.
        source: where the journals are.
        database: where the index is. Default: in the folder.
    """

    def __init__(
        self, folder: str, is_writer: bool, source: JournalSource, database: IndexDatabase | None = None
    ) -> None:
        self._folder = folder
        self._is_writer = is_writer
        self._source = source
        self._database = database or SqliteIndex(folder)
        self._reader = IndexReader(self._database)
        self._removed: set[str] = set()
        self._removed_runs: set[tuple[str, str]] = set()
        self._retry_at = 0.0
        # Journals whose sealed rows may be made quicker to read; None: any, since another process may have been killed.
        self._unkept: set[str] | None = None
        self._retry_poisoned_at: dict[str, float] = {}

    def close(self) -> None:
        """Let go of the database."""
        if self._is_writer and self._database.has_tail:
            with index_writer(self._database) as writer:
                if writer is not None:
                    writer.release()
        self._reader.close()
        self._database.close()

    def build(self) -> str:
        """Return what names this build of the index, "" where there is none."""
        try:
            return self._reader.build()
        except IndexUnreadableError:
            return ""

    def settled(self) -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
        """Return the settled runs by project and id: of each its journals and their sizes in bytes."""
        try:
            return self._reader.settled()
        except IndexUnreadableError:
            return {}

    def transaction(self) -> AbstractContextManager[StoreConnection | None]:
        """Open one read transaction; yields None where there is no index."""
        return self._reader.transaction()

    def settled_projects(self) -> list[tuple[str, int, int]]:
        """Return name, number of settled runs and time of the last sign of life, in ns, of every project."""
        try:
            return self._reader.settled_projects()
        except IndexUnreadableError:
            return []

    def settled_views(self, project: str | None) -> list[RunView]:
        """Return the settled runs of a project, or all, newest first."""
        try:
            return self._reader.settled_views(project)
        except IndexUnreadableError:
            return []

    def begin(self, journals: Sequence[JournalPath]) -> list[JournalTail]:
        """Return tails that begin behind what is sealed of these journals."""
        self._removed.difference_update(journal.name for journal in journals)
        try:
            sealed = self._reader.journals([journal.name for journal in journals])
        except IndexUnreadableError:
            sealed = {}
        return [self._begin(journal, sealed.get(journal.name)) for journal in journals]

    def _begin(self, journal: JournalPath, sealed: SealedJournal | None) -> JournalTail:
        try:
            return JournalTail(journal, sealed, self._source, self._sealed)
        except msgspec.MsgspecError:
            return JournalTail(journal, None, self._source, self._sealed)

    def remove(self, names: Iterable[str], runs: Iterable[tuple[str, str]]) -> None:
        """Drop journals that are gone, and what is kept of these runs, with the next write."""
        if self._database.has_tail:
            return  # who deletes them there deletes all of them, and may bring them again meanwhile
        self._removed.update(names)
        self._removed_runs.update(runs)

    def remove_others(self, names: Collection[str]) -> None:
        """Drop every journal but these, with the next write."""
        if self._database.has_tail:
            return  # others fill it too, and what is sealed there is kept nowhere else
        try:
            self._removed.update(path for path in self._reader.paths() if path not in names)
        except IndexUnreadableError:
            return

    def settle(self, runs: Iterable[RunRow]) -> bool:
        """Keep these runs, of which nothing more is expected. Says whether that could be done.

        They are made only where the lock is free.
        """
        if not self._is_writer or time.monotonic() < self._retry_at:
            return False
        with index_writer(self._database) as writer:
            if writer is None:
                return False
            rows = list(runs)
            if writer.write_runs(rows):
                # What was to be dropped of them was so before they were written anew.
                self._removed_runs.difference_update((row.view.project, row.view.id) for row in rows)
                return True
        self._retry_at = time.monotonic() + _RETRY_S
        return False

    def write(self, due: Sequence[JournalTail]) -> None:
        """Seal what is final of these journals, if the folder's lock is free."""
        is_unkept = self._unkept is None and self.build() != ""
        is_due = bool(due or self._removed or self._removed_runs or self._unkept or is_unkept)
        is_wanted = self._is_writer and is_due and time.monotonic() >= self._retry_at
        if not is_wanted or not (self._database.has_tail or os.path.isdir(self._folder)):
            return
        # The lock first: encoding is the dear part, and would be for nothing each time on a read-only folder.
        with index_writer(self._database) as writer:
            if writer is None:
                return
            for batch in _batches(self._claimed(writer, self._sealable(due))):
                if not self._write_batch(writer, batch):
                    self._retry_at = time.monotonic() + _RETRY_S
                    return
            self._keep_up(writer)

    def _keep_up(self, writer: IndexWriter) -> None:
        """Make what was sealed quick to read; what is not done in time is gone on with at the next write."""
        is_any = self._unkept is None
        if (is_any or self._unkept) and not writer.keep_up(self._unkept, time.monotonic() + _KEEP_UP_S):
            self._unkept = set()

    def _sealable(self, due: Sequence[JournalTail]) -> list[JournalTail]:
        """Leave out journals that could not be sealed a while ago."""
        now_s = time.monotonic()
        return [tail for tail in due if self._retry_poisoned_at.get(tail.found.name, 0.0) <= now_s]

    def _claimed(self, writer: IndexWriter, due: Sequence[JournalTail]) -> Sequence[JournalTail]:
        """Leave out journals that another process seals, and go on behind what it sealed."""
        if not self._database.has_tail or not due:
            return due
        ends = self._reader.ends([tail.found.name for tail in due])
        behind = [tail for tail in due if ends.get(tail.found.name, 0) > tail.base_sequence]
        for tail in behind:
            self._restart(tail)
        rest = [tail for tail in due if tail.n_sealable_bytes]
        claimed = writer.claim([tail.found.name for tail in rest])
        return [tail for tail in rest if tail.found.name in claimed]

    def _seal(self, tail: JournalTail) -> Seal | None:
        try:
            return tail.seal()
        except CONTENT_ERRORS as error:
            self._poison(tail, f"{NOT_SEALED}{error}")
            return None

    def _poison(self, tail: JournalTail, reason: str) -> None:
        """Hold one journal in memory that cannot be sealed, so that it does not keep others from it."""
        tail.poison = reason
        tail.untold_kinds.add("state")
        self._retry_poisoned_at[tail.found.name] = time.monotonic() + _RETRY_S

    def _write_batch(self, writer: IndexWriter, batch: Sequence[JournalTail]) -> bool:
        sealed = [(seal, tail) for tail in batch for seal in [self._seal(tail)] if seal is not None]
        outdated = {tail.found.name for _, tail in sealed if tail.is_outdated_in_index}
        applied = writer.write([seal for seal, _ in sealed], self._removed | outdated, self._removed_runs)
        if applied is None:
            return False
        self._removed.clear()
        self._removed_runs.clear()
        for seal, tail in sealed:
            if seal.path in applied:
                tail.drop_sealed(seal)
                if seal.needs_upkeep and self._unkept is not None:
                    self._unkept.add(seal.path)
            elif seal.path in writer.refused:
                self._poison(tail, writer.refused[seal.path])
            else:
                self._restart(tail)
        return True

    def parts(self, tails: Sequence[JournalTail], key: str, is_system: bool) -> dict[str, list[SeriesPart]]:
        """Return all points of a metric, by journal."""
        sealed = self._columns(tails, key, is_system)
        return {tail.found.name: parts_of(tail, sealed[tail.found.name], key, is_system) for tail in tails}

    def _columns(self, tails: Sequence[JournalTail], key: str, is_system: bool) -> dict[str, SealedColumns]:
        """Return the sealed parts of a metric, by journal, such that none has a gap to what its tail holds."""
        names = [tail.found.name for tail in tails]
        if not names:
            return {}
        for attempt in range(_ATTEMPTS):
            try:
                found = self._reader.columns(names, key, is_system)
            except (IndexUnreadableError, ValueError):
                break
            for tail in tails:
                if tail.is_outdated_in_index:
                    found[tail.found.name] = SealedColumns()
            gaps = [tail for tail in tails if found[tail.found.name].next_sequence < tail.base_sequence]
            if not gaps:
                return found
            for tail in gaps:
                # Once behind what the index now holds; if it changes again and again, without it.
                self._restart(tail) if attempt == 0 else _read_whole(tail)
        for tail in tails:
            if tail.base_sequence:
                _read_whole(tail)
        return {name: SealedColumns() for name in names}

    def ask(self, tails: Sequence[JournalTail], key: str, is_system: bool, question: Callable[[MetricSource], T]) -> T:
        """Return what `question` finds out about a metric of these journals. It may be asked more than once."""
        for attempt in range(_ATTEMPTS):
            names = [tail.found.name for tail in tails if not tail.is_outdated_in_index]
            try:
                with self._reader.metric(names, key, is_system) as sealed:
                    ends = sealed.next_sequences
                    gaps = [tail for tail in tails if ends.get(tail.found.name, 0) < tail.base_sequence]
                    if not gaps:
                        return question(MetricSource(sealed, tails, key, is_system))
            except (IndexUnreadableError, ValueError):
                gaps = [tail for tail in tails if tail.base_sequence]
                attempt = 1
            for tail in gaps:
                # Once behind what the index now holds; if it changes again and again, without it.
                self._restart(tail) if attempt == 0 else _read_whole(tail)
        for tail in tails:
            if tail.base_sequence:
                _read_whole(tail)
        return question(MetricSource(NOTHING_SEALED, tails, key, is_system))

    def keys_in_order(self, tail: JournalTail, is_system: bool) -> SealedKeys:
        """Return the sealed chunks of a journal, such that there is no gap to what its tail holds."""
        return self._sealed_part(tail, lambda name: self._reader.keys_in_order(name, is_system), SealedKeys)

    def _sealed_part(self, tail: JournalTail, read: Callable[[str], P], nothing: Callable[[], P]) -> P:
        """Return what is sealed of a journal, such that there is no gap to what its tail holds."""
        try:
            found = read(tail.found.name)
        except (IndexUnreadableError, ValueError):
            found = nothing()
        if tail.is_outdated_in_index:
            return nothing()
        if found.next_sequence < tail.base_sequence:
            _read_whole(tail)
            return nothing()
        return found

    def all_rows(self, tail: JournalTail, is_system: bool) -> list[RowBlock]:
        """Return all rows of a journal, read from its file."""
        _read_whole(tail)
        return [block for block in tail.rows.blocks() if block.is_system == is_system]

    def console(self, tail: JournalTail) -> ConsoleLog:
        """Return where the lines of a journal's output are, such that none is missing between index and tail."""
        sealed = self._sealed_part(tail, self._reader.console, SealedConsole)
        return ConsoleLog([*self._sealed_pieces(sealed), *tail_pieces(tail, sealed.next_sequence)])

    def all_console(self, tail: JournalTail) -> ConsoleLog:
        """Return a journal's output, read from its file."""
        _read_whole(tail)
        return ConsoleLog(list(tail_pieces(tail, 0)))

    def _sealed_pieces(self, sealed: SealedConsole) -> Iterator[ConsolePiece]:
        for chunk in sealed.chunks:
            load = partial(self._console_lines, chunk.chunk_id, sealed.build)
            yield ConsolePiece(chunk.first_number, chunk.last_number, chunk.numbers, load)

    def _console_lines(self, chunk_id: int, build: str) -> ConsoleLines:
        try:
            lines = self._reader.console_lines(chunk_id, build)
        except (IndexUnreadableError, ValueError):
            lines = None
        if lines is None:
            raise LostPieceError
        return lines

    def files(self, tail: JournalTail, media: Collection[str] | None = None, with_media: bool = True) -> list[KeptFile]:
        """Return every file that a journal says was kept, each time that it was; see `LocalFolder.files`."""
        sealed = self._sealed_part(tail, lambda name: self._reader.files(name, media, with_media), SealedFiles)
        new = [file for sequence, file in tail.files if sequence >= sealed.next_sequence]
        if media is not None:
            new = [file for file in new if file.kind == MEDIA and file.path in media]
        elif not with_media:
            new = [file for file in new if file.kind != MEDIA]
        return [*sealed.files, *new]

    def rows(self, chunk_id: int, build: str, first: int = 0, n_columns: int | None = None) -> SealedRows | None:
        """Return (some metrics of) a chunk of this build, or None where that was lost meanwhile or is damaged."""
        try:
            return self._reader.rows(chunk_id, build, first, n_columns)
        except (IndexUnreadableError, ValueError):
            return None

    def _sealed(self, name: str) -> SealedJournal | None:
        try:
            return self._reader.journal(name)
        except IndexUnreadableError:
            return None

    def _restart(self, tail: JournalTail) -> None:
        """Begin a journal again behind what the index holds now: another process sealed it, or the index was lost."""
        try:
            tail.begin(self._sealed(tail.found.name))
        except msgspec.MsgspecError:
            tail.begin_whole()
        _read_on(tail)


class LostPieceError(Exception):
    """The index was lost or built anew while it was read. The journal still has everything."""


def _batches(tails: Sequence[JournalTail]) -> Iterator[list[JournalTail]]:
    """Yield the journals in parts of about `SEAL_BATCH_BYTES`, at least one part."""
    batch: list[JournalTail] = []
    n_bytes = 0
    for tail in tails:
        batch.append(tail)
        n_bytes += tail.n_sealable_bytes
        if n_bytes >= SEAL_BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch or not tails:
        yield batch


def _read_whole(tail: JournalTail) -> None:
    """Read a journal wholly into memory, as if there were no index. Raises NotKeptError where only that has it."""
    tail.begin_whole()
    _read_on(tail)


def _read_on(tail: JournalTail) -> None:
    if tail.look():
        n_bytes = 1
        while n_bytes:
            n_bytes, kinds = tail.read()
            tail.untold_kinds |= kinds

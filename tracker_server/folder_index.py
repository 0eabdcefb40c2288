"""Between the journals in memory and the index: what to seal, and how to go on where the two do not meet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from .console_chunks import ConsoleLines, decode_lines, decode_numbers
from .console_log import ConsoleLog, ConsolePiece
from .journal_scan import JournalPath
from .journal_tail import JournalTail
from .kept_files import KeptFile
from .row_blocks import RowBlock
from .series import SeriesPart
from .store_read import (
    IndexReader,
    IndexUnreadableError,
    SealedColumns,
    SealedConsole,
    SealedFiles,
    SealedJournal,
    SealedKeys,
    SealedRows,
)
from .store_write import IndexWriter, index_writer

SEAL_BATCH_BYTES = 64 << 20
_ATTEMPTS = 3
_RETRY_S = 30.0


class FolderIndex:
    """The index of one tracker folder, as good as empty where it cannot be read or written. Not thread-safe.

    Args:
        folder: the tracker folder.
        is_writer: False never writes.
    """

    def __init__(self, folder: str, is_writer: bool) -> None:
        self._folder = folder
        self._is_writer = is_writer
        self._reader = IndexReader(folder)
        self._removed: set[str] = set()
        self._retry_at = 0.0

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def begin_all(self, journals: Iterable[JournalPath]) -> list[JournalTail]:
        """Return tails that begin behind what is sealed; what else is sealed belongs to removed journals."""
        try:
            sealed = {row.path: row for row in self._reader.journals()}
        except IndexUnreadableError:
            sealed = {}
        tails = [_begin(journal, sealed.pop(journal.name, None)) for journal in journals]
        self._removed |= sealed.keys()
        return tails

    def begin(self, journal: JournalPath) -> JournalTail:
        """Return a tail that begins behind what is sealed of one journal."""
        self._removed.discard(journal.name)
        return _begin(journal, self._sealed(journal.name))

    def remove(self, name: str) -> None:
        """Drop a journal that is gone, with the next write."""
        self._removed.add(name)

    def write(self, due: Sequence[JournalTail]) -> None:
        """Seal what is final of these journals, if the folder's lock is free."""
        is_wanted = self._is_writer and (due or self._removed) and time.monotonic() >= self._retry_at
        if not is_wanted or not os.path.isdir(self._folder):
            return
        # The lock first: encoding is the dear part, and would be for nothing each time on a read-only folder.
        with index_writer(self._folder) as writer:
            if writer is None:
                return
            for batch in _batches(due):
                if not self._write_batch(writer, batch):
                    self._retry_at = time.monotonic() + _RETRY_S
                    return

    def _write_batch(self, writer: IndexWriter, batch: Sequence[JournalTail]) -> bool:
        sealed = [(seal, tail) for tail in batch for seal in [tail.seal()] if seal is not None]
        outdated = {tail.found.name for _, tail in sealed if tail.is_outdated_in_index}
        applied = writer.write([seal for seal, _ in sealed], self._removed | outdated)
        if applied is None:
            return False
        self._removed.clear()
        for seal, tail in sealed:
            if seal.path in applied:
                tail.drop_sealed(seal)
            else:
                self._restart(tail)
        return True

    def parts(self, tails: Sequence[JournalTail], key: str, is_system: bool) -> dict[str, list[SeriesPart]]:
        """Return all points of a metric, by journal."""
        sealed = self._columns(tails, key, is_system)
        return {tail.found.name: _parts(tail, sealed[tail.found.name], key, is_system) for tail in tails}

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

    def keys_in_order(self, tail: JournalTail, is_system: bool) -> SealedKeys:
        """Return the sealed chunks of a journal, such that there is no gap to what its tail holds."""
        try:
            found = self._reader.keys_in_order(tail.found.name, is_system)
        except IndexUnreadableError:
            found = SealedKeys()
        if tail.is_outdated_in_index:
            return SealedKeys()
        if found.next_sequence < tail.base_sequence:
            _read_whole(tail)
            return SealedKeys()
        return found

    def all_rows(self, tail: JournalTail, is_system: bool) -> list[RowBlock]:
        """Return all rows of a journal, read from its file."""
        _read_whole(tail)
        return [block for block in tail.rows.blocks() if block.is_system == is_system]

    def console(self, tail: JournalTail) -> ConsoleLog:
        """Return where the lines of a journal's output are, such that none is missing between index and tail."""
        try:
            sealed = self._reader.console(tail.found.name)
        except (IndexUnreadableError, ValueError):
            sealed = SealedConsole()
        if tail.is_outdated_in_index:
            sealed = SealedConsole()
        elif sealed.next_sequence < tail.base_sequence:
            _read_whole(tail)
            sealed = SealedConsole()
        return ConsoleLog([*self._sealed_pieces(sealed), *_tail_pieces(tail, sealed.next_sequence)])

    def all_console(self, tail: JournalTail) -> ConsoleLog:
        """Return a journal's output, read from its file."""
        _read_whole(tail)
        return ConsoleLog(list(_tail_pieces(tail, 0)))

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

    def files(self, tail: JournalTail) -> list[KeptFile]:
        """Return every file that a journal says was kept, each time that it was."""
        try:
            sealed = self._reader.files(tail.found.name)
        except IndexUnreadableError:
            sealed = SealedFiles()
        if tail.is_outdated_in_index:
            sealed = SealedFiles()
        elif sealed.next_sequence < tail.base_sequence:
            _read_whole(tail)
            sealed = SealedFiles()
        return [*sealed.files, *(file for sequence, file in tail.files if sequence >= sealed.next_sequence)]

    def rows(self, chunk_id: int, build: str) -> SealedRows | None:
        """Return one chunk of this build of the index, or None where that was lost meanwhile or is damaged."""
        try:
            return self._reader.rows(chunk_id, build)
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
            tail.begin(None)
        _read_on(tail)


class LostPieceError(Exception):
    """The index was lost or built anew while it was read. The journal still has everything."""


def _parts(tail: JournalTail, sealed: SealedColumns, key: str, is_system: bool) -> list[SeriesPart]:
    parts = list(sealed.parts)
    for block, index in tail.rows.columns(key, is_system):
        rest = block.between(sealed.next_sequence, 1 << 62)
        if len(rest):
            parts.append(_tail_part(rest, index))
    return parts


def _tail_part(block: RowBlock, index: int) -> SeriesPart:
    first, last = int(block.sequences[0]), int(block.sequences[-1])
    values = block.column(index)
    return SeriesPart(first, last, block.steps, block.wall_time_ns, values, lambda: block.sequences)


def _tail_pieces(tail: JournalTail, next_sequence: int) -> Iterator[ConsolePiece]:
    for chunk in tail.console.chunks:
        if chunk.last_sequence >= next_sequence:
            numbers = decode_numbers(chunk.first_number, chunk.n_lines, chunk.numbers) if chunk.numbers else None
            yield ConsolePiece(chunk.first_number, chunk.last_number, numbers, partial(decode_lines, chunk))
    lines = tail.console.open_lines()
    if lines is not None:
        first, last = int(lines.numbers[0]), int(lines.numbers[-1])
        yield ConsolePiece(first, last, None if last - first + 1 == len(lines) else lines.numbers, lambda: lines)


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


def _begin(journal: JournalPath, sealed: SealedJournal | None) -> JournalTail:
    try:
        return JournalTail(journal, sealed)
    except msgspec.MsgspecError:
        return JournalTail(journal, None)


def _read_whole(tail: JournalTail) -> None:
    """Read a journal wholly into memory, as if there were no index."""
    tail.begin(None)
    _read_on(tail)


def _read_on(tail: JournalTail) -> None:
    if tail.look():
        n_bytes = 1
        while n_bytes:
            n_bytes, kinds = tail.read()
            tail.untold_kinds |= kinds

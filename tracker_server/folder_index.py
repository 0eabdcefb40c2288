"""Between the journals in memory and the index: what to seal, and how to go on where the two do not meet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from .journal_scan import JournalPath
from .journal_tail import JournalTail
from .row_blocks import RowBlock
from .store_read import IndexReader, IndexUnreadableError, SealedColumns, SealedJournal, SealedKeys, SealedRows
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

    def columns(self, tails: Sequence[JournalTail], key: str) -> dict[str, SealedColumns]:
        """Return the sealed parts of a metric, by journal, such that none has a gap to what its tail holds."""
        names = [tail.found.name for tail in tails]
        if not names:
            return {}
        for attempt in range(_ATTEMPTS):
            try:
                found = self._reader.columns(names, key)
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

    def keys_in_order(self, tail: JournalTail) -> SealedKeys:
        """Return the sealed chunks of a journal, such that there is no gap to what its tail holds."""
        try:
            found = self._reader.keys_in_order(tail.found.name)
        except IndexUnreadableError:
            found = SealedKeys()
        if tail.is_outdated_in_index:
            return SealedKeys()
        if found.next_sequence < tail.base_sequence:
            _read_whole(tail)
            return SealedKeys()
        return found

    def all_rows(self, tail: JournalTail) -> list[RowBlock]:
        """Return all rows of a journal, read from its file."""
        _read_whole(tail)
        return list(tail.rows.blocks())

    def rows(self, chunk_id: int, build: str) -> SealedRows | None:
        """Return one chunk of this build of the index, or None where that was lost meanwhile."""
        try:
            return self._reader.rows(chunk_id, build)
        except IndexUnreadableError:
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

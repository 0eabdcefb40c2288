"""Bring the journals of a folder to the tail table of a database, and again nothing of what is there already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from tracker_core.errors import TrackerError

from ..store.store_connection import IndexDatabase
from ..store.store_tail import Block, append_blocks, prune_old, sizes_in
from .journal_scan import JournalScan
from .journal_source import JournalPath

# A row of the tail table has at most so much, a transaction about so much, and one call takes about so much at most.
_BLOCK_BYTES = 1 << 20
_TRANSACTION_BYTES = 4 << 20
_CALL_BYTES = 64 << 20
_RETRY_S = 30.0
_QUIET_S = 60.0


@dataclass(slots=True)
class _Sent:
    """How far one journal is there, or on its way. `is_quiet`: it had nothing more, and has not for a while."""

    size_bytes: int
    retry_at: float = 0.0
    is_quiet: bool = False


class JournalForwarder:
    """Forwards the journals of one folder. Not thread-safe; several processes may forward the same folder.

    Args:
        folder: the tracker folder. It is only read.
        database: where the journals go.
    """

    def __init__(self, folder: str, database: IndexDatabase) -> None:
        self._scan = JournalScan(folder)
        self._database = database
        self._sent: dict[str, _Sent] = {}

    def forward(self) -> int:
        """Send what is new, for one call about 64 MiB at most.

        Returns:
            How many bytes were sent.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        found = self._scan.scan()
        self._learn([name for name in found if name not in self._sent])
        for gone in self._sent.keys() - found.keys():
            del self._sent[gone]
        n_bytes = n_waiting = 0
        batch: list[Block] = []
        for block in self._new_blocks(list(found.values())):
            batch.append(block)
            n_bytes += len(block.data)
            n_waiting += len(block.data)
            if n_waiting >= _TRANSACTION_BYTES:
                self._send(batch)
                batch, n_waiting = [], 0
            if n_bytes >= _CALL_BYTES:
                break
        self._send(batch)
        if self._scan.was_full:
            prune_old(self._database)
        return n_bytes

    def _learn(self, names: list[str]) -> None:
        """Ask how much of journals that are new here has been sent before."""
        if names:
            sizes = sizes_in(self._database, names)
            self._sent.update((name, _Sent(sizes.get(name, 0))) for name in names)

    def _new_blocks(self, journals: list[JournalPath]) -> Iterator[Block]:
        """Yield at most one block of each journal in turn, until no journal has more."""
        while journals:
            journals = [journal for journal in journals if self._has_more(journal)]
            for journal in journals:
                block = self._next_block(journal)
                if block is not None:
                    yield block

    def _has_more(self, journal: JournalPath) -> bool:
        sent = self._sent[journal.name]
        if time.monotonic() < sent.retry_at or (sent.is_quiet and not self._scan.was_full):
            return False
        try:
            state = self._scan.state(journal)
        except OSError:
            return False
        sent.is_quiet = state.size_bytes <= sent.size_bytes and time.time() - state.modified_s > _QUIET_S
        return state.size_bytes > sent.size_bytes

    def _next_block(self, journal: JournalPath) -> Block | None:
        sent = self._sent[journal.name]
        try:
            modified_ns = int(self._scan.state(journal).modified_s * 1e9)
            with closing(self._scan.open(journal.path)) as file:
                data = file.read(sent.size_bytes, _BLOCK_BYTES)
        except OSError:
            sent.retry_at = time.monotonic() + _RETRY_S
            return None
        block = Block(journal.name, sent.size_bytes, data, modified_ns)
        sent.size_bytes = block.end
        return block

    def _send(self, batch: list[Block]) -> None:
        """Send blocks, in one transaction; one that is refused stops no other journal."""
        if not batch:
            return
        try:
            sizes = append_blocks(self._database, batch)
        except TrackerError:
            self._sent.clear()  # what is there is asked anew
            raise
        for block in batch:
            sent, size_bytes = self._sent[block.path], sizes[block.path]
            if size_bytes < block.end:
                sent.retry_at = time.monotonic() + _RETRY_S
            sent.size_bytes = size_bytes

"""The journals of a tail table, as a source of journals."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from tracker_core.journal_reader import JournalBytes

from ..store.store_connection import IndexDatabase, Reading, StoreConnection
from ..store.store_tail import TailState, read, read_new, tail_states
from .journal_forwarder import JournalForwarder
from .journal_scan import journal_of
from .journal_source import JournalPath, JournalState

_FULL_SCAN_S = 30.0
# Of all journals that are being written: what is read with the same statement.
_READ_AHEAD_BYTES = 8 << 20
_READ_AHEAD_JOURNALS = 500


class TailSource:
    """Finds and reads the journals that have arrived at a database. Not thread-safe.

    Args:
        database: one that has a tail table.
        forwarder: brings the journals of a folder there, before each scan.

    Attributes:
        was_full: whether the last scan asked for all journals, and not only for new and not wholly sealed ones.
    """

    def __init__(self, database: IndexDatabase, forwarder: JournalForwarder | None = None) -> None:
        self._reading = database.reading()
        self._forwarder = forwarder
        self._found: dict[str, JournalPath] = {}
        self._states: dict[str, TailState] = {}
        self._new: dict[str, tuple[int, bytes]] = {}
        self._newest_id = 0
        self._full_scan_at = 0.0
        self.was_full = False

    def scan(self) -> Mapping[str, JournalPath]:
        """Return the journals that are there now, by name.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        self.was_full = time.monotonic() >= self._full_scan_at
        self._new = {}
        if self._forwarder is not None:
            self._forwarder.forward()
        with self._reading.transaction() as connection:
            assert connection is not None
            states = tail_states(connection, None if self.was_full else self._newest_id)
            quiet: list[str] = []
            if not self.was_full:
                # Those that were open and are not told of any more are done since, or deleted.
                told = {state.path for state in states}
                quiet = [path for path, state in self._states.items() if not (state.is_done or path in told)]
                states += tail_states(connection, paths=quiet) if quiet else []
            self._read_new(connection, states)
        self._forget(quiet)
        if self.was_full:
            self._full_scan_at = time.monotonic() + _FULL_SCAN_S
            self._forget(self._states.keys() - {state.path for state in states})
        self._take(states)
        return self._found

    def _read_new(self, connection: StoreConnection, states: Iterable[TailState]) -> None:
        """Read what came of many journals at once, before each of them is asked for it."""
        ends: dict[int, int] = {}
        paths: dict[int, str] = {}
        n_bytes = 0
        for state in states:
            before = self._states.get(state.path)
            if before is None or before.tail_id != state.tail_id or before.size_bytes >= state.size_bytes:
                continue
            n_bytes += state.size_bytes - before.size_bytes
            if n_bytes > _READ_AHEAD_BYTES or len(ends) >= _READ_AHEAD_JOURNALS:
                break
            ends[state.tail_id], paths[state.tail_id] = before.size_bytes, state.path
        found = read_new(connection, ends)
        self._new = {paths[tail_id]: (ends[tail_id], data) for tail_id, data in found.items()}

    def _forget(self, paths: Iterable[str]) -> None:
        for path in list(paths):
            del self._states[path]
            self._found.pop(path, None)

    def _take(self, states: Iterable[TailState]) -> None:
        for state in states:
            if state.path not in self._found:
                journal = journal_of(state.path)
                if journal is None:
                    continue
                self._found[state.path] = journal
            self._states[state.path] = state
            self._newest_id = max(self._newest_id, state.tail_id)

    def look_again(self, names: Collection[str]) -> None:
        """Do nothing: every scan asks for all that is new."""

    def path_of(self, name: str) -> JournalPath:
        """Return a journal that was found by its name. Raises KeyError where it is gone."""
        return self._found[name]

    def state(self, journal: JournalPath) -> JournalState:
        """Return how a journal was at the last scan. Raises OSError where it is gone."""
        found = self._states.get(journal.name)
        if found is None:
            raise FileNotFoundError(f"{journal.name} is not in the database any more")
        modified_s = found.modified_ns / 1e9
        return JournalState(found.size_bytes, modified_s, found.first_offset, found.resume_offset, found.trouble)

    def open(self, path: str) -> JournalBytes:
        """Open a journal. Raises OSError where it is gone."""
        found = self._states.get(path)
        if found is None:
            raise FileNotFoundError(f"{path} is not in the database any more")
        return TailBytes(self._reading, found, *self._new.get(path, (0, b"")))


class TailBytes:
    """The bytes of one journal of a tail table.

    Args:
        reading: of its database.
        state: of the journal.
        ahead_offset, ahead: what was read already, and where it begins.

    Attributes:
        size: how many had arrived at the last scan, the sealed ones among them.
    """

    def __init__(self, reading: Reading, state: TailState, ahead_offset: int = 0, ahead: bytes = b"") -> None:
        self._reading = reading
        self._state = state
        self._ahead_offset, self._ahead = ahead_offset, ahead
        self.size = state.size_bytes

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return the bytes from `offset` on, at most `n_bytes`; raises OSError where they are sealed and gone."""
        if self._ahead and offset >= self._ahead_offset:
            start = offset - self._ahead_offset
            return self._ahead[start : start + n_bytes]
        with self._reading.transaction() as connection:
            assert connection is not None
            found = read(connection, self._state.tail_id, offset, n_bytes)
        if not found and offset < self.size and n_bytes:
            raise OSError(f"what lies at {offset} of {self._state.path} is sealed, and no longer in the tail")
        return found

    def close(self) -> None:
        """Do nothing: each read has its own transaction."""

"""The journals of a tail table, as a source of journals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from tracker_core.journal_reader import JournalBytes

from ..store.store_connection import IndexDatabase, Reading
from ..store.store_tail import TailState, read, tail_states
from .journal_forwarder import JournalForwarder
from .journal_scan import journal_of
from .journal_source import JournalPath, JournalState

_FULL_SCAN_S = 30.0


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
        self._newest_id = 0
        self._full_scan_at = 0.0
        self.was_full = False

    def scan(self) -> Mapping[str, JournalPath]:
        """Return the journals that are there now, by name.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        self.was_full = time.monotonic() >= self._full_scan_at
        if self._forwarder is not None:
            self._forwarder.forward()
        with self._reading.transaction() as connection:
            assert connection is not None
            states = tail_states(connection, None if self.was_full else self._newest_id)
            if not self.was_full:
                # Those that were open and are not told of any more are done since, or deleted.
                told = {state.path for state in states}
                quiet = [path for path, state in self._states.items() if not (state.is_done or path in told)]
                states += tail_states(connection, paths=quiet) if quiet else []
                self._forget(quiet)
        if self.was_full:
            self._full_scan_at = time.monotonic() + _FULL_SCAN_S
            self._forget(self._states.keys() - {state.path for state in states})
        self._take(states)
        return self._found

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
        return TailBytes(self._reading, found)


class TailBytes:
    """The bytes of one journal of a tail table.

    Attributes:
        size: how many had arrived at the last scan, the sealed ones among them.
    """

    def __init__(self, reading: Reading, state: TailState) -> None:
        self._reading = reading
        self._state = state
        self.size = state.size_bytes

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return the bytes from `offset` on, at most `n_bytes`; raises OSError where they are sealed and gone."""
        with self._reading.transaction() as connection:
            assert connection is not None
            found = read(connection, self._state.tail_id, offset, n_bytes)
        if not found and offset < self.size and n_bytes:
            raise OSError(f"what lies at {offset} of {self._state.path} is sealed, and no longer in the tail")
        return found

    def close(self) -> None:
        """Do nothing: each read has its own transaction."""

"""One run that may still change: its journals as followed now, and what was last made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracker_core.process import is_dead

from ..ingest.fold import JournalFold
from ..ingest.journal_tail import JournalTail
from ..runs.run_details import view_details
from ..runs.run_rows import RunRow
from ..runs.run_states import (
    FINAL_STATES,
    JournalStatus,
    journals_of,
    recording_journals_of,
    run_state,
    shown_journals,
)
from ..runs.run_view import RunView, view_run

RunKey = tuple[str, str]
# A run that fell silent may come back, with its laptop's lid opened; after so long it is not waited for.
_SILENT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Change:
    """What was found new in one run; `kinds` are of points, system, console, environment, files, state, config,
    summary, new, removed."""

    project: str
    run: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FolderLoad:
    """How much is followed now: journals and rows of runs that may still change, what of them is only in memory, the
    states of these runs, and how many are settled."""

    n_journals: int
    n_rows: int
    n_unsealed_bytes: int
    states: tuple[str, ...]
    n_settled: int


class FollowedRun:
    """The journals of one run. Not thread-safe.

    Attributes:
        key: project and id.
        tails: its journals by name.
        view: the run as last seen, None where something changed since.
        state: its state as last seen.
        is_still: in a final state, and no journal has had anything new since.
    """

    __slots__ = ("_heartbeat_timeout_s", "is_still", "key", "state", "tails", "view")

    def __init__(self, key: RunKey, heartbeat_timeout_s: float) -> None:
        self.key = key
        self.tails: dict[str, JournalTail] = {}
        self.view: RunView | None = None
        self.state = ""
        self.is_still = False
        self._heartbeat_timeout_s = heartbeat_timeout_s

    def touch(self) -> None:
        """Forget what was made of the journals: one of them changed."""
        self.view = None
        self.is_still = False

    def seen(self) -> RunView:
        """Return the run as it is now."""
        if self.view is None:
            self.view = view_run(*self.key, self.statuses())
            self.state = self.view.state
        return self.view

    def watch(self) -> bool:
        """Notice that the run fell silent or came back, which no record says. Says whether its state changed."""
        if self.is_still:
            return False
        state, before = run_state(shown_journals(self.statuses())), self.state
        self.is_still = state in FINAL_STATES
        if state != before:
            self.state = state
            self.view = None
        return bool(before) and state != before

    def statuses(self) -> list[JournalStatus]:
        """Return what `run_view` needs of each journal."""
        now_s = time.time()
        return [self._status(tail, now_s) for tail in self.tails.values()]

    def _status(self, tail: JournalTail, now_s: float) -> JournalStatus:
        found, session = tail.found, tail.fold.session

        def is_alive() -> bool:
            is_recent = now_s - tail.modified_s <= self._heartbeat_timeout_s
            # What a process wrote last, perhaps how it ended, is read before it counts as dead.
            return is_recent and not (session is not None and is_dead(session) and not tail.has_unread())

        notes, modified_ns = tail.damage_notes(), int(tail.modified_s * 1e9)
        return JournalStatus(found.name, found.writer, found.session, tail.fold, notes, is_alive, modified_ns)

    def tails_of(self, writer: str | None) -> list[JournalTail]:
        """Return the journals of a writer, "*" for all, None for the primary one."""
        return [self.tails[journal.name] for journal in journals_of(self.statuses(), writer)]

    def recording_tails(self, writer: str | None, has_records: Callable[[JournalFold], bool]) -> list[JournalTail]:
        """Return the journals whose output or system metrics are shown."""
        return [self.tails[journal.name] for journal in recording_journals_of(self.statuses(), writer, has_records)]

    def is_settled(self, quiet_s: float) -> bool:
        """Say whether nothing more is to be expected of it, and the index has all that can be sealed."""
        silence_s = time.time() - max(tail.modified_s for tail in self.tails.values())
        is_over = self.state in FINAL_STATES or (self.state == "crashed" and silence_s > _SILENT_S)
        return is_over and silence_s > quiet_s and all(map(_is_at_rest, self.tails.values()))

    def row(self) -> RunRow:
        """Return the run as the index keeps it."""
        journals = [(tail.found.name, tail.size) for tail in self.tails.values()]
        details = view_details(self.statuses())
        return RunRow(self.seen(), details.environment, journals, details.alerts)


def _is_at_rest(tail: JournalTail) -> bool:
    return not (tail.failure or tail.untold_kinds or tail.n_sealable_bytes or tail.is_outdated_in_index)


class LiveEnvironments(Mapping[RunKey, Mapping[str, Any]]):
    """What live runs were run on, looked up when it is asked for."""

    def __init__(self, runs: Mapping[RunKey, FollowedRun]) -> None:
        self._runs = runs

    def __getitem__(self, key: RunKey) -> Mapping[str, Any]:
        return view_details(self._runs[key].statuses()).environment

    def __iter__(self) -> Iterator[RunKey]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

"""The output of a run as its readers ask for it: a window of lines, a search, all of it. Lines are numbered through
all sessions, from 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..ingest.console_chunks import ConsoleLines
from ..ingest.journal_tail import JournalTail
from .console_log import ConsoleLog, matching_lines
from .folder_index import FolderIndex, LostPieceError

if TYPE_CHECKING:
    from threading import RLock

_STEP_LINES = 5000
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ConsoleRow:
    """A line of output. `stream` is 1 for stdout, 2 for stderr; `text` may hold ANSI colours."""

    number: int
    wall_time_ns: int
    stream: int
    text: str
    session: str


@dataclass(frozen=True, slots=True)
class ConsoleWindow:
    """Some lines that follow one another, and how many there are in all."""

    n_lines: int
    first: int
    lines: list[ConsoleRow]


@dataclass(frozen=True, slots=True)
class ConsoleMatches:
    """The first lines that hold a text, as (number, text), and how many do in all."""

    n_matches: int
    matches: list[tuple[int, str]]


class RunConsole:
    """The output of some journals of a run, in the order of their sessions. Thread-safe.

    Args:
        lock: the folder's.
        index: the folder's.
        tails: the journals.
    """

    def __init__(self, lock: RLock, index: FolderIndex, tails: Sequence[JournalTail]) -> None:
        self._lock = lock
        self._index = index
        self._tails = tails

    def n_lines(self) -> int:
        """Return how many lines there are."""
        with self._lock:
            return sum(len(self._index.console(tail)) for tail in self._tails)

    def window(self, first: int, limit: int) -> ConsoleWindow:
        """Return up to `limit` lines from number `first` on."""
        return self._ask(lambda logs: _window(logs, first, limit))

    def last(self, n: int) -> ConsoleWindow:
        """Return the last `n` lines."""

        def read(logs: Logs) -> ConsoleWindow:
            return _window(logs, max(0, sum(len(part.log) for part in logs) - n), n)

        return self._ask(read)

    def search(self, query: str, limit: int) -> ConsoleMatches:
        """Return the first `limit` lines that hold `query`; case and colours do not matter."""
        return self._ask(lambda logs: _search(logs, query, limit))

    def lines(self, first: int = 0) -> Iterator[ConsoleRow]:
        """Yield all lines from number `first` on, a part at a time, with those that come meanwhile."""
        while True:
            window = self.window(first, _STEP_LINES)
            yield from window.lines
            first += len(window.lines)
            if len(window.lines) < _STEP_LINES:
                return

    def _ask(self, read: Callable[[Logs], Answer]) -> Answer:
        """Read from the index, or where that is lost on the way, from the journals. The lock is held by the piece."""
        with self._lock:
            logs = [self._locked(tail, self._index.console(tail)) for tail in self._tails]
        try:
            return read(logs)
        except (LostPieceError, ValueError):
            with self._lock:
                logs = [self._locked(tail, self._index.all_console(tail)) for tail in self._tails]
            return read(logs)

    def _locked(self, tail: JournalTail, log: ConsoleLog) -> _SessionLog:
        def load(piece: int) -> ConsoleLines:
            with self._lock:
                return log.pieces[piece].load()

        return _SessionLog(tail.found.session, log, load)


@dataclass(frozen=True, slots=True)
class _SessionLog:
    session: str
    log: ConsoleLog
    load: Callable[[int], ConsoleLines]


Logs = Sequence[_SessionLog]


def _window(logs: Logs, first: int, limit: int) -> ConsoleWindow:
    n_lines = sum(len(part.log) for part in logs)
    rows: list[ConsoleRow] = []
    begin = 0
    for part in logs:
        start, stop = max(first, begin), min(first + limit, begin + len(part.log))
        if start < stop:
            rows.extend(_rows(part, start - begin, stop - begin, start))
        begin += len(part.log)
    return ConsoleWindow(n_lines, min(first, n_lines), rows)


def _rows(part: _SessionLog, first: int, stop: int, number: int) -> Iterator[ConsoleRow]:
    for span in part.log.spans(first, stop):
        lines = part.load(span.piece)
        start, end = np.searchsorted(lines.numbers, (span.start, span.stop))
        times = lines.wall_time_ns[start:end].tolist()
        for time_ns, stream, text in zip(times, lines.streams[start:end], lines.texts()[start:end], strict=True):
            yield ConsoleRow(number, time_ns, stream, text, part.session)
            number += 1


def _search(logs: Logs, query: str, limit: int) -> ConsoleMatches:
    found: list[tuple[int, str]] = []
    n_matches = begin = 0
    for part in logs:
        in_session: list[tuple[int, str]] = []
        for piece in range(len(part.log.pieces)):
            matches = _matches_of(part, piece, query)
            n_matches += len(matches)
            # A later piece may hold lines that come before those of an earlier one.
            in_session = sorted([*in_session, *matches])[: limit - len(found)] if matches else in_session
        found.extend((begin + place, text) for place, text in in_session)
        begin += len(part.log)
    return ConsoleMatches(n_matches, found)


def _matches_of(part: _SessionLog, piece: int, query: str) -> list[tuple[int, str]]:
    """Return the place and text of each line of a piece that holds `query` and was not replaced."""
    lines = part.load(piece)
    matching = matching_lines(lines.text, query)
    if not matching:
        return []
    places = part.log.places_of(piece, lines.numbers[matching]).tolist()
    texts = lines.texts()
    return [(place, texts[line]) for place, line in zip(places, matching, strict=True) if place >= 0]

"""The output of a run on a server, a window at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from ..query.run_console import ConsoleMatches, ConsoleRow, ConsoleWindow
from .exact_wire import MAX_LINES, ConsoleHead, Frames, WireError, next_value

# Path below that of the output, what reads the reply, parameters -> what it read.
Ask = Callable[[str, Callable[[Frames], Any], Mapping[str, Any]], Any]

_head_decoder = msgspec.msgpack.Decoder(ConsoleHead)
_lines_decoder = msgspec.msgpack.Decoder(list[tuple[int, int, int, str, int]])
_matches_decoder = msgspec.msgpack.Decoder(ConsoleMatches)


class RemoteConsole:
    """Asks for lines as `RunConsole` gives them.

    Args:
        ask: asks the server about this output.
        writer: whose output.
    """

    def __init__(self, ask: Ask, writer: str | None) -> None:
        self._ask = ask
        self._writer = writer

    def n_lines(self) -> int:
        return self._part(first=0, limit=0).n_lines

    def window(self, first: int, limit: int) -> ConsoleWindow:
        begin = max(0, first)
        found = self._part(first=begin, limit=_part_of(limit))
        return self._rest_of(found, begin, limit)

    def last(self, n: int) -> ConsoleWindow:
        found = self._part(last=max(0, n), limit=_part_of(n))
        return self._rest_of(found, found.first, n)

    def search(self, query: str, limit: int) -> ConsoleMatches:
        def read(frames: Frames) -> ConsoleMatches:
            found = _matches_decoder.decode(next_value(frames))
            for _ in frames:
                raise WireError("more behind the matches")
            return found

        found: ConsoleMatches = self._ask(
            "/search", read, {"query": query, "limit": max(0, limit), "writer": self._writer}
        )
        return found

    def lines(self, first: int = 0) -> Iterator[ConsoleRow]:
        while True:
            window = self._part(first=first, limit=MAX_LINES)
            yield from window.lines
            first += len(window.lines)
            if len(window.lines) < MAX_LINES:
                return

    def _rest_of(self, found: ConsoleWindow, begin: int, limit: int) -> ConsoleWindow:
        """Return a window with the lines behind those of its first part; what comes meanwhile is left out."""
        lines = list(found.lines)
        stop = min(found.n_lines, begin + max(0, limit))
        while begin + len(lines) < stop:
            first = begin + len(lines)
            more = self._part(first=first, limit=_part_of(stop - first)).lines
            if not more:
                break
            lines += more
        return ConsoleWindow(found.n_lines, found.first, lines)

    def _part(self, **params: int) -> ConsoleWindow:
        found: ConsoleWindow = self._ask("", _read_window, {**params, "writer": self._writer})
        return found


def _part_of(limit: int) -> int:
    return max(0, min(limit, MAX_LINES))


def _read_window(frames: Frames) -> ConsoleWindow:
    head = _head_decoder.decode(next_value(frames))
    lines: list[ConsoleRow] = []
    for _, content in frames:
        for number, wall_time_ns, stream, text, place in _lines_decoder.decode(content):
            if not 0 <= place < len(head.sessions):
                raise WireError("a line of no session")
            lines.append(ConsoleRow(number, wall_time_ns, stream, text, head.sessions[place]))
    return ConsoleWindow(head.n_lines, head.first, lines)

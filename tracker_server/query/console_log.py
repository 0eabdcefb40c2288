"""One session's output, put together from pieces of which later ones replace lines of earlier ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ingest.console_chunks import ConsoleLines

# Colours and other attributes (SGR), and what else of ECMA-48 a program may have printed.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\-_]|[ -/]+[0-~])")


@dataclass(frozen=True, slots=True)
class ConsolePiece:
    """Lines that are read only when they are wanted. `numbers` is None where they have no gap."""

    first_number: int
    last_number: int
    numbers: NDArray[np.int64] | None
    load: Callable[[], ConsoleLines]


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of one piece that no later piece replaces: numbers from `start` to before `stop`, without a gap."""

    piece: int
    start: int
    stop: int


class ConsoleLog:
    """Which piece holds which line. Lines are counted from 0 by their place, whatever their numbers are.

    Args:
        pieces: in the order written.
    """

    def __init__(self, pieces: Sequence[ConsolePiece]) -> None:
        self.pieces = pieces
        self._starts, self._stops, self._owners = _owned(pieces)
        self._ends = np.cumsum(self._stops - self._starts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def spans(self, first: int, stop: int) -> Iterator[Span]:
        """Yield where the lines from place `first` to before `stop` are, in order."""
        index = int(np.searchsorted(self._ends, first, side="right"))
        while first < stop and index < len(self._ends):
            begin = int(self._ends[index] - (self._stops[index] - self._starts[index]))
            start = int(self._starts[index]) + first - begin
            end = min(int(self._stops[index]), int(self._starts[index]) + stop - begin)
            yield Span(int(self._owners[index]), start, end)
            first = int(self._ends[index])
            index += 1

    def places_of(self, piece: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of some of a piece's lines, given in ascending order; -1 for one that was replaced."""
        index = np.minimum(np.searchsorted(self._stops, numbers, side="right"), len(self._stops) - 1)
        is_own = (self._owners[index] == piece) & (self._starts[index] <= numbers) & (numbers < self._stops[index])
        return np.where(is_own, self._ends[index] - self._stops[index] + numbers, -1)


_Spans = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _owned(pieces: Sequence[ConsolePiece]) -> _Spans:
    """Return starts, stops and pieces of the spans of lines, ascending and without overlap; the latest piece wins."""
    starts = np.array([piece.first_number for piece in pieces], np.int64)
    stops = np.array([piece.last_number + 1 for piece in pieces], np.int64)
    is_simple = all(piece.numbers is None for piece in pieces)
    if is_simple and bool(np.all(starts[1:] > starts[:-1]) and np.all(stops[1:] >= stops[:-1])):
        # As it nearly always is: each piece goes on where the last ended, or replaces its last lines.
        stops[:-1] = np.minimum(stops[:-1], starts[1:])
        return starts, stops, np.arange(len(pieces))
    return _owned_of_any(pieces)


def _owned_of_any(pieces: Sequence[ConsolePiece]) -> _Spans:
    numbers = np.concatenate([_numbers_of(piece) for piece in pieces])
    owners = np.repeat(np.arange(len(pieces)), [len(_numbers_of(piece)) for piece in pieces])
    order = np.argsort(numbers, kind="stable")
    numbers, owners = numbers[order], owners[order]
    is_latest = np.append(numbers[1:] != numbers[:-1], True)
    numbers, owners = numbers[is_latest], owners[is_latest]
    begins = np.flatnonzero(np.append(True, (np.diff(numbers) != 1) | (np.diff(owners) != 0)))
    ends = np.append(begins[1:], len(numbers)) - 1
    return numbers[begins], numbers[ends] + 1, owners[begins]


def _numbers_of(piece: ConsolePiece) -> NDArray[np.int64]:
    if piece.numbers is not None:
        return piece.numbers
    return np.arange(piece.first_number, piece.last_number + 1, dtype=np.int64)


def without_ansi(text: str) -> str:
    """Return text without colours and other escape sequences."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def matching_lines(text: str, query: str) -> list[int]:
    """Return which lines of `text` hold `query`, upper and lower case being equal, in time linear in the text."""
    folded, wanted = without_ansi(text).lower(), query.lower()
    found: list[int] = []
    line = counted = 0
    position = folded.find(wanted)
    while position >= 0:
        line += folded.count("\n", counted, position)
        found.append(line)
        counted = folded.find("\n", position)
        if counted < 0:
            break
        position = folded.find(wanted, counted)
    return found

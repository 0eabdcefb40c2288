"""How much of a run's output is recorded: all up to a bound, then only the last lines."""

from __future__ import annotations

from collections.abc import Iterable

from ..records import ConsoleLine

LINE_OVERHEAD_BYTES = 24
TAIL_LINES = 1_000
TAIL_BYTES = 1 << 20


def line_bytes(line: ConsoleLine) -> int:
    """Return about how many bytes a line takes in a record."""
    text = line.text
    return LINE_OVERHEAD_BYTES + (len(text) if text.isascii() else len(text.encode()))


class ConsoleBound:
    """Decides which lines are recorded now. Those beyond `max_bytes` wait as the tail, or are left out and counted."""

    def __init__(self, max_bytes: int) -> None:
        self._room_bytes = max_bytes
        self._n_admitted = 0  # lines with lower numbers have been recorded
        self._tail: dict[int, ConsoleLine] = {}
        self._tail_bytes = 0
        self._n_left_out = 0

    def admit(self, lines: Iterable[ConsoleLine]) -> list[ConsoleLine]:
        """Return the lines to record now."""
        admitted = []
        for line in lines:
            n_bytes = line_bytes(line)
            if self._room_bytes >= n_bytes and not self._tail:
                self._room_bytes -= n_bytes
                self._n_admitted = max(self._n_admitted, line.number + 1)
                admitted.append(line)
            else:
                self._keep(line, n_bytes)
        return admitted

    def _keep(self, line: ConsoleLine, n_bytes: int) -> None:
        earlier = self._tail.get(line.number)
        self._tail_bytes += n_bytes - (line_bytes(earlier) if earlier else 0)
        self._tail[line.number] = line
        while len(self._tail) > TAIL_LINES or (self._tail_bytes > TAIL_BYTES and len(self._tail) > 1):
            first = self._tail.pop(next(iter(self._tail)))
            self._tail_bytes -= line_bytes(first)
            self._n_left_out += first.number >= self._n_admitted  # else an earlier state of it is recorded

    def take_tail(self) -> list[ConsoleLine]:
        """Return the lines that wait."""
        lines, self._tail, self._tail_bytes = list(self._tail.values()), {}, 0
        return lines

    def take_n_left_out(self) -> int:
        """Return how many lines were left out since the last call."""
        n, self._n_left_out = self._n_left_out, 0
        return n

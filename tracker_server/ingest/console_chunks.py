"""Lines of a run's output as compressed columns and back: many lines a chunk, the text of all as one piece. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker_core.records import Console, ConsoleLine

from ..codec.chunk_codec import decode_column, encode_integers, pack_bytes, unpack_bytes

MAX_CHUNK_LINES = 4096
_MAX_CHUNK_CHARS = 256 << 10
_MAX_LINE_CHARS = 100_000
_MAX_NUMBER = 1 << 53
_INT64_MAX = (1 << 63) - 1
_PACK_AT_LINES = 2 * MAX_CHUNK_LINES


@dataclass(frozen=True, slots=True)
class ConsoleLines:
    """Lines in ascending order of their numbers, each number once.

    Attributes:
        numbers: int64[n].
        wall_time_ns: int64[n].
        streams: n bytes, 1 for stdout and 2 for stderr.
        text: the texts, each ended by a newline, which they do not hold otherwise.
    """

    numbers: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    streams: bytes
    text: str

    def __len__(self) -> int:
        return len(self.numbers)

    def texts(self) -> list[str]:
        """Return the text of each line."""
        return self.text.split("\n")[:-1]


@dataclass(frozen=True, slots=True)
class ConsoleChunk:
    """Encoded lines: those whose records have sequence numbers from the first to the last one.

    `numbers` is empty where the lines are numbered without a gap.
    """

    first_sequence: int
    last_sequence: int
    first_number: int
    last_number: int
    n_lines: int
    numbers: bytes
    wall_times: bytes
    streams: bytes
    text: bytes


def check_lines(record: Console) -> None:
    """Raise ValueError where a line's number is none that a console could reach."""
    for line in record.lines:
        if not 0 <= line.number < _MAX_NUMBER:
            raise ValueError(f"a line of output with the number {line.number}")


def lines_of(lines: Iterable[ConsoleLine]) -> ConsoleLines:
    """Return lines as written, of which a later one replaces an earlier one of the same number, as columns."""
    latest = {line.number: line for line in lines}
    ordered = [latest[number] for number in sorted(latest)]
    return ConsoleLines(
        np.array([line.number for line in ordered], np.int64),
        np.array([min(max(line.wall_time_ns, -_INT64_MAX), _INT64_MAX) for line in ordered], np.int64),
        bytes(2 if line.stream == 2 else 1 for line in ordered),
        "".join([f"{_one_line(line.text)}\n" for line in ordered]),
    )


def _one_line(text: str) -> str:
    if len(text) > _MAX_LINE_CHARS:
        text = f"{text[:_MAX_LINE_CHARS]} ... {len(text) - _MAX_LINE_CHARS} characters left out"
    return text.replace("\n", " ")


def encode_lines(lines: ConsoleLines, first_sequence: int, last_sequence: int) -> Iterator[ConsoleChunk]:
    """Yield the lines as chunks of bounded size."""
    texts = lines.texts()
    for start, stop in _cuts(texts):
        numbers = lines.numbers[start:stop]
        first, last = int(numbers[0]), int(numbers[-1])
        has_gap = last - first + 1 != len(numbers)
        text = "".join([f"{line}\n" for line in texts[start:stop]])
        yield ConsoleChunk(
            first_sequence,
            last_sequence,
            first,
            last,
            len(numbers),
            encode_integers(numbers) if has_gap else b"",
            encode_integers(lines.wall_time_ns[start:stop]),
            pack_bytes(lines.streams[start:stop]),
            pack_bytes(text.encode()),
        )


def _cuts(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = n_chars = 0
    for index, text in enumerate(texts):
        if index > start and (index - start >= MAX_CHUNK_LINES or n_chars + len(text) > _MAX_CHUNK_CHARS):
            yield start, index
            start, n_chars = index, 0
        n_chars += len(text)
    if start < len(texts):
        yield start, len(texts)


def decode_numbers(first_number: int, n_lines: int, numbers: bytes) -> NDArray[np.int64]:
    """Return the numbers of a chunk's lines, int64[n]. Raises ValueError where the bytes are not of it."""
    if not numbers:
        return np.arange(first_number, first_number + n_lines, dtype=np.int64)
    return decode_column(numbers, n_lines)


def decode_lines(chunk: ConsoleChunk) -> ConsoleLines:
    """Return the lines of a chunk. Raises ValueError where its bytes are not of it."""
    return ConsoleLines(
        decode_numbers(chunk.first_number, chunk.n_lines, chunk.numbers),
        decode_column(chunk.wall_times, chunk.n_lines),
        unpack_bytes(chunk.streams),
        unpack_bytes(chunk.text).decode(),
    )


class ConsoleTail:
    """Lines of one journal that are in memory because they are not sealed yet; compressed once they are many."""

    def __init__(self) -> None:
        self.chunks: list[ConsoleChunk] = []
        self._open: list[tuple[int, list[ConsoleLine]]] = []
        self._n_open = 0

    def add(self, sequence: int, lines: list[ConsoleLine]) -> None:
        """Append the lines of the record with this sequence number."""
        if lines:
            self._open.append((sequence, lines))
            self._n_open += len(lines)

    def open_lines(self) -> ConsoleLines | None:
        """Return the lines that are in no chunk yet, or None."""
        return lines_of(line for _, lines in self._open for line in lines) if self._open else None

    def pack(self, stop: int) -> None:
        """Compress what is final, that is of records before `stop`, where it is much."""
        if self._n_open >= _PACK_AT_LINES:
            self.chunks.extend(self._take_open(stop))

    def seal(self, stop: int) -> list[ConsoleChunk]:
        """Return all lines of records before `stop` as chunks, in the order written."""
        self.chunks.extend(self._take_open(stop))
        return list(self.chunks)

    def drop(self, stop: int) -> None:
        """Let go of the records before `stop`."""
        self.chunks = [chunk for chunk in self.chunks if chunk.last_sequence >= stop]
        self._keep_open(stop)

    def _take_open(self, stop: int) -> list[ConsoleChunk]:
        taken = [(sequence, lines) for sequence, lines in self._open if sequence < stop]
        if not taken:
            return []
        self._keep_open(stop)
        lines = lines_of(line for _, lines in taken for line in lines)
        return list(encode_lines(lines, taken[0][0], taken[-1][0]))

    def _keep_open(self, stop: int) -> None:
        self._open = [(sequence, lines) for sequence, lines in self._open if sequence >= stop]
        self._n_open = sum(len(lines) for _, lines in self._open)

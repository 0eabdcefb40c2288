"""Where a file is cut into chunks: at the boundaries of its tensors where it says where they are, else by content.

Content-defined cuts are those of FastCDC (Xia et al., 2016) as the library of that name makes them: what is inserted
into a file moves no cut but those near it. How a file is cut is no part of what it is; cuts may differ between versions
of this program, which costs room and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracker_core.artifacts.wire import MAX_CHUNK_BYTES

# Content-defined chunks, in bytes.
MIN_BYTES, AVERAGE_BYTES, MAX_BYTES = 32 << 10, 128 << 10, 512 << 10
# A tensor is cut into pieces of this; smaller ones than the other bound are cut with what is around them.
PIECE_BYTES = 4 << 20
MIN_TENSOR_BYTES = 64 << 10
# Of a window of this many bytes at least half can be cut.
WINDOW_BYTES = 2 * PIECE_BYTES
assert PIECE_BYTES <= MAX_CHUNK_BYTES

Span = tuple[int, int]


class Cuts:
    """Says where a file is cut, window by window. Not thread-safe.

    Args:
        tensors: where its tensors are, as (begin, end) in bytes from the beginning of the file.
    """

    def __init__(self, tensors: Iterable[Span] = ()) -> None:
        self._spans = _ordered(tensors)
        self._next = 0

    def of_window(self, data: memoryview, position: int, is_end: bool) -> list[int]:
        """Return the sizes of the chunks that a window begins with; what is behind them belongs to the next window.

        Args:
            data: the bytes from a cut on.
            position: where that is in the file. Never before that of the window before.
            is_end: whether the file ends with the window.
        """
        sizes: list[int] = []
        done = 0
        while done < len(data):
            end, is_tensor = self._part(position + done)
            rest = len(data) - done if end is None else min(len(data) - done, end - position - done)
            is_whole = is_end or (end is not None and position + done + rest == end)
            cut = _tensor_cuts if is_tensor else _content_cuts
            found = cut(data[done : done + rest], is_whole)
            sizes += found
            done += sum(found)
            if not is_whole:
                break
        return sizes

    def _part(self, position: int) -> tuple[int | None, bool]:
        """Return where the part at a position ends, None for with the file, and whether it is a tensor."""
        while self._next < len(self._spans) and self._spans[self._next][1] <= position:
            self._next += 1
        if self._next == len(self._spans):
            return None, False
        begin, end = self._spans[self._next]
        return (end, True) if begin <= position else (begin, False)


def _tensor_cuts(data: memoryview, is_whole: bool) -> list[int]:
    n_pieces, rest = divmod(len(data), PIECE_BYTES)
    return [PIECE_BYTES] * n_pieces + ([rest] if rest and is_whole else [])


def _content_cuts(data: memoryview, is_whole: bool) -> list[int]:
    if is_whole and len(data) <= MIN_BYTES:
        return [len(data)]
    sizes = list(_fast_cdc(data))
    # The last one ends where the window does, not where the content says so.
    return sizes if is_whole else sizes[:-1]


def _fast_cdc(data: memoryview) -> Iterator[int]:
    from fastcdc import fastcdc

    for chunk in fastcdc(data, MIN_BYTES, AVERAGE_BYTES, MAX_BYTES):
        yield chunk.length


def _ordered(tensors: Iterable[Span]) -> Sequence[Span]:
    """Return those that are worth a cut of their own, in order and without those that overlap an earlier one."""
    spans: list[Span] = []
    for begin, end in sorted(tensors):
        if end - begin >= MIN_TENSOR_BYTES and begin >= (spans[-1][1] if spans else 0):
            spans.append((begin, end))
    return spans

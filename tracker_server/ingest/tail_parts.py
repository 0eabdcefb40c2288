"""What the tail of a journal adds to what is sealed of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..query.console_log import ConsolePiece
from ..query.series import SeriesPart
from ..store.store_read import SealedColumns
from .console_chunks import decode_lines, decode_numbers
from .journal_tail import JournalTail
from .row_blocks import RowBlock


def parts_of(tail: JournalTail, sealed: SealedColumns, key: str, is_system: bool) -> list[SeriesPart]:
    """Return the sealed parts of a metric of one journal, and behind them what its tail holds."""
    parts = list(sealed.parts)
    for block, index in tail.rows.columns(key, is_system):
        rest = block.between(sealed.next_sequence, 1 << 62)
        if len(rest):
            parts.append(_tail_part(rest, index))
    return parts


def _tail_part(block: RowBlock, index: int) -> SeriesPart:
    first, last = int(block.sequences[0]), int(block.sequences[-1])
    values = block.column(index)
    return SeriesPart(first, last, block.steps, block.wall_time_ns, values, lambda: block.sequences)


def tail_pieces(tail: JournalTail, next_sequence: int) -> Iterator[ConsolePiece]:
    """Yield the output that a tail holds of records from `next_sequence` on."""
    for chunk in tail.console.chunks:
        if chunk.last_sequence >= next_sequence:
            numbers = decode_numbers(chunk.first_number, chunk.n_lines, chunk.numbers) if chunk.numbers else None
            yield ConsolePiece(chunk.first_number, chunk.last_number, numbers, partial(decode_lines, chunk))
    lines = tail.console.open_lines()
    if lines is not None:
        first, last = int(lines.numbers[0]), int(lines.numbers[-1])
        yield ConsolePiece(first, last, None if last - first + 1 == len(lines) else lines.numbers, lambda: lines)

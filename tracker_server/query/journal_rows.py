"""All rows of one journal, in the order logged, read a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..ingest.journal_tail import JournalTail
from .folder_index import FolderIndex
from .row_reader import Row, in_order, overlapping, rows_of_block, rows_of_chunk

if TYPE_CHECKING:
    from threading import RLock

_ATTEMPTS = 3


def rows_of_journal(
    lock: RLock, index: FolderIndex, tail: JournalTail, keys: frozenset[str] | None, is_system: bool
) -> Iterator[Row]:
    """Yield the rows of one journal, reading one overlapping run of sealed chunks at a time."""
    reached = 0
    for _ in range(_ATTEMPTS):
        with lock:
            sealed = index.keys_in_order(tail, is_system)
            blocks = [block for block in tail.rows.blocks() if block.is_system == is_system]
        is_whole = True
        for chunk_ids, stop in overlapping([chunk for chunk in sealed.chunks if chunk[2] >= reached]):
            with lock:
                chunks = [index.rows(chunk_id, sealed.build) for chunk_id in chunk_ids]
            is_whole = None not in chunks
            if not is_whole:
                break  # joined with others meanwhile, or lost
            yield from in_order(rows_of_chunk(chunk, keys, reached) for chunk in chunks if chunk is not None)
            reached = stop
        if is_whole:
            reached = max(reached, sealed.next_sequence)
            break
    else:
        with lock:
            # The index is lost or built anew again and again. The journal still has everything.
            blocks = index.all_rows(tail, is_system)
    yield from in_order(rows_of_block(block.between(reached, 1 << 62), keys) for block in blocks)

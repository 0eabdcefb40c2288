"""The highest step of some journals, without reading their sealed rows."""

from __future__ import annotations

from collections.abc import Sequence

from ..ingest.journal_tail import JournalTail
from ..store.store_connection import IndexUnreadableError
from ..store.store_steps import sealed_last_step
from .folder_index import FolderIndex


def last_step(index: FolderIndex, tails: Sequence[JournalTail]) -> int:
    """Return the highest step of any row of these journals, -1 for none."""
    names = [tail.found.name for tail in tails if not tail.is_outdated_in_index]
    try:
        with index.transaction() as connection:
            sealed = -1 if connection is None else sealed_last_step(connection, names)
        blocks = [block for tail in tails for block in tail.rows.blocks() if not block.is_system]
    except IndexUnreadableError:
        sealed, blocks = -1, [block for tail in tails for block in index.all_rows(tail, is_system=False)]
    return max([sealed, *(int(block.steps.max()) for block in blocks if len(block))])

"""All rows of a run as columns, a part of bounded size at a time: what an export needs of a run of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ingest.journal_tail import JournalTail
from ..ingest.row_blocks import RowBlock
from ..store.store_read import SealedRows
from .folder_index import FolderIndex, LostPieceError

if TYPE_CHECKING:
    from threading import RLock

# Of a run with very many metrics not all are read at once.
_MAX_COLUMNS = 512


@dataclass(frozen=True, slots=True)
class RowPart:
    """Some rows that one writer logged with the same keys.

    Attributes:
        writer: who.
        places: int64[n], which of the writer's rows these are: in the order logged, through all its sessions.
        steps: int64[n].
        wall_time_ns: int64[n], nanoseconds since the Unix epoch.
        columns: by metric the values, [n], in the dtype logged; object where they are no numbers.
    """

    writer: str
    places: NDArray[np.int64]
    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]


def row_parts(
    lock: RLock,
    index: FolderIndex,
    tails: Sequence[JournalTail],
    is_system: bool = False,
    from_journals: bool = False,
) -> Iterator[RowPart]:
    """Yield the rows of journals. Thread-safe: the folder's lock is held by the part.

    Args:
        lock: the folder's.
        index: the folder's.
        tails: the journals, each writer's in the order of its sessions.
        is_system: samples of the machine instead of logged rows.
        from_journals: read the journals themselves, into memory.

    Raises:
        LostPieceError: the index was built anew meanwhile, or its chunks were joined: begin again.
    """
    offsets: dict[str, int] = {}
    for tail in tails:
        writer, offset = tail.found.writer, offsets.get(tail.found.writer, 0)
        end = offset
        for part in _parts_of_journal(lock, index, tail, is_system, from_journals):
            sequences, columns = part.sequences, _columns(part)
            if len(sequences) and columns:
                yield RowPart(writer, sequences + offset, part.steps, part.wall_time_ns, columns)
                end = max(end, offset + int(sequences[-1]) + 1)
        offsets[writer] = end


def _parts_of_journal(
    lock: RLock, index: FolderIndex, tail: JournalTail, is_system: bool, from_journal: bool
) -> Iterator[SealedRows | RowBlock]:
    if from_journal:
        with lock:
            whole = index.all_rows(tail, is_system)
        yield from whole
        return
    with lock:
        sealed = index.keys_in_order(tail, is_system)
        blocks = [block for block in tail.rows.blocks() if block.is_system == is_system]
    for chunk_id, _, _ in sealed.chunks:
        for first in count(0, _MAX_COLUMNS):
            with lock:
                chunk = index.rows(chunk_id, sealed.build, first, _MAX_COLUMNS)
            if chunk is None:
                raise LostPieceError
            yield chunk
            if len(chunk.columns) < _MAX_COLUMNS:
                break
    yield from (block.between(sealed.next_sequence, 1 << 62) for block in blocks)


def _columns(part: SealedRows | RowBlock) -> dict[str, NDArray[Any]]:
    if isinstance(part, SealedRows):
        return part.columns
    return {key: part.column(place) for place, key in enumerate(part.keys)}

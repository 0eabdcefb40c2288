"""Whole rows out of columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ingest.row_blocks import RowBlock
from ..store.store_read import SealedRows


@dataclass(frozen=True, slots=True)
class Row:
    """What one `log()` call recorded."""

    step: int
    wall_time_ns: int
    values: dict[str, Any]


def rows_of_block(block: RowBlock, keys: frozenset[str] | None) -> Iterator[tuple[int, Row]]:
    """Yield (sequence, row) for each row of an unsealed block."""
    columns = {key: block.column(index) for index, key in enumerate(block.keys) if keys is None or key in keys}
    return _rows(block.sequences, block.steps, block.wall_time_ns, columns)


def rows_of_chunk(chunk: SealedRows, keys: frozenset[str] | None, first: int = 0) -> Iterator[tuple[int, Row]]:
    """Yield (sequence, row) for each row of a sealed chunk from sequence number `first` on."""
    columns = {key: values for key, values in chunk.columns.items() if keys is None or key in keys}
    rows = _rows(chunk.sequences, chunk.steps, chunk.wall_time_ns, columns)
    return rows if first == 0 else (item for item in rows if item[0] >= first)


def _rows(
    sequences: NDArray[np.int64],
    steps: NDArray[np.int64],
    wall_time_ns: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
) -> Iterator[tuple[int, Row]]:
    if not columns:
        return
    names = list(columns)
    # tolist() widens float32 exactly and gives plain Python numbers and truth values.
    table = zip(*[values.tolist() for values in columns.values()], strict=True)
    places = zip(sequences.tolist(), steps.tolist(), wall_time_ns.tolist(), table, strict=True)
    for sequence, step, wall_time, values in places:
        yield sequence, Row(step, wall_time, dict(zip(names, values, strict=True)))


def in_order(parts: Iterable[Iterable[tuple[int, Row]]]) -> Iterator[Row]:
    """Yield the rows of all parts by sequence number."""
    rows = [row for part in parts for row in part]
    rows.sort(key=lambda item: item[0])
    return (row for _, row in rows)


def overlapping(chunks: Sequence[tuple[int, int, int]]) -> Iterator[tuple[list[int], int]]:
    """Yield chunk ids in groups whose sequence ranges do not overlap those of others, with where each group stops."""
    group: list[int] = []
    end = -1
    for chunk_id, first, last in chunks:
        if group and first > end:
            yield group, end + 1
            group = []
        group.append(chunk_id)
        end = max(end, last)
    if group:
        yield group, end + 1

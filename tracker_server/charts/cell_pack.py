"""All levels of cells of some rows as the index keeps them. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from ..codec.cell_codec import encode_places, encode_values, first_sequence
from ..codec.chunk_codec import widen
from ..ingest.row_blocks import OBJECT_CODE, RowBlock
from .cells import (
    LEVEL_STRIDE,
    MAX_LEVEL,
    CellValues,
    Floats,
    Places,
    SortedRows,
    coarsen,
    fill_places,
    finest_level,
    place_rows,
    sort_rows,
)

# Fewer rows are read as quickly as cells would be.
MIN_ROWS = 2048
# How many rows wait until they are put into cells, or how many points if that is less.
N_ROWS = 65_536
N_POINTS = 1 << 22
# A longer row of cells is cut, so that a part of it can be read alone.
MAX_CELLS = 2048
# No level is kept above one with so few cells.
_FEW_CELLS = 8

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class PackedCells(Generic[K]):
    """Cells of rows of one layout.

    Attributes:
        finest_level: the lowest level.
        rows: what `cell_rows` holds of each part of each level, but for whose it is.
        columns: metric, place in `rows`, and its values there.
    """

    finest_level: int
    rows: list[dict[str, Any]]
    columns: list[tuple[K, int, bytes]]


def pack_block(block: RowBlock, is_last: bool) -> PackedCells[str] | None:
    """Return the cells of a block of rows, None where they are too few to have any, or wait for more.

    Args:
        block: in sequence order.
        is_last: whether no more rows are to come.
    """
    n_points = len(block) * len(block.keys)
    is_due = is_last or len(block) >= N_ROWS or n_points >= N_POINTS
    if not is_due or len(block) < MIN_ROWS:
        return None
    rows = sort_rows(*(np.ascontiguousarray(one) for one in (block.steps, block.sequences, block.wall_time_ns)))
    level = finest_level(rows.steps)
    return None if level is None else pack_cells(rows, level, _metrics(block))


def _metrics(block: RowBlock) -> Iterator[tuple[str, Floats]]:
    for index, (key, code) in enumerate(zip(block.keys, block.codes, strict=True)):
        if code != OBJECT_CODE:
            yield key, widen(np.ascontiguousarray(block.column(index))).astype(np.float64, copy=False)


def pack_cells(rows: SortedRows, level: int, metrics: Iterable[tuple[K, Floats]]) -> PackedCells[K]:
    """Return cells from `level` on.

    Args:
        rows: the rows, by step.
        level: the lowest.
        metrics: each with its values, float64[n], in the order that the rows had before they were sorted.
    """
    places, starts = place_rows(rows, level)
    pyramid = list(_levels(places, level))
    packed: PackedCells[K] = PackedCells(level, [], [])
    bases = []
    for at, is_top, part in pyramid:
        bases.append(len(packed.rows))
        packed.rows.extend(packed_rows(part, at, is_top))
    for key, values in metrics:
        found = fill_places(rows, [values], places, starts)
        for (at, is_top, part), base in zip(pyramid, bases, strict=True):
            packed.columns.extend(
                (key, base + place, data) for place, data in enumerate(packed_values(part, found[0], at))
            )
            if not is_top:
                _, found = coarsen(part, found)
    return packed


def _levels(places: Places, level: int) -> Iterator[tuple[int, bool, Places]]:
    """Yield level, whether it is the highest, and its places, upwards."""
    while True:
        is_top = len(places) <= _FEW_CELLS or level + LEVEL_STRIDE > MAX_LEVEL
        yield level, is_top, places
        if is_top:
            return
        (places, _), level = coarsen(places, []), level + LEVEL_STRIDE


def packed_rows(places: Places, level: int, is_top: bool) -> Iterator[dict[str, Any]]:
    """Yield what `cell_rows` holds of cells, in parts that are not too long to be read."""
    for start in range(0, len(places), MAX_CELLS):
        part = places.part(start, start + MAX_CELLS)
        packed, times = encode_places(part, level)
        yield {
            "level": level,
            "is_top": is_top,
            "n_cells": len(part),
            "first_index": int(part.index[0]),
            "first_sequence": first_sequence(part),
            "min_step": int(part.first_step[0]),
            "max_step": int(part.last_step[-1]),
            "min_time": int(part.min_time.min()),
            "max_time": int(part.max_time.max()),
            "places": packed,
            "times": times,
        }


def packed_values(places: Places, values: CellValues, level: int) -> Iterator[bytes]:
    """Yield the values of one metric, in the same parts."""
    for start in range(0, len(places), MAX_CELLS):
        stop = start + MAX_CELLS
        yield encode_values(values.part(start, stop), places.part(start, stop), level)


def pack_merged(places: Places, level: int, is_top: bool, metrics: Sequence[tuple[K, CellValues]]) -> PackedCells[K]:
    """Return cells of one level."""
    rows = list(packed_rows(places, level, is_top))
    columns = [
        (key, place, data) for key, values in metrics for place, data in enumerate(packed_values(places, values, level))
    ]
    return PackedCells(level, rows, columns)

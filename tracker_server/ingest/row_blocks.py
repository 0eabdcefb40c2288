"""Rows of one journal as NumPy columns: what the reader's packed groups and msgpack rows become. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.journal_format import COLUMN_FORMATS, Kind, row_fields
from tracker_core.journal_reader import RowGroup
from tracker_core.records import RowMap

from .nesting import check_depth

OBJECT_CODE = "o"
INTEGER_CODES = frozenset("q?Q")
_INT64_MIN, _INT64_MAX, _UINT64_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows with the same keys and types, in the order written.

    Attributes:
        keys: metric names, one per column.
        codes: type codes, one per column: those of the journal, and 'o' for values that are no numbers.
        sequences: int64[n].
        data: structured[n] with the fields step, wall_time_ns, c0, c1, ...
        is_system: whether these are samples of the machine, which are no rows of the user's.
    """

    keys: tuple[str, ...]
    codes: str
    sequences: NDArray[np.int64]
    data: NDArray[np.void]
    is_system: bool = False

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def steps(self) -> NDArray[np.int64]:
        return self.data["step"]

    @property
    def wall_time_ns(self) -> NDArray[np.int64]:
        return self.data["wall_time_ns"]

    def column(self, index: int) -> NDArray[Any]:
        """Return the values of `keys[index]`, in the dtype they were written with."""
        return self.data[f"c{index}"]

    def between(self, first: int, stop: int) -> RowBlock:
        """Return the rows whose sequence lies in [first, stop)."""
        start, end = np.searchsorted(self.sequences, (first, stop))
        if start == 0 and end == len(self):
            return self
        return self.part(int(start), int(end))

    def part(self, start: int, end: int) -> RowBlock:
        """Return the rows at these places."""
        return RowBlock(self.keys, self.codes, self.sequences[start:end], self.data[start:end], self.is_system)


@lru_cache(maxsize=4096)
def layout_id(keys: tuple[str, ...], codes: str, is_system: bool) -> int:
    """Return what names rows with these keys and types, as int64; two kinds of rows share it by a chance of 2**-64."""
    content = msgspec.msgpack.encode((keys, codes, is_system))
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little", signed=True)


@lru_cache(maxsize=4096)
def _packed_dtype(codes: str) -> np.dtype[np.void]:
    return np.dtype(row_fields(codes))


@lru_cache(maxsize=4096)
def _map_dtype(codes: str) -> np.dtype[np.void]:
    columns = [(f"c{i}", COLUMN_FORMATS.get(code, "O")) for i, code in enumerate(codes)]
    return np.dtype([("step", "<i8"), ("wall_time_ns", "<i8"), *columns])


def block_of_group(group: RowGroup) -> RowBlock:
    """Return a reader's packed rows as a block.

    Raises:
        ValueError: the schema and the bytes do not fit each other.
    """
    packed, n_rows = group.packed, len(group.sequences)
    if len(group.codes) != len(group.keys) or not set(group.codes) <= COLUMN_FORMATS.keys():
        raise ValueError(f"schema of {len(group.keys)} keys with type codes {group.codes[:40]!r}")
    dtype = _packed_dtype(group.codes)
    if len(packed) != n_rows * dtype.itemsize:
        raise ValueError(f"{n_rows} rows of {dtype.itemsize} bytes in {len(packed)} bytes")
    sequences = np.frombuffer(group.sequences, np.uint64).astype(np.int64)
    is_system = group.kind == Kind.SYSTEM
    return RowBlock(group.keys, group.codes, sequences, np.frombuffer(packed, dtype), is_system)


def blocks_of_maps(rows: Iterable[tuple[int, RowMap]]) -> list[RowBlock]:
    """Return msgpack rows as blocks, one per set of keys and types.

    Raises:
        ValueError: a value is nested too deep.
        struct.error, OverflowError: a step or time is beyond int64.
    """
    groups: dict[tuple[tuple[str, ...], str], list[tuple[int, RowMap]]] = {}
    for sequence, row in rows:
        codes = "".join([_code_of(value) for value in row.values.values()])
        if OBJECT_CODE in codes:
            check_depth(row.values)
        groups.setdefault((tuple(row.values), codes), []).append((sequence, row))
    return [_block_of_equal_maps(keys, codes, members) for (keys, codes), members in groups.items()]


def _block_of_equal_maps(keys: tuple[str, ...], codes: str, rows: list[tuple[int, RowMap]]) -> RowBlock:
    dtype = _map_dtype(codes)
    if OBJECT_CODE in codes:
        data = np.empty(len(rows), dtype)
        for index, (_, row) in enumerate(rows):
            data[index] = (row.step, row.wall_time_ns, *row.values.values())
    else:
        # Packing is a hundred times faster than assigning to thousands of fields.
        pack = struct.Struct(f"<qq{codes}").pack
        packed = b"".join([pack(row.step, row.wall_time_ns, *row.values.values()) for _, row in rows])
        data = np.frombuffer(packed, dtype)
    return RowBlock(keys, codes, np.array([sequence for sequence, _ in rows], np.int64), data)


def _code_of(value: object) -> str:
    if isinstance(value, bool):
        return "?"
    if isinstance(value, float):
        return "d"
    if isinstance(value, int):
        return "q" if _INT64_MIN <= value <= _INT64_MAX else "Q" if 0 <= value <= _UINT64_MAX else OBJECT_CODE
    return OBJECT_CODE


# Keys, codes, bytes a row, whether samples of the machine.
_Layout = tuple[tuple[str, ...], str, int, bool]


class TailRows:
    """Rows that are in memory because they are not sealed yet. Keeps one growing list of blocks per layout."""

    def __init__(self) -> None:
        self._parts: dict[_Layout, list[RowBlock]] = {}
        self._by_key: dict[tuple[str, bool], list[tuple[_Layout, int]]] = {}

    @property
    def n_columns(self) -> int:
        """How many columns all layouts have together."""
        return sum(len(layout[0]) for layout in self._parts)

    def add(self, block: RowBlock) -> None:
        """Append rows that come behind all rows of the same layout so far."""
        layout = (block.keys, block.codes, block.data.dtype.itemsize, block.is_system)
        parts = self._parts.get(layout)
        if parts is None:
            parts = self._parts[layout] = []
            for index, key in enumerate(block.keys):
                self._by_key.setdefault((key, block.is_system), []).append((layout, index))
        parts.append(block)
        # Each doubling joins what is there, so that n appends cost O(n log n) copies and reads see few parts.
        while len(parts) > 1 and len(parts[-2]) <= 2 * len(parts[-1]):
            last, before = parts.pop(), parts.pop()
            parts.append(_join((before, last)))

    def blocks(self) -> Iterator[RowBlock]:
        """Yield all rows, one block per layout."""
        for parts in self._parts.values():
            yield _join(parts)

    def columns(self, key: str, is_system: bool = False) -> Iterator[tuple[RowBlock, int]]:
        """Yield the blocks that hold a metric, with the index of its column."""
        for layout, index in self._by_key.get((key, is_system), ()):
            for block in self._parts[layout]:
                yield block, index


def _join(parts: Sequence[RowBlock]) -> RowBlock:
    first = parts[0]
    if len(parts) == 1:
        return first
    sequences = np.concatenate([part.sequences for part in parts])
    data = [part.data for part in parts]
    if OBJECT_CODE in first.codes:
        return RowBlock(first.keys, first.codes, sequences, np.concatenate(data), first.is_system)
    # As plain bytes: joining structured arrays compares their types field by field.
    whole = np.concatenate([piece.view(f"V{piece.dtype.itemsize}") for piece in data])
    return RowBlock(first.keys, first.codes, sequences, whole.view(first.data.dtype), first.is_system)


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """Aggregates of one column of a block. `n` counts finite values; min, max and sum are over these alone."""

    n: int
    n_nonfinite: int
    first: float | int
    last: float | int
    min: float | int
    max: float | int
    sum: float


def numeric_stats(block: RowBlock) -> Iterator[tuple[int, ColumnStats]]:
    """Yield (column index, aggregates) of every column of numbers; all columns of one type are computed together."""
    for code in sorted(set(block.codes) - {OBJECT_CODE}):
        indexes = [i for i, other in enumerate(block.codes) if other == code]
        table = np.stack([block.column(i) for i in indexes], axis=1)
        yield from zip(indexes, _stats_of_table(table), strict=True)


def _stats_of_table(table: NDArray[Any]) -> Iterator[ColumnStats]:
    n_rows, n_columns = table.shape
    first, last = table[0].tolist(), table[-1].tolist()
    if table.dtype == bool:
        table = table.view(np.uint8)
        first, last = [int(value) for value in first], [int(value) for value in last]
    if np.issubdtype(table.dtype, np.integer):
        finite_counts = [n_rows] * n_columns
        smallest, largest = table.min(axis=0), table.max(axis=0)
        sums = table.sum(axis=0, dtype=np.float64)
    else:
        table = table.astype(np.float64, copy=False)
        is_finite = np.isfinite(table)
        finite_counts = is_finite.sum(axis=0).tolist()
        smallest = np.where(is_finite, table, np.inf).min(axis=0)
        largest = np.where(is_finite, table, -np.inf).max(axis=0)
        with np.errstate(over="ignore"):
            sums = np.where(is_finite, table, 0.0).sum(axis=0)
    columns = zip(finite_counts, first, last, smallest.tolist(), largest.tolist(), sums.tolist(), strict=True)
    for n, first_value, last_value, low, high, total in columns:
        low, high = (low, high) if n else (math.nan, math.nan)
        yield ColumnStats(n, n_rows - n, first_value, last_value, low, high, total)

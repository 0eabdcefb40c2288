"""Cells as bytes and back, made to be read in bulk. docs/chunk_format.md has every field. Pure."""

from __future__ import annotations

import zlib
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..charts.cells import CellValues, Finite, Floats, Ints, Places
from .chunk_bytes import ByteReader, column_error, compress, decompress, u32

MAX_CELLS = 1 << 20
# A frame must win so much, since what is not compressed is read without a copy.
_WORTHWHILE = 0.9
_SAMPLE_BYTES = 2048
_N_PLACES = 7
_N_FINITE = len(Finite.__slots__)
_MAX_U32 = (1 << 32) - 1


class _Flag(IntFlag):
    ZSTD = 1
    FLOAT32 = 2
    FINITE = 4
    WIDE = 8


def encode_places(places: Places, level: int) -> tuple[bytes, bytes]:
    """Return what readers by step need of places, and the bounds of time; sequences and times begin at their lowest."""
    steps = np.stack(
        [
            places.index - places.index[0],
            places.n_rows,
            places.n_steps,
            places.first_step - (places.index << level),
            places.last_step - (places.index << level),
            places.first_sequence - first_sequence(places),
            places.last_sequence - first_sequence(places),
        ]
    )
    times = np.stack([places.min_time, places.max_time]) - places.min_time.min()
    return _encode_table(steps), _encode_table(times)


def first_sequence(places: Places) -> int:
    """Return the lowest sequence number in `places`."""
    return int(min(places.first_sequence.min(), places.last_sequence.min()))


def decode_places(data: bytes, n_cells: int, level: int, index: int, sequence: int) -> dict[str, Ints]:
    """Return the fields of `Places`, by name, but for the times.

    Args:
        data: the first that `encode_places` returned.
        n_cells: how many.
        level: of the cells.
        index: of the first cell.
        sequence: the lowest.

    Raises:
        ValueError: `data` is none of it.
    """
    steps = _decode_table(data, _N_PLACES, n_cells).astype(np.int64)
    steps[0] += index
    steps[3:5] += steps[0] << level
    steps[5:] += sequence
    names = ("index", "n_rows", "n_steps", "first_step", "last_step", "first_sequence", "last_sequence")
    return dict(zip(names, steps, strict=True))


def decode_times(data: bytes, n_cells: int, min_time: int) -> tuple[Ints, Ints]:
    """Return the bounds of time of each cell, int64[n] each. Raises ValueError as above."""
    low, high = _decode_table(data, 2, n_cells).astype(np.int64) + min_time
    return low, high


def encode_values(values: CellValues, places: Places, level: int) -> bytes:
    """Return the values of one metric in cells as bytes."""
    flags, body = _encode_floats(values.table)
    finite = values.finite
    if finite is not None:
        base, start = first_sequence(places), places.index << level
        own = np.stack(
            [
                finite.count,
                finite.first_step - start,
                finite.last_step - start,
                finite.first_sequence - base,
                finite.last_sequence - base,
            ]
        )
        is_wide, packed = _integers(own)
        flags |= _Flag.FINITE | (_Flag.WIDE if is_wide else 0)
        body += packed
    return _sealed(flags, body, len(places))


def decode_values(data: bytes, places: dict[str, Ints], level: int, sequence: int) -> CellValues:
    """Return what `encode_values` was given. Raises ValueError as above.

    Args:
        data: the bytes.
        places: what `decode_places` returned for these cells.
        level, sequence: as there.
    """
    n_cells = len(places["index"])
    flags, body = _opened(data, n_cells)
    single = 4 if flags & _Flag.FLOAT32 else 0
    n_bytes = n_cells * (single * 4 + 8 if single else 40)
    reader = ByteReader(body)
    table = _decode_floats(reader.take(n_bytes), n_cells, bool(single))
    finite = None
    if flags & _Flag.FINITE:
        own = _as_integers(reader.take(reader.n_left), _N_FINITE, n_cells, bool(flags & _Flag.WIDE)).astype(np.int64)
        own[1:3] += places["index"] << level
        own[3:] += sequence
        finite = Finite(*own)
    if reader.n_left:
        raise column_error(f"got {reader.n_left} bytes behind the end of cells")
    return CellValues(table, finite)


def _encode_floats(table: Floats) -> tuple[int, bytes]:
    with np.errstate(over="ignore"):
        single = table[:4].astype("<f4")
    if (single.astype("<f8").view("<u8") == np.ascontiguousarray(table[:4], "<f8").view("<u8")).all():
        return int(_Flag.FLOAT32), single.tobytes() + table[4].astype("<f8").tobytes()
    return 0, np.ascontiguousarray(table, "<f8").tobytes()


def _decode_floats(data: memoryview, n_cells: int, is_single: bool) -> Floats:
    if not is_single:
        return np.frombuffer(data, "<f8").reshape(5, n_cells)
    table = np.empty((5, n_cells))
    table[:4] = np.frombuffer(data, "<f4", 4 * n_cells).reshape(4, n_cells)
    table[4] = np.frombuffer(data, "<f8", n_cells, 16 * n_cells)
    return table


def _integers(table: Ints) -> tuple[bool, bytes]:
    """Return numbers from 0 on as bytes, and whether eight to a number."""
    is_wide = table.size > 0 and int(table.view(np.uint64).max()) > _MAX_U32
    return is_wide, table.astype("<i8" if is_wide else "<u4").tobytes()


def _as_integers(data: memoryview | bytes, n_rows: int, n_cells: int, is_wide: bool) -> NDArray[Any]:
    if len(data) != n_rows * n_cells * (8 if is_wide else 4):
        raise column_error(f"got {len(data)} bytes for {n_cells} cells")
    return np.frombuffer(data, "<i8" if is_wide else "<u4").reshape(n_rows, n_cells)


def _encode_table(table: Ints) -> bytes:
    is_wide, body = _integers(table)
    return _sealed(_Flag.WIDE if is_wide else 0, body, table.shape[1])


def _decode_table(data: bytes, n_rows: int, n_cells: int) -> NDArray[Any]:
    flags, body = _opened(data, n_cells)
    return _as_integers(body, n_rows, n_cells, bool(flags & _Flag.WIDE))


def _sealed(flags: int, body: bytes, n_cells: int) -> bytes:
    # Most floats are noise, which a part of them shows.
    is_noise = len(body) > 4 * _SAMPLE_BYTES and len(compress(body[:_SAMPLE_BYTES])) > 0.97 * _SAMPLE_BYTES
    frame = b"" if is_noise else compress(body)
    if frame and len(frame) < _WORTHWHILE * len(body):
        flags, body = flags | _Flag.ZSTD, frame
    content = bytes((flags,)) + body
    return u32(zlib.crc32(content, n_cells)) + content


def _opened(data: bytes, n_cells: int) -> tuple[int, memoryview | bytes]:
    if not 0 < n_cells <= MAX_CELLS or len(data) < 5:
        raise column_error(f"got {len(data)} bytes for {n_cells} cells")
    view = memoryview(data)
    if int.from_bytes(view[:4], "little") != zlib.crc32(view[4:], n_cells):
        raise column_error("the checksum of cells does not fit")
    flags = view[4]
    if not flags & _Flag.ZSTD:
        return flags, view[5:]
    # No cell takes more than its floats and its own places.
    try:
        return flags, decompress(view[5:], None)
    except ValueError as error:
        raise column_error(str(error)) from error

"""Columns of values as compressed bytes and back, exactly. docs/chunk_format.md has every field.

An encoded column is a checksum, one byte naming the type of its values, and what `chunk_forms` makes of numbers, bits
of truth values, or msgpack of values that are neither.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .chunk_bytes import ByteReader, column_error, compress, decompress, pack_bytes, u32, unpack_bytes
from .chunk_forms import decode_form, encode_form
from .chunk_planes import decode_bits, encode_bits

__all__ = ["MAX_VALUES", "decode_column", "encode_column", "encode_integers", "pack_bytes", "unpack_bytes", "widen"]

# How many values a column may hold: more is refused before memory is taken for them.
MAX_VALUES = 1 << 20
_FORMATS: dict[str, np.dtype[Any]] = {
    "d": np.dtype("<f8"),
    "f": np.dtype("<f4"),
    "q": np.dtype("<i8"),
    "Q": np.dtype("<u8"),
}
_BOOL = "?"
_OBJECT = "o"
# Larger ones are split, so that a few values are read without decoding all, and no frame comes near what is refused.
_OBJECT_FRAME_BYTES = 256 << 10
_CRC_BYTES = 4

_encode_msgpack = msgspec.msgpack.Encoder().encode
_decode_msgpack = msgspec.msgpack.Decoder(list[Any]).decode
_split_msgpack = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_value = msgspec.msgpack.Decoder().decode


def encode_column(values: NDArray[Any], code: str) -> bytes:
    """Return the bytes of one column of at most `MAX_VALUES` values.

    Args:
        values: [n], of the dtype that the journal's type `code` names; `object[n]` for code 'o'.
        code: d float64, f float32, q int64, Q uint64, ? bool, o anything msgpack can hold.
    """
    if len(values) > MAX_VALUES:
        raise ValueError(f"a stored column: got {len(values)} values, expected at most {MAX_VALUES}")
    if code == _OBJECT:
        body = _encode_objects(values.tolist())
    elif code == _BOOL:
        body = encode_bits(np.ascontiguousarray(values, dtype=np.bool_))
    else:
        body = encode_form(np.ascontiguousarray(values, dtype=_FORMATS[code]))
    content = code.encode() + body
    return u32(_checksum(content, len(values))) + content


def encode_integers(values: NDArray[np.int64]) -> bytes:
    """Return the bytes of int64[n]."""
    return encode_column(values, "q")


def decode_column(data: bytes, n_values: int) -> NDArray[Any]:
    """Return the column in `data` in the dtype it was stored with (code 'q' and integers: int64).

    Raises:
        ValueError: `data` is not an encoded column of `n_values` values.
    """
    if not 0 <= n_values <= MAX_VALUES:
        raise column_error(f"got {n_values} values, expected 0 to {MAX_VALUES}")
    reader = ByteReader(data)
    if reader.u32() != _checksum(memoryview(data)[_CRC_BYTES:], n_values):
        raise column_error(f"its checksum is not that of {reader.n_left} bytes for {n_values} values")
    code = chr(reader.u8())
    if code not in _FORMATS and code not in (_BOOL, _OBJECT):
        raise column_error(f"got type {code!r}, expected one of dfqQ?o")
    if code == _OBJECT:
        values = _decode_objects(reader, n_values)
    elif code == _BOOL:
        values = decode_bits(reader, n_values)
    else:
        values = decode_form(reader, n_values, _FORMATS[code])
    if reader.n_left:
        raise column_error(f"got {reader.n_left} bytes behind its end")
    return values


def widen(values: NDArray[Any]) -> NDArray[Any]:
    """Return a stored column as int64, float64 or object: the smallest of these that holds every value exactly.

    uint64 beyond int64 becomes float64, which is the one step that rounds.
    """
    if values.dtype == np.float64 or values.dtype == np.int64 or values.dtype == object:
        return values
    if values.dtype == np.float32:
        return values.astype(np.float64)
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        return values.astype(np.float64)
    return values.astype(np.int64)


def _checksum(content: bytes | memoryview, n_values: int) -> int:
    return zlib.crc32(content, n_values)


def _encode_objects(values: list[Any]) -> bytes:
    body = _encode_msgpack(values)
    if len(body) <= _OBJECT_FRAME_BYTES or len(values) <= 1:
        return _object_frame(body)
    frames: list[bytes] = []
    held: list[bytes] = []
    n_bytes = 0
    for value in values:
        one = _encode_msgpack(value)
        if held and n_bytes + len(one) > _OBJECT_FRAME_BYTES:
            frames.append(_object_frame(_list_head(len(held)) + b"".join(held)))
            held, n_bytes = [], 0
        held.append(one)
        n_bytes += len(one)
    return b"".join([*frames, _object_frame(_list_head(len(held)) + b"".join(held))])


def _object_frame(body: bytes) -> bytes:
    frame = compress(body)
    return u32(len(frame)) + frame


def _list_head(n: int) -> bytes:
    """Return what msgpack writes in front of a list of `n` values."""
    return bytes([0x90 | n]) if n < 16 else struct.pack(">BH", 0xDC, n) if n < 1 << 16 else struct.pack(">BI", 0xDD, n)


def _list_length(body: bytes) -> int:
    """Return how many values a list of msgpack says it has; raises ValueError where it is none."""
    if body and body[0] & 0xF0 == 0x90:
        return body[0] & 0x0F
    form = {0xDC: ">xH", 0xDD: ">xI"}.get(body[0] if body else 0)
    if form is None or len(body) < struct.calcsize(form):
        raise ValueError("a frame that is no list")
    return int(struct.unpack_from(form, body)[0])


def decode_objects(data: bytes, n_values: int, places: Sequence[int]) -> list[Any]:
    """Return the values at these ascending places of a column of type 'o'; only those are decoded.

    Raises:
        ValueError: `data` is not an encoded column of `n_values` values that are no numbers.
    """
    reader = ByteReader(data)
    if reader.u32() != _checksum(memoryview(data)[_CRC_BYTES:], n_values) or chr(reader.u8()) != _OBJECT:
        raise column_error(f"got {len(data)} bytes that are no {n_values} values of type 'o'")
    found: list[Any] = []
    place = 0
    while reader.n_left and len(found) < len(places):
        frame = reader.take(reader.u32())
        try:
            body = decompress(frame)
            n_in_frame = _list_length(body)
            if places[len(found)] < place + n_in_frame:
                raw = _split_msgpack(body)
                end = bisect_left(places, place + n_in_frame)
                found.extend(_decode_value(raw[wanted - place]) for wanted in places[len(found) : end])
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise column_error(str(error)) from error
        place += n_in_frame
    return found


def _decode_objects(reader: ByteReader, n_values: int) -> NDArray[Any]:
    decoded: list[Any] = []
    while reader.n_left:
        frame = reader.take(reader.u32())
        try:
            decoded.extend(_decode_msgpack(decompress(frame)))
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise column_error(str(error)) from error
    if len(decoded) != n_values:
        raise column_error(f"got {len(decoded)} values, expected {n_values}")
    values = np.empty(n_values, dtype=object)
    for index, value in enumerate(decoded):
        values[index] = value
    return values

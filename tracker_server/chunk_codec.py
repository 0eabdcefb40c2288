"""Columns of values as compressed bytes and back, exactly.

An encoded column is one byte naming its form, then a zstd frame. Numbers have their bytes transposed first (all lowest
bytes, then all second lowest, ...), which makes the slowly changing bytes of neighbours compress; steps, times and
other integers are stored as differences. Values that are no numbers are msgpack.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

_LEVEL = 1
_FORMATS: dict[str, np.dtype[Any]] = {
    "d": np.dtype("<f8"),
    "f": np.dtype("<f4"),
    "q": np.dtype("<i8"),
    "Q": np.dtype("<u8"),
    "?": np.dtype("?"),
}
_OBJECT = "o"
_DELTA = "i"

_encode_msgpack = msgspec.msgpack.Encoder().encode
_decode_msgpack = msgspec.msgpack.Decoder(list[Any]).decode


def encode_column(values: NDArray[Any], code: str) -> bytes:
    """Return the bytes of one column.

    Args:
        values: [n], of the dtype that the journal's type `code` names; `object[n]` for code 'o'.
        code: d float64, f float32, q int64, Q uint64, ? bool, o anything msgpack can hold.
    """
    if code == _OBJECT:
        return _OBJECT.encode() + _compress(_encode_msgpack(values.tolist()))
    if code == "q":
        return encode_integers(values)
    numbers = np.ascontiguousarray(values, dtype=_FORMATS[code])
    return code.encode() + _compress(_transpose_bytes(numbers))


def encode_integers(values: NDArray[np.int64]) -> bytes:
    """Return the bytes of int64[n] as differences; a difference beyond 64 bits wraps round and back."""
    numbers = np.ascontiguousarray(values, dtype=np.int64).view(np.uint64)
    deltas = np.diff(numbers, prepend=np.zeros(1, np.uint64))
    return _DELTA.encode() + _compress(_transpose_bytes(deltas))


def decode_column(data: bytes, n_values: int) -> NDArray[Any]:
    """Return the column in `data` in the dtype it was stored with (code 'q' and integers: int64).

    Raises:
        ValueError: `data` is not an encoded column of `n_values` values.
    """
    form = chr(data[0]) if data else ""
    if form not in _FORMATS and form not in (_DELTA, _OBJECT):
        raise ValueError(f"stored column: got form {form!r}, expected one of dfqQ?io; delete the index to rebuild it")
    try:
        body = _coders.decompressor.decompress(memoryview(data)[1:])
    except zstandard.ZstdError as error:
        raise ValueError(f"stored column: {error}; delete the index to rebuild it") from error
    values = _decode_objects(body) if form == _OBJECT else _decode_numbers(body, form)
    if len(values) != n_values:
        raise ValueError(
            f"stored column: got {len(values)} values, expected {n_values}; delete the index to rebuild it"
        )
    return values


def pack_bytes(data: bytes) -> bytes:
    """Return `data` compressed."""
    return _compress(data)


def unpack_bytes(data: bytes) -> bytes:
    """Return what `pack_bytes` was given.

    Raises:
        ValueError: `data` is not of it.
    """
    try:
        return _coders.decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(f"stored bytes: {error}; delete the index to rebuild it") from error


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


def _decode_numbers(body: bytes, form: str) -> NDArray[Any]:
    dtype = np.dtype("<u8") if form == _DELTA else _FORMATS[form]
    n_values = len(body) // dtype.itemsize
    planes = np.frombuffer(body, np.uint8).reshape(dtype.itemsize, n_values)
    numbers = np.array(planes.T, order="C").reshape(-1).view(dtype)
    if form != _DELTA:
        return numbers
    np.cumsum(numbers, out=numbers)
    return numbers.view(np.int64)


def _decode_objects(body: bytes) -> NDArray[Any]:
    decoded = _decode_msgpack(body)
    values = np.empty(len(decoded), dtype=object)
    for index, value in enumerate(decoded):
        values[index] = value
    return values


def _transpose_bytes(numbers: NDArray[Any]) -> bytes:
    planes = numbers.view(np.uint8).reshape(len(numbers), numbers.dtype.itemsize)
    return planes.T.tobytes()


class _Coders(threading.local):
    """One coder each per thread: they are costly to make and must not be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_coders = _Coders()


def _compress(data: bytes) -> bytes:
    return _coders.compressor.compress(data)

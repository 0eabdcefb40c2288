"""Unsigned words as byte planes: all lowest bytes, then all second lowest, ..., each packed on its own. Pure.

In a plane stand bytes of like meaning: one of noise is kept as it is, one that never changes is one byte, and only what
lies between is compressed. Words may be replaced by their differences first.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunk_bytes import ByteReader, column_error, compress, decompress, u32

# Fewer bytes than a frame can win back.
_MIN_COMPRESSED = 24


class Plane(IntEnum):
    """How one plane is kept."""

    CONSTANT = 0
    RAW = 1
    ZSTD = 2


class Transform(IntEnum):
    """What stands in the planes: words w(i), or differences d(i) = w(i) - w(i-1), modulo the width of a word.

    All but the plain ones are zigzag-coded: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
    """

    PLAIN = 0
    ZIGZAG = 1
    DELTA = 2
    DELTA_OF_DELTA = 3


_N_HEADS = {Transform.PLAIN: 0, Transform.ZIGZAG: 0, Transform.DELTA: 1, Transform.DELTA_OF_DELTA: 2}


def encode_words(words: NDArray[Any], transform: Transform) -> bytes:
    """Return uint64[n] or uint32[n] as bytes. n is at least the order of the difference."""
    heads = b""
    for _ in range(_N_HEADS[transform]):
        heads += words[:1].tobytes()
        words = words[1:] - words[:-1]
    if transform is not Transform.PLAIN:
        words = _zigzag(words)
    n_planes = (int(words.max()).bit_length() + 7) // 8 if len(words) else 0
    table = words.view(np.uint8).reshape(len(words), words.dtype.itemsize)
    planes = [encode_plane(table[:, index]) for index in range(n_planes)]
    return b"".join([bytes((transform,)), heads, bytes((n_planes,)), *planes])


def decode_words(reader: ByteReader, n_words: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what `encode_words` was given.

    Args:
        reader: stands at its first byte.
        n_words: how many words there are, which the caller has checked to be a size to take memory for.
        dtype: `<u8` or `<u4`.

    Raises:
        ValueError: the bytes are none of it.
    """
    code, size = reader.u8(), dtype.itemsize
    if code >= len(Transform) or n_words < _N_HEADS[Transform(code)]:
        raise column_error(f"got transform {code} for {n_words} words")
    transform = Transform(code)
    heads = [reader.word(size) for _ in range(_N_HEADS[transform])]
    n_planes, n_rest = reader.u8(), n_words - len(heads)
    if n_planes > size:
        raise column_error(f"got {n_planes} planes, expected at most {size}")
    words = np.zeros(n_words, dtype)
    table = words[len(heads) :].view(np.uint8).reshape(n_rest, size)
    for index in range(n_planes):
        table[:, index] = decode_plane(reader, n_rest)
    if transform is not Transform.PLAIN:
        _unzigzag(words[len(heads) :])
    for order in reversed(range(len(heads))):
        words[order] = heads[order]
        np.cumsum(words[order:], out=words[order:])
    return words


def encode_plane(plane: NDArray[np.uint8]) -> bytes:
    """Return uint8[n], n > 0, as bytes."""
    data = plane.tobytes()
    if data.count(data[:1]) == len(data):
        return bytes((Plane.CONSTANT,)) + data[:1]
    if len(data) >= _MIN_COMPRESSED:
        frame = compress(data)
        if len(frame) + 4 < len(data):
            return bytes((Plane.ZSTD,)) + u32(len(frame)) + frame
    return bytes((Plane.RAW,)) + data


def decode_plane(reader: ByteReader, n_bytes: int) -> NDArray[np.uint8] | int:
    """Return what `encode_plane` was given, or the one value of a constant plane. Raises ValueError as above."""
    kind = reader.u8()
    if kind == Plane.CONSTANT:
        return reader.u8()
    if kind == Plane.RAW:
        return np.frombuffer(reader.take(n_bytes), np.uint8)
    if kind != Plane.ZSTD:
        raise column_error(f"got plane {kind}, expected 0, 1 or 2")
    frame = reader.take(reader.u32())
    try:
        return np.frombuffer(decompress(frame, n_bytes), np.uint8)
    except ValueError as error:
        raise column_error(str(error)) from error


def encode_bits(bits: NDArray[np.bool_]) -> bytes:
    """Return bool[n] as bytes, eight to one."""
    return encode_plane(np.packbits(bits, bitorder="little")) if len(bits) else b""


def decode_bits(reader: ByteReader, n_bits: int) -> NDArray[np.bool_]:
    """Return what `encode_bits` was given. Raises ValueError as above."""
    if not n_bits:
        return np.zeros(0, np.bool_)
    packed = np.empty((n_bits + 7) // 8, np.uint8)
    packed[:] = decode_plane(reader, len(packed))
    return np.unpackbits(packed, count=n_bits, bitorder="little").view(np.bool_)


def _zigzag(words: NDArray[Any]) -> NDArray[Any]:
    signed = words.view(words.dtype.str.replace("u", "i"))
    zigzag: NDArray[Any] = ((signed << 1) ^ (signed >> (8 * words.dtype.itemsize - 1))).view(words.dtype)
    return zigzag


def _unzigzag(words: NDArray[Any]) -> None:
    """Take zigzag back, in place."""
    signs = words & words.dtype.type(1)
    words >>= words.dtype.type(1)
    words ^= np.negative(signs, out=signs)

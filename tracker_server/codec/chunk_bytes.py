"""The smallest parts of a stored column: zstd frames, and bytes read with every declared size checked first."""

from __future__ import annotations

import struct
import threading

import zstandard

# Higher ones cost time and win no bytes, lower ones lose them; measured by benchmarks/store_size.py.
LEVEL = 1
# What one frame may hold at most. A size is refused before memory is taken for it.
MAX_FRAME_BYTES = 1 << 30

_U32 = struct.Struct("<I")


class ByteReader:
    """Takes a stored column apart from front to back."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    @property
    def n_left(self) -> int:
        """How many bytes were not taken yet."""
        return len(self._data) - self._at

    def take(self, n_bytes: int) -> memoryview:
        """Return the next bytes. Raises ValueError where there are fewer."""
        if n_bytes > self.n_left:
            raise column_error(f"got {self.n_left} bytes where {n_bytes} are to follow")
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def u8(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def u32(self) -> int:
        """Return the next four bytes as an unsigned integer."""
        return int(_U32.unpack(self.take(4))[0])

    def word(self, n_bytes: int) -> int:
        """Return the next bytes as an unsigned integer."""
        return int.from_bytes(self.take(n_bytes), "little")


def column_error(what: str) -> ValueError:
    """Return the error that says what is wrong with a stored column."""
    return ValueError(f"stored column: {what}; delete the index to rebuild it")


def u32(number: int) -> bytes:
    """Return an unsigned integer as four bytes."""
    return _U32.pack(number)


class _Coders(threading.local):
    """One coder each per thread: they are costly to make and must not be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.with_checksum = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


coders = _Coders()


def compress(data: bytes | memoryview) -> bytes:
    """Return a zstd frame that knows its size, without a checksum."""
    return coders.compressor.compress(data)


def decompress(frame: bytes | memoryview, n_bytes: int | None = None) -> bytes:
    """Return what is in a zstd frame.

    Args:
        frame: the whole frame and nothing else.
        n_bytes: how much must be in it; None takes anything up to `MAX_FRAME_BYTES`.

    Raises:
        ValueError: it is no such frame. No memory is taken for what it claims to hold.
    """
    try:
        declared = zstandard.frame_content_size(frame)
        if declared < 0 or declared > MAX_FRAME_BYTES or n_bytes not in (None, declared):
            expected = f"at most {MAX_FRAME_BYTES}" if n_bytes is None else str(n_bytes)
            raise ValueError(f"got a frame of {declared} bytes, expected {expected}")
        return coders.decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def pack_bytes(data: bytes) -> bytes:
    """Return `data` compressed, with a checksum."""
    return coders.with_checksum.compress(data)


def unpack_bytes(data: bytes) -> bytes:
    """Return what `pack_bytes` was given.

    Raises:
        ValueError: `data` is not of it.
    """
    try:
        return decompress(data)
    except ValueError as error:
        raise ValueError(f"stored bytes: {error}; delete the index to rebuild it") from error

"""Pixels as a PNG file, in a third of the time that a general encoder takes. Pure.

Each line is kept as differences from the pixel to the left (filter "sub"), compressed by runs and Huffman codes alone
(zlib's Z_RLE, made for PNG): of photographs that is as small as the slow search for longer matches at its lowest level.
W3C, Portable Network Graphics (PNG) Specification (Third Edition), 2025.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_NO_FILTER, _SUB = 0, 1
_Z_RLE = 3


def encode_png(pixels: Any, is_hurried: bool = False) -> bytes:
    """Return pixels as a PNG file.

    Args:
        pixels: uint8 of shape (height, width), or (height, width, 3 or 4).
        is_hurried: do not compress; a tenth of the time.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    n_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    flat = pixels.reshape(height, width * n_channels)
    lines = np.empty((height, flat.shape[1] + 1), np.uint8)
    lines[:, 0] = _NO_FILTER if is_hurried else _SUB
    if is_hurried:
        lines[:, 1:] = flat
    else:
        lines[:, 1 : 1 + n_channels] = flat[:, :n_channels]
        np.subtract(flat[:, n_channels:], flat[:, :-n_channels], out=lines[:, 1 + n_channels :])
    compressor = zlib.compressobj(0 if is_hurried else 1, zlib.DEFLATED, 15, 9, _Z_RLE)
    data = compressor.compress(lines.data) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[n_channels], 0, 0, 0)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))))

"""The bytes of a journal: block header, record frame, packed rows.

A journal file is a run of blocks, each at most `MAX_BLOCK_BYTES` long and readable without the others:

    block  = header record*
    header = magic 8s | version u8 | 3 zero bytes | block index u32 | first sequence u64 | session 16s
             | created ns i64 | crc u32
    record = body length u16 | kind u8 | body | crc u32

All integers are little-endian. A header's CRC-32 covers the bytes before it. A record's CRC-32 covers its length, kind
and body and is seeded with the CRC of the record before it (the first with the header's), so a record is valid only in
its place. docs/journal_format.md describes every field; this module is the only one that knows the layout.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

MAGIC = b"\x89TRKJ\r\n\x1a"
FORMAT_VERSION = 1
MAX_BLOCK_BYTES = 65536

_HEADER = struct.Struct("<8sB3xIQ16sq")
FRAME = struct.Struct("<HB")
CRC = struct.Struct("<I")
FRAGMENT = struct.Struct("<BHH")

HEADER_BYTES = _HEADER.size + CRC.size
FRAME_OVERHEAD_BYTES = FRAME.size + CRC.size
MAX_BODY_BYTES = MAX_BLOCK_BYTES - HEADER_BYTES - FRAME_OVERHEAD_BYTES

# What a packed row holds before its values: schema slot, step, wall time.
ROW_PREFIX_CODES = "Hqq"
ROW_PREFIX = struct.Struct("<" + ROW_PREFIX_CODES)

# Column type code -> the NumPy format of the same bytes.
COLUMN_FORMATS = {"d": "<f8", "f": "<f4", "q": "<i8", "Q": "<u8", "?": "?"}


class Kind(IntEnum):
    """What a record is. Numbers are never reused; a reader skips and counts those it does not know."""

    SESSION = 1
    SCHEMA = 2
    ROW = 3
    ROW_MAP = 4
    FILL = 5
    CONFIG = 6
    SUMMARY = 7
    METRIC = 8
    CONSOLE = 9
    SYSTEM = 10
    MEDIA = 11
    ARTIFACT_USE = 12
    ARTIFACT_LOG = 13
    ALERT = 14
    STATE = 15
    DROPPED = 16
    HEARTBEAT = 17
    FRAGMENT = 18
    RUN_EDIT = 19
    SUSPENDED = 20
    FILE = 21
    ENVIRONMENT = 22
    CLOCK = 23


class BlockHeader(NamedTuple):
    """The decoded header of a block; `crc` seeds the CRC of its first record."""

    version: int
    block_index: int
    first_sequence: int
    session: bytes
    created_ns: int
    crc: int


def pack_header(block_index: int, first_sequence: int, session: bytes, created_ns: int) -> bytes:
    """Return the `HEADER_BYTES` bytes that open a block."""
    fields = _HEADER.pack(MAGIC, FORMAT_VERSION, block_index, first_sequence, session, created_ns)
    return fields + CRC.pack(crc32(fields))


def unpack_header(data: bytes | memoryview, offset: int = 0) -> BlockHeader | None:
    """Return the header at `offset`, or None where no intact one lies there."""
    if len(data) - offset < HEADER_BYTES:
        return None
    magic, version, block_index, first_sequence, session, created_ns = _HEADER.unpack_from(data, offset)
    if magic != MAGIC:
        return None
    crc = crc32(data[offset : offset + _HEADER.size])
    if (crc,) != CRC.unpack_from(data, offset + _HEADER.size):
        return None
    return BlockHeader(version, block_index, first_sequence, session, created_ns, crc)


def frame_record(kind: int, body: bytes, previous_crc: int) -> tuple[bytes, int]:
    """Return a framed record and its CRC. `body` is at most `MAX_BODY_BYTES` long."""
    framed = FRAME.pack(len(body), kind) + body
    crc = crc32(framed, previous_crc)
    return framed + CRC.pack(crc), crc


def row_struct(codes: str) -> struct.Struct:
    """Return the packer of a row record without its CRC: length, kind, slot, step, time, then one value per code."""
    return struct.Struct("<HB" + ROW_PREFIX_CODES + codes)


def row_fields(codes: str) -> list[tuple[str, str]]:
    """Return the NumPy structured dtype, as a list, of row records with these column codes, frame and CRC included."""
    columns = [(f"c{i}", COLUMN_FORMATS[code]) for i, code in enumerate(codes)]
    prefix = [("frame", f"V{FRAME.size}"), ("slot", "<u2"), ("step", "<i8"), ("wall_time_ns", "<i8")]
    return [*prefix, *columns, ("crc", "<u4")]

"""The bytes of a pack: chunks one after another, an index, a footer. Pure.

    chunks    the bytes of each, nothing between them
    index     msgpack [project, [[digest, size in bytes], ...]], in the order of the chunks
    footer    32 bytes, little endian: magic "trkrpack", version u16, zero u16, CRC-32 of the index u32,
              length of the index u64, CRC-32 of the footer up to here u32, zero u32

So what is in a pack, and of which project, is known from the pack alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tracker_core.artifacts.manifest import DIGEST_BYTES
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES
from tracker_core.errors import TrackerError

MAGIC = b"trkrpack"
VERSION = 1
_FOOTER = struct.Struct("<8sHHIQ")
_FOOTER_END = struct.Struct("<II")
FOOTER_BYTES = _FOOTER.size + _FOOTER_END.size
# Of a pack of the smallest chunks; what says more is no index.
MAX_INDEX_BYTES = 256 << 20


class DamagedPackError(TrackerError):
    """A pack cannot be read: its index or its size is not what it should be."""

    def __init__(self, where: str, got: str) -> None:
        super().__init__(where, got)
        self.where, self.got = where, got

    def __str__(self) -> str:
        remedy = "put a backup of the file in its place, or log again the versions that `tracker artifact verify` names"
        return f"{self.where}: got {self.got}, expected a whole pack. Remedy: {remedy}."


@dataclass(frozen=True, slots=True)
class PackIndex:
    """What is in a pack: (digest, offset, size in bytes) of each chunk, in order."""

    project: str
    chunks: Sequence[tuple[bytes, int, int]]


def encode_tail(project: str, chunks: Sequence[tuple[bytes, int, int]]) -> bytes:
    """Return the index and the footer of a pack."""
    index = msgspec.msgpack.encode((project, [(digest, size_bytes) for digest, _, size_bytes in chunks]))
    footer = _FOOTER.pack(MAGIC, VERSION, 0, zlib.crc32(index), len(index))
    return index + footer + _FOOTER_END.pack(zlib.crc32(footer), 0)


def index_bytes(footer: bytes, pack_bytes: int, where: str) -> int:
    """Return how long the index is that stands before a footer.

    Args:
        footer: the last `FOOTER_BYTES` of the pack.
        pack_bytes: the size of the whole pack.
        where: the pack, for errors.

    Raises:
        DamagedPackError: this is no footer, of a version that is not known, or does not fit the pack.
    """
    n_index = _decode_footer(footer, where)[1]
    if n_index > min(pack_bytes - FOOTER_BYTES, MAX_INDEX_BYTES):
        raise DamagedPackError(where, f"an index of {n_index:,} bytes in a pack of {pack_bytes:,}")
    return n_index


def decode_tail(tail: bytes, pack_bytes: int, where: str) -> PackIndex:
    """Return what is in a pack from its index and footer, the last bytes of it.

    Raises:
        DamagedPackError: they are not those of a whole pack of that size.
    """
    crc, n_index = _decode_footer(tail[-FOOTER_BYTES:], where)
    index = tail[:-FOOTER_BYTES][-n_index:] if n_index else b""
    if len(index) != n_index or zlib.crc32(index) != crc:
        raise DamagedPackError(where, "an index whose checksum is wrong")
    try:
        project, sizes = msgspec.msgpack.decode(index, type=tuple[str, list[tuple[bytes, int]]])
    except msgspec.MsgspecError as error:
        raise DamagedPackError(where, f"an index that cannot be read ({error})") from None
    chunks, offset = [], 0
    for digest, size_bytes in sizes:
        if len(digest) != DIGEST_BYTES or not 0 < size_bytes <= MAX_CHUNK_BYTES:
            raise DamagedPackError(where, "a chunk without a valid digest or size")
        chunks.append((digest, offset, size_bytes))
        offset += size_bytes
    if offset + n_index + FOOTER_BYTES != pack_bytes:
        raise DamagedPackError(where, f"{pack_bytes:,} bytes, of which its index explains {offset:,}")
    return PackIndex(project, chunks)


def _decode_footer(footer: bytes, where: str) -> tuple[int, int]:
    if len(footer) != FOOTER_BYTES:
        raise DamagedPackError(where, "a file too short for a footer")
    magic, version, _, crc, n_index = _FOOTER.unpack_from(footer)
    footer_crc, _ = _FOOTER_END.unpack_from(footer, _FOOTER.size)
    if magic != MAGIC or zlib.crc32(footer[: _FOOTER.size]) != footer_crc:
        raise DamagedPackError(where, "no footer at its end")
    if version != VERSION:
        raise DamagedPackError(where, f"a pack of version {version}; this program knows {VERSION}")
    return crc, n_index

"""The manifest of a version: which files it has, and of which chunks each is made. Pure.

A chunk is a piece of a file, stored once per project under the BLAKE3 of its bytes. How files are cut is no part of
what a version is: the digest of a manifest is that of paths, sizes, contents and references alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ..errors import UsageError
from ..file_names import check_file_name

FORMAT = 1
DIGEST_BYTES = 32
MAX_ENTRIES = 10_000_000
MAX_MANIFEST_BYTES = 2 << 30


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a file: the BLAKE3 of its bytes and how many there are."""

    digest: bytes
    size_bytes: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file of a version, or a reference to an object elsewhere.

    Attributes:
        path: its name in the version, with forward slashes.
        size_bytes: of the content; of a reference what its store said, -1 unknown.
        digest: BLAKE3 of the content; empty for a reference.
        chunks: what the content is made of, in order; empty where it is one chunk, whose digest is `digest`.
        reference: the address of an object that is not stored here, such as "s3://bucket/key"; "" for a file.
        checksum: what the object's store said of its content, such as "etag:..." or "md5:..."; "" not known.
    """

    path: str
    size_bytes: int
    digest: bytes = b""
    chunks: tuple[Chunk, ...] = ()
    reference: str = ""
    checksum: str = ""

    @property
    def all_chunks(self) -> tuple[Chunk, ...]:
        """What the content is made of; nothing for a reference and for an empty file."""
        if self.chunks or self.reference or not self.size_bytes:
            return self.chunks
        return (Chunk(self.digest, self.size_bytes),)


class Manifest:
    """The entries of a version, sorted by path. Never changed after it was made.

    Args:
        entries: in any order.

    Raises:
        UsageError: two entries have one path, or a path, size or digest is not valid.
    """

    __slots__ = ("_by_path",)

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_path: dict[str, Entry] = {}
        for entry in sorted(entries, key=lambda one: one.path):
            _check(entry)
            if entry.path in self._by_path:
                remedy = "remove one of them, or give one another name"
                raise UsageError("artifact", f"two files named {entry.path!r}", "one file of a name", remedy)
            self._by_path[entry.path] = entry

    def __len__(self) -> int:
        return len(self._by_path)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_path.values())

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def get(self, path: str) -> Entry | None:
        """Return the entry of a path, None where there is none."""
        return self._by_path.get(path)

    @property
    def size_bytes(self) -> int:
        """Of all entries of which the size is known."""
        return sum(entry.size_bytes for entry in self if entry.size_bytes > 0)

    @property
    def n_references(self) -> int:
        """How many entries are references."""
        return sum(1 for entry in self if entry.reference)

    def digest(self) -> str:
        """Return the BLAKE3 of what the version holds, hexadecimal: the same content has the same."""
        from blake3 import blake3

        hasher = blake3(b"tracker manifest 1\n")
        for one in self:
            content = one.digest.hex() if not one.reference else f"{one.reference}\n{one.checksum}"
            hasher.update(f"{len(one.path.encode())}:{one.path}\n{one.size_bytes}\n{content}\n".encode())
        return hasher.hexdigest()

    def encode(self) -> bytes:
        """Return the manifest as zstd-compressed msgpack."""
        import zstandard

        return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode((FORMAT, list(self))))


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest in bytes that `Manifest.encode` gave.

    Raises:
        UsageError: they are not that, are too large, or an entry is not valid.
    """
    import zstandard

    where = "artifact manifest"
    try:
        if zstandard.frame_content_size(data) > MAX_MANIFEST_BYTES:
            raise UsageError(where, "more than 2 GiB", "a smaller manifest", "log several artifacts")
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_MANIFEST_BYTES)
        number, entries = msgspec.msgpack.decode(raw, type=tuple[int, list[Entry]])
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise UsageError(where, f"bytes that cannot be read ({error})", "a manifest", "log the artifact anew") from None
    if number != FORMAT:
        remedy = "update the tracker here to the version that wrote it"
        raise UsageError(where, f"format {number}", f"format {FORMAT}", remedy)
    return Manifest(entries)


def _check(entry: Entry) -> None:
    check_file_name(entry.path)
    where = f"artifact file {entry.path!r}"
    if entry.reference:
        if entry.digest or entry.chunks:
            raise UsageError(where, "a reference with content", "one of the two", "log the artifact anew")
        return
    if len(entry.digest) != DIGEST_BYTES or entry.size_bytes < 0:
        raise UsageError(where, "no valid digest or size", "a BLAKE3 digest and a size", "log the artifact anew")
    for chunk in entry.chunks:
        if len(chunk.digest) != DIGEST_BYTES or chunk.size_bytes < 1:
            raise UsageError(where, "a chunk without a valid digest or size", "valid chunks", "log the artifact anew")
    if entry.chunks and sum(chunk.size_bytes for chunk in entry.chunks) != entry.size_bytes:
        raise UsageError(where, "chunks that do not add up to its size", "chunks that do", "log the artifact anew")

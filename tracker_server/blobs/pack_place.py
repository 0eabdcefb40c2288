"""Where packs are: a folder, or an object store. tests/blobs/test_pack_places.py runs on both."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

TEMPORARY_PREFIX = ".part-"
PACK_SUFFIX = ".pack"
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A pack as it lies there. `changed_ns` is in ns since the Unix epoch, by the clock of the place."""

    pack_id: str
    size_bytes: int
    changed_ns: int


class OpenPack(Protocol):
    """A pack being written, which nobody sees before it is sealed."""

    pack_id: str

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OSError."""

    def seal(self) -> None:
        """Put the pack into its place, whole and for good. Raises OSError; it may then be there all the same."""

    def discard(self) -> None:
        """Remove what was written. Never raises OSError."""


class PackPlace(Protocol):
    """Where packs are. Thread-safe. `folder` is the name of a project's folder (`project_dir_name`).

    All methods raise OSError where the place does not answer or refuses, FileNotFoundError where a pack is not there.
    """

    @property
    def place(self) -> str:
        """The path or address, without secrets."""

    def new_pack(self, folder: str) -> OpenPack:
        """Begin a pack under a new random id."""

    def read_ranges(self, folder: str, pack_id: str, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the bytes at each (offset, size in bytes); fewer where the pack ends before."""

    def size_bytes(self, folder: str, pack_id: str) -> int: ...

    def projects(self) -> list[str]:
        """Return the names of the folders that there are."""

    def packs(self, folder: str) -> Iterator[StoredPack]: ...

    def stray(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield (name, changed_ns) of what was begun and not sealed."""

    def remove(self, folder: str, pack_id: str) -> None:
        """Remove a pack; one that is not there is fine."""

    def remove_stray(self, folder: str, name: str) -> None:
        """Remove what `stray` named; what is not there is fine."""

    def close(self) -> None: ...


def new_pack_id() -> str:
    """Return 128 random bits, hexadecimal."""
    return secrets.token_hex(_ID_BYTES)


def is_pack_id(text: str) -> bool:
    """Say whether a text may be the id of a pack. Whatever is not must never become part of a path."""
    return len(text) == 2 * _ID_BYTES and all(c in "0123456789abcdef" for c in text)


def pack_path(folder: str, pack_id: str) -> str:
    """Return the path of a pack below its place, with forward slashes.

    Raises:
        ValueError: the id is none.
    """
    if not is_pack_id(pack_id):
        raise ValueError(f"no id of a pack: {pack_id!r:.100}")
    return f"{folder}/packs/{pack_id[:2]}/{pack_id}{PACK_SUFFIX}"

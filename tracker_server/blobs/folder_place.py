"""Packs in a folder. A pack appears under its name by one rename, after its bytes are on the device."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from .pack_place import PACK_SUFFIX, TEMPORARY_PREFIX, StoredPack, is_pack_id, new_pack_id, pack_path

_BUFFER_BYTES = 1 << 20


class FolderPack:
    """A pack being written under a temporary name. Not thread-safe."""

    def __init__(self, path: str, pack_id: str) -> None:
        self.pack_id = pack_id
        self._path = path
        parent, name = os.path.split(path)
        self._temporary = os.path.join(parent, TEMPORARY_PREFIX + name)
        make_lasting_folder(parent)
        self._file = open(self._temporary, "xb", buffering=_BUFFER_BYTES)  # noqa: SIM115

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._file.write(data)

    def seal(self) -> None:
        """Bring the bytes to the device, then the name."""
        self._file.flush()
        getattr(os, "fdatasync", os.fsync)(self._file.fileno())
        self._file.close()
        os.rename(self._temporary, self._path)
        sync_folder(os.path.dirname(self._path))

    def discard(self) -> None:
        """Remove the temporary file."""
        with contextlib.suppress(OSError):  # a full disk: what is in the buffer cannot be written any more
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


class FolderPlace:
    """Packs below a folder. Thread-safe; nothing is kept open.

    Args:
        folder: where they are; made when the first pack is written.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)

    @property
    def place(self) -> str:
        return self._folder

    def new_pack(self, folder: str) -> FolderPack:
        """Begin a pack."""
        pack_id = new_pack_id()
        return FolderPack(self._path(folder, pack_id), pack_id)

    def read_ranges(self, folder: str, pack_id: str, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the bytes at each (offset, size in bytes)."""
        with open(self._path(folder, pack_id), "rb", buffering=0) as file:
            at = 0
            for offset, size_bytes in ranges:
                if offset != at:
                    file.seek(offset)
                data = file.read(size_bytes)
                while len(data) < size_bytes and (more := file.read(size_bytes - len(data))):
                    data += more
                at = offset + len(data)
                yield data

    def size_bytes(self, folder: str, pack_id: str) -> int:
        """Return the size of a pack."""
        return os.stat(self._path(folder, pack_id)).st_size

    def projects(self) -> list[str]:
        """Return the names of the folders of projects."""
        return sorted(name for name in _names(self._folder) if os.path.isdir(os.path.join(self._folder, name)))

    def packs(self, folder: str) -> Iterator[StoredPack]:
        """Yield the packs of a project."""
        for entry in self._entries(folder):
            pack_id = entry.name.removesuffix(PACK_SUFFIX)
            if entry.name.endswith(PACK_SUFFIX) and is_pack_id(pack_id):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield StoredPack(pack_id, status.st_size, status.st_mtime_ns)

    def stray(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield (name, changed_ns) of temporary files."""
        for entry in self._entries(folder):
            if _is_temporary(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns

    def remove(self, folder: str, pack_id: str) -> None:
        """Remove a pack."""
        self._remove(self._path(folder, pack_id))

    def remove_stray(self, folder: str, name: str) -> None:
        """Remove a temporary file."""
        if _is_temporary(name):
            pack_id = name.removeprefix(TEMPORARY_PREFIX).removesuffix(PACK_SUFFIX)
            self._remove(os.path.join(os.path.dirname(self._path(folder, pack_id)), name))

    def close(self) -> None:
        """Do nothing."""

    def _path(self, folder: str, pack_id: str) -> str:
        return os.path.join(self._folder, *pack_path(folder, pack_id).split("/"))

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        packs = os.path.join(self._folder, folder, "packs")
        for name in sorted(_names(packs)):
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                os.scandir(os.path.join(packs, name)) as found,
            ):
                yield from found

    @staticmethod
    def _remove(path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            sync_folder(os.path.dirname(path))


def make_lasting_folder(path: str) -> None:
    """Make a folder and those above it, so that a loss of power does not take it away again."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_lasting_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    sync_folder(parent)


def sync_folder(path: str) -> None:
    """Bring the names in a folder to the device, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _is_temporary(name: str) -> bool:
    pack_id = name.removeprefix(TEMPORARY_PREFIX).removesuffix(PACK_SUFFIX)
    return name == f"{TEMPORARY_PREFIX}{pack_id}{PACK_SUFFIX}" and is_pack_id(pack_id)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []

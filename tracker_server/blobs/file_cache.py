"""A bounded folder of files that were fetched from servers, each under the BLAKE3 of its content.

It belongs to the user, may be removed at any time, and is believed in nothing: what is taken is checked.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from blake3 import blake3

from tracker_core.artifacts.manifest import Entry

_FILES_FOLDER = "files"
_TEMPORARY_PREFIX = ".part-"
_COPY_BYTES = 1 << 20
_LEFT_OVER_S = 3600.0  # nobody copies for so long without writing


def user_cache_folder(told: str | None = None) -> str:
    """Return the folder of the cache: that of the setting `cache_dir`, else the user's."""
    if told:
        return os.path.abspath(os.path.expanduser(told))
    if os.name == "nt":
        above = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    else:
        above = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(above, "tracker")


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache. `used_s` is when it was used last, in seconds since the Unix epoch."""

    path: str
    size_bytes: int
    used_s: float


class FileCache:
    """Keeps and gives whole files. Safe between threads and processes. Trouble with its folder makes it forget.

    Args:
        folder: of the cache, as `user_cache_folder` gives it.
        max_bytes: the most that `trim` leaves.
    """

    def __init__(self, folder: str, max_bytes: int) -> None:
        self.folder = os.path.join(folder, _FILES_FOLDER)
        self.max_bytes = max_bytes

    def take(self, entry: Entry, target_path: str) -> bool:
        """Copy the content of an entry to a file that is made anew; say whether the cache had it.

        Raises:
            OSError: the target cannot be written.
        """
        path = self._path(entry.digest)
        try:
            source = open(path, "rb", buffering=0)  # noqa: SIM115
        except OSError:
            return False
        with source, open(target_path, "xb") as target:
            is_right = _copy(source.fileno(), target.fileno()) == (entry.digest, entry.size_bytes)
        with contextlib.suppress(OSError):
            os.utime(path) if is_right else os.unlink(path)
        if not is_right:
            os.unlink(target_path)
        return is_right

    def keep(self, entry: Entry, source_path: str) -> None:
        """Copy a file that has the content of an entry into the cache, where it fits and is not there."""
        path = self._path(entry.digest)
        if entry.size_bytes > self.max_bytes or os.path.exists(path):
            return
        temporary = os.path.join(os.path.dirname(path), _TEMPORARY_PREFIX + secrets.token_hex(8))
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(source_path, "rb", buffering=0) as source, open(temporary, "xb") as target:
                is_right = _copy(source.fileno(), target.fileno()) == (entry.digest, entry.size_bytes)
            if is_right:
                os.replace(temporary, path)
        except OSError:  # a full or read-only disk: then there is no cache
            pass
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def files(self) -> list[CachedFile]:
        """Return what is there, the longest unused first."""
        return sorted(self._files(), key=lambda one: one.used_s)

    def trim(self, max_bytes: int | None = None) -> int:
        """Remove what was not used for longest, and what killed processes left, until the rest fits.

        Args:
            max_bytes: the most that stays. Default: the bound of this cache.

        Returns:
            How many bytes were removed.
        """
        bound = self.max_bytes if max_bytes is None else max_bytes
        found = self.files()
        n_left, n_removed = sum(one.size_bytes for one in found), 0
        for one in found:
            if n_left <= bound:
                break
            with contextlib.suppress(OSError):
                os.unlink(one.path)
                n_removed += one.size_bytes
            n_left -= one.size_bytes
        return n_removed

    def _path(self, digest: bytes) -> str:
        name = digest.hex()
        return os.path.join(self.folder, name[:2], name)

    def _files(self) -> Iterator[CachedFile]:
        for folder in _scan(self.folder):
            for entry in _scan(folder.path):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if not entry.name.startswith(_TEMPORARY_PREFIX):
                        yield CachedFile(entry.path, status.st_size, status.st_mtime)
                    elif time.time() - status.st_mtime > _LEFT_OVER_S:
                        os.unlink(entry.path)


def _copy(source_fd: int, target_fd: int) -> tuple[bytes, int]:
    """Copy a file; return the digest and the size in bytes of what was copied."""
    hasher, n_bytes = blake3(), 0
    while data := os.read(source_fd, _COPY_BYTES):
        hasher.update(data)
        n_bytes += len(data)
        while data:
            data = data[os.write(target_fd, data) :]
    return hasher.digest(), n_bytes


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []

"""Keep posted journals as files of the server's folder, which thereby is a tracker folder like any other.

A file only ever grows by what was posted for its end. A kill in the middle of that leaves a part of it, which is what
the next answer tells the size of; the sender goes on there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

from tracker_core.paths import make_folder

from ..blobs.folder_place import sync_folder
from .block_sink import Kept, PostedPart, SinkFullError, difference

_N_LOCKS = 256
_COMPARED_BYTES = 1 << 20
_MAX_REMEMBERED = 100_000
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# What is wrong with one run's folder or file, and not with the disk: the other runs of a request are taken.
_OF_ITS_PLACE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
_sync_data = getattr(os, "fdatasync", os.fsync)

if sys.platform == "win32":

    def hold_file(fd: int) -> None:
        del fd  # one server process has a folder there

else:
    import fcntl

    def hold_file(fd: int) -> None:
        """Keep other server processes of this folder out, until the file is closed."""
        with contextlib.suppress(OSError):  # a file system without locks: then one server process has it
            fcntl.flock(fd, fcntl.LOCK_EX)


class FolderSink:
    """Appends to the journals of one tracker folder. Thread-safe, and safe beside other server processes.

    Args:
        folder: the tracker folder; made where there is none.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str) -> None:
        make_folder(folder)
        self._runs = os.path.join(folder, "runs")
        self._locks = [threading.Lock() for _ in range(_N_LOCKS)]
        # Up to where this process made sure that a journal is on the device. What was there before may be unflushed.
        self._flushed: dict[str, tuple[int, int]] = {}

    def sizes(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how many bytes of each of these journals are kept for good, 0 of one that is not there."""
        return {name: self._keep(name, ()).size_bytes for name in names}

    def take(self, parts: Mapping[str, Sequence[PostedPart]]) -> Mapping[str, Kept]:
        """Append what is new of these parts and flush it to the device; see `BlockSink.take`."""
        return {name: self._keep(name, of_journal) for name, of_journal in parts.items()}

    def check(self) -> None:
        """Raise SinkFullError where the folder cannot be written."""
        path = os.path.join(self._runs, f".writable-{os.getpid()}-{threading.get_ident()}")
        try:
            with open(path, "wb") as file:
                file.write(b"?" * 4096)
            os.unlink(path)
        except OSError as error:
            raise SinkFullError(f"{self._runs} cannot be written: {error.strerror or error}") from error

    def _keep(self, name: str, parts: Sequence[PostedPart]) -> Kept:
        with self._locks[hash(name) % _N_LOCKS]:
            try:
                with self._opened(name, is_new=bool(parts) and parts[0].offset == 0) as fd:
                    return self._append(name, fd, parts)
            except FileNotFoundError:
                return Kept(0, "gap" if parts else "")
            except OSError as error:
                if error.errno in _OF_ITS_PLACE:
                    return Kept(0, "refused", f"its place on the server cannot be written: {error.strerror}")
                raise SinkFullError(f"{self._runs} cannot be written: {error.strerror or error}") from error

    def _append(self, name: str, fd: int, parts: Sequence[PostedPart]) -> Kept:
        status = os.fstat(fd)
        first = size = end = status.st_size
        trouble = reason = ""
        try:
            for part in parts:
                if part.offset > size:
                    trouble = "gap"
                    break
                if not _is_same(fd, part, size):
                    trouble, reason = "differs", difference(part.offset, part.end)
                    break
                end = max(size, part.end)
                size = _write(fd, part, size)
            if size > first or (parts and not trouble):
                before_ns = status.st_mtime_ns if first else 0
                self._set_time(name, fd, max(before_ns, *(part.modified_ns for part in parts)))
            self._flush(name, fd, (status.st_ino, size))
        except OSError:
            # The disk is full or fails: what is there ends where it did, and not within a record. Flushing again what
            # once could not be flushed would say that it was, so that it is to come again.
            if end > first:
                os.ftruncate(fd, first)
            raise
        return Kept(size, trouble, reason, size - first)

    def _flush(self, name: str, fd: int, end: tuple[int, int]) -> None:
        before = self._flushed.get(name)
        if before == end:
            return
        _sync_data(fd)
        if before is None or before[0] != end[0]:
            self._flush_folders(self._path(name))
        if len(self._flushed) >= _MAX_REMEMBERED:
            self._flushed.clear()
        self._flushed[name] = end

    def _set_time(self, name: str, fd: int, modified_ns: int) -> None:
        """Say when the run last lived. Appending has set another time, and a file's time never goes back."""
        with contextlib.suppress(OSError):
            os.utime(fd if os.utime in os.supports_fd else self._path(name), ns=(modified_ns, modified_ns))

    def _path(self, name: str) -> str:
        return os.path.join(self._runs, *name.split("/"))

    @contextlib.contextmanager
    def _opened(self, name: str, is_new: bool) -> Iterator[int]:
        """Open a journal that no other process appends to meanwhile. Raises FileNotFoundError where there is none."""
        while True:
            fd = self._open(self._path(name), is_new)
            try:
                hold_file(fd)
                if os.fstat(fd).st_nlink:
                    yield fd
                    return
            finally:
                os.close(fd)  # removed while we waited for it: once more

    def _open(self, path: str, is_new: bool) -> int:
        try:
            return os.open(path, os.O_RDWR | _NO_FOLLOW)
        except FileNotFoundError:
            if not is_new:
                raise
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o644)

    def _flush_folders(self, path: str) -> None:
        """Make sure that the journal is found again, also one that a killed process made a moment ago."""
        run = os.path.dirname(path)
        for folder in (run, os.path.dirname(run), self._runs):
            sync_folder(folder)


def _is_same(fd: int, part: PostedPart, size: int) -> bool:
    """Say whether what is there already of a part's place is what the part has."""
    stop = min(part.end, size)
    for start in range(part.offset, stop, _COMPARED_BYTES):
        end = min(start + _COMPARED_BYTES, stop)
        if _read(fd, start, end - start) != part.data[start - part.offset : end - part.offset]:
            return False
    return True


def _read(fd: int, offset: int, n_bytes: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, n_bytes)


def _write(fd: int, part: PostedPart, size: int) -> int:
    """Write what a part has behind the end of the file; return where that is then."""
    new = memoryview(part.data)[max(0, size - part.offset) :]
    if new:
        os.lseek(fd, size, os.SEEK_SET)
    while new:
        n_bytes = os.write(fd, new)
        size, new = size + n_bytes, new[n_bytes:]
    return size

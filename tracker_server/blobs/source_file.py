"""Opens a file of the user to be read whole, and tells whether it changed meanwhile."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tracker_core.errors import UsageError

# File systems count time in steps. What changed within the last one may change again without being seen to.
_CLOCK_STEP_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What tells the content of a file at one moment from that at another. Times are in ns."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


@contextlib.contextmanager
def open_source(path: str) -> Iterator[int]:
    """Open a regular file, or a link to one, for reading.

    Raises:
        UsageError: it is a folder, FIFO, socket or device, which reading might wait for for ever.
        OSError: it cannot be opened.
    """
    _refuse_unless_regular(os.stat(path), path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags)
    try:
        _refuse_unless_regular(os.fstat(fd), path)
        yield fd
    finally:
        os.close(fd)


def file_version(fd: int) -> FileVersion:
    """Return the version of an open file."""
    status = os.fstat(fd)
    return FileVersion(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def settled_version(fd: int) -> FileVersion:
    """Return the version of an open file, such that whatever changes it from now on gives it another one.

    Waits, where the file was changed just now, until the clock of the file system has moved on: at most 20 ms.
    """
    version = file_version(fd)
    age_ns = time.time_ns() - max(version.modified_ns, version.changed_ns)
    if 0 <= age_ns < _CLOCK_STEP_NS:
        time.sleep((_CLOCK_STEP_NS - age_ns) / 1e9)
        version = file_version(fd)
    return version


def changing(path: str, n_times: int) -> UsageError:
    """Return the error for a file that never held still."""
    got = f"a file that changed during each of {n_times} attempts to read it"
    return UsageError(
        f"artifact file {path!r}", got, "one that nobody writes", "log it when it is written, or log a copy"
    )


def _refuse_unless_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    got = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    remedy = "add_dir takes folders; leave others out"
    raise UsageError(f"artifact file {path!r}", got, "a regular file", remedy)

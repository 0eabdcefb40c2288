"""The lock without which nobody has a read-write connection to the index. Held by a file, so that it ends with us."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCK_INTERVAL_S = 0.02


@contextmanager
def try_store_lock(path: str) -> Iterator[bool]:
    """Hold the lock file at `path` for the block; yields False at once where someone else has it or it cannot be made.

    Works between processes and between threads. Closing the file, or dying, releases it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield False
        return
    try:
        try:
            _try_lock(fd)
            is_held = True
        except OSError:
            is_held = False
        yield is_held
    finally:
        os.close(fd)


@contextmanager
def wait_for_store_lock(path: str, timeout_s: float) -> Iterator[bool]:
    """Hold the lock file at `path` for the block; yields False where others had it for as long as `timeout_s`.

    Raises:
        OSError: the file cannot be made or written.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _wait_for_lock(fd, timeout_s)
    finally:
        os.close(fd)


def _wait_for_lock(fd: int, timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            _try_lock(fd)
            return True
        except OSError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_LOCK_INTERVAL_S)

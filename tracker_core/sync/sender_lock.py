"""One sender process per folder and server: a lock that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time

from .sender_status import read_status

_NAME = "lock"
_TAKE_S = 2.0
_AGAIN_S = 0.05

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, is_shared: bool) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(fd: int, is_shared: bool) -> None:
        fcntl.flock(fd, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class SenderLock:
    """The lock of one sender's folder. Where the file system knows no locks, it is had by all, which is harmless.

    Args:
        sync_folder: the sender's folder.
    """

    def __init__(self, sync_folder: str) -> None:
        self._folder = sync_folder
        self._fd = -1

    def take(self, timeout_s: float = _TAKE_S) -> bool:
        """Say whether it could be taken. Those who only look hold it for a moment, so it is tried for a while.

        Raises:
            OSError: the folder cannot be written.
        """
        os.makedirs(self._folder, exist_ok=True)
        fd = _open(self._folder)
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                _lock(fd, is_shared=False)
            except OSError as error:
                if _is_held_error(error) and time.monotonic() >= until_s:
                    os.close(fd)
                    return False
                if _is_held_error(error):
                    time.sleep(_AGAIN_S)
                    continue
            self._fd = fd
            return True

    def release(self) -> None:
        """Let it go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_sender_running(sync_folder: str) -> bool:
    """Say whether a sender process works on a folder."""
    try:
        fd = _open(sync_folder)
    except OSError:
        return False
    try:
        _lock(fd, is_shared=True)
    except OSError as error:
        if _is_held_error(error):
            return True
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
    status = read_status(sync_folder)  # what counts where there are no locks, or none across machines
    return status is not None and status.is_running


def _open(sync_folder: str) -> int:
    return os.open(os.path.join(sync_folder, _NAME), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)


def _is_held_error(error: OSError) -> bool:
    return error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)

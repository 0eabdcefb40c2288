"""A named pipe by which a training process wakes the sender: at the end of a run nobody has a second to wait.

It lies in this user's temporary folder: in the tracker folder it would stand in the way of whoever copies that.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import time

from .. import paths

_WITHOUT_PIPE_S = 0.2


class WakePipe:
    """The sender's end. Where there are no named pipes, `wait` looks at the clock only.

    Args:
        sync_folder: the sender's folder.
    """

    def __init__(self, sync_folder: str) -> None:
        self._fd = -1
        path = _path(sync_folder)
        with contextlib.suppress(OSError, AttributeError):
            paths.make_fallback_folder()
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o600)
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, timeout_s: float) -> bool:
        """Wait until woken, or for so long; say whether it was woken."""
        if self._fd < 0:
            time.sleep(min(timeout_s, _WITHOUT_PIPE_S))
            return False
        if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
            return False
        with contextlib.suppress(OSError):
            os.read(self._fd, 4096)
        return True

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def wake_sender(sync_folder: str) -> None:
    """Make the sender look at once, where one waits. Never raises OSError."""
    with contextlib.suppress(OSError, AttributeError):
        fd = os.open(_path(sync_folder), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(fd, b"w")
        finally:
            os.close(fd)


def _path(sync_folder: str) -> str:
    name = hashlib.sha256(os.path.abspath(sync_folder).encode()).hexdigest()[:16]
    return os.path.join(os.path.dirname(paths.fallback_folder()), f"wake-{name}")

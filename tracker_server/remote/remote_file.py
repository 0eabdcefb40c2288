"""The bytes of a file kept with a run on a server, as they come."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from tracker_core.remote.connection import Reply
from tracker_core.remote.server_errors import BrokenReplyError

_ATTEMPTS = 3


class RemoteFile(io.RawIOBase):
    """Reads a file that never changes: where the connection breaks, it goes on from there.

    Args:
        open_at: returns the file's bytes from an offset on.
    """

    def __init__(self, open_at: Callable[[int], Reply]) -> None:
        self._open_at = open_at
        self._offset = 0
        self._n_broken = 0
        self._reply = open_at(0)
        self._n_bytes = _length(self._reply)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer`; returns how many bytes, 0 at the end."""
        if self._offset >= self._n_bytes:
            return 0
        content = self._some(min(len(buffer), self._n_bytes - self._offset))
        buffer[: len(content)] = content
        self._offset += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._reply.close()
        super().close()

    def _some(self, n: int) -> bytes:
        while True:
            try:
                found = self._reply.read(n)
                if found:
                    self._n_broken = 0
                    return found
                raise BrokenReplyError("a file", "its end before its end", "all of it", "try again")
            except BrokenReplyError:
                self._n_broken += 1
                if self._n_broken > _ATTEMPTS:
                    raise
                self._reply.close()
                self._reply = self._open_at(self._offset)


def _length(reply: Reply) -> int:
    text = reply.headers.get("Content-Length", "")
    if not text.isascii() or not text.isdecimal():
        raise BrokenReplyError("a file", "a reply without its length", "a length", "look at what is in between")
    return int(text)

"""A file that the user names by its path, or its bytes: the content as it is when it is logged."""

from __future__ import annotations

import io
import os
import stat
from typing import Any, BinaryIO

from ..errors import UsageError
from .place import Pending, Target, pending_bytes

_READ_AT_ONCE_BYTES = 4 << 20


class _Opened:
    """A descriptor that is closed when nobody holds it any more, as where what was to be kept is left out."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close


def is_source(given: object) -> bool:
    """Say whether something is a path, bytes, or an open file of bytes in memory."""
    return isinstance(given, (str, os.PathLike, bytes, io.BytesIO))


class SourceFile:
    """A regular file. A small one is read now; a large one is opened when it is logged, and copied by the thread.

    Args:
        given: its path, or its bytes, or these as an open file in memory.
        where: the argument, for errors.

    Attributes:
        head: its first bytes, at most 4096.
        size_bytes: its size now.

    Raises:
        UsageError: there is no such file, it is no regular one, or it cannot be read.
    """

    __slots__ = ("_data", "_path", "_where", "head", "size_bytes")

    def __init__(self, given: Any, where: str) -> None:
        self._where = where
        self._data: bytes | None = None
        if isinstance(given, (bytes, io.BytesIO)):
            self._path = ""
            self._data = given if isinstance(given, bytes) else given.getvalue()
            self.head, self.size_bytes = self._data[:4096], len(self._data)
            return
        self._path = os.path.abspath(os.fspath(given))
        with open(self._open(), "rb", buffering=0) as file:
            self.size_bytes = os.fstat(file.fileno()).st_size
            if self.size_bytes <= _READ_AT_ONCE_BYTES:
                self._data = file.read()
                self.size_bytes = len(self._data)
            self.head = (file.read(4096) if self._data is None else self._data[:4096]) or b""

    def __repr__(self) -> str:
        return repr(self._path) if self._path else f"{self.size_bytes} bytes"

    def open(self) -> BinaryIO:
        """Open the content for reading."""
        return io.BytesIO(self._data) if self._data is not None else open(self._open(), "rb")

    def read(self) -> bytes:
        """Return all bytes."""
        with self.open() as file:
            return file.read()

    def pending(self, name: str) -> Pending:
        """Return what keeps the content under a name."""
        if self._data is not None:
            return pending_bytes(name, self._data)
        opened = _Opened(self._open())

        def keep(target: Target, _: bool) -> bool:
            try:
                return target.keep_media(name, opened.fd)
            finally:
                opened.close()

        return Pending(_READ_AT_ONCE_BYTES, keep)  # it holds little memory; this bounds how many are open

    def held_bytes(self) -> int:
        """Return about how much memory it holds."""
        return 1024 if self._data is None else len(self._data)

    def _open(self) -> int:
        """Open the file; anything but a regular one is refused before, for that may wait for ever."""
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise UsageError(self._where, f"{self._path!r}, which is no regular file", "a file", "name a file")
            return os.open(self._path, flags)
        except (OSError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            got = f"{self._path!r}, which cannot be read ({getattr(error, 'strerror', None) or error})"
            raise UsageError(self._where, got, "a file that can be read", "check the path") from None

"""Follow a journal that another process may be writing: up to where it will not change any more, and what is new there.

Everything before the last block's header is final, since a writer cuts back nothing but what it failed to write. So
only the last block is parsed, record by record, and what follows its last intact record is left for later.
"""

from __future__ import annotations

import os
from zlib import crc32

import msgspec

from ..journal_format import (
    CRC,
    FRAME,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAGIC,
    MAX_BLOCK_BYTES,
    Kind,
    unpack_header,
)
from ..records import CLOSING_STATES, State, decode

# What shows, before `end`, that the file is still the one that was read: more than one CRC.
_LAST_BYTES = 32
_WINDOW_BYTES = 3 * MAX_BLOCK_BYTES


class JournalFollow:
    """Where one journal's intact records end. Not thread-safe. Keeps no file open.

    Args:
        path: the journal.
        session: its session, 32 hexadecimal digits.

    Attributes:
        end: behind the last intact record that was found.
        size: of the file, when it was last looked at.
        identity: of the file then: inode, device.
        is_closed: whether the last record closes the session.
    """

    def __init__(self, path: str, session: str) -> None:
        self.path = path
        self.end = self.size = 0
        self.identity = (0, 0)
        self.is_closed = False
        self._session = bytes.fromhex(session)
        self._crc: int | None = None
        self._last = b""
        self._mtime_ns = 0

    def look(self) -> bool:
        """Look for new records; say whether the file is another than before, or does not have what was found in it.

        Raises:
            OSError: the file cannot be read.
        """
        status = os.stat(self.path)
        identity = (status.st_ino, status.st_dev)
        if (status.st_size, status.st_mtime_ns, identity) == (self.size, self._mtime_ns, self.identity):
            return False
        is_new = self.identity != (0, 0) and (identity != self.identity or status.st_size < self.end)
        self.size, self._mtime_ns, self.identity = status.st_size, status.st_mtime_ns, identity
        with open(self.path, "rb", buffering=0) as file:
            fd = file.fileno()
            is_new = is_new or _read(fd, self.end - len(self._last), len(self._last)) != self._last
            if is_new:
                self.end, self._crc, self.is_closed = 0, None, False
            self._advance(fd)
            self._last = _read(fd, max(0, self.end - _LAST_BYTES), min(self.end, _LAST_BYTES))
        return is_new

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Return bytes from `offset` to `end` at most, whole blocks where there is more than `max_bytes`.

        Raises:
            OSError: the file cannot be read.
        """
        n_bytes = min(self.end - offset, max_bytes)
        if n_bytes <= 0:
            return b""
        with open(self.path, "rb", buffering=0) as file:
            file.seek(offset)
            data = file.read(n_bytes) or b""
        if offset + len(data) >= self.end:
            return data
        cut = self._last_header(data, 1)
        return data[:cut] if cut is not None else data

    def _advance(self, fd: int) -> None:
        """Move `end` behind the last intact record of the file's last block."""
        stop = self.size
        while True:
            start = max(self.end, stop - _WINDOW_BYTES)
            found = self._last_header(_read(fd, start, stop - start), 0)
            if found is not None:
                self._begin_block(fd, start + found)
                return
            if start == self.end:
                break
            stop = start + HEADER_BYTES - 1  # the part of a header that the next window alone would not see whole
        if self._crc is not None:
            self.end += self._take_records(
                _read(fd, self.end, min(self.size - self.end, MAX_BLOCK_BYTES)), 0, self._crc
            )

    def _begin_block(self, fd: int, at: int) -> None:
        block = _read(fd, at, min(self.size - at, MAX_BLOCK_BYTES))
        header = unpack_header(block)
        if header is None:
            return  # it is being cut back at this moment
        n_bytes = self._take_records(block, HEADER_BYTES, header.crc)
        if n_bytes > HEADER_BYTES:
            self.end = at + n_bytes
        else:
            self.end, self._crc = at, None  # a header without a record may be cut back yet

    def _last_header(self, data: bytes, start: int) -> int | None:
        """Return the position of the last intact header of this session at or behind `start`."""
        position = data.rfind(MAGIC)
        while position >= start:
            header = unpack_header(data, position)
            if header is not None and header.session == self._session:
                return position
            position = data.rfind(MAGIC, 0, position + len(MAGIC) - 1)
        return None

    def _take_records(self, data: bytes, position: int, crc: int) -> int:
        """Return where the intact records from `position` on end."""
        view, n_bytes = memoryview(data), len(data)
        begin = end = position
        end_crc = crc
        kind = last_body = last_end = 0
        while position + FRAME_OVERHEAD_BYTES <= n_bytes:
            length, this_kind = FRAME.unpack_from(data, position)
            body_end = position + FRAME.size + length
            if body_end + CRC.size > n_bytes:
                break
            new_crc = crc32(view[position:body_end], crc)
            if new_crc != CRC.unpack_from(data, body_end)[0]:
                break
            kind, last_body, last_end, crc = this_kind, position + FRAME.size, body_end, new_crc
            position = body_end + CRC.size
            if kind != Kind.SCHEMA:  # written together with its row, and cut back with it where that one is torn
                end, end_crc = position, crc
        self._crc = end_crc
        if position > begin:
            self.is_closed = kind == Kind.STATE and _closes(view[last_body:last_end])
        return end


def _closes(body: memoryview) -> bool:
    try:
        record = decode(Kind.STATE, body)
    except (msgspec.MsgspecError, ValueError):
        return False
    return isinstance(record, State) and record.state in CLOSING_STATES


def _read(fd: int, offset: int, n_bytes: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)
    parts = []
    while n_bytes > 0:
        data = os.read(fd, n_bytes)
        if not data:
            break
        parts.append(data)
        n_bytes -= len(data)
    return b"".join(parts)

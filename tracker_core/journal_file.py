"""One journal file, appended to block by block. Knows bytes and system calls; knows no threads and no policy.

Every `put` hands its record to the kernel with one `write` before it returns, so a killed process loses nothing that
was put. After a failed or short write the file is cut back to its last whole record and the next record opens a new
block, so that a reader meets no torn record in the middle.

A signal handler may raise (Ctrl-C does) at any call in here. So between a `write` and the attributes that tell of it
there is no call, and the next `put` finds out what became of one that was broken off.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from zlib import crc32

from .journal_format import (
    CRC,
    FRAGMENT,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    MAX_BODY_BYTES,
    ROW_PREFIX,
    Kind,
    frame_record,
    pack_header,
    row_struct,
    unpack_header,
)
from .records import Schema, encode

_write, _pack_crc = os.write, CRC.pack
_COPY_BYTES = 1 << 20
MAX_LAYOUT_BODY_BYTES = 24_000


class RowLayout:
    """How the rows of one key set are packed. Reused for every row with the same keys and value types.

    `kind` is ROW, or SYSTEM for samples of the machine.
    """

    __slots__ = ("block", "body_bytes", "codes", "keys", "kind", "pack", "record_bytes", "slot")

    def __init__(self, keys: tuple[str, ...], codes: str, kind: int = Kind.ROW) -> None:
        self.kind = int(kind)
        packer = row_struct(codes)
        self.keys = keys
        self.codes = codes
        self.pack = packer.pack
        self.record_bytes = packer.size + CRC.size
        self.body_bytes = self.record_bytes - FRAME_OVERHEAD_BYTES
        self.block: object = None
        self.slot = 0


class JournalFile:
    """Appends records to the file of one session. Not thread-safe.

    Args:
        path: the file to make; its folder is made too.
        session: the session's 16 random bytes.
        clock: nanoseconds since the Unix epoch, for the headers of blocks.

    Raises:
        OSError: from `open` and the `put` methods, when the bytes could not be handed over. The record is then not
            in the file, and the same call may be made again.
    """

    def __init__(self, path: str, session: bytes, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self.session = session
        self._clock = clock
        self.next_sequence = 0
        self.block_index = -1
        self._fd = -1
        self._identity = (0, 0)
        self._size = 0
        self._room = 0
        self._crc = 0
        self._n_slots = 0
        self._n_pending = 0
        self._block: object = None

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def open(self) -> None:
        """Make the file, or open it again.

        Where it was moved away or deleted meanwhile, it is made anew with all its content. Where the old handle is of
        no use any more (stale on a network drive, closed by the program), writing goes on behind what the path holds.
        """
        folder = os.path.dirname(self.path) or "."
        os.makedirs(folder, exist_ok=True)
        if not self.is_handle_good():
            self.lose_handle()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fd = os.open(self.path, flags, 0o644)
        try:
            if self._fd >= 0 and os.path.sameopenfile(self._fd, fd):
                os.close(fd)  # it is back at its path, or it never left; emptying it would lose everything
                return
            if self._fd < 0 and self.next_sequence:
                self._go_on_in(fd)
            else:
                os.ftruncate(fd, 0)
                if self._fd >= 0:
                    _copy(self._fd, fd, self._size)
            identity = _identity(os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        self._release()
        self._fd, self._identity = fd, identity
        self._sync_folder(folder)

    def is_handle_good(self) -> bool:
        """Say whether the file descriptor still stands for the file that it was opened for."""
        try:
            return _identity(os.fstat(self._fd)) == self._identity
        except OSError:
            return False

    def lose_handle(self) -> None:
        """Forget the file descriptor; `open` gets a new one. It is not closed: its number may be another file's now."""
        self._fd = -1

    def _go_on_in(self, fd: int) -> None:
        """Make the next record open a block behind the whole records that a newly opened file has of this journal."""
        os.lseek(fd, 0, os.SEEK_SET)
        start = os.read(fd, HEADER_BYTES)
        header = unpack_header(start, 0) if len(start) == HEADER_BYTES else None
        is_own = header is not None and header.session == self.session
        there = os.fstat(fd).st_size
        size = min(self._size, there) if is_own else 0
        try:
            os.ftruncate(fd, size)
        except OSError:
            if not is_own:
                raise
            size = there  # torn bytes stay; readers resync at the next block
        self._size, self._room, self._n_pending = size, 0, 0

    def put_row(self, layout: RowLayout, step: int, now_ns: int, values: tuple[object, ...]) -> None:
        """Append one packed row. Raises struct.error where a value does not fit its column's type."""
        if layout.block is not self._block or layout.record_bytes > self._room:
            self._put_row_with_schema(layout, step, now_ns, values)
            return
        if self._n_pending:
            self._settle()
            self._put_row_with_schema(layout, step, now_ns, values)
            return
        framed = layout.pack(layout.body_bytes, layout.kind, layout.slot, step, now_ns, *values)
        crc = crc32(framed, self._crc)
        n_bytes = layout.record_bytes
        self._n_pending = 1
        if _write(self._fd, framed + _pack_crc(crc)) != n_bytes:
            self._fail_short_write()
        self._n_pending = 0
        self._crc = crc
        self._size += n_bytes
        self._room -= n_bytes
        self.next_sequence += 1

    def _put_row_with_schema(self, layout: RowLayout, step: int, now_ns: int, values: tuple[object, ...]) -> None:
        layout.pack(layout.body_bytes, layout.kind, 0, step, now_ns, *values)  # what does not fit leaves no schema
        slot = self._n_slots
        schema = encode(Schema(slot, layout.codes, list(layout.keys)))
        if len(schema) + FRAME_OVERHEAD_BYTES + layout.record_bytes > self._room:
            slot = 0
            schema = encode(Schema(slot, layout.codes, list(layout.keys)))
            self._room = 0
        row = ROW_PREFIX.pack(slot, step, now_ns) + layout.pack(0, 0, 0, 0, 0, *values)[3 + ROW_PREFIX.size :]
        self._put_records([(Kind.SCHEMA, schema), (layout.kind, row)])
        self._n_slots = slot + 1
        layout.block, layout.slot = self._block, slot

    def put(self, kind: int, body: bytes) -> None:
        """Append one record; a body too long for a block is cut into FRAGMENT records, one block each."""
        if len(body) <= MAX_BODY_BYTES:
            self._put_records([(kind, body)])
            return
        piece = MAX_BODY_BYTES - FRAGMENT.size
        n_parts = -(-len(body) // piece)
        for part in range(n_parts):
            head = FRAGMENT.pack(kind, part, n_parts)
            self._put_records([(Kind.FRAGMENT, head + body[part * piece : (part + 1) * piece])])

    def _put_records(self, records: list[tuple[int, bytes]]) -> None:
        """Write records that belong in one block with one `write`, opening a new block where they do not fit."""
        if self._n_pending:
            self._settle()
        n_bytes = sum(len(body) + FRAME_OVERHEAD_BYTES for _, body in records)
        is_new_block = n_bytes > self._room
        data, crc = b"", self._crc
        if is_new_block:
            data = pack_header(self.block_index + 1, self.next_sequence, self.session, self._clock())
            (crc,) = CRC.unpack_from(data, HEADER_BYTES - CRC.size)
        for kind, body in records:
            framed, crc = frame_record(kind, body, crc)
            data += framed
        n_records, n_written, block = len(records), len(data), object()
        self._n_pending = n_records
        if _write(self._fd, data) != n_written:
            self._fail_short_write()
        self._n_pending = 0
        if is_new_block:
            self.block_index += 1
            self._block = block
            self._n_slots = 0
            self._room = MAX_BLOCK_BYTES - HEADER_BYTES
        self._crc = crc
        self._size += n_written
        self._room -= n_bytes
        self.next_sequence += n_records

    def _fail_short_write(self) -> None:
        raise OSError(f"{self.path}: the file system took only a part of a record")

    def cut_back(self) -> None:
        """After an OSError: remove a torn tail and make the next record open a new block."""
        self._room = self._n_pending = 0
        if not self.is_handle_good():
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            # The torn bytes stay. Appending goes on behind them, and readers resync at the next block.
            with contextlib.suppress(OSError):  # a stale handle: the next write fails and says so
                self._size = os.fstat(self._fd).st_size

    def _settle(self) -> None:
        """After a `put` that an exception from a signal handler broke off: make the next one safe.

        The records of that `put` are in the file or not. A reader may have seen them, so they are not taken out; their
        sequence numbers are passed over, and the next record opens a new block.
        """
        size = os.fstat(self._fd).st_size
        if size > self._size:
            self.next_sequence += self._n_pending
            self.block_index += 1
            self._size = size
        self._room = self._n_pending = 0

    def is_at_its_path(self) -> bool:
        """Say whether the open file is still the one that its path names."""
        try:
            return self.is_handle_good() and _identity(os.stat(self.path)) == self._identity
        except OSError:
            return False

    def sync(self) -> None:
        """Flush to the device, so that a power loss keeps what was put before."""
        if self._fd >= 0:
            getattr(os, "fdatasync", os.fsync)(self._fd)

    def close(self) -> None:
        self._release()

    def _release(self) -> None:
        if self.is_handle_good():
            os.close(self._fd)
        self._fd = -1

    @staticmethod
    def _sync_folder(folder: str) -> None:
        """Make the new file's name durable, where folders can be opened (not on Windows)."""
        try:
            fd = os.open(folder, os.O_RDONLY)
        except OSError:
            return
        try:
            os.fsync(fd)
        except OSError:
            pass
        finally:
            os.close(fd)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_dev


def _copy(source_fd: int, target_fd: int, n_bytes: int) -> None:
    offset = 0
    while offset < n_bytes:
        os.lseek(source_fd, offset, os.SEEK_SET)
        data = os.read(source_fd, min(_COPY_BYTES, n_bytes - offset))
        if not data or os.write(target_fd, data) != len(data):
            raise OSError(f"could not copy byte {offset} of {n_bytes} of a journal to its new place")
        offset += len(data)

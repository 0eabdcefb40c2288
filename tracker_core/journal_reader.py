"""Read a journal: every intact record, in order, and a name and a count for what is not.

A reader gives an exact prefix of what was written, then every later intact block. It never guesses over damage: within
a damaged block it stops at the last good record and looks for the next block's header.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol
from zlib import crc32

import msgspec

from .journal_format import (
    COLUMN_FORMATS,
    CRC,
    FORMAT_VERSION,
    FRAGMENT,
    FRAME,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAGIC,
    ROW_PREFIX,
    BlockHeader,
    Kind,
    row_struct,
    unpack_header,
)
from .records import CLOSING_STATES, Record, Schema, Session, State, decode, decode_schema

_CHUNK_BYTES = 16 << 20
_ROW_HEAD = struct.Struct("<HBH")
_PACKED_KINDS = frozenset([Kind.ROW, Kind.SYSTEM])


class RowGroup(msgspec.Struct):
    """Packed rows of one key set, in the order written.

    Attributes:
        keys: metric names, one per column.
        codes: type codes, one per column; `journal_format.row_fields(codes)` is the NumPy dtype of `packed`.
        kind: ROW, or SYSTEM for samples of the machine.
        sequences: uint64 sequence numbers, one per row.
    """

    keys: tuple[str, ...]
    codes: str
    kind: int = Kind.ROW
    sequences: array[int] = msgspec.field(default_factory=lambda: array("Q"))
    pieces: list[memoryview] = []

    @property
    def packed(self) -> bytes:
        """The row records, joined."""
        return b"".join(self.pieces)

    def rows(self) -> Iterator[tuple[int, int, int, tuple[int | float | bool, ...]]]:
        """Yield (sequence, step, wall_time_ns, values) per row, without NumPy."""
        packer = row_struct(self.codes)
        stride = packer.size + CRC.size
        packed = self.packed
        for i, sequence in enumerate(self.sequences):
            _, _, _, step, wall_time_ns, *values = packer.unpack_from(packed, i * stride)
            yield sequence, step, wall_time_ns, tuple(values)


class Damage(msgspec.Struct, frozen=True):
    """Bytes that hold no intact record. `n_lost_records` is None until an intact block follows."""

    offset: int
    n_bytes: int
    n_lost_records: int | None
    reason: str


class JournalBatch(msgspec.Struct):
    """What one `JournalReader.read()` found. `records` holds (sequence, record) of every kind but packed rows."""

    row_groups: list[RowGroup] = []
    records: list[tuple[int, Record]] = []
    damage: list[Damage] = []
    n_unknown: int = 0
    n_bytes: int = 0


class JournalBytes(Protocol):
    """The bytes of a journal, open for reading.

    Attributes:
        size: how many there were when it was opened.
    """

    size: int

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return the bytes from `offset` on, at most `n_bytes` of them; raises OSError where they cannot be read."""

    def close(self) -> None:
        """Let go of them."""


class FileBytes:
    """The bytes of a journal file."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return the bytes from `offset` on, at most `n_bytes` of them."""
        self._file.seek(offset)
        return self._file.read(n_bytes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JournalReader:
    """Follows one journal. Each `read` returns what was appended since the last. Not thread-safe.

    Args:
        path: the journal file.
        offset: where to begin: 0, an earlier reader's `block_offset`, or the end of a closed journal.
        next_sequence: the sequence number expected there: 0, or that reader's `block_first_sequence`.
        open_bytes: opens what `path` names. Default: as a file.

    Attributes:
        offset: the end of the last intact record read.
        next_sequence: the sequence number expected there.
        block_offset, block_first_sequence: everything before is final; a later reader may begin here.
        is_closed: whether the session's closing state has been read.
        n_tail_bytes: bytes behind `offset` that hold no intact record (yet), as of the last `read`.
    """

    def __init__(
        self,
        path: str,
        offset: int = 0,
        next_sequence: int = 0,
        open_bytes: Callable[[str], JournalBytes] = FileBytes,
    ) -> None:
        self.path = path
        self._open_bytes = open_bytes
        self.offset = self.block_offset = offset
        self.next_sequence = self.block_first_sequence = next_sequence
        self.is_closed = False
        self.n_tail_bytes = 0
        self._header: BlockHeader | None = None
        self._session: bytes | None = None
        self._crc = 0
        self._sequence = next_sequence
        self._slots: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._slot_groups: dict[tuple[int, int], tuple[int, RowGroup]] = {}
        self._groups: dict[tuple[int, str, tuple[str, ...]], RowGroup] = {}
        self._fragments: list[bytes] = []
        self._n_doubtful_bytes = 0  # of a header or schemas behind the last record that counts
        self._sure_sequence = next_sequence
        self._doubtful = b""
        self._batch = JournalBatch()

    def read(self, max_bytes: int | None = None) -> JournalBatch:
        """Return everything intact that was appended since the last call, or about `max_bytes` of it.

        A torn record at the very end is left for the next call, since it may still be being written.

        Raises:
            OSError: the file cannot be read.
        """
        batch = self._batch = JournalBatch()
        self._groups, self._slot_groups = {}, {}
        with closing(self._open_bytes(self.path)) as journal:
            size = journal.size
            self._check_doubtful(journal)
            while self.offset < size and (max_bytes is None or batch.n_bytes < max_bytes):
                data = journal.read(self.offset, min(_CHUNK_BYTES, max_bytes or _CHUNK_BYTES))
                n_taken = self._take(memoryview(data), is_last=self.offset + len(data) >= size)
                batch.n_bytes += n_taken
                if not n_taken:
                    if max_bytes is not None and max_bytes < _CHUNK_BYTES:
                        max_bytes = _CHUNK_BYTES  # too little to hold one record: look further
                        continue
                    break
            if n_doubtful := self._n_doubtful_bytes:
                self._doubtful = journal.read(self.offset - n_doubtful, n_doubtful)
        self.n_tail_bytes = max(0, size - self.offset)
        batch.row_groups = list(self._groups.values())
        return batch

    def _check_doubtful(self, journal: JournalBytes) -> None:
        """Begin the block again where its header or last schema was cut back since, with a row that failed behind it.

        What was read stays read: the records of the block are known by their sequence numbers.
        """
        doubtful, self._doubtful = self._doubtful, b""
        if doubtful and journal.read(self.offset - len(doubtful), len(doubtful)) != doubtful:
            self.offset, self._header, self._n_doubtful_bytes = self.block_offset, None, 0
            self.next_sequence = self._sure_sequence

    def _take(self, data: memoryview, is_last: bool) -> int:
        """Consume whole records from `data`, which begins at `self.offset`; return the number of bytes consumed."""
        origin, position = self.offset, 0
        while position < len(data):
            if self._header is not None:
                position = self._take_records(data, position)
                self.offset = origin + position
            header = unpack_header(data, position)
            if header is None or not self._is_of_session(header):
                next_header = self._find_header(data, position + 1)
                if next_header is None and not is_last and len(data) == _CHUNK_BYTES and position == 0:
                    next_header = len(data) - HEADER_BYTES
                if next_header is None:
                    break
                self._note_damage(next_header - position, "bytes that are no intact record")
                position = next_header
            elif header.version > FORMAT_VERSION:
                reason = f"a block of format {header.version}; this version reads up to {FORMAT_VERSION}"
                self._note_damage(HEADER_BYTES, reason)
                position += HEADER_BYTES
            else:
                self._begin_block(header)
                position += HEADER_BYTES
            self.offset = origin + position
        return position

    def _is_of_session(self, header: BlockHeader) -> bool:
        """Say whether a block belongs to this journal, and is not part of something that was logged or appended."""
        return self._session is None or header.session == self._session

    def _find_header(self, data: memoryview, start: int) -> int | None:
        """Return the position of the first intact block header of this session at or behind `start`."""
        raw = data.obj if isinstance(data.obj, bytes) else bytes(data)
        position = raw.find(MAGIC, start)
        while position >= 0:
            header = unpack_header(data, position)
            if header is not None and self._is_of_session(header):
                return position
            position = raw.find(MAGIC, position + 1)
        return None

    def _note_damage(self, n_bytes: int, reason: str) -> None:
        damage = self._batch.damage
        if damage and damage[-1].offset + damage[-1].n_bytes == self.offset:
            first = damage.pop()
            damage.append(Damage(first.offset, first.n_bytes + n_bytes, None, first.reason))
        else:
            damage.append(Damage(self.offset, n_bytes, None, reason))
        self._header = None
        self._n_doubtful_bytes = 0

    def _begin_block(self, header: BlockHeader) -> None:
        n_lost = header.first_sequence - self.next_sequence
        if n_lost > 0:
            self._count_lost(n_lost)
        self._header, self._crc, self._sequence = header, header.crc, header.first_sequence
        self._session = header.session
        self._doubt(HEADER_BYTES)
        self._slots, self._slot_groups = {}, {}
        if not self._fragments:
            self.block_offset, self.block_first_sequence = self.offset, max(header.first_sequence, self.next_sequence)

    def _count_lost(self, n_lost: int) -> None:
        damage = self._batch.damage
        if damage and damage[-1].n_lost_records is None:
            last = damage.pop()
            damage.append(Damage(last.offset, last.n_bytes, n_lost, last.reason))
        else:
            damage.append(Damage(self.offset, 0, n_lost, "records are missing between two blocks"))
        self._fragments.clear()

    def _take_records(self, data: memoryview, position: int) -> int:
        """Read the open block's records from `position`; return where the first that is not intact begins."""
        n_bytes = len(data)
        while position + FRAME_OVERHEAD_BYTES <= n_bytes:
            length, kind = FRAME.unpack_from(data, position)
            if kind in _PACKED_KINDS and length >= ROW_PREFIX.size and position + _ROW_HEAD.size <= n_bytes:
                end = self._take_rows(data, position)
                if end == position:
                    break
                position = end
                self._n_doubtful_bytes = 0
                continue
            body = position + FRAME.size
            body_end = body + length
            if body_end + CRC.size > n_bytes:
                break
            crc = crc32(data[position:body_end], self._crc)
            if crc != CRC.unpack_from(data, body_end)[0]:
                break
            if kind == Kind.SCHEMA:
                self._doubt(body_end + CRC.size - position)
            else:
                self._n_doubtful_bytes = 0
            if kind == Kind.SCHEMA or self._sequence >= self.next_sequence:
                self._take_record(self._sequence, kind, data[body:body_end])
            self._crc = crc
            self._sequence += 1
            self.next_sequence = max(self.next_sequence, self._sequence)
            position = body_end + CRC.size
        return position

    def _doubt(self, n_bytes: int) -> None:
        """Note bytes that count for nothing yet: a failed write may take them back."""
        if not self._n_doubtful_bytes:
            self._sure_sequence = self.next_sequence
        self._n_doubtful_bytes += n_bytes

    def _take_rows(self, data: memoryview, start: int) -> int:
        """Read the rows of one schema that follow one another from `start`; return where they end."""
        head_at, crc_at, n_bytes = _ROW_HEAD.unpack_from, CRC.unpack_from, len(data)
        head = head_at(data, start)
        length, kind, slot = head
        size = length + FRAME_OVERHEAD_BYTES
        to_crc = size - CRC.size
        position, crc = start, self._crc
        while position + size <= n_bytes and head_at(data, position) == head:
            new_crc = crc32(data[position : position + to_crc], crc)
            if new_crc != crc_at(data, position + to_crc)[0]:
                break
            crc = new_crc
            position += size
        n_rows = (position - start) // size
        first, stop = max(self._sequence, self.next_sequence), self._sequence + n_rows
        if first < stop:
            row_bytes, group = self._group_of_slot(kind, slot)
            if row_bytes == size:
                group.sequences.extend(range(first, stop))
                group.pieces.append(data[position - (stop - first) * size : position])
            else:
                self._batch.n_unknown += stop - first  # no schema that this version knows has rows of this length
        self._crc, self._sequence = crc, stop
        self.next_sequence = max(self.next_sequence, stop)
        return position

    def _group_of_slot(self, kind: int, slot: int) -> tuple[int, RowGroup]:
        """Return the length of a slot's row records, and their group; length 0 where the slot has no schema."""
        known = self._slot_groups.get((kind, slot))
        if known is not None:
            return known
        codes, keys = self._slots.get(slot, ("", ()))
        if not keys:
            return 0, RowGroup(keys, codes, kind)
        group = self._groups.setdefault((kind, codes, keys), RowGroup(keys, codes, kind))
        known = self._slot_groups[kind, slot] = row_struct(codes).size + CRC.size, group
        return known

    def _note_odd(self, sequence: int, kind: int, reason: object) -> None:
        """Note a record whose bytes are as written but which makes no sense to this version."""
        self._batch.damage.append(Damage(self.offset, 0, 1, f"record {sequence} of kind {kind}: {reason}"))

    def _take_record(self, sequence: int, kind: int, body: memoryview) -> None:
        if kind == Kind.FRAGMENT:
            whole = self._take_fragment(sequence, body)
            if whole is None:
                return
            kind, body = whole
        elif kind != Kind.SCHEMA:
            self._fragments.clear()
        try:
            if kind == Kind.SCHEMA:
                self._take_schema(decode_schema(body))
                return
            record = decode(kind, body)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            self._note_odd(sequence, kind, error)
            return
        if record is None:
            self._batch.n_unknown += 1
            return
        self._batch.records.append((sequence, record))
        if isinstance(record, State):
            self.is_closed = record.state in CLOSING_STATES

    def _take_schema(self, schema: Schema) -> None:
        if len(schema.codes) != len(schema.keys) or not schema.keys:
            raise ValueError(f"a schema of {len(schema.keys)} keys and {len(schema.codes)} type codes")
        if unknown := set(schema.codes) - set(COLUMN_FORMATS):
            raise ValueError(f"type codes that this version does not know: {sorted(unknown)}")
        self._slots[schema.slot] = (schema.codes, tuple(schema.keys))
        for kind in _PACKED_KINDS:
            self._slot_groups.pop((kind, schema.slot), None)

    def _take_fragment(self, sequence: int, body: memoryview) -> tuple[int, memoryview] | None:
        """Collect one part of a long record; return its kind and body once the last part is there."""
        if len(body) < FRAGMENT.size:
            self._note_odd(sequence, Kind.FRAGMENT, "too short")
            return None
        kind, part, n_parts = FRAGMENT.unpack_from(body)
        if part == 0:
            self._fragments.clear()  # a writer that could not write all parts begins anew
        if part != len(self._fragments):
            self._note_odd(sequence, kind, "a part of a long record is missing")
            self._fragments.clear()
            return None
        self._fragments.append(bytes(body[FRAGMENT.size :]))
        if part + 1 < n_parts:
            return None
        whole = memoryview(b"".join(self._fragments))
        self._fragments.clear()
        return kind, whole


def read_session(path: str) -> Session | None:
    """Return the SESSION record that opens a journal, or None where it is missing or damaged.

    Raises:
        OSError: the file cannot be read.
    """
    batch = JournalReader(path).read(max_bytes=4096)
    for _, record in batch.records:
        if isinstance(record, Session):
            return record
    return None

"""Copy the history of a run up to a step into a journal of another: bit by bit, with its steps and times.

Taken over are the primary writer's rows of at most that step with the records of their media, and config, summary and
definitions of metrics as they stood when the last of these rows was logged; where no row beyond the step follows, as
they stood at the end.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO
from zlib import crc32

import msgspec

from .inherited_media import is_media_until
from .journal_format import (
    CRC,
    FRAGMENT,
    FRAME,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    MAX_BODY_BYTES,
    Kind,
    frame_record,
    pack_header,
    row_struct,
)
from .journal_reader import JournalBatch, JournalReader, RowGroup
from .records import (
    KIND_OF,
    Config,
    File,
    MetricDefinition,
    Record,
    RowMap,
    Schema,
    Session,
    State,
    Summary,
    encode,
)

_READ_BYTES = 64 << 10
_STEP = struct.Struct("<q")
_SLOT = struct.Struct("<H")
_SLOT_AT, _STEP_AT = 3, 5
_pack_crc = CRC.pack
_KEPT = (Config, MetricDefinition, Summary)

# A packed row without its CRC, and the codes and keys of its columns; or a row of another kind.
Row = tuple[str, tuple[str, ...], bytes]
Item = Row | Record


class Source(msgspec.Struct, frozen=True):
    """A journal whose rows of at most `max_step` are taken over."""

    path: str
    max_step: int


class Copied(msgspec.Struct):
    """What was taken over; `last_step` is the highest there was up to the step asked for, -1 for none.

    `media` has the digests of the media that the rows name, whose bytes are still to be copied.
    """

    n_rows: int = 0
    last_step: int = -1
    config: dict[str, Any] = {}
    media: list[str] = []


def copy_history(sources: Sequence[Source], file: BinaryIO, session: Session, rest: Callable[[], None]) -> Copied:
    """Write a journal of `session` that holds the history in these journals, and its end.

    Args:
        sources: the journals, in their order.
        file: where to write.
        session: opens the journal.
        rest: called often; it may wait, so that the training is not disturbed.

    Raises:
        OSError: a journal cannot be read, or the file not be written.
    """
    return copy_items(history(sources, rest), file, session)


def copy_items(items: Iterable[Item], file: BinaryIO, session: Session) -> Copied:
    """Write a journal of `session` that holds these rows and records, and its end."""
    journal = _JournalCopy(file, session)
    copied = Copied()
    for item in items:
        if isinstance(item, tuple):
            codes, keys, framed = item
            journal.put_row(codes, keys, framed)
            step = _STEP.unpack_from(framed, _STEP_AT)[0]
        else:
            journal.put(KIND_OF[type(item)], encode(item))
            if isinstance(item, File):
                copied.media.append(item.digest)
            if not isinstance(item, RowMap):
                continue
            step = item.step
        copied.n_rows += 1
        copied.last_step = max(copied.last_step, step)
    journal.put(Kind.STATE, encode(State(wall_time_ns=session.wall_time_ns, state="finished")))
    journal.flush()
    return copied


def config_as_of(sources: Sequence[Source]) -> dict[str, Any]:
    """Return the config as it stood then; raises OSError where a journal cannot be read."""
    config: dict[str, Any] = {}
    quick = quick_records(sources)
    for record in history(sources, lambda: None) if quick is None else quick:
        if isinstance(record, Config):
            config.update(record.values)
            for key in record.removed:
                config.pop(key, None)
    return config


def history(sources: Sequence[Source], rest: Callable[[], None]) -> Iterator[Item]:
    """Yield rows and records that are taken over, in the order written."""
    waiting: list[Record] = []  # since the last row that counts
    n_at_first = 0  # of these, before the first row of all
    is_beyond = is_begun = False
    for source in sources:
        for item in _items(source.path, rest):
            if isinstance(item, _KEPT):
                waiting.append(item)
                n_at_first += not (is_beyond or is_begun)
                continue
            if isinstance(item, File):
                if is_media_until(item, source.max_step, source.path):
                    yield item
                continue
            step = _STEP.unpack_from(item[2], _STEP_AT)[0] if isinstance(item, tuple) else _step_of(item)
            if step > source.max_step:
                is_beyond = True
                continue
            yield from waiting
            waiting = []
            is_beyond, is_begun = False, True
            yield item
    if not is_beyond:
        yield from waiting
    elif not is_begun:
        yield from waiting[:n_at_first]


def _step_of(record: Record) -> int:
    assert isinstance(record, RowMap)
    return record.step


def _items(path: str, rest: Callable[[], None]) -> Iterator[Item]:
    """Yield the rows of a journal and the records that config, summary and definitions are made of."""
    reader = JournalReader(path)
    while True:
        batch = reader.read(_READ_BYTES)
        if not batch.n_bytes:
            return
        groups = [group for group in batch.row_groups if group.kind == Kind.ROW and len(group.sequences)]
        records = [item for item in batch.records if isinstance(item[1], (*_KEPT, RowMap, File))]
        if len(groups) == 1 and not records:
            yield from _rows_of(groups[0])
        else:
            yield from _in_order(groups, records)
        rest()


def _rows_of(group: RowGroup) -> Iterator[Row]:
    codes, keys, packed = group.codes, group.keys, group.packed
    stride = row_struct(codes).size + CRC.size
    for start in range(0, len(packed), stride):
        yield codes, keys, packed[start : start + stride - CRC.size]


def _in_order(groups: Sequence[RowGroup], records: Sequence[tuple[int, Record]]) -> Iterator[Item]:
    items: list[tuple[int, Item]] = list(records)
    for group in groups:
        items.extend(zip(group.sequences, _rows_of(group), strict=True))
    items.sort(key=lambda item: item[0])
    return (item for _, item in items)


class _JournalCopy:
    """Writes a journal in one go, block by block."""

    def __init__(self, file: BinaryIO, session: Session) -> None:
        self._file = file
        self._session = bytes.fromhex(session.session)
        self._parts: list[bytes] = []
        self._room = self._crc = self._sequence = 0
        self._block_index = -1
        self._slots: dict[tuple[str, tuple[str, ...]], int] = {}
        self.put(Kind.SESSION, encode(session))

    def put(self, kind: int, body: bytes) -> None:
        """Append a record; a long one as fragments."""
        if len(body) <= MAX_BODY_BYTES:
            self._put(kind, body)
            return
        piece = MAX_BODY_BYTES - FRAGMENT.size
        n_parts = -(-len(body) // piece)
        for part in range(n_parts):
            head = FRAGMENT.pack(kind, part, n_parts)
            self._put(Kind.FRAGMENT, head + body[part * piece : (part + 1) * piece])

    def put_row(self, codes: str, keys: tuple[str, ...], framed: bytes) -> None:
        """Append a packed row, given without its CRC; the number of its schema is put in anew."""
        n_bytes = len(framed) + CRC.size
        slot = self._slots.get((codes, keys))
        if slot is None or n_bytes > self._room:
            slot = self._new_slot(codes, keys, n_bytes)
        if _SLOT.unpack_from(framed, _SLOT_AT)[0] != slot:
            framed = framed[:_SLOT_AT] + _SLOT.pack(slot) + framed[_STEP_AT:]
        self._crc = crc = crc32(framed, self._crc)
        self._parts.append(framed)
        self._parts.append(_pack_crc(crc))
        self._room -= n_bytes
        self._sequence += 1

    def _new_slot(self, codes: str, keys: tuple[str, ...], row_bytes: int) -> int:
        body = encode(Schema(len(self._slots), codes, list(keys)))
        if len(body) + FRAME_OVERHEAD_BYTES + row_bytes > self._room:
            self._begin_block()
            body = encode(Schema(0, codes, list(keys)))
        slot = self._slots[codes, keys] = len(self._slots)
        self._put(Kind.SCHEMA, body)
        return slot

    def _put(self, kind: int, body: bytes) -> None:
        n_bytes = len(body) + FRAME_OVERHEAD_BYTES
        if n_bytes > self._room:
            self._begin_block()
        framed, self._crc = frame_record(kind, body, self._crc)
        self._parts.append(framed)
        self._room -= n_bytes
        self._sequence += 1

    def _begin_block(self) -> None:
        self.flush()
        self._block_index += 1
        header = pack_header(self._block_index, self._sequence, self._session, time.time_ns())
        (self._crc,) = CRC.unpack_from(header, HEADER_BYTES - CRC.size)
        self._parts.append(header)
        self._room = MAX_BLOCK_BYTES - HEADER_BYTES
        self._slots = {}

    def flush(self) -> None:
        """Hand what is there to the file."""
        self._file.write(b"".join(self._parts))
        self._parts.clear()


# Config without reading the rows

# The first key of a config record, whichever of the two it has, as msgpack writes it.
_FIRST_KEYS = re.compile(rb"\xa6values|\xa7removed")
_CONFIG_BYTE = int(Kind.CONFIG)
# Frame and fragment's head, one byte for the map.
_MOST_BEFORE_KEY = FRAME.size + FRAGMENT.size + 1


def quick_records(sources: Sequence[Source]) -> list[Record] | None:
    """Return the records that config is made of, looking only at where each journal begins.

    None where config was changed after the first row, or where it is in doubt which sessions count: then all has to
    be read.
    """
    found: list[Record] = []
    for index, source in enumerate(sources):
        head = _head(source.path)
        if head is None or _changes_config_after(source.path, head[1]):
            return None
        records, _, first_step = head
        if index and (first_step is None or first_step > source.max_step):
            return None
        found += records
    return found


def _head(path: str) -> tuple[list[Record], int, int | None] | None:
    """Return the records before a journal's first row, where they end in the file, and the step of that row."""
    reader = JournalReader(path)
    records: list[Record] = []
    while True:
        batch = reader.read(_READ_BYTES)
        first = _first_row(batch)
        records += [r for seq, r in batch.records if isinstance(r, Config) and (first is None or seq < first[0])]
        if first is not None:
            late = any(isinstance(record, Config) and sequence > first[0] for sequence, record in batch.records)
            return None if late else (records, reader.offset, first[1])
        if not batch.n_bytes:
            return records, reader.offset, None


def _first_row(batch: JournalBatch) -> tuple[int, int] | None:
    rows = [(group.sequences[0], next(group.rows())[1]) for group in batch.row_groups if group.kind == Kind.ROW]
    rows += [(sequence, record.step) for sequence, record in batch.records if isinstance(record, RowMap)]
    return min(rows, default=None)


def _changes_config_after(path: str, offset: int) -> bool:
    """Say whether there may be a config record behind `offset`, by the bytes that each has."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        before = b""
        while data := file.read(1 << 20):
            joined = before + data
            for match in _FIRST_KEYS.finditer(joined):
                key = match.start()
                is_fragment = key >= _MOST_BEFORE_KEY and joined[key - 2 - FRAGMENT.size] == Kind.FRAGMENT
                if key >= 2 and (joined[key - 2] == _CONFIG_BYTE or is_fragment):
                    return True
            before = joined[-32:]
    return False


def fsync(file: BinaryIO) -> None:
    """Bring a file to the device."""
    file.flush()
    os.fsync(file.fileno())

"""A model of what a journal holds, to compare with what is read back: one item per sequence number."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tracker_core import records
from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import (
    FRAME,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAGIC,
    BlockHeader,
    Kind,
    unpack_header,
)
from tracker_core.journal_reader import JournalBatch, JournalReader

SESSION = bytes(range(16))
TIME_NS = 1_800_000_000_123_456_789

Item = tuple[Any, ...]


def exact(value: Any) -> Any:
    """Return a value in a form that compares by type and by every bit, NaN payloads and the sign of zero included."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value).hex())
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return exact(msgspec.structs.asdict(value))
    return (type(value).__name__, value)


def row_item(step: int, wall_time_ns: int, values: dict[str, Any]) -> Item:
    return ("row", step, wall_time_ns, exact(values))


def record_item(record: records.Record) -> Item:
    if isinstance(record, records.RowMap):
        return row_item(record.step, record.wall_time_ns, record.values)
    return (type(record).__name__, exact(msgspec.structs.asdict(record)))


def items_of(batch: JournalBatch) -> dict[int, Item]:
    """Return everything in a batch by sequence number; no number may come twice."""
    items: dict[int, Item] = {}
    for group in batch.row_groups:
        for sequence, step, wall_time_ns, values in group.rows():
            assert sequence not in items
            item = row_item(step, wall_time_ns, dict(zip(group.keys, values, strict=True)))
            items[sequence] = item if group.kind == Kind.ROW else ("system", *item[1:])
    for sequence, record in batch.records:
        assert sequence not in items
        items[sequence] = record_item(record)
    return items


def merge(into: dict[int, Item], batch: JournalBatch) -> None:
    """Add a later batch's items; nothing may be delivered a second time."""
    for sequence, item in items_of(batch).items():
        assert sequence not in into
        into[sequence] = item


def read_items(path: Path | str) -> dict[int, Item]:
    return items_of(JournalReader(str(path)).read())


def rows_in(items: dict[int, Item]) -> list[Item]:
    return [items[sequence] for sequence in sorted(items) if items[sequence][0] == "row"]


@dataclass
class WrittenJournal:
    """A journal and the model of it.

    Attributes:
        items: what must be read back, by sequence number; a schema and a record of an unknown kind are no items.
        ends: by sequence number, the size of the file once the `write` that held the record had returned.
        record_ends: by sequence number, where the record itself ends; a schema ends before the row written with it.
        blocks: where each block begins and ends.
        block_sequences: the first sequence number of each block.
    """

    path: Path
    items: dict[int, Item] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    record_ends: list[int] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    block_sequences: list[int] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    def block_of(self, offset: int) -> int:
        return next(i for i, (begin, end) in enumerate(self.blocks) if begin <= offset < end)

    def sequences_of(self, block: int) -> range:
        after = self.block_sequences[block + 1] if block + 1 < len(self.blocks) else len(self.ends)
        return range(self.block_sequences[block], after)

    def items_before(self, offset: int) -> dict[int, Item]:
        """Return what lies whole before a byte."""
        return {sequence: item for sequence, item in self.items.items() if self.ends[sequence] <= offset}


class JournalMaker:
    """Writes a journal through `JournalFile` and keeps the model beside."""

    def __init__(self, path: Path, session: bytes = SESSION) -> None:
        self.file = JournalFile(str(path), session, clock=lambda: TIME_NS)
        self.file.open()
        self.made = WrittenJournal(path)
        self._layouts: dict[tuple[tuple[str, ...], str], RowLayout] = {}

    def row(self, step: int, codes: str, values: dict[str, Any], time_ns: int = TIME_NS) -> None:
        key = (tuple(values), codes)
        layout = self._layouts.setdefault(key, RowLayout(*key))
        self.file.put_row(layout, step, time_ns, tuple(values.values()))
        self._note(row_item(step, time_ns, values))

    def record(self, record: records.Record) -> None:
        self.file.put(records.KIND_OF[type(record)], records.encode(record))
        self._note(record_item(record))

    def raw(self, kind: int, body: bytes) -> None:
        """Write a record of a kind that this version may not know; it makes no item."""
        self.file.put(kind, body)
        self._note(None)

    def new_block(self) -> None:
        """Make the next record open a block, as after a write that failed."""
        self.file.cut_back()

    def _note(self, item: Item | None) -> None:
        """Note where the records just written end. What came before an item in the same call ends before it."""
        size = self.made.path.stat().st_size
        while len(self.made.ends) < self.file.next_sequence:
            self.made.ends.append(size)
        if item is not None:
            self.made.items[self.file.next_sequence - 1] = item

    def done(self) -> WrittenJournal:
        """Close the file and note where its blocks lie."""
        self.file.close()
        data = self.made.data
        headers = block_headers(data, self.file.session)
        starts = [start for start, _ in headers]
        self.made.blocks = list(zip(starts, [*starts[1:], len(data)], strict=True))
        self.made.block_sequences = [header.first_sequence for _, header in headers]
        for start, end in self.made.blocks:
            position = start + HEADER_BYTES
            while position < end:
                position += FRAME.unpack_from(data, position)[0] + FRAME_OVERHEAD_BYTES
                self.made.record_ends.append(position)
        return self.made


def block_headers(data: bytes, session: bytes) -> list[tuple[int, BlockHeader]]:
    headers = []
    position = data.find(MAGIC)
    while position >= 0:
        header = unpack_header(data, position)
        if header is not None and header.session == session:
            headers.append((position, header))
        position = data.find(MAGIC, position + 1)
    return headers


def session_record(**changes: Any) -> records.Session:
    fields = {"wall_time_ns": TIME_NS, "session": SESSION.hex(), "run": "abc", "project": "digits", "name": "n-1"}
    return records.Session(**{**fields, **changes})


def small_journal(path: Path) -> WrittenJournal:
    """Write four small blocks: rows of two schemas, row maps, config, a definition, an unknown kind, a final state."""
    maker = JournalMaker(path)
    maker.record(session_record(tags=["a", "b"], notes="caf\u00e9"))
    maker.record(records.Config(wall_time_ns=TIME_NS, values={"lr": 0.1, "net": {"depth": 3, "act": None}}))
    for step in range(3):
        maker.row(step, "dq", {"loss": 1.0 / (step + 1), "n": -step})
    maker.new_block()
    maker.row(3, "dq", {"loss": float("nan"), "n": 2**63 - 1})
    maker.row(3, "f?", {"acc": 0.5, "ok": True})
    maker.record(records.RowMap(wall_time_ns=TIME_NS, step=4, values={"text": "x", "list": [1, 2.5, None]}))
    maker.raw(99, b"from a later version")
    maker.row(5, "dq", {"loss": -0.0, "n": 0})
    maker.new_block()
    maker.record(records.MetricDefinition(wall_time_ns=TIME_NS, name="loss", summary=["min"], goal="minimize"))
    maker.record(records.Summary(wall_time_ns=TIME_NS, values={"best": {"epoch": 1}}, removed=["old"]))
    maker.row(6, "d", {"\x89TRKJ\r\n\x1a": 1.5})
    maker.new_block()
    maker.row(7, "dq", {"loss": float("inf"), "n": 1})
    maker.record(records.Dropped(wall_time_ns=TIME_NS, n_rows=2, first_ns=1, last_ns=2, cause="full"))
    maker.record(records.State(wall_time_ns=TIME_NS, state="finished", exit_code=0))
    return maker.done()


def total_lost(damages: Iterable[Any]) -> int:
    return sum(damage.n_lost_records or 0 for damage in damages)

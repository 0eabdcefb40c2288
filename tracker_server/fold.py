"""What the records of one journal add up to. Pure: records in, a `JournalFold` out, which the index keeps as a blob."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tracker_core.journal_reader import Damage
from tracker_core.metrics import MetricStats
from tracker_core.records import (
    Config,
    Dropped,
    MetricDefinition,
    Record,
    RunEdit,
    Session,
    State,
    Summary,
    Suspended,
)

from .nesting import check_depth
from .row_blocks import INTEGER_CODES, OBJECT_CODE, RowBlock, numeric_stats

_MAX_DAMAGE_NOTES = 100


class MetricFold(msgspec.Struct, array_like=True):
    """Aggregates of one metric in one journal, and between which sequence numbers."""

    stats: MetricStats
    first_sequence: int
    last_sequence: int
    is_integer: bool


class ObjectFold(msgspec.Struct, array_like=True):
    """The last value of a key that was logged with something other than a number."""

    n: int
    last: Any
    last_sequence: int


class DamageNote(msgspec.Struct, array_like=True):
    """Where a journal holds no intact record. `n_lost` None means that the number is not known."""

    offset: int
    n_bytes: int
    n_lost: int | None
    reason: str


class JournalFold(msgspec.Struct):
    """The sum of a journal's records up to some sequence number. Mutable; owned by the journal's tail."""

    session: Session | None = None
    state: State | None = None
    config: dict[str, Any] = {}
    config_removed: set[str] = set()
    summary: dict[str, Any] = {}
    summary_removed: set[str] = set()
    definitions: list[MetricDefinition] = []
    name: str | None = None
    tags: list[str] | None = None
    notes: str | None = None
    metrics: dict[str, MetricFold] = {}
    objects: dict[str, ObjectFold] = {}
    n_rows: int = 0
    n_unknown: int = 0
    n_dropped: int = 0
    n_suspensions: int = 0
    is_suspended: bool = False
    damage: list[DamageNote] = []
    first_ns: int = 0
    last_ns: int = 0

    def add_record(self, record: Record) -> str | None:
        """Take a record in. Returns the kind of change that it means to a viewer: state, config, summary or None."""
        self._see_time(record.wall_time_ns)
        match record:
            case Session():
                self.session = record
                return "state"
            case State():
                self.state = record
                return "state"
            case Config():
                _apply(self.config, self.config_removed, record)
                return "config"
            case Summary():
                _apply(self.summary, self.summary_removed, record)
                return "summary"
            case MetricDefinition():
                self.definitions.append(record)
                return "summary"
            case RunEdit():
                self._edit(record)
                return "config"
            case Dropped():
                self.n_dropped += record.n_rows
                return "state"
            case Suspended():
                self.n_suspensions += 1
                self.is_suspended = record.ended_ns <= 0
                return "state"
        return None

    def add_rows(self, block: RowBlock) -> None:
        """Take rows in. Blocks may come in any order as long as each is in sequence order itself."""
        if not len(block):
            return
        self.n_rows += len(block)
        self._see_time(int(block.wall_time_ns.min()))
        self._see_time(int(block.wall_time_ns.max()))
        first, last = int(block.sequences[0]), int(block.sequences[-1])
        for index, column in numeric_stats(block):
            is_integer = block.codes[index] in INTEGER_CODES and column.max <= (1 << 63) - 1
            stats = MetricStats(
                column.n, column.n_nonfinite, column.first, column.last, column.min, column.max, column.sum
            )
            added = MetricFold(stats, first, last, is_integer)
            known = self.metrics.get(block.keys[index])
            self.metrics[block.keys[index]] = added if known is None else merge_metric(known, added)
        for index, code in enumerate(block.codes):
            if code == OBJECT_CODE:
                self._see_object(block.keys[index], len(block), block.column(index)[-1], last)

    def add_damage(self, damage: Damage) -> None:
        """Note damage; beyond a bound only the loss goes on being counted, in the last note."""
        note = DamageNote(damage.offset, damage.n_bytes, damage.n_lost_records, damage.reason)
        if len(self.damage) < _MAX_DAMAGE_NOTES:
            self.damage.append(note)
            return
        last = self.damage[-1]
        last.n_bytes += note.n_bytes
        last.n_lost = (last.n_lost or 0) + (note.n_lost or 0)
        last.reason = "further damage, added up"

    def _edit(self, edit: RunEdit) -> None:
        self.name = self.name if edit.name is None else edit.name
        self.tags = self.tags if edit.tags is None else edit.tags
        self.notes = self.notes if edit.notes is None else edit.notes

    def _see_object(self, key: str, n: int, value: Any, sequence: int) -> None:
        known = self.objects.get(key)
        if known is None:
            self.objects[key] = ObjectFold(n, value, sequence)
            return
        known.n += n
        if sequence > known.last_sequence:
            known.last, known.last_sequence = value, sequence

    def _see_time(self, wall_time_ns: int) -> None:
        self.first_ns = min(self.first_ns, wall_time_ns) if self.first_ns else wall_time_ns
        self.last_ns = max(self.last_ns, wall_time_ns)


def merge_metric(one: MetricFold, other: MetricFold) -> MetricFold:
    """Return the aggregates of both. Which is first or last is decided by sequence."""
    a, b = one.stats, other.stats
    earliest = a if one.first_sequence <= other.first_sequence else b
    latest = b if other.last_sequence >= one.last_sequence else a
    stats = MetricStats(
        a.n + b.n,
        a.n_nonfinite + b.n_nonfinite,
        earliest.first,
        latest.last,
        _over_finite(min, a.n, a.min, b.n, b.min),
        _over_finite(max, a.n, a.max, b.n, b.max),
        a.sum + b.sum,
    )
    return MetricFold(
        stats,
        min(one.first_sequence, other.first_sequence),
        max(one.last_sequence, other.last_sequence),
        one.is_integer and other.is_integer,
    )


def _over_finite(choose: Any, n_a: int, a: float, n_b: int, b: float) -> float:
    if n_a and n_b:
        chosen: float = choose(a, b)
        return chosen
    return a if n_a else b if n_b else math.nan


def _apply(values: dict[str, Any], removed: set[str], change: Config | Summary) -> None:
    check_depth(change.values)
    for key in change.removed:
        values.pop(key, None)
        removed.add(key)
    for key, value in change.values.items():
        values[key] = value
        removed.discard(key)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JournalFold)


def encode_fold(fold: JournalFold) -> bytes:
    """Return the fold as the index keeps it."""
    return _encoder.encode(fold)


def decode_fold(data: bytes) -> JournalFold:
    """Return the fold in `data`; raises msgspec.MsgspecError where it is none."""
    return _decoder.decode(data)

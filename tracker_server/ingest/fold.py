"""What the records of one journal add up to. Pure: records in, a `JournalFold` out, which the index keeps as a blob."""

from __future__ import annotations

from typing import Any

import msgspec

from tracker_core.journal_reader import Damage
from tracker_core.records import (
    CLOSING_STATES,
    Alert,
    Clock,
    Config,
    Console,
    Dropped,
    Environment,
    File,
    MetricDefinition,
    Record,
    RunEdit,
    Session,
    State,
    Summary,
    Suspended,
)

from ..codec.chunk_codec import pack_bytes, unpack_bytes
from .media_values import brief
from .metric_fold import MetricFold, add_block
from .nesting import check_depth
from .row_blocks import OBJECT_CODE, RowBlock

SYSTEM_PREFIX = "system/"
_MAX_NOTES = 100
MAX_ALERTS = 1000
ALERT_LEVELS = ("INFO", "WARN", "ERROR")
_MAX_TITLE_CHARS = 300
_MAX_ALERT_CHARS = 4000
_INT64_MAX = (1 << 63) - 1


class ObjectFold(msgspec.Struct, array_like=True):
    """The last value of a key that was logged with something other than a number; of media what `brief` keeps."""

    n: int
    last: Any
    last_sequence: int
    last_step: int = 0


class DamageNote(msgspec.Struct, array_like=True):
    """Where a journal holds no intact record. `n_lost` None means that the number is not known."""

    offset: int
    n_bytes: int
    n_lost: int | None
    reason: str


class SignalNote(msgspec.Struct, array_like=True):
    """A signal that the process received and lived on after."""

    name: str
    at_ns: int


class ClockNote(msgspec.Struct, array_like=True):
    """When the wall clock moved, and by how much."""

    at_ns: int
    jumped_ns: int


class AlertNote(msgspec.Struct, array_like=True):
    """What the run said that people should know."""

    at_ns: int
    step: int
    level: str
    title: str
    text: str


class FoldDetails(msgspec.Struct):
    """What only a run's own page needs: kept packed, so that a list of very many runs opens at once."""

    system: dict[str, MetricFold] = {}
    environment: dict[str, Any] = {}
    alerts: list[AlertNote] = []


class JournalFold(msgspec.Struct, dict=True):
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
    suspended_ns: int = 0
    is_suspended: bool = False
    damage: list[DamageNote] = []
    first_ns: int = 0
    last_ns: int = 0
    signals: list[SignalNote] = []
    n_clock_jumps: int = 0
    clock_jumps: list[ClockNote] = []
    has_console: bool = False
    has_system: bool = False
    n_console_left_out: int = 0
    packed_details: bytes = b""
    n_alerts: int = 0

    def add_record(self, record: Record) -> str | None:
        """Take a record in. Returns the kind of change that it means to a viewer, such as state or config, or None.

        Raises:
            ValueError: a value is nested too deep; nothing was taken in.
        """
        kind = self._take(record)
        self._see_time(record.wall_time_ns)
        return kind

    def _take(self, record: Record) -> str | None:
        match record:
            case Session():
                self.session = record
                return "state"
            case State():
                self._change_state(record)
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
            case Environment():
                check_depth(record.values)
                self._own_details().environment.update(record.values)
                return "environment"
            case Console():
                self.has_console = True
                self.n_console_left_out = _added(self.n_console_left_out, record.n_left_out)
                return "console"
            case File():
                return "files"
            case Alert():
                self._note_alert(record)
                return "alerts"
        return self._take_trouble(record)

    def _take_trouble(self, record: Record) -> str | None:
        match record:
            case Dropped():
                self.n_dropped = _added(self.n_dropped, record.n_rows)
            case Suspended():
                self.n_suspensions += 1
                self.suspended_ns = _added(self.suspended_ns, record.ended_ns - record.began_ns)
                self.is_suspended = record.ended_ns <= 0
            case Clock():
                self.n_clock_jumps += 1
                self.clock_jumps = [*self.clock_jumps, ClockNote(record.wall_time_ns, record.jumped_ns)][-_MAX_NOTES:]
            case _:
                return None
        return "state"

    def add_rows(self, block: RowBlock) -> None:
        """Take rows in. Blocks may come in any order as long as each is in sequence order itself."""
        if not len(block):
            return
        self._see_time(int(block.wall_time_ns.min()))
        self._see_time(int(block.wall_time_ns.max()))
        if block.is_system:
            self.has_system = True
            add_block(self._own_details().system, block)
            return
        self.n_rows += len(block)
        add_block(self.metrics, block)
        for index, code in enumerate(block.codes):
            if code == OBJECT_CODE:
                last = ObjectFold(
                    len(block), brief(block.column(index)[-1]), int(block.sequences[-1]), int(block.steps[-1])
                )
                self._see_object(block.keys[index], last)

    def add_damage(self, damage: Damage) -> None:
        """Note damage; beyond a bound only the loss goes on being counted, in the last note."""
        note = DamageNote(damage.offset, damage.n_bytes, damage.n_lost_records, damage.reason)
        if len(self.damage) < _MAX_NOTES:
            self.damage.append(note)
            return
        last = self.damage[-1]
        last.n_bytes += note.n_bytes
        last.n_lost = (last.n_lost or 0) + (note.n_lost or 0)
        last.reason = "further damage, added up"

    def details(self) -> FoldDetails:
        """Return the details, for reading only."""
        own: FoldDetails | None = self.__dict__.get("own_details")
        return own or (_details_decoder.decode(unpack_bytes(self.packed_details)) if self.packed_details else _NOTHING)

    def _own_details(self) -> FoldDetails:
        """Return the details to be changed."""
        own: FoldDetails | None = self.__dict__.get("own_details")
        if own is None:
            packed = self.packed_details
            own = _details_decoder.decode(unpack_bytes(packed)) if packed else FoldDetails()
            self.__dict__["own_details"] = own
        return own

    def pack_details(self) -> None:
        """Bring `packed_details` up to date."""
        own: FoldDetails | None = self.__dict__.get("own_details")
        if own is not None:
            self.packed_details = pack_bytes(_encoder.encode(own))

    def _change_state(self, record: State) -> None:
        is_notice = record.state == "running" and bool(record.signal)
        if is_notice:
            self.signals = [*self.signals, SignalNote(record.signal, record.wall_time_ns)][-_MAX_NOTES:]
        # A signal that was survived does not take back that the process expects to be stopped.
        if not is_notice or self.state is None or self.state.state in CLOSING_STATES:
            self.state = record

    def _edit(self, edit: RunEdit) -> None:
        self.name = self.name if edit.name is None else edit.name
        self.tags = self.tags if edit.tags is None else edit.tags
        self.notes = self.notes if edit.notes is None else edit.notes

    def _note_alert(self, alert: Alert) -> None:
        note = AlertNote(
            max(-_INT64_MAX, min(alert.wall_time_ns, _INT64_MAX)),
            max(-_INT64_MAX, min(alert.step, _INT64_MAX)),
            alert.level if alert.level in ALERT_LEVELS else "INFO",
            alert.title[:_MAX_TITLE_CHARS],
            alert.text[:_MAX_ALERT_CHARS],
        )
        details = self._own_details()
        details.alerts = [*details.alerts[1 - MAX_ALERTS :], note]
        self.n_alerts = _added(self.n_alerts, 1)

    def _see_object(self, key: str, found: ObjectFold) -> None:
        known = self.objects.get(key)
        if known is None:
            self.objects[key] = found
            return
        known.n += found.n
        if found.last_sequence > known.last_sequence:
            known.last, known.last_sequence, known.last_step = found.last, found.last_sequence, found.last_step

    def _see_time(self, wall_time_ns: int) -> None:
        self.first_ns = min(self.first_ns, wall_time_ns) if self.first_ns else wall_time_ns
        self.last_ns = max(self.last_ns, wall_time_ns)


_NOTHING = FoldDetails()


def _added(total: int, more: int) -> int:
    """Return a sum that stays storable whatever a journal says."""
    return min(total + max(0, more), 1 << 62)


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
_details_decoder = msgspec.msgpack.Decoder(FoldDetails)


def encode_fold(fold: JournalFold) -> bytes:
    """Return the fold as the index keeps it."""
    fold.pack_details()
    return _encoder.encode(fold)


def decode_fold(data: bytes) -> JournalFold:
    """Return the fold in `data`; raises msgspec.MsgspecError where it is none."""
    return _decoder.decode(data)

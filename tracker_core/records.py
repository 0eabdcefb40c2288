"""The records of a journal other than packed rows: one msgspec Struct per kind, written as msgpack maps.

A field that a reader does not know is skipped and a missing one takes its default, so fields may be added freely.
Times are nanoseconds since the Unix epoch, by the writer's clock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .journal_format import Kind


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every record has."""

    wall_time_ns: int


class Session(Record):
    """Opens a journal: which run, which writer, on which machine and process.

    `forked_from` is "project/run?_step=N" where the run's history begins with another's, or with that of an earlier
    attempt; the journal that holds those rows is `inherited`. `launch` is what the ranks of one job have in common,
    `node` which of its machines this is ("0", "1", ...), both "" where there is one process.
    """

    session: str
    run: str
    project: str
    entity: str = "local"
    writer: str = "main"
    counter: int = 1
    attempt: int = 1
    resumed: bool = False
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = []
    notes: str = ""
    mode: str = "offline"
    host: str = ""
    pid: int = 0
    boot_id: str = ""
    process_start: str = ""
    python: str = ""
    forked_from: str = ""
    inherited: bool = False
    launch: str = ""
    node: str = ""


class Schema(msgspec.Struct, array_like=True):
    """Names the columns of the packed rows that follow in the same block; `codes` has one type code per key."""

    slot: int
    codes: str
    keys: list[str]


class RowMap(Record):
    """A row that holds something other than numbers and truth values."""

    step: int
    values: dict[str, Any]


class Config(Record):
    """A change of config: each top-level key replaces the earlier value."""

    values: dict[str, Any] = {}
    removed: list[str] = []


class Summary(Record):
    """Values set by the user, which win over logged ones; `removed` keys go back to the logged value."""

    values: dict[str, Any] = {}
    removed: list[str] = []


class MetricDefinition(Record):
    """What `define_metric` said; None means not said."""

    name: str
    step_metric: str | None = None
    summary: list[str] | None = None
    goal: str | None = None
    hidden: bool | None = None
    overwrite: bool = False


class RunError(msgspec.Struct, omit_defaults=True):
    """The exception that ended a run."""

    type: str
    message: str
    traceback: str = ""


CLOSING_STATES = ("finished", "failed", "killed", "preempted")


class State(Record):
    """A change of the session's state. One of CLOSING_STATES closes the journal.

    "running" with a signal says that the process received it and lived on; "preempting" that it expects to be stopped,
    so that an end without a word is a preemption and no crash. `stopped_by` names who asked for the end, where the run
    ended because somebody did; its state is "killed" then.
    """

    state: str
    exit_code: int | None = None
    error: RunError | None = None
    signal: str = ""
    stopped_by: str = ""


class Dropped(Record):
    """Rows that were logged between two times but could not be kept."""

    n_rows: int
    first_ns: int
    last_ns: int
    cause: str


class Suspended(Record):
    """A time in which rows waited in memory, so that a kill could have lost them."""

    cause: str
    began_ns: int
    ended_ns: int
    n_queued: int


class Heartbeat(Record):
    """The process was alive although it logged nothing."""


class ConsoleLine(msgspec.Struct, array_like=True):
    """A line of output. `number` counts the session's lines from 0; a later line of the same number replaces it.

    `stream` is 1 for stdout, 2 for stderr. `text` has no line end; it may hold ANSI colours.
    """

    number: int
    wall_time_ns: int
    stream: int
    text: str


class Console(Record):
    """Lines of output; `n_left_out` more, since the last such record, went over the bound."""

    lines: list[ConsoleLine] = []
    n_left_out: int = 0


class File(Record):
    """A file kept with the run: its bytes are in the run's folder as files/<digest>.

    `digest` is the BLAKE3 of the bytes in hexadecimal. `kind` is file, code, diff or media; the path of
    media is that which a row's value names (docs/media.md).
    """

    path: str
    digest: str
    size_bytes: int
    kind: str = "file"


class Environment(Record):
    """What was run, on what: each top-level key replaces the earlier value. docs/capture.md lists the keys."""

    values: dict[str, Any] = {}


class Clock(Record):
    """The wall clock moved against the monotonic one: somebody set it, or the machine slept."""

    jumped_ns: int


class ArtifactLog(Record):
    """The run logs a version of an artifact. The catalog says whether it was committed; docs/artifacts.md.

    Written before the version is made, without `version`, and again when it is made or changed. `digest` is that of its
    manifest, `version` the ordinal that the local catalog gave, such as "v3"; `links` are (registered model, aliases).
    """

    uid: str
    project: str
    name: str
    type: str
    digest: str
    size_bytes: int = 0
    n_files: int = 0
    version: str = ""
    aliases: list[str] = []
    links: list[tuple[str, list[str]]] = []


class ArtifactUse(Record):
    """The run uses a version of an artifact, of this or another project; `used_as` is what it is for."""

    uid: str
    project: str
    name: str
    type: str
    digest: str
    version: str = ""
    used_as: str = ""


class Alert(Record):
    """Something that people should know of. `level` is INFO, WARN or ERROR, `step` the run's step at that time."""

    title: str
    text: str = ""
    level: str = "INFO"
    step: int = 0


class RunEdit(Record):
    """A change of what `init` named; None means unchanged."""

    name: str | None = None
    tags: list[str] | None = None
    notes: str | None = None


RECORD_TYPES: dict[int, type[Record]] = {
    Kind.SESSION: Session,
    Kind.ROW_MAP: RowMap,
    Kind.CONFIG: Config,
    Kind.SUMMARY: Summary,
    Kind.METRIC: MetricDefinition,
    Kind.STATE: State,
    Kind.DROPPED: Dropped,
    Kind.HEARTBEAT: Heartbeat,
    Kind.RUN_EDIT: RunEdit,
    Kind.SUSPENDED: Suspended,
    Kind.CONSOLE: Console,
    Kind.FILE: File,
    Kind.ENVIRONMENT: Environment,
    Kind.CLOCK: Clock,
    Kind.ARTIFACT_LOG: ArtifactLog,
    Kind.ARTIFACT_USE: ArtifactUse,
    Kind.ALERT: Alert,
}
KIND_OF: dict[type[Record], Kind] = {struct: Kind(kind) for kind, struct in RECORD_TYPES.items()}

_encoder = msgspec.msgpack.Encoder()
_schema_decoder = msgspec.msgpack.Decoder(Schema)
_decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {}


def encode(record: Record | Schema) -> bytes:
    """Return the msgpack body of a record.

    Raises:
        TypeError: a value inside is of a type that msgpack has no form for.
        OverflowError: an integer does not fit 64 bits.
    """
    return _encoder.encode(record)


def decode_schema(body: bytes | memoryview) -> Schema:
    """Return the schema in a SCHEMA body; raises msgspec.MsgspecError where it is malformed."""
    return _schema_decoder.decode(body)


def decode(kind: int, body: bytes | memoryview) -> Record | None:
    """Return the record in a body, or None for a kind without a struct here.

    Raises:
        msgspec.MsgspecError: the body is not that kind's.
    """
    struct = RECORD_TYPES.get(kind)
    if struct is None:
        return None
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(struct)
    record: Record = decoder.decode(body)
    return record

"""What a sender and a server say to each other: msgpack of these structs, in `application/msgpack` bodies.

    POST /api/v1/sync/hello     -> Hello
    POST /api/v1/sync/state     StateRequest -> StateReply
    POST /api/v1/sync/blocks    BlocksRequest -> BlocksReply
    POST /api/v1/sync/missing   FilesRequest -> FilesReply
    PUT  /api/v1/sync/files/{project}/{run}/{digest}?offset=N&size=TOTAL   raw bytes -> FileAck

A body may be compressed (`Content-Encoding: zstd`). Every reply of these routes has the header `X-Tracker-Protocol`, so
that a reply of something else that listens there (a captive portal) is known for what it is. docs/sync.md describes it.
"""

from __future__ import annotations

import msgspec

PROTOCOL = 1
PROTOCOL_HEADER = "X-Tracker-Protocol"
CONTENT_TYPE = "application/msgpack"

# Most that one request holds, uncompressed. A journal's blocks are at most 64 KiB, so that any fits.
MAX_REQUEST_BYTES = 8 << 20
MAX_BLOCK_DATA_BYTES = 1 << 20
MAX_FILE_PART_BYTES = 8 << 20
MAX_NAMES = 1000


class JournalName(msgspec.Struct, frozen=True, array_like=True):
    """Which journal. `session` has 32 hexadecimal digits."""

    project: str
    run: str
    writer: str
    session: str


class JournalPart(msgspec.Struct, array_like=True):
    """Bytes of a journal from `offset` on, whole records; `crc` is their CRC-32.

    `age_s` is how long before this request the journal was last written, by the sender's clock.
    """

    journal: JournalName
    offset: int
    age_s: float
    crc: int
    data: bytes


class JournalAck(msgspec.Struct, array_like=True):
    """How much of a journal the server keeps for good: `size_bytes`.

    `trouble`: "" taken; "gap" the part began behind the end of what is there; "differs" its bytes are not those that
    are there; "damaged" its CRC is not that of its bytes; "deleted" the run was deleted, send nothing more of it;
    "refused" the names or the first record are not valid, or the key may not write there. `reason` says more.
    """

    journal: JournalName
    size_bytes: int
    trouble: str = ""
    reason: str = ""


class Order(msgspec.Struct, array_like=True):
    """What a run is asked to do: `action` is "stop". It is for the sessions named, and repeated until these end."""

    project: str
    run: str
    sessions: list[str]
    action: str
    by: str
    why: str
    at_ns: int


class Hello(msgspec.Struct):
    """The first reply. `project` is the only one that the key is for, None for all; `scope` admin, write or read."""

    server: str
    version: str
    protocol: int
    key_name: str
    scope: str
    project: str | None
    max_request_bytes: int
    url: str = ""


class StateRequest(msgspec.Struct):
    journals: list[JournalName]


class StateReply(msgspec.Struct):
    acks: list[JournalAck]


class BlocksRequest(msgspec.Struct):
    """Parts of any journals, those of one journal in order. Without parts it only asks for orders of `running`."""

    parts: list[JournalPart]
    running: list[JournalName] = []


class BlocksReply(msgspec.Struct):
    """An ack for each journal of the request: what it says is kept even if the server is killed at once."""

    acks: list[JournalAck]
    orders: list[Order] = []


class FilesRequest(msgspec.Struct):
    """Digests (BLAKE3, hexadecimal) of files kept with a run."""

    project: str
    run: str
    digests: list[str]


class FileState(msgspec.Struct, array_like=True):
    """A file that is not there yet whole; `offset` is where to go on with it."""

    digest: str
    offset: int


class FilesReply(msgspec.Struct):
    missing: list[FileState]


class FileAck(msgspec.Struct):
    """`is_whole`: all bytes are there and their digest is right. Else go on at `offset`."""

    offset: int
    is_whole: bool

"""A sender as simple as one can be: posts what the test says, and nothing by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

import httpx
import msgspec
import zstandard
from blake3 import blake3

from tracker_core.sync.wire import (
    CONTENT_TYPE,
    PROTOCOL_HEADER,
    BlocksReply,
    BlocksRequest,
    FileAck,
    FilesReply,
    FilesRequest,
    Hello,
    JournalAck,
    JournalName,
    JournalPart,
    StateReply,
    StateRequest,
)

SYNC = "/api/v1/sync"
T = TypeVar("T")


class SyncClient:
    """Speaks `wire` to a server.

    Args:
        base_url: the server's.
        key: sent with each request, where there is one.
        options: of httpx.
    """

    def __init__(self, base_url: str, key: str | None, **options: Any) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=30.0, trust_env=False, **options)

    def close(self) -> None:
        self.http.close()

    def post(self, name: str, value: object, is_compressed: bool = True) -> httpx.Response:
        body = msgspec.msgpack.encode(value)
        headers = {"Content-Type": CONTENT_TYPE}
        if is_compressed:
            body, headers["Content-Encoding"] = zstandard.compress(body), "zstd"
        return self.http.post(f"{SYNC}/{name}", content=body, headers=headers)

    def asked(self, name: str, value: object, kind: type[T]) -> T:
        reply = self.post(name, value)
        assert reply.status_code == 200, reply.text
        assert reply.headers[PROTOCOL_HEADER] == "1"
        return msgspec.msgpack.decode(reply.content, type=kind)

    def hello(self) -> Hello:
        return self.asked("hello", {}, Hello)

    def state(self, *journals: JournalName) -> list[JournalAck]:
        return self.asked("state", StateRequest(list(journals)), StateReply).acks

    def blocks(self, *parts: JournalPart, running: Sequence[JournalName] = ()) -> BlocksReply:
        return self.asked("blocks", BlocksRequest(list(parts), list(running)), BlocksReply)

    def missing(self, project: str, run: str, *digests: str) -> dict[str, int]:
        found = self.asked("missing", FilesRequest(project, run, list(digests)), FilesReply).missing
        return {state.digest: state.offset for state in found}

    def put_file(self, run: str, content: bytes, offset: int = 0, end: int | None = None, **query: Any) -> FileAck:
        """Send the bytes from `offset` to `end` of a file with this content."""
        reply = self.put_bytes(run, blake3(content).hexdigest(), content[offset:end], offset, **query)
        assert reply.status_code == 200, reply.text
        return msgspec.msgpack.decode(reply.content, type=FileAck)

    def put_bytes(self, run: str, digest: str, data: bytes, offset: int = 0, **query: Any) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"}
        query = {"offset": offset, **query}
        return self.http.put(f"{SYNC}/files/p/{run}/{digest}", content=data, headers=headers, params=query)

    def send(self, path: str, name: JournalName, part_bytes: int = 1 << 20, age_s: float = 0.0) -> JournalAck:
        """Send all that a journal's file has beyond what the server has; return its last answer."""
        with open(path, "rb") as file:
            data = file.read()
        ack = self.state(name)[0]
        while ack.size_bytes < len(data) and not ack.trouble:
            ack = self.blocks(part(name, data, ack.size_bytes, part_bytes, age_s)).acks[0]
        return ack


def part(
    name: JournalName, data: bytes, offset: int = 0, n_bytes: int = 1 << 20, age_s: float = 0.0, **changes: Any
) -> JournalPart:
    """Return a part of a journal with this content."""
    piece = data[offset : offset + n_bytes]
    return msgspec.structs.replace(JournalPart(name, offset, age_s, crc32(piece), piece), **changes)


def name_of(journal: Any, run: str = "a", project: str = "p", writer: str = "main") -> JournalName:
    """Return the name of a journal that a test writes."""
    return JournalName(project, run, writer, journal.session.hex())

"""What a server and who asks it for artifacts say to each other: a call for each method of `ArtifactSource`.

    POST /api/v1/exact/artifacts/{method}             msgpack map of the method's arguments -> frames of its result
    POST /api/v1/exact/artifacts/put?lease=L          pieces: digest (32 bytes), length (uint32, little-endian), bytes

The requests are made from the methods' own signatures, so that both sides agree on them. A manifest comes as frames of
its encoded bytes, chunks as a frame each. docs/api.md lists the calls.
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

from tracker_core.artifacts.manifest import DIGEST_BYTES, Chunk
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES, CollectionInfo, VersionInfo
from tracker_core.errors import UsageError

ARTIFACTS = "/artifacts"
# Most that one request holds. With what is around them, chunks stay below what proxies are told to take.
MAX_CALL_BYTES = 4 << 20
MAX_PUT_BYTES = 8 << 20
MAX_COMMIT_BYTES = 128 << 20
MAX_CHUNKS = 4096
MAX_ITEMS = 1000
PIECE_HEAD = struct.Struct(f"<{DIGEST_BYTES}sI")
MANIFEST_PIECE_BYTES = 1 << 20

T = TypeVar("T")


class PageOf(msgspec.Struct, Generic[T]):
    """A `Page` of one kind of items."""

    items: list[T]
    next_place: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A method as it is asked for: the struct of its arguments and the type of its result."""

    name: str
    request: type[msgspec.Struct]
    reply: Any

    def arguments(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Return the arguments of a call by name."""
        return dict(zip(self.request.__struct_fields__, given, strict=False)) | named


_PAGES: dict[str, Any] = {"collections": PageOf[CollectionInfo], "versions": PageOf[VersionInfo]}
# Whose bodies or results are no values; `place` and `close` are not asked for.
_NOT_CALLED = {"place", "close", "put"}


def _calls() -> dict[str, Call]:
    found = {}
    for name, method in inspect.getmembers(ArtifactSource, inspect.isfunction):
        if name.startswith("_") or name in _NOT_CALLED:
            continue
        hints = get_type_hints(method)
        reply = _PAGES.get(name, hints.pop("return"))
        parameters = [p for p in inspect.signature(method).parameters.values() if p.name != "self"]
        fields: list[Any] = [
            (p.name, hints[p.name]) if p.default is p.empty else (p.name, hints[p.name], p.default) for p in parameters
        ]
        found[name] = Call(name, msgspec.defstruct(f"Asked_{name}", fields, module=__name__), reply)
    return found


CALLS = _calls()


def piece_of(chunk: Chunk, content: bytes | memoryview) -> list[bytes | memoryview]:
    """Return a chunk as it is sent."""
    return [PIECE_HEAD.pack(chunk.digest, len(content)), content]


def pieces_in(body: bytes) -> Iterator[tuple[Chunk, memoryview]]:
    """Yield the chunks of a body. Their digests are not checked here.

    Raises:
        UsageError: the body is not of this form.
    """
    view, position, n = memoryview(body), 0, 0
    while position < len(body):
        n += 1
        if len(body) - position < PIECE_HEAD.size or n > MAX_CHUNKS:
            raise _odd("a body that is cut off" if n <= MAX_CHUNKS else f"more than {MAX_CHUNKS} chunks")
        digest, size = PIECE_HEAD.unpack_from(body, position)
        position += PIECE_HEAD.size
        if not 1 <= size <= min(MAX_CHUNK_BYTES, len(body) - position):
            raise _odd(f"a chunk of {size} bytes")
        yield Chunk(digest, size), view[position : position + size]
        position += size


def _odd(got: str) -> UsageError:
    expected = f"at most {MAX_CHUNKS} chunks of 1 to {MAX_CHUNK_BYTES} bytes"
    return UsageError("body of put", got, expected, "use a client of the server's version")


def in_bounds(chunks: Iterable[T], size_of: Callable[[T], int], max_bytes: int, max_n: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most so many bytes and items; a single one may be larger."""
    held: list[T] = []
    n_bytes = 0
    for one in chunks:
        size = size_of(one)
        if held and (n_bytes + size > max_bytes or len(held) >= max_n):
            yield held
            held, n_bytes = [], 0
        held.append(one)
        n_bytes += size
    if held:
        yield held

"""Replies that lose nothing: frames of `exact_wire`, sent as they are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from tracker_core.sync.wire import CONTENT_TYPE, PROTOCOL, PROTOCOL_HEADER

from ..query.folder import LocalFolder
from ..remote.exact_wire import END, FAULT, encode, frame, value_frame
from ..remote.faults import KNOWN, fault_of, status_of
from ..store.store_connection import DatabaseAwayError
from .events import ChangeFeed

HEADERS = {PROTOCOL_HEADER: str(PROTOCOL), "Cache-Control": "no-store"}
_GATHERED_BYTES = 64 << 10

T = TypeVar("T")


class FreshFolder:
    """A folder that is looked at anew for each question. Requests that wait for one another share a look.

    Args:
        folder: the folder.
        feed: is told what a look found.
    """

    def __init__(self, folder: LocalFolder, feed: ChangeFeed) -> None:
        self.folder = folder
        self._feed = feed
        self._lock = threading.Lock()
        self._began_s = -1.0

    def look(self) -> LocalFolder:
        """Return the folder with all that was written to it before this call."""
        asked_s = time.monotonic()
        with self._lock:
            if self._began_s < asked_s:
                began_s = time.monotonic()
                self.tell()
                self._began_s = began_s
        return self.folder

    def tell(self) -> None:
        """Look, and tell the pages what was found."""
        changes = self.folder.refresh()
        if changes:
            self._feed.publish(changes)


def decoded(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T:
    """Return what a request's body says; raises MsgspecError where it says nothing that is known."""
    try:
        return decoder.decode(body)
    except RecursionError:
        raise msgspec.DecodeError("it is too deep") from None


def reply(folder: LocalFolder, work: Callable[[], Iterable[bytes]]) -> Response:
    """Return the frames that `work` makes as a reply; an error in front of the first is one of the reply."""
    try:
        frames = iter(work())
        first = next(frames, b"")
    except DatabaseAwayError:
        raise  # the reply says when to come back
    except KNOWN as error:
        fault = fault_of(error, folder.path)
        return Response(encode(fault), status_of(fault), HEADERS, media_type=CONTENT_TYPE)
    content = _gathered(_to_the_end(first, frames, folder.path))
    head = next(content)
    rest = next(content, None)
    if rest is None:  # as nearly always
        return Response(head, headers=HEADERS, media_type=CONTENT_TYPE)
    return StreamingResponse(_joined(head, rest, content), headers=HEADERS, media_type=CONTENT_TYPE)


def value_reply(folder: LocalFolder, work: Callable[[], Any]) -> Response:
    """Return the value that `work` returns as a reply."""
    return reply(folder, lambda: [value_frame(work())])


def _to_the_end(first: bytes, frames: Iterator[bytes], place: str) -> Iterator[bytes]:
    yield first
    try:
        yield from frames
    except KNOWN as error:
        yield frame(FAULT, encode(fault_of(error, place)))
        return
    yield frame(END)


def _gathered(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Yield small frames together: each piece that is sent costs a turn of the server's loop."""
    held: list[bytes] = []
    n_bytes = 0
    for one in frames:
        held.append(one)
        n_bytes += len(one)
        if n_bytes >= _GATHERED_BYTES:
            yield b"".join(held)
            held, n_bytes = [], 0
    if held:
        yield b"".join(held)


def _joined(head: bytes, rest: bytes, content: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield rest
    yield from content

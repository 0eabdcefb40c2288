"""How much a request may cost before it is answered: time for its header and body, bytes sent and decompressed.

header complete          within HEADER_TIMEOUT_S of the first byte, or of the connection
body complete            within BODY_TIMEOUT_S of the header
answered, body not sent  closed after LINGER_S
idle between requests    closed after KEEP_ALIVE_S
reply not taken          closed after WRITE_TIMEOUT_S without progress
header                   HEADER_MAX_BYTES
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import zstandard
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .http_errors import TooLargeError, error_response
from .security_headers import SECURITY_HEADERS

HEADER_TIMEOUT_S = 20.0
BODY_TIMEOUT_S = 120.0
LINGER_S = 2.0
LINGER_MAX_BYTES = 4 << 20
KEEP_ALIVE_S = 75
WRITE_TIMEOUT_S = 60.0
HEADER_MAX_BYTES = 64 << 10
MAX_CONNECTIONS = 2000
# Bodies that are held at once, of all requests together.
BUFFERED_MAX_BYTES = 512 << 20
_MAX_WINDOW_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


class UnsupportedBodyError(Exception):
    """A body of another type or encoding than its route takes; the argument says what was expected."""


class BusyError(Exception):
    """Too much is being taken at once; the request is to be sent again a little later."""


class BodyBudget:
    """Bounds the memory of all bodies together. For one event loop.

    Args:
        max_bytes: of bodies that are being read or worked on.
    """

    def __init__(self, max_bytes: int = BUFFERED_MAX_BYTES) -> None:
        self._left = max_bytes

    @contextmanager
    def held(self, n_bytes: int) -> Iterator[None]:
        """Count so many bytes as held for the block. Raises BusyError where there is no room for them now."""
        if n_bytes > self._left:
            raise BusyError
        self._left -= n_bytes
        try:
            yield
        finally:
            self._left += n_bytes


def check_body_type(request: Request, content_type: str) -> str:
    """Return the encoding of a body, zstd or identity. Raises UnsupportedBodyError for another type or encoding."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != content_type:
        raise UnsupportedBodyError(f"Content-Type: {content_type}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "zstd"):
        raise UnsupportedBodyError("Content-Encoding: zstd, or none")
    return encoding


def announced_bytes(request: Request, max_bytes: int) -> int:
    """Return how long a body may get: what its header says, or `max_bytes`. Raises TooLargeError beyond that."""
    given = request.headers.get("content-length", "")
    n_bytes = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else max_bytes
    if n_bytes > max_bytes:
        raise TooLargeError(max_bytes)
    return n_bytes


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """Return the body as it was sent. Raises TooLargeError where it is longer than `max_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLargeError(max_bytes)
    return bytes(body)


def decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a body as it was before it was compressed, making at most `max_bytes` of it.

    Raises:
        TooLargeError: it is longer.
        ValueError: it is no zstd frame.
    """
    if encoding == "identity":
        return body
    found = bytearray()
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(io.BytesIO(body))
        while chunk := reader.read(min(_CHUNK_BYTES, max_bytes + 1 - len(found))):
            found += chunk
            if len(found) > max_bytes:
                raise TooLargeError(max_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(f"a body that is no zstd frame: {error}") from None
    return bytes(found)


class OneLength:
    """ASGI middleware that refuses what says its length in two ways: a proxy in front may have read it another way.

    Args:
        app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "transfer-encoding" in headers and "content-length" in headers:
            got, expected = "Content-Length and Transfer-Encoding", "one of them"
            refusal = error_response(400, "header", got, expected, "send one length")
            refusal.headers.update({**SECURITY_HEADERS, "Connection": "close"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 of a server that waits for nobody for ever. uvicorn itself only ends idle connections."""

    _timer: asyncio.TimerHandle | None = None
    _timed = ""
    _n_ignored_bytes = 0
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header."""
        super().connection_made(transport)
        self._arm("header", HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._arm("", 0.0)
        self._end_write_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wait for what is to follow."""
        super().data_received(data)
        self._wait_for_rest()
        self._n_ignored_bytes = self._n_ignored_bytes + len(data) if self._timed == "linger" else 0
        if self._n_ignored_bytes > LINGER_MAX_BYTES:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Close a connection soon whose request was answered before all of it was sent."""
        super().on_response_complete()
        self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            is_answered = self.cycle is not None and self.cycle.response_complete
            self._arm(*(("linger", LINGER_S) if is_answered else ("body", BODY_TIMEOUT_S)))
        elif state is h11.IDLE and self.conn.trailing_data[0]:
            self._arm("header", HEADER_TIMEOUT_S)
        else:
            self._arm("", 0.0)

    def _arm(self, timed: str, seconds: float) -> None:
        """Wait for one thing; waiting for the same thing goes on as it began."""
        if timed == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timed = timed
        self._timer = self.loop.call_later(seconds, self.transport.abort) if timed else None

    def pause_writing(self) -> None:
        """Give the other side some time to take what was sent."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it was taken."""
        self._end_write_timer()
        super().resume_writing()

    def _end_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def protocol_options() -> dict[str, Any]:
    """Return the options of uvicorn that put these bounds in place."""
    return {
        "http": PatientProtocol,
        "ws": "none",
        "h11_max_incomplete_event_size": HEADER_MAX_BYTES,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "limit_concurrency": MAX_CONNECTIONS,
    }

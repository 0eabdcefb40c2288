"""The body of a request, up to a bound."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from fastapi import Request

from tracker_core.errors import UsageError

from .http_errors import TooLargeError

MAX_BODY_BYTES = 1 << 20
T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """Return the body; raises TooLargeError where it is larger than `MAX_BODY_BYTES`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(MAX_BODY_BYTES)
    return bytes(body)


async def read_json(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what the body says; raises UsageError where its JSON is nested so deeply that nobody can have meant it."""
    body = await read_body(request)
    try:
        return decoder.decode(body)
    except RecursionError:
        where = f"body of {request.url.path}"[:300]
        raise UsageError(where, "JSON nested too deeply", "at most some hundred levels", "flatten it") from None

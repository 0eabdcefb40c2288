"""The body of a request, up to a bound."""

from __future__ import annotations

from fastapi import Request

from .http_errors import TooLargeError

MAX_BODY_BYTES = 1 << 20


async def read_body(request: Request) -> bytes:
    """Return the body; raises TooLargeError where it is larger than `MAX_BODY_BYTES`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(MAX_BODY_BYTES)
    return bytes(body)

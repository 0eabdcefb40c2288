"""One request of a command to a server's HTTP API, and its errors in the words of the server."""

from __future__ import annotations

from typing import Any

import msgspec

from tracker_core.errors import TrackerError
from tracker_core.remote.server_address import is_loopback

from ..http.http_errors import ErrorBody

_TIMEOUT_S = 30.0


def ask_server(address: str, key: str | None, method: str, path: str, body: object = None) -> bytes:
    """Return the body of a server's answer. Redirects are not followed: a key goes to the server that it is for.

    Args:
        address: the server's.
        key: sent in a header.
        method, path: of the request; the path with its prefix.
        body: sent as JSON.

    Raises:
        TrackerError: there is no answer, or it is an error.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = not is_loopback(address)
        session.auth = _bearer(key)
        try:
            reply = session.request(
                method,
                f"{address}{path}",
                data=None if body is None else msgspec.json.encode(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise TrackerError(f"{address} does not answer: {_innermost(error)}") from None
    if reply.status_code != 200:
        raise TrackerError(_told(address, reply.status_code, reply.content))
    return reply.content


def _bearer(key: str | None) -> Any:
    def sign(request: Any) -> Any:
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign  # being there, it keeps requests from sending what ~/.netrc has


def _told(address: str, status: int, content: bytes) -> str:
    try:
        error = msgspec.json.decode(content, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return f"{address} answers {status}, and not as a tracker server does"
    return f"{address} answers {status}: got {error.got}, expected {error.expected}. Remedy: {error.remedy}."


def _innermost(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]

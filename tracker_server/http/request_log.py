"""One JSON line for each request, with an id that its reply carries too. Keys, addresses' queries and bodies: never.

{"time": "2026-01-02T03:04:05.678Z", "request_id": "...", "client": "...", "method": "POST",
 "route": "/api/v1/sync/blocks", "status": 200, "seconds": 0.004, "key": "laptop", "bytes_in": 812}
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker_core.sync.wire import PROTOCOL, PROTOCOL_HEADER

from .access import principal_in, route_of
from .server_metrics import ServerMetrics

REQUEST_ID = "X-Request-ID"
NO_ROUTE = "(none)"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger("tracker.access")


class RequestLog:
    """ASGI middleware in front of everything: gives each request an id, counts it, times it and writes a line.

    Args:
        app: the application behind it.
        metrics: counts.
        sync_prefix: below it every reply says which protocol is spoken, refusals too.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, sync_prefix: str) -> None:
        self._app = app
        self._metrics = metrics
        self._sync_prefix = sync_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        started_s, status, n_bytes = time.monotonic(), 500, 0
        is_sync = scope["path"].startswith(self._sync_prefix)

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if is_sync:
                    headers.setdefault(PROTOCOL_HEADER, str(PROTOCOL))
            await send(message)

        async def receive_counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            return message

        self._metrics.begin_request()
        try:
            await self._app(scope, receive_counted, send_marked)
        finally:
            seconds = time.monotonic() - started_s
            self._metrics.end_request(_method(scope), _route(scope), status, seconds)
            if log.isEnabledFor(logging.INFO):
                log.info("%s", _line(scope, request_id, status, seconds, n_bytes))


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS") else "other"


def _route(scope: Scope) -> str:
    """Return the template of the route that answered: the path itself could hold anything, and any number of things."""
    return route_of(scope) or NO_ROUTE


def _line(scope: Scope, request_id: str, status: int, seconds: float, n_bytes: int) -> str:
    fields: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": request_id,
        "client": (scope.get("client") or ("",))[0],
        "method": _method(scope),
        "route": _route(scope),
        "status": status,
        "seconds": round(seconds, 6),
        "key": principal_in(scope).name,
        "bytes_in": n_bytes,
    }
    return json.dumps(fields)

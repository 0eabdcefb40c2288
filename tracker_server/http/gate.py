"""The gate in front of all routes, as ASGI middleware: refuses by default, finds out who asks, adds the headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..catalog.decisions import CatalogError
from .access import set_principal
from .allowed_hosts import ALLOWED_HOSTS_SETTING, is_address
from .api_keys import KEY_PREFIX, is_key
from .authorize import NOBODY, Principal
from .cross_site import is_cross_site
from .http_errors import error_response, too_many_tries
from .security_headers import SECURITY_HEADERS
from .wrong_keys import TooManyTriesError


class Auth(Protocol):
    """Who may call a server.

    Attributes:
        remedy: what somebody unknown is to do.
    """

    remedy: str

    def is_host_allowed(self, host: str) -> bool:
        """Say whether a Host header names us."""

    async def identify(self, scope: Scope) -> Principal | None:
        """Return who sent a request; None for somebody unknown."""

    async def is_live(self, principal: Principal) -> bool:
        """Say whether somebody who was identified may still ask."""

    def ask_to_sign_in(self, scope: Scope) -> Response:
        """Return what a browser is shown that asked for a page and is not signed in."""


class Gate:
    """Lets a request through to `app` only from an allowed Host, not from another site, and signed in.

    What a principal may do, the guard of each route asks.

    Args:
        app: the application behind it.
        auth: who is signed in.
        is_public: says of a path whether its route is declared public.
    """

    def __init__(self, app: ASGIApp, auth: Auth, is_public: Callable[[str], bool]) -> None:
        self._app = app
        self._auth = auth
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._refuse_place(scope) or await self._refuse_stranger(scope)
        answer: ASGIApp = self._app if refusal is None else refusal
        await answer(scope, receive, _with_security_headers(send))

    def _refuse_place(self, scope: Scope) -> Response | None:
        """Refuse a request that is not for us or that another site caused."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        own_address = (scope.get("server") or ("",))[0]
        if not self._auth.is_host_allowed(host) and not is_address(host, own_address):
            expected = "localhost, 127.0.0.1, [::1] or a name in the setting " + ALLOWED_HOSTS_SETTING
            remedy = f"to serve under this name set {ALLOWED_HOSTS_SETTING} to it and restart the server"
            return error_response(403, "header Host", repr(", ".join(hosts))[:200], expected, remedy)
        address = path + unquote(scope["query_string"].decode("latin-1"))
        if KEY_PREFIX in address and any(is_key(word) for word in re.findall(r"\w+", address)):
            remedy = "send it in the header Authorization: Bearer; revoke this one, it may be in a log by now"
            return error_response(400, "the address of the request", "a key in it", "an address without a key", remedy)
        fetch = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode"), headers.get("origin")
        if is_cross_site(method, host, *fetch):
            return error_response(
                403, f"{method} {path}"[:200], "a request from another site", "one from this page", "open the dashboard"
            )
        return None

    async def _refuse_stranger(self, scope: Scope) -> Response | None:
        """Find out who asks; refuse somebody unknown but where the route is public."""
        path, method = scope["path"], scope["method"]
        try:
            principal = await self._auth.identify(scope)
        except TooManyTriesError as error:
            return too_many_tries(f"{method} {path}"[:200], error.seconds)
        except CatalogError as error:
            return error_response(503, error.where, error.got[:500], error.expected, error.remedy)
        set_principal(scope, principal or NOBODY, partial(self._auth.is_live, principal or NOBODY))
        if principal is not None or self._is_public(path):
            return None
        if method == "GET" and not path.startswith(("/api/", "/static/", "/metrics")):
            return self._auth.ask_to_sign_in(scope)
        got = "no valid key, cookie or token"
        reply = error_response(401, f"{method} {path}"[:200], got, "a signed-in caller", self._auth.remedy)
        reply.headers["WWW-Authenticate"] = "Bearer"
        return reply


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers

"""The gate in front of all routes, as ASGI middleware: refuses by default and adds the security headers."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_errors import error_response
from .local_auth import ALLOWED_HOSTS_SETTING, LocalAuth, is_cross_site
from .security_headers import SECURITY_HEADERS


def small_page(title: str, text: str) -> str:
    """Return a page without script for someone who is not signed in. Both arguments are our own words."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;"
        "padding:0 1rem;color-scheme:light dark}code{background:#8883;padding:.1em .3em;border-radius:4px}</style>"
        f"<h1>{title}</h1><p>{text}</p></html>"
    )


_SIGN_IN = small_page(
    "Please open the link again",
    "This page is only for whoever started the server. Open the link that <code>tracker ui</code> printed; if it was "
    "used already, stop that command and run <code>tracker ui</code> again to get a new one.",
)


class Gate:
    """Lets a request through to `app` only from an allowed Host, not from another site, and signed in.

    Args:
        app: the application behind it.
        auth: who is signed in.
        is_public: says of a path whether its route is declared public.
    """

    def __init__(self, app: ASGIApp, auth: LocalAuth, is_public: Callable[[str], bool]) -> None:
        self._app = app
        self._auth = auth
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._refuse(scope)
        answer: ASGIApp = self._app if refusal is None else refusal
        await answer(scope, receive, _with_security_headers(send))

    def _refuse(self, scope: Scope) -> Response | None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if not self._auth.is_host_allowed(host):
            expected = "localhost, 127.0.0.1, [::1] or a name in the setting " + ALLOWED_HOSTS_SETTING
            remedy = f"to serve under this name set {ALLOWED_HOSTS_SETTING} to it and restart `tracker ui`"
            return error_response(403, "header Host", repr(host)[:200], expected, remedy)
        fetch = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode"), headers.get("origin")
        if is_cross_site(method, host, *fetch):
            return error_response(
                403, f"{method} {path}"[:200], "a request from another site", "one from this page", "open the dashboard"
            )
        if self._is_public(path) or self._auth.is_signed_in(
            headers.get("cookie", ""), headers.get("authorization", "")
        ):
            return None
        if method == "GET" and not path.startswith(("/api/", "/static/")):
            return HTMLResponse(_SIGN_IN, status_code=401, headers={"Cache-Control": "no-store"})
        remedy = "open the link that `tracker ui` printed, or send the token in ui.json as a bearer token"
        return error_response(401, f"{method} {path}"[:200], "no valid cookie or token", "a signed-in caller", remedy)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers

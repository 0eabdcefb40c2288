"""Signing a browser in and out: with the link of `tracker ui`, or with a key that is pasted into a form."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from .access import Action, RouteTable
from .http_body import read_body
from .key_auth import KeyAuth
from .local_auth import LocalAuth
from .sign_in_pages import LINK_USED_UP, hop_page, login_page, own_path
from .wrong_keys import TooManyTriesError

_HIDDEN: dict[str, Any] = {"response_model": None, "include_in_schema": False}
_NO_STORE = {"Cache-Control": "no-store"}
# With no referrer at all a browser says "Origin: null" of a form of our own.
_FORM_HEADERS = {**_NO_STORE, "Referrer-Policy": "same-origin"}
_LOCAL_COOKIE_AGE_S = 365 * 86400
_WRONG = "That is not a key of this server, or it was revoked."


def add_local_login(routes: RouteTable, auth: LocalAuth) -> None:
    """Declare the address of the link that `tracker ui` prints."""

    @routes.add("GET", "/login", Action.PUBLIC, **_HIDDEN)
    async def login(request: Request, key: str = "") -> Response:
        if not auth.take_login_key(key) and await auth.identify(request.scope) is None:
            return HTMLResponse(LINK_USED_UP, 401, _NO_STORE)
        if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            reply: Response = RedirectResponse("/", 303, _NO_STORE)
        else:
            # A SameSite=Strict cookie is not sent along a redirect that another site began; it is from this page on.
            reply = HTMLResponse(hop_page("/"), 200, _NO_STORE)
        age_s, name = _LOCAL_COOKIE_AGE_S, auth.cookie_name
        reply.set_cookie(name, auth.cookie_value, max_age=age_s, httponly=True, samesite="strict", path="/")
        return reply


def add_key_login(routes: RouteTable, auth: KeyAuth) -> None:
    """Declare the form that takes a key, and signing out."""

    @routes.add("GET", "/login", Action.PUBLIC, **_HIDDEN)
    async def form(request: Request, next: str = "/") -> Response:
        if auth.cookie_of(request.scope) and await auth.identify(request.scope):
            return RedirectResponse(own_path(next), 303, _NO_STORE)
        return HTMLResponse(login_page(next), 200, _FORM_HEADERS)

    @routes.add("POST", "/login", Action.PUBLIC, **_HIDDEN)
    async def login(request: Request) -> Response:
        key, target = _fields(await read_body(request))
        try:
            principal = await auth.identify_key(key, request.scope)
        except TooManyTriesError as error:
            text = f"Too many wrong keys. Try again in {error.seconds} s."
            headers = {**_FORM_HEADERS, "Retry-After": str(error.seconds)}
            return HTMLResponse(login_page(target, text), 429, headers)
        found = auth.keys.find(key) if principal else None
        if found is None:
            return HTMLResponse(login_page(target, _WRONG), 401, _FORM_HEADERS)
        reply = RedirectResponse(own_path(target), 303, _NO_STORE)
        auth.set_cookie(reply, request.scope, await run_in_threadpool(auth.keys.sign_in, found))
        return reply

    @routes.add("POST", "/logout", Action.READ, per_project=True, **_HIDDEN)
    async def logout(request: Request) -> Response:
        await run_in_threadpool(auth.keys.sign_out, auth.cookie_of(request.scope))
        reply = RedirectResponse("/login", 303, _NO_STORE)
        auth.set_cookie(reply, request.scope, "")
        return reply


def _fields(body: bytes) -> tuple[str, str]:
    """Return the key and the path that a form says, "" for what is not there."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:  # more fields than any form of ours
        return "", ""
    return fields.get("key", [""])[0].strip(), fields.get("next", [""])[0].strip()

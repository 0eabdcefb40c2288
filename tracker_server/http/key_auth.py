"""Who may call a server that has keys: who sends one, or a browser that was signed in with one."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from ..catalog.decisions import CatalogError
from ..store.store_catalog import GLANCE_S
from .access import principal_of as principal_of
from .allowed_hosts import AllowedHosts
from .api_keys import SESSION_AGE_S, ApiKeys, principal_of_key
from .authorize import Principal
from .sign_in_pages import hop_page
from .wrong_keys import TooManyTriesError, WrongKeys

# For how long what is known of keys holds: a revoked one may open a server's other processes for that long.
FRESH_S = 1.0
# What is not known is looked for so often at most.
_LOOK_AGAIN_S = 0.01
_COOKIE = "tracker_server_session"


class KeyAuth:
    """The keys of a server. For one event loop.

    Args:
        keys: those of its catalog.
        allowed_hosts: names under which it may be called besides those of the loopback and of this machine.
    """

    remedy = (
        "send a key in the header Authorization: Bearer; an admin of the server makes one with: tracker keys create"
    )

    def __init__(self, keys: ApiKeys, allowed_hosts: Iterable[str] = ()) -> None:
        self.keys = keys
        self._hosts = AllowedHosts([socket.gethostname(), *allowed_hosts])
        self._wrong = WrongKeys()
        self._lock = asyncio.Lock()
        # A thread of its own: those that all routes share may all be waiting for the folder.
        self._thread = anyio.CapacityLimiter(1)
        self._away_until_s = 0.0

    def is_host_allowed(self, host: str) -> bool:
        """Say whether a Host header names us."""
        return self._hosts.is_allowed(host)

    async def identify(self, scope: Scope) -> Principal | None:
        """Return who asks; None for somebody unknown.

        Raises:
            TooManyTriesError: a wrong key after too many others.
            CatalogError: the catalog could not be read yet.
        """
        headers = Headers(scope=scope)
        authorization = headers.getlist("authorization")
        if authorization:
            scheme, _, key = authorization[0].partition(" ")
            is_one = len(authorization) == 1 and scheme.lower() == "bearer"
            return await self.identify_key(key.strip() if is_one else "", scope)
        cookie = self.cookie_of(scope)
        if not cookie:
            return None
        await self._refresh(FRESH_S)
        found = self.keys.find_session(cookie)
        if found is None:
            await self._look_again()
            found = self.keys.find_session(cookie)
        return principal_of_key(found) if found else None

    async def identify_key(self, key: str, scope: Scope) -> Principal | None:
        """Return whose key this is, which a client sent with the request of `scope`; raises as `identify` does."""
        client = (scope.get("client") or ("",))[0]
        await self._refresh(FRESH_S)
        found = self.keys.find(key)
        if found is None:
            wait_s = self._wrong.wait_s(client)
            if wait_s:
                raise TooManyTriesError(wait_s)
            await self._look_again()  # it may be a new one
            found = self.keys.find(key)
        if found is None:
            self._wrong.note(client)
            return None
        return principal_of_key(found)

    async def is_live(self, principal: Principal) -> bool:
        """Say whether the key of somebody who was identified is still not revoked."""
        await self._refresh(FRESH_S)
        return self.keys.is_live(principal.key_id)

    def ask_to_sign_in(self, scope: Scope) -> Response:
        """Return what a browser is shown that asked for a page and is not signed in."""
        query = scope["query_string"].decode("latin-1")
        target = quote(scope["path"]) + (f"?{query}" if query else "")
        no_store = {"Cache-Control": "no-store"}
        if Headers(scope=scope).get("sec-fetch-site") in ("cross-site", "same-site"):
            # A SameSite=Strict cookie does not come along a link on another site. It does from this page on.
            return HTMLResponse(hop_page(target), 200, no_store)
        return RedirectResponse(f"/login?next={quote(target, safe='/')}", 303, no_store)

    # -- the cookie

    def cookie_of(self, scope: Scope) -> str:
        """Return the cookie of a signed-in browser; "" where there is none."""
        try:
            cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return ""
        morsel = cookies.get(_cookie_name(scope))
        return morsel.value if morsel else ""

    def set_cookie(self, reply: Response, scope: Scope, value: str) -> None:
        """Make a reply sign a browser in, or with "" out."""
        # Under TLS no other server of this domain, and nobody on the way, can put a cookie of this name.
        reply.set_cookie(
            _cookie_name(scope),
            value,
            max_age=SESSION_AGE_S if value else 0,
            path="/",
            secure=scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )

    async def _look_again(self) -> None:
        """Learn of keys and browsers that another process let in before this call, however short before."""
        asked_s = time.monotonic()
        while self.keys.age_s > time.monotonic() - asked_s and time.monotonic() >= self._away_until_s:
            await asyncio.sleep(max(0.0, _LOOK_AGAIN_S - self.keys.age_s))
            if not await self._refresh(_LOOK_AGAIN_S):
                return

    async def _refresh(self, age_s: float) -> bool:
        """Look at the catalog unless what is known is as young; returns False where it cannot be read now."""
        if self._is_fresh(age_s):
            return True
        async with self._lock:
            if self._is_fresh(age_s):
                return True
            try:
                wait_s = GLANCE_S if self.keys.is_known else None
                await anyio.to_thread.run_sync(self.keys.refresh, wait_s, limiter=self._thread)
            except CatalogError:
                # While the catalog cannot be read no key is revoked in it either: what was known holds.
                if not self.keys.is_known:
                    raise
                self._away_until_s = time.monotonic() + FRESH_S
                return False
        return True

    def _is_fresh(self, age_s: float) -> bool:
        return self.keys.age_s <= age_s or time.monotonic() < self._away_until_s


def _cookie_name(scope: Scope) -> str:
    return f"__Host-{_COOKIE}" if scope["scheme"] == "https" else _COOKIE

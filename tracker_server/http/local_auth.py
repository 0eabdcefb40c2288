"""Who may call the local server. Loopback is no trust boundary: any page in the user's browser can reach it.

Every request passes three gates, in this order, before any route is looked up: its Host is one that we serve (else
another site has rebound its name to us), it does not come from another site, and it carries the token or the cookie.
Only the paths declared public skip the last one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from ..catalog.decisions import by_me
from .allowed_hosts import AllowedHosts
from .authorize import Principal, local_owner
from .sign_in_pages import LOCAL_SIGN_IN

COOKIE_NAME = "tracker_session"


class LocalAuth:
    """The secrets of one local server. Thread-safe.

    Args:
        token: the secret that `ui.json` keeps between starts, so that an open page survives a restart.
        allowed_hosts: names under which the server may be called besides those of the loopback, without port.
            `*.name` stands for every name below; `*` for every name at all.
    """

    remedy = "open the link that `tracker ui` printed, or send the token in ui.json as a bearer token"

    def __init__(self, token: str, allowed_hosts: Iterable[str] = ()) -> None:
        self.token = token
        self._hosts = AllowedHosts(allowed_hosts)
        self._cookie = hmac.new(token.encode(), b"cookie", hashlib.sha256).hexdigest()
        # Cookies are shared by all ports of a host: two servers must not log each other's users out.
        self.cookie_name = f"{COOKIE_NAME}_{hashlib.sha256(token.encode()).hexdigest()[:8]}"
        self._owner = local_owner(by_me().who)
        self._login_keys: set[str] = set()
        self._lock = threading.Lock()

    @property
    def cookie_value(self) -> str:
        return self._cookie

    def make_login_key(self) -> str:
        """Return a new key that opens `/login` once."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._login_keys.add(key)
        return key

    def take_login_key(self, key: str) -> bool:
        """Say whether `key` was one that is still unused, and use it up."""
        with self._lock:
            found = [known for known in self._login_keys if _is_equal(known, key)]
            self._login_keys.difference_update(found)
        return bool(found)

    def is_host_allowed(self, host: str) -> bool:
        """Say whether a Host header names us."""
        return self._hosts.is_allowed(host)

    async def identify(self, scope: Scope) -> Principal | None:
        """Return who asks; None without the cookie or the token."""
        headers = Headers(scope=scope)
        is_owner = self.is_signed_in(headers.get("cookie", ""), headers.get("authorization", ""))
        return self._owner if is_owner else None

    async def is_live(self, principal: Principal) -> bool:
        """Say whether somebody who was identified may still ask."""
        return principal == self._owner

    def ask_to_sign_in(self, scope: Scope) -> Response:
        """Return what a browser is shown that asked for a page and is not signed in."""
        del scope
        return HTMLResponse(LOCAL_SIGN_IN, 401, {"Cache-Control": "no-store"})

    def is_signed_in(self, cookies: str, authorization: str) -> bool:
        """Say whether a request with these two headers comes from the owner of the token."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and _is_equal(given.strip(), self.token):
            return True
        return any(_is_equal(value, self._cookie) for value in _cookie_values(cookies))


def load_token(path: str) -> str:
    """Return the token that the `ui.json` at `path` keeps, or a new one where none is kept safely."""
    try:
        status = os.stat(path, follow_symlinks=False)
        is_private = os.name == "nt" or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
        if stat.S_ISREG(status.st_mode) and is_private:
            with open(path, encoding="utf-8") as file:
                token = json.load(file)["token"]
            if isinstance(token, str) and len(token) >= 32:
                return token
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return secrets.token_urlsafe(32)


def save_ui_file(path: str, token: str, port: int) -> bool:
    """Write `ui.json`, readable by its owner only. Returns False on a folder that cannot be written."""
    content = json.dumps({"token": token, "port": port, "pid": os.getpid()})
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        return False
    return True


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _cookie_values(header: str) -> list[str]:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return []
    return [morsel.value for name, morsel in cookies.items() if name.startswith(COOKIE_NAME)]

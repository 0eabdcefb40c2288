"""What a proxy says of a request: believed of the proxies that the settings name, and of nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tracker_core.errors import UsageError

_NAMES = (b"x-forwarded-", b"forwarded", b"x-real-ip", b"x-original-", b"x-rewrite-", b"x-http-method-override")


class ForwardedHeaders:
    """ASGI middleware that puts the client's address, scheme and Host where the rest of the application looks.

    The headers themselves are taken away from every request, so that nothing behind can believe a forged one.

    Args:
        app: the application behind it.
        trusted: addresses of proxies, or networks such as 10.0.0.0/8.

    Raises:
        UsageError: one of them is no address.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str] = ()) -> None:
        self._app = app
        self._trusted = [_network(text) for text in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = self._cleaned(scope)
        await self._app(scope, receive, send)

    def _cleaned(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_NAMES)]
        found = {**scope, "headers": kept}
        client = (scope.get("client") or ("",))[0]
        if not self._is_trusted(client):
            return found
        found["client"] = (self._client(headers, client), 0)
        scheme = _last(headers, "x-forwarded-proto").lower()
        if scheme in ("http", "https"):
            found["scheme"] = scheme
        host = _last(headers, "x-forwarded-host")
        if host:
            others = [(name, value) for name, value in kept if name.lower() != b"host"]
            found["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return found

    def _client(self, headers: Headers, nearest: str) -> str:
        """Return the address farthest away that a trusted proxy told: each adds the one that it sees at the end."""
        found = nearest
        for value in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            try:
                found = str(ip_address(value.strip()))
            except ValueError:
                break
            if not self._is_trusted(found):
                break
        return found

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        remedy = "name the address that the proxy connects from, such as 127.0.0.1 or 10.0.0.0/8"
        raise UsageError("Settings(trusted_proxies=)", repr(text)[:200], "addresses of proxies", remedy) from None

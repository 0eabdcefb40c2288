"""Under which names a server answers. A page of another site can make a browser call us under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable

ALLOWED_HOSTS_SETTING = "TRACKER_ALLOWED_HOSTS"
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class AllowedHosts:
    """The names of a server.

    Args:
        names: those besides the loopback's, without port. `*.name` stands for every name below; `*` for every name.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {_bracketed(name.strip().lower()) for name in (*_LOOPBACK_HOSTS, *names) if name.strip()}

    def is_allowed(self, host: str) -> bool:
        """Say whether a Host header names us. The port does not matter: forwarding changes it."""
        name = _host_without_port(host)
        if name is None:
            return False
        above = name.partition(".")[2]
        parents = []
        while above:
            parents.append(f"*.{above}")
            above = above.partition(".")[2]
        return "*" in self._names or name in self._names or any(parent in self._names for parent in parents)


def is_address(host: str, address: str) -> bool:
    """Say whether a Host header is this IP address: under a number no other site can be."""
    return bool(address) and _host_without_port(host) == _bracketed(address.lower())


def _bracketed(name: str) -> str:
    return f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name


def _host_without_port(host: str) -> str | None:
    if any(c in host for c in "@/\\ \t,") or not host:
        return None
    name, closing, port = host.rpartition("]")
    if closing:
        name += "]"
    else:
        name, _, port = host.partition(":")
        port = f":{port}" if _ else ""
    if port and not (port.startswith(":") and (port[1:].isdecimal() or port == ":")):
        return None
    return name.lower().rstrip(".") or None

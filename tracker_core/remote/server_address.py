"""The address of a server."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ..errors import UsageError
from ..settings import Settings, load_settings

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EXPECTED = "an address such as https://tracker.example.com"


def server_address(text: str, where: str = "Api(base_url=)") -> str:
    """Return the address of a server as it is used: without a slash at its end.

    Raises:
        UsageError: it is none, or holds a password or a query.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        shown = "an address that is none" if "@" in text else repr(text)[:200]
        raise UsageError(where, shown, _EXPECTED, "write it with http:// or https:// and the server's name")
    if parts.username is not None or parts.password is not None:
        remedy = "take them out; the key goes into TRACKER_API_KEY, or is kept by `tracker login`"
        raise UsageError(where, f"an address of {host} with a name or password in it", _EXPECTED, remedy)
    if parts.query or parts.fragment:
        remedy = f"write {parts.scheme}://{parts.netloc}; a key goes into TRACKER_API_KEY"
        raise UsageError(where, f"an address of {host} with a query behind it", _EXPECTED, remedy)
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def is_loopback(address: str) -> bool:
    """Say whether a server is on this machine."""
    return urlsplit(address).hostname in _LOOPBACK


def key_for(address: str, settings: Settings | None = None) -> str | None:
    """Return the key for a server, as `load_settings` finds it, which never gives one that is another server's."""
    if settings is not None and settings.base_url and server_address(settings.base_url, "base_url") == address:
        return settings.api_key
    return load_settings({"base_url": address}).api_key

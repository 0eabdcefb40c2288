"""The servers that this user is logged in to, with their keys: `servers.json` in the user's own configuration.

`tracker login` writes it, readable by its owner only. It is read where nothing else names a server or a key. Neither is
ever read from a tracker folder, which may come from somebody else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

import msgspec

from .errors import TrackerError

CONFIG_VARIABLE = "TRACKER_CONFIG_DIR"
_NAME = "servers.json"
_MAX_BYTES = 1 << 20


class KeptServer(msgspec.Struct):
    """A key for a server; `key_name` is what the server calls it."""

    key: str
    key_name: str = ""


class KeptServers(msgspec.Struct):
    """All servers by address. `default` is the one that is used where none is named, "" for none."""

    default: str = ""
    servers: dict[str, KeptServer] = {}

    def key_for(self, address: str) -> str | None:
        """Return the key for a server, None where there is none."""
        found = self.servers.get(same_address(address))
        return found.key if found else None


class ServersFileError(TrackerError):
    """The file cannot be read or is not to be trusted. The message says what to do."""


def servers_file(environ: Mapping[str, str]) -> str | None:
    """Return the path of the file; None where the environment names no place for it."""
    folder = environ.get(CONFIG_VARIABLE)
    if not folder:
        above = environ.get("APPDATA") if os.name == "nt" else environ.get("XDG_CONFIG_HOME")
        if not above and environ.get("HOME") and os.name != "nt":
            above = os.path.join(environ["HOME"], ".config")
        if not above or not os.path.isabs(above):
            return None
        folder = os.path.join(above, "tracker")
    return os.path.join(folder, _NAME)


def read_servers(environ: Mapping[str, str]) -> KeptServers:
    """Return what the file says; nothing where there is none.

    Raises:
        ServersFileError: others may read or write it, or it cannot be read.
    """
    path = servers_file(environ)
    if path is None:
        return KeptServers()
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return KeptServers()
    except OSError as error:
        raise ServersFileError(f"{path} cannot be read: {error.strerror}; the servers in it are not used") from None
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not _is_private(status):
            raise ServersFileError(
                f"{path} is not only this user's, so that the keys in it are not used; mend it with: chmod 600 {path}"
            )
        try:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=KeptServers)
        except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
            text = f"{path} cannot be understood ({error}); remove it and log in again with: tracker login"
            raise ServersFileError(text) from None


def write_servers(servers: KeptServers, environ: Mapping[str, str]) -> str:
    """Write the file, readable by its owner only. Returns its path.

    Raises:
        ServersFileError: there is no place for it.
        OSError: it cannot be written.
    """
    path = servers_file(environ)
    if path is None:
        raise ServersFileError(f"no place for {_NAME}: set HOME, or {CONFIG_VARIABLE} to a folder")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(servers)) + b"\n")
            file.flush()
            os.fsync(fd)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return path


def same_address(address: str) -> str:
    """Return an address in the one way of writing it under which its key is kept."""
    from urllib.parse import urlsplit, urlunsplit  # slow to import, and few runs name a server

    text = address.strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def _is_private(status: os.stat_result) -> bool:
    if os.name == "nt":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o077

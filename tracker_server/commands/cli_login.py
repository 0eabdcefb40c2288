"""`tracker login` and `tracker logout`: which servers this user's runs go to, and with which key."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from urllib.parse import urlsplit

from tracker_core.errors import TrackerError, UsageError
from tracker_core.remote.server_address import is_loopback, server_address
from tracker_core.servers_file import KeptServer, KeptServers, ServersFileError, read_servers, write_servers
from tracker_core.settings import env_name, load_settings
from tracker_core.sync.transport import KeyRefusedError, SyncError, Transport
from tracker_core.sync.wire import PROTOCOL, Hello

from ..http.api_keys import is_key

_TIMEOUT_S = 20.0
_MAX_KEY_CHARS = 1000


def add_login(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker login`."""
    parser.add_argument("url", metavar="URL", nargs="?", help="the server's address (default: TRACKER_BASE_URL)")
    key_help = "- reads the key from standard input. It is asked for otherwise, so that no list of processes shows it"
    parser.add_argument("--key", metavar="-", help=key_help)


def add_logout(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker logout`."""
    parser.add_argument("url", metavar="URL", nargs="?", help="the server's address (default: all)")


def login(args: argparse.Namespace) -> int:
    """Try a key, and keep it for this user where it is right."""
    if args.key not in (None, "-"):
        remedy = "leave it out and paste it when asked, or pipe it in with: --key -"
        raise UsageError("tracker login --key", "a key in the command", "-, for standard input", remedy)
    address = _address(args.url)
    _warn_of_plain(address)
    key = _read_key(address, args.key)
    if not is_key(key):
        remedy = "copy it whole; keys begin with tk_ and end with characters that tell whether all is there"
        raise UsageError("tracker login", "text that is no key", "a key of a tracker server", remedy)
    found = _hello(address, key)
    kept = _kept()
    servers = {**kept.servers, address: KeptServer(key, found.key_name)}
    path = write_servers(KeptServers(address, servers), os.environ)
    place = f"project {found.project}" if found.project else "all projects"
    _say(f"Logged in to {address} with the key {found.key_name}: {found.scope} on {place}.")
    _say(f"Runs begun from now on are sent there; TRACKER_MODE=offline keeps one here. The key is in {path}.")
    for name in map(env_name, ("base_url", "api_key")):
        if os.environ.get(name):
            _say(f"{name} is set and wins over this; unset it to use what is kept.")
    return 0


def logout(args: argparse.Namespace) -> int:
    """Forget the key for a server, or for all."""
    kept = _kept()
    gone = list(kept.servers) if args.url is None else [server_address(args.url, "tracker logout")]
    known = [address for address in gone if address in kept.servers]
    if not known:
        _say("There is nothing to log out of." if args.url is None else f"Not logged in to {gone[0]}.")
        return 0
    left = {address: server for address, server in kept.servers.items() if address not in known}
    default = kept.default if kept.default in left else next(iter(left), "")
    path = write_servers(KeptServers(default, left), os.environ)
    _say(f"Logged out of {', '.join(known)}: removed from {path}.")
    if default and default != kept.default:
        _say(f"Runs are sent to {default} from now on.")
    _say("The key itself goes on working; end it with: tracker keys revoke NAME")
    return 0


def _address(url: str | None) -> str:
    url = url or load_settings().base_url
    if not url:
        remedy = "name it: tracker login https://tracker.example.com"
        raise UsageError("tracker login", "no address", "the address of a server", remedy)
    return server_address(url, "tracker login")


def _warn_of_plain(address: str) -> None:
    if urlsplit(address).scheme == "http" and not is_loopback(address):
        _say(f"Warning: {address} is not encrypted; whoever is on the way can read the key. Use https:// if you can.")


def _read_key(address: str, given: str | None) -> str:
    if given == "-" or not sys.stdin.isatty():
        return sys.stdin.readline(_MAX_KEY_CHARS).strip()
    return getpass.getpass(f"Key for {address} (not shown): ").strip()


def _hello(address: str, key: str) -> Hello:
    transport = Transport(address, key, timeout_s=_TIMEOUT_S, deadline_s=2 * _TIMEOUT_S)
    try:
        found = transport.call("hello", {}, Hello)
    except KeyRefusedError:
        remedy = "copy it again, or have an admin make another: tracker keys create"
        raise UsageError("tracker login", f"a key that {address} refuses", "one that is valid there", remedy) from None
    except SyncError as error:
        raise TrackerError(f"tracker login: {error}. Remedy: check the address, and that the server runs.") from None
    finally:
        transport.close()
    if found.protocol != PROTOCOL:
        got = f"a server of version {found.version}, which speaks protocol {found.protocol}"
        raise UsageError("tracker login", got, f"protocol {PROTOCOL}", "install the same version on both sides")
    return found


def _kept() -> KeptServers:
    try:
        return read_servers(os.environ)
    except ServersFileError as error:
        _say(f"Warning: {error}")
        return KeptServers()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")

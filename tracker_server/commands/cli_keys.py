"""`tracker keys`: make, list and revoke the keys of a server, in its folder or database, or over HTTP."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import msgspec

from tracker_core.errors import UsageError
from tracker_core.paths import find_folder, make_folder
from tracker_core.remote.server_address import server_address
from tracker_core.settings import load_settings

from ..catalog.decisions import by_me
from ..http.api_keys import ApiKeys, is_key
from ..http.authorize import Scope
from ..http.routes_api import PREFIX
from ..http.routes_keys import KeyList, KeyRow, KeyWish, NewKey, key_row
from ..store.store_catalog_file import CatalogFile
from .cli_runs import print_json, when
from .server_requests import ask_server
from .terminal_text import printable

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

_PATH = f"{PREFIX}/keys"


class Keys(Protocol):
    """Where the keys are. `place` is shown."""

    place: str

    def create(self, name: str, scope: str, project: str | None) -> NewKey:
        """Make a key."""

    def listing(self) -> list[KeyRow]:
        """Return all keys."""

    def revoke(self, name_or_id: str) -> KeyRow:
        """Revoke a key."""


def add_keys(commands: Parsers) -> None:
    """Add `tracker keys` with its actions."""
    keys = commands.add_parser("keys", help="make, list and revoke the keys of a server")
    actions = keys.add_subparsers(title="actions", required=True, metavar="ACTION")
    create = _action(actions, "create", "make a key, and print it once", create_key)
    create.add_argument("name", metavar="NAME", help="what or whom it is for")
    scope_help = "read: look; write: also send, stop, archive and delete runs; admin: also make keys (default write)"
    create.add_argument("--scope", choices=[*Scope], default=Scope.WRITE.value, help=scope_help)
    create.add_argument("--project", metavar="PROJECT", help="only for this project (default: for all)")
    listing = _action(actions, "list", "list keys; the keys themselves cannot be seen again", list_keys)
    listing.add_argument("--all", action="store_true", help="also revoked ones")
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoke = _action(actions, "revoke", "make a key open nothing any more", revoke_key)
    revoke.add_argument("key", metavar="KEY", help="its name or id")


def _action(
    actions: Parsers, name: str, help: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help, description=help[:1].upper() + help[1:] + ".")
    parser.set_defaults(run=run)
    parser.add_argument("--dir", help="the server's folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--database-url", metavar="URL", help="the server's PostgreSQL database")
    server_help = "ask a running server, with an admin key (default: that of `tracker login`, if any)"
    parser.add_argument("--server", metavar="URL", help=server_help)
    return parser


def create_key(args: argparse.Namespace) -> int:
    """Make a key. It alone goes to stdout, for scripts."""
    keys = _keys(args)
    made = keys.create(args.name, args.scope, args.project)
    place = f"project {made.about.project}" if made.about.project else "all projects"
    sys.stderr.write(
        f"Key {made.about.name} ({made.about.id}), {made.about.scope} on {place}, of {keys.place}. "
        "It is shown only now:\n"
    )
    sys.stdout.write(made.key + "\n")
    return 0


def list_keys(args: argparse.Namespace) -> int:
    """List keys."""
    keys = _keys(args)
    found = [row for row in keys.listing() if args.all or row.revoked_s is None]
    if args.json:
        print_json([msgspec.structs.asdict(row) for row in found])
        return 0
    if not found:
        sys.stdout.write(f"No keys of {keys.place}.\n")
        return 0
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("id", "name", "scope", "project", "made", "by", *(["revoked"] if args.all else [])):
        table.add_column(heading)
    for row in found:
        revoked = "" if row.revoked_s is None else f"{_when(row.revoked_s)} by {row.revoked_by}"
        cells = [row.id, row.name, row.scope, row.project or "(all)", _when(row.created_s), row.created_by]
        table.add_row(*(escape(printable(cell)) for cell in (*cells, *([revoked] if args.all else []))))
    Console().print(table)
    return 0


def revoke_key(args: argparse.Namespace) -> int:
    """Revoke a key."""
    if is_key(args.key):
        remedy = "find it with `tracker keys list`; the key itself does not belong on a command line"
        raise UsageError("tracker keys revoke", "a key", "its name or id", remedy)
    row = _keys(args).revoke(args.key)
    was = " It was already." if row.revoked_s is not None else ""
    sys.stdout.write(f"Key {printable(row.name)} ({row.id}) is revoked.{was}\n")
    return 0


class _CatalogKeys:
    """Those of a catalog that this process can open."""

    def __init__(self, keys: ApiKeys, place: str, folder: str | None = None) -> None:
        self._keys = keys
        self.place = place
        self._folder = folder

    def create(self, name: str, scope: str, project: str | None) -> NewKey:
        if self._folder:
            make_folder(self._folder)
        secret, key = self._keys.create(name, scope, project, by_me())
        return NewKey(secret, key_row(key))

    def listing(self) -> list[KeyRow]:
        return [key_row(key) for key in self._keys.all_keys()]

    def revoke(self, name_or_id: str) -> KeyRow:
        return key_row(self._keys.revoke(name_or_id, by_me()))


class _ServerKeys:
    """Those of a server that runs somewhere."""

    def __init__(self, address: str, key: str | None) -> None:
        self.place = address
        self._key = key

    def create(self, name: str, scope: str, project: str | None) -> NewKey:
        found = ask_server(self.place, self._key, "POST", _PATH, KeyWish(name, scope, project))
        return msgspec.json.decode(found, type=NewKey)

    def listing(self) -> list[KeyRow]:
        return msgspec.json.decode(ask_server(self.place, self._key, "GET", _PATH), type=KeyList).keys

    def revoke(self, name_or_id: str) -> KeyRow:
        path = f"{_PATH}/{quote(name_or_id, safe='')}"
        return msgspec.json.decode(ask_server(self.place, self._key, "DELETE", path), type=KeyRow)


def _keys(args: argparse.Namespace) -> Keys:
    """Return the keys that the arguments name; without any those of the server that the settings name, or of here."""
    settings = load_settings()
    if sum(map(bool, (args.dir, args.database_url, args.server))) > 1 and args.server:
        remedy = "name the folder or database, or the server"
        raise UsageError("tracker keys", "--server beside --dir or --database-url", "one of them", remedy)
    base_url = args.server or (None if args.dir or args.database_url else settings.base_url)
    if base_url:
        address = server_address(base_url, "tracker keys --server")
        return _ServerKeys(address, load_settings({"base_url": address}).api_key)
    url = args.database_url or (None if args.dir else settings.database_url)
    if url:
        from ..store.store_catalog_postgres import PostgresCatalog
        from ..store.store_migrate import open_database

        database = open_database(url)
        return _CatalogKeys(ApiKeys(PostgresCatalog(database)), database.place)
    folder = find_folder(args.dir or settings.dir)
    return _CatalogKeys(ApiKeys(CatalogFile(folder)), folder, folder)


def _when(seconds: float) -> str:
    return when(int(seconds * 1e9))

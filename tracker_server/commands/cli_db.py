"""`tracker db`: look after the store, in the files of a tracker folder or in a PostgreSQL database."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tracker_core.errors import UsageError
from tracker_core.paths import find_folder
from tracker_core.settings import load_settings

from .backup_blobs import add_blobs, blobs_of
from .cli_runs import print_json

if TYPE_CHECKING:
    from ..store.store_postgres import PostgresIndex
    from ..store.store_status import StoreStatus

_ACTIONS = {
    "migrate": "bring a PostgreSQL database to this version of the tracker",
    "status": "show version, size, and what is sealed, claimed and poisoned",
    "backup": "write a backup while others read and write",
    "restore": "put a backup in the place of the store",
    "rebuild": "drop the index and build it from the journals",
}


def add_db(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of `tracker`."""
    help = "look after the store: migrate, status, backup, restore, rebuild"
    actions = commands.add_parser("db", help=help).add_subparsers(title="actions", required=True, metavar="ACTION")
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "migrate": migrate,
        "status": status,
        "backup": backup,
        "restore": restore,
        "rebuild": rebuild,
    }
    for name, text in _ACTIONS.items():
        parser = actions.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
        parser.set_defaults(run=runs[name])
        parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
        parser.add_argument("--database-url", metavar="URL", help="the database (default: TRACKER_DATABASE_URL)")
        if name in ("backup", "restore"):
            parser.add_argument("target", metavar="FOLDER", help="the folder of the backup")
            add_blobs(parser, name)
        if name == "restore":
            parser.add_argument("--force", action="store_true", help="also where there is a store already")
        if name == "status":
            parser.add_argument("--json", action="store_true", help="print JSON")


def _url(args: argparse.Namespace) -> str | None:
    return args.database_url or load_settings().database_url


def _folder(args: argparse.Namespace) -> str:
    return find_folder(args.dir or load_settings().dir)


def _database(url: str) -> PostgresIndex:
    from ..store.store_postgres import PostgresIndex

    return PostgresIndex(url)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def migrate(args: argparse.Namespace) -> int:
    """Bring a database to the newest version."""
    url = _url(args)
    if not url:
        remedy = "name one with --database-url or TRACKER_DATABASE_URL; files of a folder need no migration"
        raise UsageError("tracker db migrate", "no database", "the address of one", remedy)
    from ..store import store_migrate

    database = _database(url)
    before = store_migrate.migrate(database, lambda version: _say(f"made version {version}"))
    newest = store_migrate.newest_version()
    _say(f"{database.place} is of version {newest}{', as before' if before == newest else ''}")
    return 0


def status(args: argparse.Namespace) -> int:
    """Print how the store is; return 1 where a journal is poisoned."""
    found = _database_status(url) if (url := _url(args)) else _files_status(_folder(args))
    if args.json:
        print_json(found)
    else:
        _print(found)
    return int(bool(found.get("poisoned")))


def _database_status(url: str) -> dict[str, Any]:
    from ..store import store_migrate
    from ..store.store_status import store_status

    database = _database(url)
    with database.reading().transaction() as connection:
        assert connection is not None
        version = store_migrate.version_of(connection)
        store_migrate.require_version(database.place, version)
        return {"place": database.place, "version": version, **_as_dict(store_status(connection))}


def _files_status(folder: str) -> dict[str, Any]:
    from ..query.folder_status import folder_status

    found = folder_status(folder)
    known = {} if found.store is None else _as_dict(found.store)
    own = {"place": found.place, "version": found.version, "size_bytes": found.size_bytes}
    waiting = {"n_tail_journals": found.n_unsealed, "tail_bytes": found.unsealed_bytes}
    return {**known, **own, "n_journals": found.n_journals, **waiting}


def _as_dict(found: StoreStatus) -> dict[str, Any]:
    return asdict(found)


def _print(found: dict[str, Any]) -> None:
    size = f"{(found['size_bytes'] or 0) / (1 << 20):,.1f} MiB"
    _say(f"{found['place']}: version {found['version'] or 'none, not made yet'}, {size}")
    waiting = f"{found['n_tail_journals']} with {found['tail_bytes'] / (1 << 20):,.1f} MiB to be sealed"
    _say(f"{found['n_journals']} journals, {found.get('n_closed', 0)} sealed to their end, {waiting}")
    if "n_rows" in found:
        _say(f"{found['n_rows']:,} sealed rows of {found['n_metrics']:,} metrics")
    for owner, n_journals in found.get("claims", {}).items():
        _say(f"{n_journals} journals are being sealed by {owner}")
    for journal in found.get("poisoned", ()):
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(journal["since_ns"] / 1e9))
        _say(f"poisoned since {since}: {journal['path']}: {journal['reason']}")


def backup(args: argparse.Namespace) -> int:
    """Write a backup."""
    from ..store.store_backup import back_up_files, sizes

    with blobs_of(args) as blobs:
        if url := _url(args):
            from ..store.store_dump import back_up_database

            database = _database(url)
            n_bytes = back_up_database(database, args.target, blobs.back_up)
            place, names = database.place, ["the database"]
        else:
            place = _folder(args)
            names = back_up_files(place, args.target, blobs.back_up)
            n_bytes = sizes(args.target, names)
    _say(f"{' and '.join(names)} of {place}: {n_bytes / (1 << 20):,.1f} MiB in {args.target}")
    _say(blobs.told)
    _say("Journals and files of runs are not in it; copy the folder runs/ as well where you want them kept.")
    return 0


def restore(args: argparse.Namespace) -> int:
    """Put a backup in the place of the store."""
    with blobs_of(args) as blobs:
        blobs.restore()  # before the tables that name them
        if url := _url(args):
            from ..store.store_dump import restore_database

            database = _database(url)
            restore_database(args.target, database, args.force)
            _say(f"{args.target} is restored into {database.place}")
        else:
            from ..store.store_backup import restore_files

            folder = _folder(args)
            names = restore_files(args.target, folder, args.force)
            _say(f"{' and '.join(names)} restored from {args.target} into {folder}")
        blobs.settle()
    _say(blobs.told)
    return 0


def rebuild(args: argparse.Namespace) -> int:
    """Drop the index and build it from the journals."""
    from ..query.rebuild import rebuild_database, rebuild_files

    folder, url = _folder(args), _url(args)
    with Progress(
        TextColumn("Reading journals"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[size]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, size="")

        def show(done: int, total: int) -> None:
            sizes = f"{done / (1 << 20):,.0f} of {total / (1 << 20):,.0f} MiB"
            bar.update(task, completed=done, total=total, size=sizes)

        started_s = time.monotonic()
        if url:
            from ..store.store_migrate import open_database

            done = rebuild_database(folder, open_database(url), show)
        else:
            done = rebuild_files(folder, show)
    took_s = time.monotonic() - started_s
    _say(f"{done.n_journals} journals with {done.n_bytes / (1 << 20):,.1f} MiB are sealed again, in {took_s:,.1f} s")
    if done.kept:
        _say(f"{len(done.kept)} journals that only the database has were left as they are")
    return 0

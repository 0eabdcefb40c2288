"""Back a store up while it is at work, and put a backup in its place.

A backup is a folder: `about.json` says what it is of; SQLite files are copies through SQLite's own online backup, a
PostgreSQL database is what pg_dump writes. Packs of chunks are copied by `blobs/backup_packs`. Journals and kept files
are ordinary files, and not part of it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import msgspec

from tracker_core.errors import UsageError

from .store_lock import wait_for_store_lock
from .store_sqlite import remove_database

# Each file of a tracker folder that is backed up, and the lock of its writers.
_FILES = {"index.sqlite": "store.lock", "catalog.sqlite": "catalog.lock"}
_ABOUT = "about.json"
_FORMAT = 1
_LOCK_TIMEOUT_S = 30.0


class About(msgspec.Struct):
    """What a backup is of. `version` is that of the database, "" for files, which say their own."""

    kind: str
    version: str
    created_s: float
    format: int = _FORMAT


def begin_backup(target: str) -> None:
    """Make the folder of a backup; raises UsageError where there is something at that place already."""
    try:
        os.makedirs(target, exist_ok=True)
        has_content = bool(os.listdir(target))
    except NotADirectoryError:
        has_content = True
    except FileExistsError:
        has_content = True
    if has_content:
        expected, remedy = "a folder that is empty or not there", "name another one"
        raise UsageError("tracker db backup", f"{target}, where something is", expected, remedy)


def end_backup(target: str, about: About) -> None:
    """Say what a backup is of, which makes it whole."""
    path = os.path.join(target, _ABOUT)
    with open(path + ".new", "wb") as file:
        file.write(msgspec.json.encode(about))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def read_about(source: str, kind: str) -> About:
    """Return what a backup is of; raises UsageError where it is none of this kind."""
    where = "tracker db restore"
    try:
        with open(os.path.join(source, _ABOUT), "rb") as file:
            about = msgspec.json.decode(file.read(), type=About)
    except (OSError, msgspec.MsgspecError):
        remedy = "name the folder that `tracker db backup` made; one without about.json was broken off"
        raise UsageError(where, f"{source}, which is no whole backup", "a backup", remedy) from None
    if about.format > _FORMAT:
        raise UsageError(
            where, f"a backup of the newer format {about.format}", f"up to {_FORMAT}", "update the tracker"
        )
    if about.kind != kind:
        remedy = "restore it with --database-url" if about.kind == "postgresql" else "restore it without --database-url"
        raise UsageError(where, f"a backup of {about.kind}", f"one of {kind}", remedy)
    return about


def back_up_files(folder: str, target: str, and_then: Callable[[], object] | None = None) -> list[str]:
    """Copy the databases of a tracker folder while others write them.

    Args:
        folder: the tracker folder.
        target: the folder of the backup.
        and_then: called when they are copied, and before the backup counts as whole.

    Returns:
        The names of the files.

    Raises:
        UsageError: there is something at `target`, or the folder has no database.
        OSError: a file cannot be read or written.
    """
    names = [name for name in _FILES if os.path.exists(os.path.join(folder, name))]
    if not names:
        remedy = "nothing is lost: `tracker ui` or `tracker db rebuild` makes the index from the journals"
        raise UsageError("tracker db backup", f"{folder}, which has no database", "index or catalog", remedy)
    begin_backup(target)
    for name in names:
        _copy(os.path.join(folder, name), os.path.join(target, name))
    if and_then is not None:
        and_then()
    end_backup(target, About("sqlite", "", time.time()))
    return names


def _copy(source: str, target: str) -> None:
    """Copy one database as it is at one moment; raises OSError where SQLite cannot."""
    try:
        with closing(_open(source)) as reading, closing(sqlite3.connect(target)) as writing:
            # In one step: it holds one state, and in WAL mode keeps no writer from the database.
            reading.backup(writing)
            (found,) = writing.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise OSError(f"{source} cannot be backed up: {error}") from None
    if found != "ok":
        raise OSError(f"{source} is damaged: {found}")


def _open(path: str) -> sqlite3.Connection:
    from urllib.parse import quote

    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=30.0)


def restore_files(source: str, folder: str, is_forced: bool) -> list[str]:
    """Put the databases of a backup in the place of a tracker folder's, each as a whole or not at all.

    Returns:
        The names of the files.

    Raises:
        UsageError: there is a database already and `is_forced` is False, or `source` is no backup.
        OSError: a file cannot be written, or is being written.
    """
    read_about(source, "sqlite")
    names = [name for name in _FILES if os.path.exists(os.path.join(source, name))]
    there = [name for name in names if os.path.exists(os.path.join(folder, name))]
    if there and not is_forced:
        got, remedy = f"{folder}, which has {' and '.join(there)}", "add --force to put the backup in their place"
        raise UsageError("tracker db restore", got, "a folder without them", remedy)
    os.makedirs(folder, exist_ok=True)
    for name in names:
        with _locked(os.path.join(folder, _FILES[name])):
            _replace(os.path.join(source, name), os.path.join(folder, name))
    return names


@contextmanager
def _locked(path: str) -> Iterator[None]:
    with wait_for_store_lock(path, _LOCK_TIMEOUT_S) as is_held:
        if not is_held:
            raise OSError(f"{path} is held by another process, such as `tracker ui`; stop it and try again")
        yield


def _replace(source: str, target: str) -> None:
    new = target + ".restored"
    shutil.copyfile(source, new)
    with open(new, "rb") as file:
        os.fsync(file.fileno())
    remove_database(target)
    os.replace(new, target)


def sizes(folder: str, names: Sequence[str]) -> int:
    """Return how many bytes these files of a folder have together."""
    return sum(os.path.getsize(os.path.join(folder, name)) for name in names)

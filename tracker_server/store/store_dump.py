"""Back a PostgreSQL database up and restore it, with PostgreSQL's own programs. No password is on a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError

from tracker_core.errors import TrackerError, UsageError

from .store_backup import About, begin_backup, end_backup, read_about
from .store_connection import DatabaseAwayError
from .store_migrate import is_newer, require_version, version_of
from .store_postgres import PostgresIndex, shown_url
from .store_schema import journal

_FILE = "database.dump"


def back_up_database(database: PostgresIndex, target: str, and_then: Callable[[], object] | None = None) -> int:
    """Write a database as it is at one moment into a new folder, while others use it.

    Args:
        database: the database.
        target: the folder of the backup.
        and_then: called when it is written, and before the backup counts as whole.

    Returns:
        The size in bytes.

    Raises:
        UsageError: there is something at `target`, pg_dump is missing, or the database has no tables of the tracker.
        TrackerError: pg_dump failed.
    """
    program = _program("pg_dump", "tracker db backup")
    version = _version(database)
    if version is None:
        raise UsageError(database.place, "a database without tables of the tracker", "one with some", "check the name")
    begin_backup(target)
    path = os.path.join(target, _FILE)
    _run([program, "--format=custom", "--compress=1", "--no-owner", "--file", path], database)
    if and_then is not None:
        and_then()
    end_backup(target, About("postgresql", version, time.time()))
    return os.path.getsize(path)


def restore_database(source: str, database: PostgresIndex, is_forced: bool) -> None:
    """Put a backup in the place of a database's tables, wholly or not at all.

    Raises:
        UsageError: the database has journals and `is_forced` is False, the backup is none or of a newer version, or
            pg_restore is missing.
        TrackerError: pg_restore failed.
    """
    program = _program("pg_restore", "tracker db restore")
    about = read_about(source, "postgresql")
    if is_newer(about.version):
        require_version(source, about.version)
    if _version(database) is not None and not is_forced and _has_journals(database):
        remedy = "add --force to put the backup in their place"
        raise UsageError(database.place, "a database that has journals", "an empty one", remedy)
    options = ["--clean", "--if-exists", "--single-transaction", "--no-owner", "--exit-on-error"]
    _run([program, *options, os.path.join(source, _FILE)], database)


def _version(database: PostgresIndex) -> str | None:
    try:
        with database.engine.connect() as connection:
            return version_of(connection)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAwayError(database.place, error.orig) from None


def _has_journals(database: PostgresIndex) -> bool:
    with database.engine.connect() as connection:
        return connection.execute(select(journal.c.journal_id).limit(1)).first() is not None


def _program(name: str, where: str) -> str:
    found = shutil.which(name)
    if found is None:
        remedy = "install PostgreSQL's client programs (Debian: apt-get install postgresql-client)"
        raise UsageError(where, f"no program {name} on this machine", name, remedy)
    return found


def _run(command: Sequence[str], database: PostgresIndex) -> None:
    url = database.url
    shown = url.set(drivername="postgresql", password=None, query={})
    environ = {**os.environ, "PGCONNECT_TIMEOUT": "10"}
    secrets = {"PGPASSWORD": url.password, **{f"PG{name.upper()}": value for name, value in url.query.items()}}
    environ |= {name: str(value) for name, value in secrets.items() if value}
    # What would be asked for at the terminal is refused instead.
    arguments = [*command, "--no-password", "--dbname", shown.render_as_string(hide_password=False)]
    done = subprocess.run(arguments, env=environ, capture_output=True, text=True, errors="replace")
    if done.returncode:
        reason = " ".join(done.stderr.split())[-500:]
        for secret in filter(None, [url.password]):
            reason = reason.replace(secret, "***")
        raise TrackerError(f"{os.path.basename(command[0])} of {shown_url(url)} failed: {reason}")

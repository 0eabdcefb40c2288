"""Bring a PostgreSQL database to the version of this tracker, and refuse one that is of another version.

The versions are Alembic's, in `tracker_server/migrations/versions`. All migrations that are due are one transaction, so
that a process killed in the middle leaves the version before them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, select
from sqlalchemy.exc import InterfaceError, OperationalError

from tracker_core.errors import UsageError

from .store_artifact_schema import metadata as catalog_metadata
from .store_connection import DatabaseAwayError
from .store_dialect import upsert
from .store_postgres import PostgresIndex
from .store_schema import INDEX_VERSION, index_info, metadata

_SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "migrations")
# Any number that nobody else takes for a lock of the database.
_LOCK = 7_310_000_701


def newest_version() -> str | None:
    """Return the version that this tracker needs; None only while the first one is being made."""
    return _scripts().get_current_head()


def tables() -> list[MetaData]:
    """Return all tables that a database has: those of the index and of the catalog."""
    return [metadata, catalog_metadata]


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS.replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def version_of(connection: Connection) -> str | None:
    """Return the version of a database, None where it has no tables of the tracker."""
    return MigrationContext.configure(connection).get_current_revision()


def open_database(url: str) -> PostgresIndex:
    """Return a database of this tracker's version; an empty one is given its tables.

    Raises:
        UsageError: it is of another version, or the address is none.
        DatabaseAwayError: it does not answer.
    """
    database = PostgresIndex(url)
    try:
        with database.engine.connect() as connection:
            version = version_of(connection)
        if version is None:
            migrate(database)
        else:
            require_version(database.place, version)
    except (OperationalError, InterfaceError) as error:
        database.close()
        raise DatabaseAwayError(database.place, error.orig) from None
    except BaseException:
        database.close()
        raise
    return database


def require_version(place: str, version: str | None) -> None:
    """Raise UsageError where a database is not of this tracker's version."""
    newest = newest_version()
    if version == newest:
        return
    expected = f"version {newest}"
    if is_newer(version):
        remedy = "update the tracker on this machine; it has changed nothing"
        raise UsageError(place, f"a database of the newer version {version}", expected, remedy)
    remedy = "stop all servers that use it, back it up, and run `tracker db migrate`"
    raise UsageError(place, f"a database of version {version or 'none'}", expected, remedy)


def is_newer(version: str | None) -> bool:
    """Say whether this tracker does not know a version of a database."""
    return version is not None and version not in {script.revision for script in _scripts().walk_revisions()}


def migrate(database: PostgresIndex, on_step: Callable[[str], object] = lambda version: None) -> str:
    """Bring a database to the newest version, wholly or not at all; processes that do so at once wait for each other.

    Args:
        database: may be empty.
        on_step: called with each version that was reached, before all of it is committed.

    Returns:
        The version that it had, "" for none.

    Raises:
        UsageError: the database is of a newer version.
        DatabaseAwayError: it does not answer.
    """
    try:
        with database.engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            version = version_of(connection)
            if is_newer(version):
                require_version(database.place, version)
            if version != newest_version():
                _upgrade(connection, on_step)
                _name_build(connection)
            return version or ""
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAwayError(database.place, error.orig) from None


def _upgrade(connection: Connection, on_step: Callable[[str], object]) -> None:
    scripts = _scripts()

    def told(ctx: MigrationContext, step: MigrationInfo, heads: Any, run_args: Any) -> None:
        del ctx, heads, run_args
        on_step(str(step.up_revision_id))

    def steps(revision: Any, _: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, target_metadata=tables(), on_version_apply=told)
        environment.run_migrations()


def _name_build(connection: Connection) -> None:
    """Say of which version the chunks are, and name this database, so that readers notice when it is another."""
    rows = [{"name": "version", "value": INDEX_VERSION}]
    upsert(connection, index_info, rows, ["name"], ["value"])
    upsert(connection, index_info, [{"name": "build", "value": secrets.token_hex(8)}], ["name"])

"""Checks of the database that `tracker ui` keeps the store in."""

from __future__ import annotations

from collections.abc import Iterator

from tracker_core.errors import UsageError

from ..store.store_connection import DatabaseAwayError
from .doctor_finding import Finding, fault, ok, warning

_TOPIC = "database"
_SHOWN = 5


def check_database(url: str | None) -> Iterator[Finding]:
    """Say how the database is, if one is set; never with its password."""
    if not url:
        return
    from ..store import store_migrate
    from ..store.store_postgres import PostgresIndex
    from ..store.store_status import store_status

    try:
        database = PostgresIndex(url)
        with database.reading().transaction() as connection:
            assert connection is not None
            version = store_migrate.version_of(connection)
            if version is None:
                yield ok(_TOPIC, f"{database.place} answers and is empty; the first `tracker ui` makes its tables")
                return
            store_migrate.require_version(database.place, version)
            status = store_status(connection)
    except UsageError as error:
        yield fault(_TOPIC, f"{error.where}: {error.got}, expected {error.expected}", error.remedy)
        return
    except DatabaseAwayError as error:
        yield fault(_TOPIC, str(error), "check TRACKER_DATABASE_URL, the network and whether PostgreSQL runs")
        return
    size = f"{(status.size_bytes or 0) / (1 << 20):,.1f} MiB"
    waiting = f"{status.n_tail_journals} not sealed to their end" if status.n_tail_journals else "all sealed"
    by = f", sealed by {', '.join(status.claims)}" if status.claims else ""
    yield ok(_TOPIC, f"{database.place} of version {version}: {size}, {status.n_journals} journals, {waiting}{by}")
    for journal in status.poisoned[:_SHOWN]:
        remedy = "the other journals are not affected; `tracker journal verify` checks the file"
        yield warning(_TOPIC, f"journal {journal.path}: {journal.reason}", remedy)

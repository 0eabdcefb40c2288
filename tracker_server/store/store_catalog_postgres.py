"""The catalog in a PostgreSQL database, beside the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError, InterfaceError

from ..catalog.decisions import CatalogError
from .store_catalog_schema import decision
from .store_postgres import PostgresIndex

T = TypeVar("T")
# Any number that nobody else takes for a lock of the database.
_LOCK = 7_310_000_702


class PostgresCatalog:
    """The catalog's tables. Safe between processes and threads.

    Args:
        database: the database, whose tables are there.
    """

    def __init__(self, database: PostgresIndex) -> None:
        self.place = database.place
        self._engine = database.engine

    def stamp(self) -> object:
        """Return the number of the last decision, or None where the database does not answer."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(select(func.max(decision.c.decision_id))).scalar() or 0
        except (DatabaseError, InterfaceError):
            return None

    def read(self, work: Callable[[Connection], T]) -> T | None:
        """Return what `work` returns within one read transaction.

        Raises:
            CatalogError: the database cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    return work(connection)
        except (DatabaseError, InterfaceError) as error:
            raise self._away(error) from None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns within one transaction; of several that decide at once one goes after the other.

        Raises:
            CatalogError: the database cannot be written; nothing was changed.
        """
        try:
            with self._engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
                return work(connection)
        except (DatabaseError, InterfaceError) as error:
            raise self._away(error) from None

    def _away(self, error: DatabaseError | InterfaceError) -> CatalogError:
        reason = str(error.orig).strip().partition("\n")[0]
        remedy = "look whether the database is up; nothing was changed"
        return CatalogError(self.place, f"an error of the database: {reason}", "an answer", remedy)

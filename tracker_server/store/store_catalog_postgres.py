"""The catalog in a PostgreSQL database, beside the index."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..catalog.decisions import CatalogError
from .store_catalog_schema import decision
from .store_postgres import PostgresIndex

T = TypeVar("T")
# Any number that nobody else takes for a lock of the database.
_LOCK = 7_310_000_702
_LOCK_TIMEOUT_S = 10.0
_FAILURES = (DatabaseError, InterfaceError, PoolTimeoutError)


class PostgresCatalog:
    """The catalog's tables. Safe between processes and threads.

    Args:
        database: the database, whose tables are there.
    """

    def __init__(self, database: PostgresIndex) -> None:
        self.place = database.place
        self._engine = database.engine
        # Who waits for those that decide must not hold a connection meanwhile: there are few.
        self._writing = threading.Lock()

    def stamp(self) -> object:
        """Return the number of the last decision, or None where the database does not answer."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(select(func.max(decision.c.decision_id))).scalar() or 0
        except _FAILURES:
            return None

    def read(self, work: Callable[[Connection], T], wait_s: float | None = None) -> T | None:
        """Return what `work` returns within one read transaction, which nobody that writes holds up.

        Raises:
            CatalogError: the database cannot be read.
        """
        del wait_s
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    return work(connection)
        except _FAILURES as error:
            raise self._away(error) from None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns within one transaction; of several that decide at once one goes after the other.

        Raises:
            CatalogError: the database cannot be written, or others decide for too long; nothing was changed.
        """
        if not self._writing.acquire(timeout=_LOCK_TIMEOUT_S):
            raise self._busy()
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(_LOCK_TIMEOUT_S * 1000)}")
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
                return work(connection)
        except _FAILURES as error:
            raise self._away(error) from None
        finally:
            self._writing.release()

    def _busy(self) -> CatalogError:
        got = f"others that decided something for {_LOCK_TIMEOUT_S:g} s"
        return CatalogError(self.place, got, "to write the decision", "try again")

    def _away(self, error: SQLAlchemyError) -> CatalogError:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        remedy = "look whether the database is up; nothing was changed"
        return CatalogError(self.place, f"an error of the database: {reason}", "an answer", remedy)

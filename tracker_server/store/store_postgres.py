"""Connections to PostgreSQL. Nothing here ever shows a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tracker_core.errors import UsageError

from .store_connection import DatabaseAwayError

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_CONNECT_TIMEOUT_S = 10
_POOL_SIZE = 5
# Others wait for who waits for a connection.
_POOL_TIMEOUT_S = 10.0
# A server that went away without a word is noticed within half a minute, and not within hours.
_GONE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}
_SECRET_OPTION = re.compile(r"password|passfile|sslkey|secret|token", re.IGNORECASE)
# What psycopg calls `Format.BINARY`.
_BINARY = 1
_NAME = "TRACKER_DATABASE_URL"


def parse_url(text: str) -> URL:
    """Return the address of a PostgreSQL database.

    Raises:
        UsageError: it is none; the message has no password.
    """
    expected = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
    remedy = "without a database of your own leave it out: the index is then a file of the tracker folder"
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise UsageError(_NAME, "text that is no address", expected, remedy) from None
    if url.drivername not in _SCHEMES or not url.database:
        raise UsageError(_NAME, repr(shown_url(url)), expected, remedy)
    return url.set(drivername="postgresql+psycopg")


def shown_url(url: URL) -> str:
    """Return an address that may be shown: its passwords are left out."""
    query = {name: "hidden" if _SECRET_OPTION.search(name) else value for name, value in url.query.items()}
    name = url.drivername.partition("+")[0]
    return url.set(drivername=name, query=query).render_as_string(hide_password=True)


def make_engine(url: URL) -> Engine:
    """Return a pool of connections; none is made yet.

    Raises:
        UsageError: the driver is not installed.
    """
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            pool_timeout=_POOL_TIMEOUT_S,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "tracker", **_GONE},
        )
    except ModuleNotFoundError as error:
        expected, remedy = "the driver psycopg", "pip install 'tracker-ml[team]'"
        raise UsageError(_NAME, f"an address of PostgreSQL, but {error}", expected, remedy) from None


class PostgresIndex:
    """The index and the tail table in a PostgreSQL database. Thread- and process-safe.

    Args:
        url: its address.

    Attributes:
        place: the address, without a password.
    """

    has_tail = True

    def __init__(self, url: str | URL) -> None:
        self.url = parse_url(url) if isinstance(url, str) else url
        self.place = shown_url(self.url)
        self.engine = make_engine(self.url)

    def reading(self) -> PostgresReading:
        """Return a new reader."""
        return PostgresReading(self.engine, self.place)

    @contextmanager
    def writing(self) -> Iterator[PostgresWriting | None]:
        """Return at once: the database itself keeps writers apart."""
        yield PostgresWriting(self.engine)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _ask_for_binary(connection: object, cursor: Any, *_: object) -> None:
    """Have results sent as they are: as text every byte of a chunk would be two characters."""
    del connection
    cursor.format = _BINARY


class PostgresReading:
    """Reads of one database, each transaction on a connection of the pool."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._place = place
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        event.listen(self._engine, "before_cursor_execute", _ask_for_binary)

    def close(self) -> None:
        """Do nothing: the pool is the database's."""

    @contextmanager
    def transaction(self) -> Iterator[Connection | None]:
        """Open one read transaction, which sees one state throughout.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise DatabaseAwayError(self._place, error.orig) from None
        except PoolTimeoutError as error:
            raise DatabaseAwayError(self._place, error) from None


class PostgresWriting:
    """Writes to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open one transaction, committed at the end of the block."""
        with self._engine.begin() as connection:
            yield connection

    def discard_if_broken(self, error: DatabaseError) -> bool:
        """Keep it: sealed chunks are the truth there."""
        del error
        return False

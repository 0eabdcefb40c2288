"""Connections to SQLite files, and the only place of SQLite's own statements.

A read-write connection exists only while `store.lock` is held: open, write, checkpoint, close. Readers need no lock.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, StaticPool

from .store_connection import IndexUnreadableError
from .store_lock import try_store_lock
from .store_schema import INDEX_VERSION, index_info, metadata

_TIMEOUT_S = 5.0
# Free pages are used again by what is written next; fewer are not worth the time.
_MIN_FREE_BYTES, _MIN_FREE_SHARE = 1 << 20, 0.2
_INCREMENTAL = 2


class NewerVersionError(Exception):
    """A newer version of the tracker made this database, and it is left as it is."""


class SqliteIndex:
    """The index of a tracker folder, in `index.sqlite`.

    Attributes:
        place: the path of the file.
    """

    has_tail = False

    def __init__(self, folder: str) -> None:
        self.place = os.path.join(folder, "index.sqlite")
        self._lock_path = os.path.join(folder, "store.lock")

    def reading(self) -> SqliteReading:
        """Return a new reader."""
        return SqliteReading(self.place)

    @contextmanager
    def writing(self) -> Iterator[SqliteWriting | None]:
        """Hold the folder's lock; yields None at once where it is taken or the folder is read-only."""
        with try_store_lock(self._lock_path) as is_held:
            yield SqliteWriting(self.place) if is_held else None

    def close(self) -> None:
        """Do nothing: readers close their own connection, and a writer has none that lasts."""


class SqliteReading:
    """Reads one SQLite file, without any lock. Not thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: Connection | None = None
        self._identity: tuple[int, ...] | None = None
        self._is_immutable = False

    def close(self) -> None:
        """Close the connection; the next transaction opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()
        self._connection = None
        self._identity = None

    @contextmanager
    def transaction(self) -> Iterator[Connection | None]:
        """Open one read transaction; yields None where there is no file or none that can be opened."""
        connection = self._connect()
        if connection is None:
            yield None
            return
        try:
            with connection.begin():
                yield connection
        except DatabaseError as error:
            self.close()
            raise IndexUnreadableError(f"{self._path}: {error.orig}") from error

    def _connect(self) -> Connection | None:
        try:
            status = os.stat(self._path)
        except OSError:
            self.close()
            return None
        # What was opened as immutable must be opened again when somebody changed it all the same.
        changed_ns = status.st_mtime_ns if self._is_immutable else 0
        identity = (status.st_dev, status.st_ino, changed_ns)
        if self._connection is not None and identity == self._identity:
            return self._connection
        self.close()
        for options in ("mode=ro", "mode=ro&immutable=1"):
            # Without the other's WAL a read would miss what is in it, or meet it half checkpointed.
            if "immutable" in options and _has_content(self._path + "-wal"):
                break
            connection = _open(self._path, options)
            if connection is not None:
                self._is_immutable = "immutable" in options
                changed_ns = status.st_mtime_ns if self._is_immutable else 0
                self._connection, self._identity = connection, (status.st_dev, status.st_ino, changed_ns)
                return connection
        return None


class SqliteWriting:
    """Writes one SQLite file while the lock is held; only `SqliteIndex.writing` makes one."""

    def __init__(self, path: str) -> None:
        self._path = path

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open one transaction on a new connection; at the end it is committed, checkpointed and closed.

        Raises:
            NewerVersionError: the file is of a newer version.
        """
        with read_write_connection(self._path) as connection:
            with connection.begin():
                _ensure_schema(connection, self._path)
                yield connection
            checkpoint(connection)

    def discard_if_broken(self, error: DatabaseError) -> bool:
        """Remove a damaged file: the index is built from the journals, so this is no loss."""
        text = str(error.orig)
        if "malformed" not in text and "not a database" not in text:
            return False
        remove_database(self._path)
        return True


@contextmanager
def read_write_connection(path: str) -> Iterator[Connection]:
    """Open a file for writing, in WAL mode; to be called with the lock of its folder held."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def rollback_connection(path: str, is_writer: bool, timeout_s: float = _TIMEOUT_S) -> Iterator[Connection]:
    """Open a file with a rollback journal, which network file systems can hold too, within one transaction.

    What a writer commits is on the device. A writer has the lock of the file's folder; a reader makes no file.
    """
    uri = f"file:{urllib.parse.quote(path)}?mode={'rwc' if is_writer else 'ro'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False)
        if is_writer:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=EXTRA")
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def checkpoint(connection: Connection) -> None:
    """Move what is in the write-ahead log into the file itself."""
    # On the bare connection: SQLAlchemy would begin a transaction first, in which no checkpoint can be made.
    bare = connection.connection.dbapi_connection
    assert bare is not None
    bare.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def give_back_space(path: str) -> int:
    """Return the pages of a file that hold nothing any more to the file system, where they are worth it.

    To be called with the lock of its folder held. The first time this writes the whole file anew, which needs as much
    room again; from then on it moves only what it must.

    Returns:
        By how many bytes the file shrank.
    """
    before = os.path.getsize(path)
    with read_write_connection(path) as connection:
        bare = connection.connection.dbapi_connection
        assert bare is not None
        cursor = bare.cursor()

        def ask(name: str) -> int:
            return int(cursor.execute(f"PRAGMA {name}").fetchone()[0])

        n_free = ask("freelist_count")
        if n_free * ask("page_size") < _MIN_FREE_BYTES or n_free < _MIN_FREE_SHARE * ask("page_count"):
            return 0
        if ask("auto_vacuum") == _INCREMENTAL:
            cursor.executescript("PRAGMA incremental_vacuum")  # `execute` would stop after the first page
        else:
            cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
            cursor.execute("VACUUM")
        checkpoint(connection)
    return before - os.path.getsize(path)


def remove_database(path: str) -> None:
    """Remove a file and what belongs to it."""
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


def _ensure_schema(connection: Connection, path: str) -> None:
    tables = inspect(connection).get_table_names()
    if "index_info" in tables:
        version = connection.execute(select(index_info.c.value).where(index_info.c.name == "version")).scalar()
        if version == INDEX_VERSION:
            return
        if is_newer(version):
            expected = f"this tracker knows versions up to {INDEX_VERSION}"
            raise NewerVersionError(f"{path} is of version {version}, {expected}; update it to use this index")
    for table in tables:
        if not table.startswith("sqlite_"):
            connection.exec_driver_sql(f'DROP TABLE "{table}"')
    metadata.create_all(connection)
    rows = {"version": INDEX_VERSION, "build": secrets.token_hex(8)}
    connection.execute(insert(index_info), [{"name": name, "value": value} for name, value in rows.items()])


def file_version(folder: str) -> str | None:
    """Return the version of the index in a tracker folder, None where there is none that can be read."""
    reading = SqliteIndex(folder).reading()
    try:
        with reading.transaction() as connection:
            if connection is None or not inspect(connection).has_table(index_info.name):
                return None
            return connection.execute(select(index_info.c.value).where(index_info.c.name == "version")).scalar()
    except IndexUnreadableError:
        return None
    finally:
        reading.close()


def is_newer(version: str | None) -> bool:
    """Say whether an index of this version was made by a newer tracker."""
    return version is not None and version.isdecimal() and int(version) > int(INDEX_VERSION)


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _open(path: str, options: str) -> Connection | None:
    uri = f"file:{urllib.parse.quote(path)}?{options}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_TIMEOUT_S, check_same_thread=False)

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=StaticPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        connection = engine.connect()
        with connection.begin():
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
    except DatabaseError:
        engine.dispose()
        return None
    return connection

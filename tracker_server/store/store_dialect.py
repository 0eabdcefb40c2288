"""The statements that SQLite and PostgreSQL write differently, or that SQLAlchemy has no common name for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    cast,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from .store_text import Text_C, escape_nul


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    index_elements: Sequence[str],
    set_: Sequence[str] | None = None,
) -> None:
    """Insert rows; those whose key is there already change its columns `set_`, or nothing where that is None.

    Args:
        connection: within a transaction that may write.
        table: the table.
        rows: all with the same columns. No two of one call may have the same key where `set_` is given.
        index_elements: the columns of the key, which a unique index has.
        set_: the columns to be taken from the new row. None: rows that are there stay as they are.
    """
    if not rows:
        return
    # Two names for the same clause: each dialect has its own class.
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = build(table)
    if set_ is None:
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(index_elements)), list(rows))
    else:
        changes = {name: statement.excluded[name] for name in set_}
        statement = statement.on_conflict_do_update(index_elements=list(index_elements), set_=changes)
        connection.execute(statement, list(rows))


def database_ns(connection: Connection) -> int:
    """Return the time in ns since 1970 by the clock of the database, which all its clients share."""
    if connection.dialect.name != "postgresql":
        return time.time_ns()
    seconds = func.extract("epoch", func.clock_timestamp())
    return int(connection.execute(select(cast(seconds * 1_000_000_000, BigInteger))).scalar_one())


# The class of PostgreSQL's errors for limits of the program, such as the length of what an index holds.
_LIMIT_EXCEEDED = "54"
# The first that fits: BigInteger is an Integer too.
_COPY_TYPES = (
    (BigInteger, "int8"),
    (Integer, "int4"),
    (Boolean, "bool"),
    (Float, "float8"),
    (LargeBinary, "bytea"),
    (String, "text"),
    (Text_C, "text"),
)


def bulk_insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns, in the fastest way that the database has."""
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(table.insert(), list(rows))
        return
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.name)} ({', '.join(map(quote, names))}) FROM STDIN (FORMAT BINARY)"
    types = [next(name for kind, name in _COPY_TYPES if isinstance(table.c[column].type, kind)) for column in names]
    is_text = [isinstance(table.c[name].type, Text_C) for name in names]
    bare: Any = connection.connection.dbapi_connection
    with bare.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            values = (escape_nul(row[name]) if text else row[name] for name, text in zip(names, is_text, strict=True))
            copy.write_row(tuple(values))


def is_beyond_limit(error: OperationalError) -> bool:
    """Say whether a database refused a value for being larger than it can hold, and not for being in trouble itself."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_LIMIT_EXCEEDED)

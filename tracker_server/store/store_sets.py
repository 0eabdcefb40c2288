"""Many values at once: sets of any size as one parameter, since a database bounds how many it takes, and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Insert,
    Select,
    String,
    TableValuedAlias,
    Update,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql


def text_set(connection: Connection, texts: Iterable[str]) -> Select[Any]:
    """Return a query of these texts, which hold no NUL, for `column.in_()`."""
    return select(_members(connection, list(texts)).c.value)


def integer_set(connection: Connection, numbers: Iterable[int]) -> Select[Any]:
    """Return a query of these integers, for `column.in_()`."""
    return select(cast(_members(connection, list(numbers)).c.value, BigInteger))


def execute_rows(
    connection: Connection, statement: Insert | Update | Delete, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Execute a statement once for each row of its parameters, whose values are as the database takes them."""
    if not rows:
        return
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    names = getattr(compiled, "positiontup", None)
    if names is None:
        connection.execute(statement, list(rows))
    else:  # past SQLAlchemy, which takes longer over a row than SQLite
        connection.exec_driver_sql(str(compiled), [tuple([row[name] for name in names]) for row in rows])


def _members(connection: Connection, values: list[Any]) -> TableValuedAlias:
    content = msgspec.json.encode(values).decode()
    if connection.dialect.name == "postgresql":
        return func.json_array_elements_text(cast(literal(content, String), postgresql.JSON)).table_valued("value")
    return func.json_each(content).table_valued("value")

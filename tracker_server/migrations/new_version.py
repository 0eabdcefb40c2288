"""Write the migration that brings a database of the newest version to the tables that the code has now.

    python -m tracker_server.migrations.new_version postgresql://... 0002 "what it changes"

For version 0001 the database is empty. Read what was written before it is released; afterwards it is never changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, LargeBinary

from ..store.store_migrate import newest_version, tables
from ..store.store_postgres import PostgresIndex
from ..store.store_text import Text_C

_HEAD = '''"""{text}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tracker_server.store.store_text import Text_C

revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
    """Change the tables."""
    {body}
'''
# Compressed already: without this PostgreSQL would try to compress each value once more.
_EXTERNAL = '    op.execute("ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")\n'


def migration_text(connection: Connection, revision: str, text: str) -> str:
    """Return a module that brings the database of a connection to the tables of the code."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "user_module_prefix": ""})
    # Several are taken too, which the annotation does not say.
    found: Any = tables()
    steps = produce_migrations(context, found).upgrade_ops
    assert steps is not None
    body = render_python_code(steps, render_item=_render, migration_context=context)
    body = "\n".join(line for line in body.splitlines() if not line.strip().startswith("#"))
    before = newest_version()
    return _HEAD.format(text=text, revision=revision, before=before, body=body.strip() + "\n" + _external(steps.ops))


def _render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    return "Text_C()" if kind == "type" and isinstance(item, Text_C) else False


def _external(steps: list[Any]) -> str:
    created = [step for step in steps if isinstance(step, ops.CreateTableOp)]
    pairs = [
        (step.table_name, column.name)
        for step in created
        for column in step.columns
        if isinstance(column, Column) and isinstance(column.type, LargeBinary)
    ]
    return "".join(_EXTERNAL.format(table=table, column=column) for table, column in pairs)


def main() -> None:
    """Write the file."""
    url, revision, text = sys.argv[1:]
    with PostgresIndex(url).engine.connect() as connection:
        found = migration_text(connection, revision, text)
    (Path(__file__).parent / "versions" / f"v{revision}.py").write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()

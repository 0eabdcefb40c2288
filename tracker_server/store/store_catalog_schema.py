"""The tables of the catalog: what people decided about runs. It is the truth and is never built anew.

In a tracker folder they are in `catalog.sqlite`, on PostgreSQL beside the index.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table

from .store_schema import BIG_KEY
from .store_text import Text_C

CATALOG_VERSION = "1"

metadata = MetaData()

# name "version": CATALOG_VERSION.
catalog_info = Table(
    "catalog_info",
    metadata,
    Column("name", Text_C, primary_key=True),
    Column("value", Text_C, nullable=False),
)

# A deleted run: the journals that it had then, as paths below `runs`, one a line. What is written to its id afterwards
# is another run's. `stage`: trash; emptying (nothing brings it back, what is left of it is to be removed); emptied
# (removed, but a process that was still writing may put a journal back).
tombstone = Table(
    "tombstone",
    metadata,
    Column("tombstone_id", BIG_KEY, primary_key=True),
    Column("project", Text_C, nullable=False),
    Column("run_id", Text_C, nullable=False),
    Column("folder", Text_C, nullable=False),
    Column("journals", Text_C, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", Text_C, nullable=False),
    Column("state", Text_C, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("was_archived", Boolean, nullable=False),
    Column("stage", Text_C, nullable=False),
    Column("deleted_ns", BigInteger, nullable=False),
    Column("deleted_by", Text_C, nullable=False),
    Column("reason", Text_C, nullable=False),
    Index("tombstone_by_run", "project", "run_id"),
    sqlite_autoincrement=True,
)

archived_run = Table(
    "archived_run",
    metadata,
    Column("project", Text_C, primary_key=True),
    Column("run_id", Text_C, primary_key=True),
    Column("archived_ns", BigInteger, nullable=False),
    Column("archived_by", Text_C, nullable=False),
    Column("reason", Text_C, nullable=False),
)

# Every decision in the order taken; nothing is ever removed here, and every change adds to it. `action`: delete,
# undelete, archive, unarchive, empty (decided), emptied (done).
decision = Table(
    "decision",
    metadata,
    Column("decision_id", BIG_KEY, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", Text_C, nullable=False),
    Column("action", Text_C, nullable=False),
    Column("project", Text_C, nullable=False),
    Column("run_id", Text_C, nullable=False),
    Column("reason", Text_C, nullable=False),
    sqlite_autoincrement=True,
)

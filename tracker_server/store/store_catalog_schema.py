"""The tables of the catalog: what people decided about runs. It is the truth and is never built anew.

In a tracker folder they are in `catalog.sqlite`, on PostgreSQL beside the index.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table

from .store_schema import BIG_KEY
from .store_text import Text_C

# A catalog of an earlier version has some of the tables; the next write adds the others.
CATALOG_VERSION = "3"
EARLIER_VERSIONS = ("1", "2")

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

# The last order to stop a run, until the sessions that it names, one a line, have ended. `withdrawn_ns` is when it was
# taken back, null while it holds.
stop_order = Table(
    "stop_order",
    metadata,
    Column("project", Text_C, primary_key=True),
    Column("run_id", Text_C, primary_key=True),
    Column("sessions", Text_C, nullable=False),
    Column("ordered_ns", BigInteger, nullable=False),
    Column("ordered_by", Text_C, nullable=False),
    Column("reason", Text_C, nullable=False),
    Column("withdrawn_ns", BigInteger),
)

# Every decision in the order taken; nothing is ever removed here, and every change adds to it. `action`: delete,
# undelete, archive, unarchive, stop, withdraw stop, empty (decided), emptied (done); of keys, with the key's id for a
# run's: create key, revoke key, sign in, sign out.
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

# Keys of a server. `scope`: admin, write, read. `project` is null for all. `digest` is the key's SHA-256, hexadecimal.
api_key = Table(
    "api_key",
    metadata,
    Column("key_id", Text_C, primary_key=True),
    Column("name", Text_C, nullable=False),
    Column("scope", Text_C, nullable=False),
    Column("project", Text_C),
    Column("digest", Text_C, nullable=False, unique=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", Text_C, nullable=False),
    Column("revoked_ns", BigInteger),
    Column("revoked_by", Text_C, nullable=False),
)

# Browsers that are signed in with a key. `digest` is the SHA-256 of the cookie, hexadecimal.
browser_session = Table(
    "browser_session",
    metadata,
    Column("digest", Text_C, primary_key=True),
    Column("key_id", Text_C, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
)

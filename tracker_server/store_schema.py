"""The tables of the index. It is built from the journals, so another version of it is dropped and built anew."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

INDEX_VERSION = "3"

metadata = MetaData()

# name "version": INDEX_VERSION. name "build": random, so that a reader notices that the index was built anew.
index_info = Table(
    "index_info",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

# Sealed: rows below `next_sequence`, which end at `sealed_offset`, are in the chunks; `fold` is what all records below
# it add up to.
journal = Table(
    "journal",
    metadata,
    Column("journal_id", Integer, primary_key=True),
    Column("path", String, nullable=False, unique=True),
    Column("sealed_offset", BigInteger, nullable=False),
    Column("next_sequence", BigInteger, nullable=False),
    Column("is_closed", Boolean, nullable=False),
    Column("fold", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

metric = Table(
    "metric",
    metadata,
    Column("metric_id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
)

# Rows of one key set of one journal: what all their metrics share. `is_system`: samples of the machine.
row_chunk = Table(
    "row_chunk",
    metadata,
    Column("chunk_id", Integer, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("is_system", Boolean, nullable=False),
    Column("sequences", LargeBinary, nullable=False),
    Column("steps", LargeBinary, nullable=False),
    Column("wall_times", LargeBinary, nullable=False),
    Index("row_chunk_by_journal", "journal_id", "first_sequence"),
    sqlite_autoincrement=True,
)

# One metric of a row chunk.
value_chunk = Table(
    "value_chunk",
    metadata,
    Column("value_id", Integer, primary_key=True),
    Column("metric_id", Integer, nullable=False),
    Column("journal_id", Integer, nullable=False),
    Column("chunk_id", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("metric_id", "journal_id", "chunk_id"),
    Index("value_chunk_by_chunk", "chunk_id"),
)

# Lines of output of one journal; see `console_chunks.ConsoleChunk`. A later chunk replaces lines of an earlier one.
console_chunk = Table(
    "console_chunk",
    metadata,
    Column("chunk_id", Integer, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("first_number", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("n_lines", Integer, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("wall_times", LargeBinary, nullable=False),
    Column("streams", LargeBinary, nullable=False),
    Column("text", LargeBinary, nullable=False),
    Index("console_chunk_by_journal", "journal_id", "chunk_id"),
    sqlite_autoincrement=True,
)

# Files kept with the run, each time that one was saved.
kept_file = Table(
    "kept_file",
    metadata,
    Column("file_id", Integer, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("path", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("saved_ns", BigInteger, nullable=False),
    Index("kept_file_by_journal", "journal_id"),
)

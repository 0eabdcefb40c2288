"""The tables of the index. It is built from the journals, so another version of it is dropped and built anew."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from .store_text import Text_C

INDEX_VERSION = "7"

metadata = MetaData()

# Keys of tables that get very many rows. SQLite numbers rows by itself only in a column declared INTEGER.
BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")

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
    Column("path", Text_C, nullable=False, unique=True),
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
    Column("key", Text_C, nullable=False, unique=True),
)

# Rows of one key set of one journal: what all their metrics share. `is_system`: samples of the machine. `layout` names
# keys and types. `finest_level`: the lowest level of cells that these rows are in too, or one of `store_cells`' marks.
row_chunk = Table(
    "row_chunk",
    metadata,
    Column("chunk_id", BIG_KEY, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("layout", BigInteger, nullable=False),
    Column("finest_level", SmallInteger, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("min_step", BigInteger, nullable=False),
    Column("max_step", BigInteger, nullable=False),
    Column("min_time", BigInteger, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("n_columns", Integer, nullable=False),
    Column("is_system", Boolean, nullable=False),
    Column("sequences", LargeBinary, nullable=False),
    Column("steps", LargeBinary, nullable=False),
    Column("wall_times", LargeBinary, nullable=False),
    Index("row_chunk_by_journal", "journal_id", "first_sequence"),
    Index("row_chunk_by_level", "finest_level", "journal_id", "layout"),
    sqlite_autoincrement=True,
)

# One metric of a row chunk.
value_chunk = Table(
    "value_chunk",
    metadata,
    Column("value_id", BIG_KEY, primary_key=True),
    Column("metric_id", Integer, nullable=False),
    Column("journal_id", Integer, nullable=False),
    Column("chunk_id", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("metric_id", "journal_id", "chunk_id"),
    Index("value_chunk_by_chunk", "chunk_id"),
)

# Lines of output of one journal; see `console_chunks.ConsoleChunk`. A later chunk replaces lines of an earlier one.
console_chunk = Table(
    "console_chunk",
    metadata,
    Column("chunk_id", BIG_KEY, primary_key=True),
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
    Column("file_id", BIG_KEY, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("path", Text_C, nullable=False),
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("saved_ns", BigInteger, nullable=False),
    Index("kept_file_by_kind", "journal_id", "kind", "path"),
)

# Journals that arrive at a database in blocks: what of them is not sealed yet, and who seals it. Bytes before
# `first_offset` are sealed and gone; reading may begin at `resume_offset`. `is_done`: closed, and sealed to its end.
tail_journal = Table(
    "tail_journal",
    metadata,
    Column("tail_id", BIG_KEY, primary_key=True),
    Column("path", Text_C, nullable=False, unique=True),
    Column("first_offset", BigInteger, nullable=False),
    Column("resume_offset", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Column("owner", String, nullable=False),
    Column("claimed_until_ns", BigInteger, nullable=False),
    Index("tail_journal_by_done", "is_done"),
    sqlite_autoincrement=True,
)

tail_block = Table(
    "tail_block",
    metadata,
    Column("tail_id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# Journals of which something could not be taken or sealed, and why. They stop no others.
poisoned_journal = Table(
    "poisoned_journal",
    metadata,
    Column("path", Text_C, primary_key=True),
    Column("reason", Text_C, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
)

# Text without NUL (see `run_rows.plain_text`) that is compared, also with the members of a set that is one parameter.
PLAIN_TEXT = String().with_variant(String(collation="C"), "postgresql")

# Runs of which nothing more is expected. `journals`: names and sizes of all its journals, as msgpack.
run = Table(
    "run",
    metadata,
    Column("run_pk", Integer, primary_key=True),
    Column("project", PLAIN_TEXT, nullable=False),
    Column("run_id", PLAIN_TEXT, nullable=False),
    Column("state", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("journals", LargeBinary, nullable=False),
    UniqueConstraint("project", "run_id"),
)

# What settled runs said that people should know. `number` counts those of a run, the oldest first.
run_alert = Table(
    "run_alert",
    metadata,
    Column("run_pk", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("level", String, nullable=False),
    Column("title", PLAIN_TEXT, nullable=False),
    Column("text", PLAIN_TEXT, nullable=False),
    Column("writer", PLAIN_TEXT, nullable=False),
    Index("run_alert_by_time", "at_ns"),
)

# A run as its readers see it, its environment, and the ids of its keys in `run_value` and `run_metric`; packed.
run_content = Table(
    "run_content",
    metadata,
    Column("run_pk", Integer, primary_key=True, autoincrement=False),
    Column("view", LargeBinary, nullable=False),
    Column("environment", LargeBinary, nullable=False),
    Column("key_ids", LargeBinary, nullable=False),
)

# Keys that runs of a project have, and how many have a value of which kind; of metrics how many points in all.
run_key = Table(
    "run_key",
    metadata,
    Column("key_id", Integer, primary_key=True),
    Column("project", PLAIN_TEXT, nullable=False),
    Column("root", String, nullable=False),
    Column("key", PLAIN_TEXT, nullable=False),
    Column("n_numbers", Integer, nullable=False),
    Column("n_booleans", Integer, nullable=False),
    Column("n_texts", Integer, nullable=False),
    Column("n_lists", Integer, nullable=False),
    Column("n_nones", Integer, nullable=False),
    Column("n_mappings", Integer, nullable=False),
    Column("n_metrics", Integer, nullable=False),
    Column("n_points", BigInteger, nullable=False),
    Column("step_metric", PLAIN_TEXT),
    Column("goal", PLAIN_TEXT),
    Column("is_hidden", Boolean, nullable=False),
    UniqueConstraint("project", "root", "key"),
)

# What a run holds at a key, see `run_rows`. Rows of one key lie side by side: it is what a search reads.
run_value = Table(
    "run_value",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("run_pk", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("number", Double),
    Column("residual", SmallInteger, nullable=False),
    Column("text", PLAIN_TEXT),
    Column("rest", PLAIN_TEXT),
    sqlite_with_rowid=False,
)

# Aggregates of one metric of one run; NaN is NULL. Residuals as in `run_value`.
run_metric = Table(
    "run_metric",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("run_pk", Integer, primary_key=True, autoincrement=False),
    Column("n_points", BigInteger, nullable=False),
    Column("last", Double),
    Column("min", Double),
    Column("max", Double),
    Column("mean", Double),
    Column("first", Double),
    Column("last_residual", SmallInteger, nullable=False),
    Column("min_residual", SmallInteger, nullable=False),
    Column("max_residual", SmallInteger, nullable=False),
    Column("first_residual", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Cells (see `cells`) of one level of rows of one layout of one journal: what all their metrics share. `is_top`: no
# higher level has these rows.
cell_rows = Table(
    "cell_rows",
    metadata,
    Column("cells_id", BIG_KEY, primary_key=True),
    Column("journal_id", Integer, nullable=False),
    Column("layout", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("is_top", Boolean, nullable=False),
    Column("is_system", Boolean, nullable=False),
    Column("n_cells", Integer, nullable=False),
    Column("first_index", BigInteger, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("min_step", BigInteger, nullable=False),
    Column("max_step", BigInteger, nullable=False),
    Column("min_time", BigInteger, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    Column("places", LargeBinary, nullable=False),
    Column("times", LargeBinary, nullable=False),
    Index("cell_rows_by_journal", "journal_id", "layout", "level"),
    sqlite_autoincrement=True,
)

# One metric of these.
cell_column = Table(
    "cell_column",
    metadata,
    Column("column_id", BIG_KEY, primary_key=True),
    Column("metric_id", Integer, nullable=False),
    Column("journal_id", Integer, nullable=False),
    Column("cells_id", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("is_top", Boolean, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("cell_column_by_metric", "metric_id", "journal_id", "level"),
    Index("cell_column_by_cells", "cells_id"),
)

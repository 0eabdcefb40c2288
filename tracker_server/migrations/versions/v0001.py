"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tracker_server.store.store_text import Text_C

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "cell_column",
        sa.Column("column_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("cells_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("is_top", sa.Boolean(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("column_id"),
    )
    op.create_index("cell_column_by_cells", "cell_column", ["cells_id"], unique=False)
    op.create_index("cell_column_by_metric", "cell_column", ["metric_id", "journal_id", "level"], unique=False)
    op.create_table(
        "cell_rows",
        sa.Column("cells_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("layout", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("is_top", sa.Boolean(), nullable=False),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("n_cells", sa.Integer(), nullable=False),
        sa.Column("first_index", sa.BigInteger(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("min_step", sa.BigInteger(), nullable=False),
        sa.Column("max_step", sa.BigInteger(), nullable=False),
        sa.Column("min_time", sa.BigInteger(), nullable=False),
        sa.Column("max_time", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("cells_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("cell_rows_by_journal", "cell_rows", ["journal_id", "layout", "level"], unique=False)
    op.create_table(
        "console_chunk",
        sa.Column("chunk_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("n_lines", sa.Integer(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.Column("wall_times", sa.LargeBinary(), nullable=False),
        sa.Column("streams", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("console_chunk_by_journal", "console_chunk", ["journal_id", "chunk_id"], unique=False)
    op.create_table(
        "index_info",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "journal",
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("path", Text_C(), nullable=False),
        sa.Column("sealed_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_sequence", sa.BigInteger(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("fold", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("journal_id"),
        sa.UniqueConstraint("path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kept_file",
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("path", Text_C(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("saved_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id"),
    )
    op.create_index("kept_file_by_journal", "kept_file", ["journal_id"], unique=False)
    op.create_table(
        "metric",
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("key", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("metric_id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "poisoned_journal",
        sa.Column("path", Text_C(), nullable=False),
        sa.Column("reason", Text_C(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_table(
        "row_chunk",
        sa.Column("chunk_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("layout", sa.BigInteger(), nullable=False),
        sa.Column("finest_level", sa.SmallInteger(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("min_step", sa.BigInteger(), nullable=False),
        sa.Column("max_step", sa.BigInteger(), nullable=False),
        sa.Column("min_time", sa.BigInteger(), nullable=False),
        sa.Column("max_time", sa.BigInteger(), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("n_columns", sa.Integer(), nullable=False),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("sequences", sa.LargeBinary(), nullable=False),
        sa.Column("steps", sa.LargeBinary(), nullable=False),
        sa.Column("wall_times", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("row_chunk_by_journal", "row_chunk", ["journal_id", "first_sequence"], unique=False)
    op.create_index("row_chunk_by_level", "row_chunk", ["finest_level", "journal_id", "layout"], unique=False)
    op.create_table(
        "run",
        sa.Column("run_pk", sa.Integer(), nullable=False),
        sa.Column("project", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("run_id", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.Column("journals", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_pk"),
        sa.UniqueConstraint("project", "run_id"),
    )
    op.create_table(
        "run_content",
        sa.Column("run_pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("view", sa.LargeBinary(), nullable=False),
        sa.Column("environment", sa.LargeBinary(), nullable=False),
        sa.Column("key_ids", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_pk"),
    )
    op.create_table(
        "run_key",
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("key", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("n_numbers", sa.Integer(), nullable=False),
        sa.Column("n_booleans", sa.Integer(), nullable=False),
        sa.Column("n_texts", sa.Integer(), nullable=False),
        sa.Column("n_lists", sa.Integer(), nullable=False),
        sa.Column("n_nones", sa.Integer(), nullable=False),
        sa.Column("n_mappings", sa.Integer(), nullable=False),
        sa.Column("n_metrics", sa.Integer(), nullable=False),
        sa.Column("n_points", sa.BigInteger(), nullable=False),
        sa.Column("step_metric", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True),
        sa.Column("goal", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        sa.UniqueConstraint("project", "root", "key"),
    )
    op.create_table(
        "run_metric",
        sa.Column("key_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n_points", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("first", sa.Double(), nullable=True),
        sa.Column("last_residual", sa.SmallInteger(), nullable=False),
        sa.Column("min_residual", sa.SmallInteger(), nullable=False),
        sa.Column("max_residual", sa.SmallInteger(), nullable=False),
        sa.Column("first_residual", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "run_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_value",
        sa.Column("key_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("residual", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True),
        sa.Column("rest", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("key_id", "run_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tail_block",
        sa.Column("tail_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tail_id", "first_offset"),
    )
    op.create_table(
        "tail_journal",
        sa.Column("tail_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", Text_C(), nullable=False),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("resume_offset", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_ns", sa.BigInteger(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("claimed_until_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tail_id"),
        sa.UniqueConstraint("path"),
        sqlite_autoincrement=True,
    )
    op.create_index("tail_journal_by_done", "tail_journal", ["is_done"], unique=False)
    op.create_table(
        "value_chunk",
        sa.Column("value_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("journal_id", sa.Integer(), nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("value_id"),
        sa.UniqueConstraint("metric_id", "journal_id", "chunk_id"),
    )
    op.create_index("value_chunk_by_chunk", "value_chunk", ["chunk_id"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("key_id", Text_C(), nullable=False),
        sa.Column("name", Text_C(), nullable=False),
        sa.Column("scope", Text_C(), nullable=False),
        sa.Column("project", Text_C(), nullable=True),
        sa.Column("digest", Text_C(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Text_C(), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "archived_run",
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("run_id", Text_C(), nullable=False),
        sa.Column("archived_ns", sa.BigInteger(), nullable=False),
        sa.Column("archived_by", Text_C(), nullable=False),
        sa.Column("reason", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("project", "run_id"),
    )
    op.create_table(
        "browser_session",
        sa.Column("digest", Text_C(), nullable=False),
        sa.Column("key_id", Text_C(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "catalog_info",
        sa.Column("name", Text_C(), nullable=False),
        sa.Column("value", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "decision",
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", Text_C(), nullable=False),
        sa.Column("action", Text_C(), nullable=False),
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("run_id", Text_C(), nullable=False),
        sa.Column("reason", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stop_order",
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("run_id", Text_C(), nullable=False),
        sa.Column("sessions", Text_C(), nullable=False),
        sa.Column("ordered_ns", sa.BigInteger(), nullable=False),
        sa.Column("ordered_by", Text_C(), nullable=False),
        sa.Column("reason", Text_C(), nullable=False),
        sa.Column("withdrawn_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "run_id"),
    )
    op.create_table(
        "tombstone",
        sa.Column("tombstone_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("run_id", Text_C(), nullable=False),
        sa.Column("folder", Text_C(), nullable=False),
        sa.Column("journals", Text_C(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", Text_C(), nullable=False),
        sa.Column("state", Text_C(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("was_archived", sa.Boolean(), nullable=False),
        sa.Column("stage", Text_C(), nullable=False),
        sa.Column("deleted_ns", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by", Text_C(), nullable=False),
        sa.Column("reason", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("tombstone_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("tombstone_by_run", "tombstone", ["project", "run_id"], unique=False)
    op.execute("ALTER TABLE cell_column ALTER COLUMN data SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE cell_rows ALTER COLUMN places SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE cell_rows ALTER COLUMN times SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE console_chunk ALTER COLUMN numbers SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE console_chunk ALTER COLUMN wall_times SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE console_chunk ALTER COLUMN streams SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE console_chunk ALTER COLUMN text SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE journal ALTER COLUMN fold SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE row_chunk ALTER COLUMN sequences SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE row_chunk ALTER COLUMN steps SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE row_chunk ALTER COLUMN wall_times SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE run ALTER COLUMN journals SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE run_content ALTER COLUMN view SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE run_content ALTER COLUMN environment SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE run_content ALTER COLUMN key_ids SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE tail_block ALTER COLUMN data SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE value_chunk ALTER COLUMN data SET STORAGE EXTERNAL")

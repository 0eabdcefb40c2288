"""Alerts, and files by their kind and path."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "run_alert",
        sa.Column("run_pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("title", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("text", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("writer", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "number"),
    )
    op.create_index("run_alert_by_time", "run_alert", ["at_ns"], unique=False)
    op.drop_index(op.f("kept_file_by_journal"), table_name="kept_file")
    op.create_index("kept_file_by_kind", "kept_file", ["journal_id", "kind", "path"], unique=False)

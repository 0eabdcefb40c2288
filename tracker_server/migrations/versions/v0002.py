"""Artifacts and the registry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tracker_server.store.store_text import Text_C

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "artifact",
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("name", Text_C(), nullable=False),
        sa.Column("type", Text_C(), nullable=False),
        sa.Column("description", Text_C(), nullable=False),
        sa.Column("retention_json", Text_C(), nullable=False),
        sa.Column("n_ordinals", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id"),
        sa.UniqueConstraint("project", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "artifact_alias",
        sa.Column("artifact_id", sa.BigInteger(), nullable=False),
        sa.Column("alias", Text_C(), nullable=False),
        sa.Column("uid", Text_C(), nullable=False),
        sa.Column("moved_ns", sa.BigInteger(), nullable=False),
        sa.Column("moved_by", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", "alias"),
    )
    op.create_index("artifact_alias_by_version", "artifact_alias", ["uid"], unique=False)
    op.create_table(
        "artifact_same",
        sa.Column("other_uid", Text_C(), nullable=False),
        sa.Column("uid", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("other_uid"),
    )
    op.create_table(
        "artifact_use",
        sa.Column("uid", Text_C(), nullable=False),
        sa.Column("run_project", Text_C(), nullable=False),
        sa.Column("run_id", Text_C(), nullable=False),
        sa.Column("is_output", sa.Boolean(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("used_as", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "run_project", "run_id", "is_output"),
    )
    op.create_index("artifact_use_by_run", "artifact_use", ["run_project", "run_id"], unique=False)
    op.create_table(
        "artifact_version",
        sa.Column("uid", Text_C(), nullable=False),
        sa.Column("artifact_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("digest", Text_C(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_files", sa.Integer(), nullable=False),
        sa.Column("n_references", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("committed_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Text_C(), nullable=False),
        sa.Column("run_project", Text_C(), nullable=True),
        sa.Column("run_id", Text_C(), nullable=True),
        sa.Column("history_step", sa.BigInteger(), nullable=True),
        sa.Column("ttl_days", sa.Float(), nullable=True),
        sa.Column("deleted_ns", sa.BigInteger(), nullable=True),
        sa.Column("deleted_by", Text_C(), nullable=False),
        sa.Column("delete_reason", Text_C(), nullable=False),
        sa.Column("tags_json", Text_C(), nullable=False),
        sa.Column("description", Text_C(), nullable=False),
        sa.Column("metadata_json", Text_C(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("uid"),
        sa.UniqueConstraint("artifact_id", "ordinal"),
    )
    op.create_index("artifact_version_by_digest", "artifact_version", ["artifact_id", "digest"], unique=False)
    op.create_index("artifact_version_by_run", "artifact_version", ["run_project", "run_id"], unique=False)
    op.create_table(
        "blob_chunk",
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pack_id", Text_C(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "digest"),
    )
    op.create_index("blob_chunk_by_pack", "blob_chunk", ["pack_id"], unique=False)
    op.create_table(
        "blob_pack",
        sa.Column("pack_id", Text_C(), nullable=False),
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_chunks", sa.Integer(), nullable=False),
        sa.Column("state", Text_C(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("condemned_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pack_id"),
    )
    op.create_index("blob_pack_by_project", "blob_pack", ["project", "state"], unique=False)
    op.create_table(
        "lease_chunk",
        sa.Column("lease_id", Text_C(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("lease_id", "digest"),
    )
    op.create_index("lease_chunk_by_digest", "lease_chunk", ["digest"], unique=False)
    op.create_table(
        "registered_model",
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", Text_C(), nullable=False),
        sa.Column("type", Text_C(), nullable=False),
        sa.Column("card", Text_C(), nullable=False),
        sa.Column("n_numbers", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Text_C(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "registry_alias",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("alias", Text_C(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("moved_ns", sa.BigInteger(), nullable=False),
        sa.Column("moved_by", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "alias"),
    )
    op.create_table(
        "registry_audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", Text_C(), nullable=False),
        sa.Column("action", Text_C(), nullable=False),
        sa.Column("model", Text_C(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("detail_json", Text_C(), nullable=False),
        sa.Column("why", Text_C(), nullable=False),
        sa.Column("previous_hash", Text_C(), nullable=False),
        sa.Column("hash", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("registry_audit_by_model", "registry_audit", ["model"], unique=False)
    op.create_table(
        "registry_link",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("uid", Text_C(), nullable=False),
        sa.Column("linked_ns", sa.BigInteger(), nullable=False),
        sa.Column("linked_by", Text_C(), nullable=False),
        sa.Column("why", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "number"),
    )
    op.create_index("registry_link_by_version", "registry_link", ["uid"], unique=False)
    op.create_table(
        "upload_lease",
        sa.Column("lease_id", Text_C(), nullable=False),
        sa.Column("project", Text_C(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Text_C(), nullable=False),
        sa.PrimaryKeyConstraint("lease_id"),
    )
    op.execute("ALTER TABLE artifact_version ALTER COLUMN manifest SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE blob_chunk ALTER COLUMN digest SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE lease_chunk ALTER COLUMN digest SET STORAGE EXTERNAL")

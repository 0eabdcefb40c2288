"""The tables of artifacts and of the registry, beside those of the catalog: what is committed is the truth.

`blob_chunk` and `blob_pack` say where bytes are; they can be made anew from the packs (docs/artifacts.md). Texts named
`*_json` are JSON.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, UniqueConstraint

from .store_catalog_schema import metadata as metadata
from .store_schema import BIG_KEY
from .store_text import Text_C

# -- bytes

# A file of many chunks, below blobs/ or in the object store. `state`: open (being written: its chunks do not count),
# live, condemned (nothing needs it any more; it is removed later, and brought back to live by nothing).
blob_pack = Table(
    "blob_pack",
    metadata,
    Column("pack_id", Text_C, primary_key=True),
    Column("project", Text_C, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("n_chunks", Integer, nullable=False),
    Column("state", Text_C, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("condemned_ns", BigInteger),
    Index("blob_pack_by_project", "project", "state"),
)

# Where a chunk of a project is. `digest` is the BLAKE3 of its bytes.
blob_chunk = Table(
    "blob_chunk",
    metadata,
    Column("project", Text_C, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("pack_id", Text_C, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Index("blob_chunk_by_pack", "pack_id"),
)

# An upload that is going on: what it put or found is not collected until it ends or expires.
upload_lease = Table(
    "upload_lease",
    metadata,
    Column("lease_id", Text_C, primary_key=True),
    Column("project", Text_C, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("created_by", Text_C, nullable=False),
)

lease_chunk = Table(
    "lease_chunk",
    metadata,
    Column("lease_id", Text_C, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    Index("lease_chunk_by_digest", "digest"),
)

# -- artifacts

artifact = Table(
    "artifact",
    metadata,
    Column("artifact_id", BIG_KEY, primary_key=True),
    Column("project", Text_C, nullable=False),
    Column("name", Text_C, nullable=False),
    Column("type", Text_C, nullable=False),
    Column("description", Text_C, nullable=False),
    Column("retention_json", Text_C, nullable=False),
    Column("n_ordinals", Integer, nullable=False),  # the next version's ordinal; those of deleted ones are not reused
    Column("created_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    UniqueConstraint("project", "name"),
    sqlite_autoincrement=True,
)

# `manifest` is the encoded manifest (tracker_core/artifacts/manifest.py). A deleted version keeps its row, without it.
# What may be long is at the end: SQLite goes through all that stands before a column to get at it.
artifact_version = Table(
    "artifact_version",
    metadata,
    Column("uid", Text_C, primary_key=True),
    Column("artifact_id", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("digest", Text_C, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("n_files", Integer, nullable=False),
    Column("n_references", Integer, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("committed_ns", BigInteger, nullable=False),
    Column("created_by", Text_C, nullable=False),
    Column("run_project", Text_C),
    Column("run_id", Text_C),
    Column("history_step", BigInteger),
    Column("ttl_days", Float),
    Column("deleted_ns", BigInteger),
    Column("deleted_by", Text_C, nullable=False),
    Column("delete_reason", Text_C, nullable=False),
    Column("tags_json", Text_C, nullable=False),
    Column("description", Text_C, nullable=False),
    Column("metadata_json", Text_C, nullable=False),
    Column("manifest", LargeBinary),
    UniqueConstraint("artifact_id", "ordinal"),
    Index("artifact_version_by_digest", "artifact_id", "digest"),
    Index("artifact_version_by_run", "run_project", "run_id"),
)

artifact_alias = Table(
    "artifact_alias",
    metadata,
    Column("artifact_id", BigInteger, primary_key=True),
    Column("alias", Text_C, primary_key=True),
    Column("uid", Text_C, nullable=False),
    Column("moved_ns", BigInteger, nullable=False),
    Column("moved_by", Text_C, nullable=False),
    Index("artifact_alias_by_version", "uid"),
)

# A version under other uids: committed again with the same content, there or by a client that was offline.
artifact_same = Table(
    "artifact_same",
    metadata,
    Column("other_uid", Text_C, primary_key=True),
    Column("uid", Text_C, nullable=False),
)

# Edges of the lineage.
artifact_use = Table(
    "artifact_use",
    metadata,
    Column("uid", Text_C, primary_key=True),
    Column("run_project", Text_C, primary_key=True),
    Column("run_id", Text_C, primary_key=True),
    Column("is_output", Boolean, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("used_as", Text_C, nullable=False),
    Index("artifact_use_by_run", "run_project", "run_id"),
)

# -- the registry

registered_model = Table(
    "registered_model",
    metadata,
    Column("model_id", BIG_KEY, primary_key=True),
    Column("name", Text_C, nullable=False, unique=True),
    Column("type", Text_C, nullable=False),
    Column("card", Text_C, nullable=False),
    Column("n_numbers", Integer, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", Text_C, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

registry_link = Table(
    "registry_link",
    metadata,
    Column("model_id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("uid", Text_C, nullable=False),
    Column("linked_ns", BigInteger, nullable=False),
    Column("linked_by", Text_C, nullable=False),
    Column("why", Text_C, nullable=False),
    Index("registry_link_by_version", "uid"),
)

registry_alias = Table(
    "registry_alias",
    metadata,
    Column("model_id", BigInteger, primary_key=True),
    Column("alias", Text_C, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("moved_ns", BigInteger, nullable=False),
    Column("moved_by", Text_C, nullable=False),
)

# Every change of the registry, each hashed with the one before. Nothing is ever changed or removed here.
registry_audit = Table(
    "registry_audit",
    metadata,
    Column("number", BIG_KEY, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", Text_C, nullable=False),
    Column("action", Text_C, nullable=False),
    Column("model", Text_C, nullable=False),
    Column("version", Integer),
    Column("detail_json", Text_C, nullable=False),
    Column("why", Text_C, nullable=False),
    Column("previous_hash", Text_C, nullable=False),
    Column("hash", Text_C, nullable=False),
    Index("registry_audit_by_model", "model"),
)

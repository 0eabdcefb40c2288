"""Artifacts on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.postgres import PostgresServer
from tracker_core.artifacts.manifest import Entry, Manifest
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import NewVersion, VersionInfo
from tracker_server.artifacts.artifact_catalog import ArtifactCatalog
from tracker_server.artifacts.local_artifacts import LocalArtifacts
from tracker_server.store.store_artifact_schema import metadata
from tracker_server.store.store_catalog import CatalogDatabase
from tracker_server.store.store_catalog_file import CatalogFile
from tracker_server.store.store_catalog_postgres import PostgresCatalog
from tracker_server.store.store_migrate import open_database
from tracker_server.store.store_postgres import PostgresIndex

Opening = Callable[..., LocalArtifacts]


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[PostgresIndex]:
    """A database for all tests of a module; each leaves it empty."""
    found = open_database(postgres.new_store())
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Opens the same artifacts again and again, as processes do; `who` decides."""
    folder = str(tmp_path / ".tracker")
    if request.param == "sqlite":
        yield lambda who="ada": _opened(CatalogFile(folder), folder, who)
        return
    database: PostgresIndex = request.getfixturevalue("database")
    yield lambda who="ada": _opened(PostgresCatalog(database), folder, who)
    tables = ", ".join(table.name for table in metadata.tables.values() if table.name != "catalog_info")
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables}")


def _opened(database: CatalogDatabase, folder: str, who: str) -> LocalArtifacts:
    return LocalArtifacts(ArtifactCatalog(database, folder, who))


@pytest.fixture
def artifacts(opening: Opening) -> LocalArtifacts:
    return opening()


def new_uid() -> str:
    return secrets.token_hex(16)


def referring(content: object) -> bytes:
    """Return a manifest of one reference, for versions of which the bytes do not matter."""
    return Manifest([Entry("data.bin", 5, reference=f"s3://bucket/{content}", checksum="etag:1")]).encode()


def version_of(content: object, name: str = "m", project: str = "p", type: str = "model", **fields: Any) -> NewVersion:
    """Return a version to be committed; one `content` is always the same."""
    fields = {"uid": new_uid(), "manifest": referring(content), "lease": "", **fields}
    return NewVersion(project=project, name=name, type=type, **fields)


def commit_files(source: ArtifactSource, files: Mapping[str, bytes], name: str = "m", **fields: Any) -> VersionInfo:
    """Commit files, each of one chunk, in the way that a client does."""
    lease = source.begin_upload("p")
    entries = [Entry(path, len(content), blake3(content).digest()) for path, content in files.items()]
    chunks = [chunk for entry in entries for chunk in entry.all_chunks]
    contents = dict(zip((entry.digest for entry in entries), files.values(), strict=True))
    wanted = source.missing(lease, chunks)
    source.put(lease, [(chunk, contents[chunk.digest]) for chunk in chunks if chunk.digest in wanted])
    info = source.commit(version_of("", name, manifest=Manifest(entries).encode(), lease=lease, **fields))
    source.end_upload(lease)
    return info

"""Stores of chunks that must behave alike: files and SQLite, PostgreSQL, an object store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_chunks import Stored

from tracker_server.blobs.blob_store import BlobStore
from tracker_server.store.store_catalog import CatalogDatabase
from tracker_server.store.store_catalog_file import CatalogFile
from tracker_server.store.store_catalog_postgres import PostgresCatalog
from tracker_server.store.store_postgres import PostgresIndex


@pytest.fixture(params=["files", "postgresql", "s3"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    """Each kind of store in turn, empty."""
    folder = tmp_path / "tracker"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        database: CatalogDatabase = CatalogFile(str(folder))
        if request.param == "postgresql":
            index = PostgresIndex(request.getfixturevalue("database_url"))
            stack.callback(index.close)
            database = PostgresCatalog(index)
        url = request.getfixturevalue("s3_url") if request.param == "s3" else None
        yield Stored(folder, database, lambda: BlobStore(str(folder), database, url))


@pytest.fixture
def local(tmp_path: Path) -> Stored:
    """An empty store in a folder."""
    folder = tmp_path / "tracker"
    folder.mkdir()
    database = CatalogFile(str(folder))
    return Stored(folder, database, lambda: BlobStore(str(folder), database))

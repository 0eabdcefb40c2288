"""The stores that must behave alike. Another implementation of the seam is one more entry here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tracker_server.query.folder import LocalFolder
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_connection import IndexDatabase
from tracker_server.store.store_postgres import PostgresIndex
from tracker_server.store.store_sqlite import SqliteIndex

STORES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Store:
    """One empty store, and the tracker folder whose journals it takes in. `url` is None for files."""

    folder: Path
    url: str | None

    def open(self, **options: Any) -> LocalFolder:
        """Return the folder as one more process would open it."""
        return open_folder(self.folder, self.url, **options)

    def seen(self, **options: Any) -> LocalFolder:
        """Return the folder with everything taken in that is there."""
        folder = self.open(**options)
        folder.refresh()
        return folder

    def database(self) -> IndexDatabase:
        """Return the database alone, with its tables made and the folder that it may need."""
        self.folder.mkdir(exist_ok=True)
        return PostgresIndex(self.url) if self.url else SqliteIndex(str(self.folder))


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tracker_dir: Path) -> Store:
    """Each store in turn."""
    return Store(tracker_dir, request.getfixturevalue("database_url") if request.param == "postgresql" else None)

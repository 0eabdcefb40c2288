"""Open a tracker folder with its store where the settings say: in files of the folder, or in a database."""

from __future__ import annotations

import os
from typing import Any

from ..catalog.catalog import Catalog
from ..ingest.folder_naming import tracker_folder
from ..ingest.journal_forwarder import JournalForwarder
from ..ingest.tail_source import TailSource
from .folder import LocalFolder


def open_folder(path: str | os.PathLike[str], database_url: str | None = None, **options: Any) -> LocalFolder:
    """Return a tracker folder as its readers see it.

    Args:
        path: the tracker folder, or the folder that holds `.tracker`.
        database_url: a PostgreSQL database. The journals of the folder are brought there, and all of it is shown:
            what other folders and machines brought too.
        options: further arguments of `LocalFolder`.

    Raises:
        UsageError: the address is none, or the database is of another version.
        DatabaseAwayError: the database does not answer.
    """
    if not database_url:
        return LocalFolder(path, **options)
    # Alembic takes a while to import.
    from ..store.store_catalog_postgres import PostgresCatalog
    from ..store.store_migrate import open_database

    database = open_database(database_url)
    source = TailSource(database, JournalForwarder(tracker_folder(os.fspath(path)), database))
    catalog = Catalog(PostgresCatalog(database))
    return LocalFolder(path, source=source, database=database, catalog=catalog, **options)

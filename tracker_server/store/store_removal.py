"""Take removed runs out of the index, and give the room that they took back to the file system."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection

from sqlalchemy.exc import DatabaseError

from .store_connection import IndexDatabase
from .store_sqlite import SqliteIndex, give_back_space
from .store_write import index_writer

_INTERVAL_S = 0.05
_log = logging.getLogger(__name__)


def drop_from_index(
    database: IndexDatabase, journals: Collection[str], runs: Collection[tuple[str, str]], timeout_s: float
) -> int | None:
    """Drop journals and the rows of runs, waiting for others that write.

    Returns:
        By how many bytes the index's file shrank, as far as that is ours to say. None where nothing could be dropped
        within `timeout_s`; then the next process that follows the folder does it.
    """
    if isinstance(database, SqliteIndex) and not os.path.exists(database.place):
        return 0
    deadline_s = time.monotonic() + timeout_s
    while True:
        with index_writer(database) as writer:
            if writer is not None:
                return _given_back(database) if writer.forget(journals, runs) else None
        if time.monotonic() >= deadline_s:
            return None
        time.sleep(_INTERVAL_S)


def _given_back(database: IndexDatabase) -> int:
    """Shrink the file, with the lock held. PostgreSQL uses free room again by itself."""
    if not isinstance(database, SqliteIndex):
        return 0
    try:
        return give_back_space(database.place)
    except (DatabaseError, OSError) as error:
        _log.warning("%s keeps its size for now: %s", database.place, error)
        return 0

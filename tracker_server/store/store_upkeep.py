"""What makes the index quick to read after rows were sealed: cells, and longer chunks. In bounded steps."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from .store_cell_merge import join_cells
from .store_cells import build_cells
from .store_compact import join_chunks
from .store_schema import journal

_MAX_PATHS = 10_000


def keep_up(connection: Connection, paths: Collection[str] | None = None) -> bool:
    """Do one step, of a few million points at most. Says whether there is more to be done.

    A step that was cut short by a kill or a failure has done nothing, and is done again.

    Args:
        connection: within a transaction that may write.
        paths: the journals to look at. None: all, but only for rows that wait for cells, which are found at once.
    """
    if paths is None:
        return build_cells(connection)
    ids = _journal_ids(connection, paths)
    return build_cells(connection, ids) or join_chunks(connection, ids) or join_cells(connection, ids)


def _journal_ids(connection: Connection, paths: Collection[str]) -> list[int]:
    wanted = list(paths)
    found: list[int] = []
    for start in range(0, len(wanted), _MAX_PATHS):
        own = journal.c.path.in_(wanted[start : start + _MAX_PATHS])
        found += connection.execute(select(journal.c.journal_id).where(own)).scalars()
    return found

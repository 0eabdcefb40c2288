"""The steps of sealed rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from .store_schema import journal, row_chunk


def sealed_last_step(connection: Connection, paths: Sequence[str]) -> int:
    """Return the highest step of any sealed row of these journals, -1 for none."""
    highest = (
        select(func.max(row_chunk.c.max_step))
        .join(journal, journal.c.journal_id == row_chunk.c.journal_id)
        .where(journal.c.path.in_(list(paths)), row_chunk.c.is_system.is_(False))
    )
    found = connection.execute(highest).scalar()
    return -1 if found is None else int(found)

"""Keep which journals could not be taken or sealed, and why, until they can."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from .store_dialect import database_ns, upsert
from .store_schema import poisoned_journal

NOT_SEALED = "cannot be sealed: "


@dataclass(frozen=True, slots=True)
class PoisonedJournal:
    """One journal of which something could not be taken, why, and since when."""

    path: str
    reason: str
    since_ns: int


def note_poisoned(connection: Connection, reasons: Mapping[str, str], mended: Collection[str] = ()) -> None:
    """Keep the reasons by journal; forget that those could not be sealed which are mended."""
    if mended:
        is_mended = poisoned_journal.c.path.in_(mended)
        connection.execute(delete(poisoned_journal).where(is_mended, poisoned_journal.c.reason.startswith(NOT_SEALED)))
    if reasons:
        now_ns = database_ns(connection)
        rows = [{"path": path, "reason": reasons[path], "since_ns": now_ns} for path in sorted(reasons)]
        upsert(connection, poisoned_journal, rows, ["path"], ["reason"])


def poisoned_journals(connection: Connection) -> list[PoisonedJournal]:
    """Return all of them, the longest known first."""
    c = poisoned_journal.c
    query = select(c.path, c.reason, c.since_ns).order_by(c.since_ns, c.path)
    return [PoisonedJournal(*row) for row in connection.execute(query)]

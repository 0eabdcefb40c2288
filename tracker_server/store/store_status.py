"""Say how a store is: its version and size, how far journals are sealed, and what could not be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from .store_poisoned import PoisonedJournal, poisoned_journals
from .store_schema import journal, metric, row_chunk, tail_block, tail_journal
from .store_tail import claims


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How a store is now.

    Attributes:
        n_journals: journals of which something is sealed.
        n_closed: those of them that are sealed to the end.
        n_rows: sealed rows, the machine's samples among them.
        n_metrics: names of metrics.
        tail_bytes: bytes in the tail table that are not wholly sealed.
        n_tail_journals: journals that have more to come, or more to be sealed.
        claims: how many journals each process seals.
        poisoned: journals of which something could not be taken.
        size_bytes: of all tables of a PostgreSQL database, None for a file.
    """

    n_journals: int
    n_closed: int
    n_rows: int
    n_metrics: int
    tail_bytes: int
    n_tail_journals: int
    claims: Mapping[str, int]
    poisoned: Sequence[PoisonedJournal] = field(default_factory=list)
    size_bytes: int | None = None


def store_status(connection: Connection) -> StoreStatus:
    """Return how a store is, within one read transaction."""
    is_open = tail_journal.c.is_done.is_(False)
    n_bytes = func.coalesce(func.sum(func.length(tail_block.c.data)), 0)
    of_open = tail_block.c.tail_id.in_(select(tail_journal.c.tail_id).where(is_open))

    def one(query: Select[Any]) -> int:
        return int(connection.execute(query).scalar_one())

    return StoreStatus(
        n_journals=one(select(func.count()).select_from(journal)),
        n_closed=one(select(func.count()).select_from(journal).where(journal.c.is_closed)),
        n_rows=one(select(func.coalesce(func.sum(row_chunk.c.n_rows), 0))),
        n_metrics=one(select(func.count()).select_from(metric)),
        tail_bytes=one(select(n_bytes).select_from(tail_block).where(of_open)),
        n_tail_journals=one(select(func.count()).select_from(tail_journal).where(is_open)),
        claims=claims(connection),
        poisoned=poisoned_journals(connection),
        size_bytes=_size(connection),
    )


def _size(connection: Connection) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())

"""The statements of the catalog, each within a transaction that the caller opens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ..catalog.decisions import By, Decisions, RunKey, Stage, Tombstone
from .store_catalog_schema import archived_run, tombstone
from .store_decision_log import log_decisions
from .store_dialect import upsert
from .store_stop_orders import read_stops

T = TypeVar("T")
# Names in one statement: a database takes only so many.
_PART = 10_000
_STAGES = {stage.value: stage for stage in Stage}


# For one that writes, and whose device may be slow, waits so long at a time who has earlier knowledge to go on with.
GLANCE_S = 0.5


class CatalogDatabase(Protocol):
    """Where a catalog is. Safe between processes and threads.

    Attributes:
        place: its path or address, without a password.
    """

    place: str

    def stamp(self) -> object:
        """Return what differs after every change, cheaply."""

    def read(self, work: Callable[[Connection], T], wait_s: float | None = None) -> T | None:
        """Return what `work` returns within one read transaction; None where there is no catalog yet.

        Args:
            work: reads.
            wait_s: about how long to wait for one that writes. Default: as long as a write waits.

        Raises:
            CatalogError: it cannot be read.
        """

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns within one transaction, committed for good.

        Raises:
            CatalogError: it cannot be written; nothing was changed.
        """


def read_decisions(connection: Connection) -> Decisions:
    """Return all decisions that hold."""
    t, a = tombstone.c, archived_run.c
    columns = (t.project, t.run_id, t.folder, t.journals, t.attempt, t.name, t.state, t.is_open)
    query = select(*columns, t.deleted_by, t.deleted_ns, t.reason, t.stage, t.tombstone_id).order_by(t.tombstone_id)
    buried = tuple(map(_tombstone, connection.execute(query)))
    marks = select(a.project, a.run_id, a.archived_by, a.archived_ns, a.reason)
    archived = {
        (project, run_id): By(who, at_ns, why) for project, run_id, who, at_ns, why in connection.execute(marks)
    }
    return Decisions(buried, archived, read_stops(connection))


def _tombstone(row: Sequence[Any]) -> Tombstone:
    # By place: asking for columns by name takes twice as long, and there may be very many.
    project, run_id, folder, journals, attempt, name, state, is_open, who, at_ns, why, stage, number = row
    names, by = frozenset(journals.split("\n")), By(who, at_ns, why)
    return Tombstone(project, run_id, folder, names, attempt, name, state, is_open, by, _STAGES[stage], number)


def bury(connection: Connection, found: Sequence[Tombstone]) -> list[RunKey]:
    """Delete runs. Returns those of which something was not deleted already."""
    known = _buried_journals(connection, {one.folder for one in found})
    new = [one for one in found if not one.journals <= known]
    # A new run under the same id is not archived; this one is again when it comes back.
    marked = _delete_marks(connection, [one.key for one in new])
    rows = [
        {
            "project": one.project,
            "run_id": one.run_id,
            "folder": one.folder,
            "journals": "\n".join(sorted(one.journals - known)),
            "attempt": one.attempt,
            "name": one.name,
            "state": one.state,
            "is_open": one.is_open,
            "was_archived": one.key in marked,
            "stage": Stage.TRASH.value,
            "deleted_ns": one.by.at_ns,
            "deleted_by": one.by.who,
            "reason": one.by.why,
        }
        for one in new
    ]
    if rows:
        connection.execute(insert(tombstone), rows)
    log_decisions(connection, "delete", [(one.key, one.by) for one in new])
    return [one.key for one in new]


def unbury(connection: Connection, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Bring runs back from the trash. Returns those that were in it."""
    c, wanted = tombstone.c, frozenset(keys)
    query = select(c.tombstone_id, c.project, c.run_id, c.was_archived).where(c.stage == Stage.TRASH.value)
    found = [row for row in connection.execute(query) if (row.project, row.run_id) in wanted]
    done = list(dict.fromkeys((row.project, row.run_id) for row in found))
    if found:
        statement = delete(tombstone).where(c.tombstone_id == bindparam("number"))
        connection.execute(statement, [{"number": row.tombstone_id} for row in found])
    _insert_marks(connection, list(dict.fromkeys((row.project, row.run_id) for row in found if row.was_archived)), by)
    log_decisions(connection, "undelete", [(key, by) for key in done])
    return done


def archive(connection: Connection, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Archive runs. Returns those that were not."""
    known = _marks(connection)
    new = [key for key in dict.fromkeys(keys) if key not in known]
    _insert_marks(connection, new, by)
    log_decisions(connection, "archive", [(key, by) for key in new])
    return new


def unarchive(connection: Connection, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Take runs out of the archive. Returns those that were in it."""
    marked = _delete_marks(connection, keys)
    done = [key for key in dict.fromkeys(keys) if key in marked]
    log_decisions(connection, "unarchive", [(key, by) for key in done])
    return done


def begin_emptying(connection: Connection, numbers: Collection[int], by: By) -> None:
    """Decide that what is in the trash under these numbers is removed, from which there is no way back."""
    found = [row for row in _rows_of(connection, numbers) if row.stage == Stage.TRASH.value]
    _set_stage(connection, [row.tombstone_id for row in found], Stage.EMPTYING)
    log_decisions(connection, "empty", [((row.project, row.run_id), by) for row in found])


def end_emptying(connection: Connection, numbers: Collection[int], by: By, keep: bool) -> None:
    """Say that what was there is removed. The tombstone stays where `keep` says so, or a process may put it back."""
    c = tombstone.c
    found = _rows_of(connection, numbers)
    done = [row.tombstone_id for row in found if not (keep or row.is_open)]
    if done:
        statement = delete(tombstone).where(c.tombstone_id == bindparam("number"))
        connection.execute(statement, [{"number": number} for number in done])
    _set_stage(connection, [row.tombstone_id for row in found if keep or row.is_open], Stage.EMPTIED)
    log_decisions(connection, "emptied", [((row.project, row.run_id), by) for row in found])


def _buried_journals(connection: Connection, folders: Collection[str]) -> set[str]:
    """Return the journals that are deleted in these folders."""
    known: set[str] = set()
    wanted = sorted(folders)
    for start in range(0, len(wanted), _PART):
        query = select(tombstone.c.journals).where(tombstone.c.folder.in_(wanted[start : start + _PART]))
        known.update(name for journals in connection.execute(query).scalars() for name in journals.split("\n"))
    return known


def _rows_of(connection: Connection, numbers: Collection[int]) -> list[Any]:
    c, wanted = tombstone.c, frozenset(numbers)
    query = select(c.tombstone_id, c.project, c.run_id, c.stage, c.is_open).order_by(c.tombstone_id)
    return [row for row in connection.execute(query) if row.tombstone_id in wanted]


def _set_stage(connection: Connection, numbers: Sequence[int], stage: Stage) -> None:
    if numbers:
        statement = update(tombstone).where(tombstone.c.tombstone_id == bindparam("number")).values(stage=stage.value)
        connection.execute(statement, [{"number": number} for number in numbers])


def _marks(connection: Connection) -> set[RunKey]:
    query = select(archived_run.c.project, archived_run.c.run_id)
    return {(project, run_id) for project, run_id in connection.execute(query)}


def _insert_marks(connection: Connection, keys: Sequence[RunKey], by: By) -> None:
    rows = [
        {"project": project, "run_id": run_id, "archived_ns": by.at_ns, "archived_by": by.who, "reason": by.why}
        for project, run_id in keys
    ]
    upsert(connection, archived_run, rows, ["project", "run_id"])


def _delete_marks(connection: Connection, keys: Sequence[RunKey]) -> set[RunKey]:
    """Take runs out of the archive. Returns those that were in it."""
    c = archived_run.c
    found = _marks(connection).intersection(keys) if keys else set()
    if found:
        statement = delete(archived_run).where(c.project == bindparam("of"), c.run_id == bindparam("run"))
        connection.execute(statement, [{"of": project, "run": run_id} for project, run_id in sorted(found)])
    return found

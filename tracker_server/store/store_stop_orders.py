"""The statements about orders to stop runs, each within a transaction that the caller opens."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, delete, inspect, select, update

from ..catalog.decisions import By, RunKey, Stop
from .store_catalog_schema import stop_order
from .store_decision_log import log_decisions
from .store_dialect import upsert

_COLUMNS = ("sessions", "ordered_ns", "ordered_by", "reason", "withdrawn_ns")


def read_stops(connection: Connection) -> dict[RunKey, Stop]:
    """Return the last order of every run that has one; none in a catalog that is older than they are."""
    if not inspect(connection).has_table(stop_order.name):
        return {}
    c = stop_order.c
    query = select(c.project, c.run_id, c.sessions, c.ordered_by, c.ordered_ns, c.reason, c.withdrawn_ns)
    return {
        (project, run_id): Stop(frozenset(sessions.split("\n")), By(who, at_ns, why), withdrawn_ns)
        for project, run_id, sessions, who, at_ns, why, withdrawn_ns in connection.execute(query)
    }


def order_stops(connection: Connection, stops: Sequence[tuple[RunKey, Stop]], done: Collection[RunKey]) -> None:
    """Order runs to stop, and forget orders that were carried out."""
    c = stop_order.c
    if done:
        statement = delete(stop_order).where(c.project == bindparam("of"), c.run_id == bindparam("run"))
        connection.execute(statement, [{"of": project, "run": run_id} for project, run_id in sorted(done)])
    rows = [
        {
            "project": project,
            "run_id": run_id,
            "sessions": "\n".join(sorted(stop.sessions)),
            "ordered_ns": stop.by.at_ns,
            "ordered_by": stop.by.who,
            "reason": stop.by.why,
            "withdrawn_ns": None,
        }
        for (project, run_id), stop in stops
    ]
    upsert(connection, stop_order, rows, ["project", "run_id"], _COLUMNS)
    log_decisions(connection, "stop", [(key, stop.by) for key, stop in stops])


def withdraw_stops(connection: Connection, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Take orders back. Returns those that held."""
    c = stop_order.c
    query = select(c.project, c.run_id).where(c.withdrawn_ns.is_(None))
    found = {(project, run_id) for project, run_id in connection.execute(query)}
    done = [key for key in dict.fromkeys(keys) if key in found]
    if done:
        statement = update(stop_order).where(c.project == bindparam("of"), c.run_id == bindparam("run"))
        rows = [{"of": project, "run": run_id} for project, run_id in done]
        connection.execute(statement.values(withdrawn_ns=by.at_ns), rows)
    log_decisions(connection, "withdraw stop", [(key, by) for key in done])
    return done

"""What settled runs said that people should know: kept with them, read newest first over all runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import Connection, insert, select

from ..runs.run_alerts import AlertQuery, FoundAlert
from ..runs.run_details import AlertView
from ..runs.run_rows import given_text, plain_text
from .store_schema import run, run_alert
from .store_sets import execute_rows

RunKey = tuple[str, str]
_ROWS_AT_ONCE = 500


def insert_alerts(connection: Connection, alerts: Iterable[tuple[int, Sequence[AlertView]]]) -> None:
    """Keep the alerts of runs that have none yet, by the keys of these."""
    rows = [
        {
            "run_pk": run_pk,
            "number": number,
            "at_ns": alert.at_ns,
            "step": alert.step,
            "level": alert.level,
            "title": plain_text(alert.title),
            "text": plain_text(alert.text),
            "writer": plain_text(alert.writer),
        }
        for run_pk, of_run in alerts
        for number, alert in enumerate(of_run)
    ]
    execute_rows(connection, insert(run_alert), rows)


def stored_alerts(connection: Connection, query: AlertQuery, without: Collection[RunKey]) -> Iterator[FoundAlert]:
    """Yield the alerts of stored runs, newest first.

    Args:
        connection: where they are.
        query: which are wanted; what of it SQL does not know, who asks has to look at again.
        without: runs that do not count.
    """
    c = run_alert.c
    wanted = select(run.c.project, run.c.run_id, c.at_ns, c.step, c.level, c.title, c.text, c.writer)
    wanted = wanted.join(run, run.c.run_pk == c.run_pk)
    if query.project is not None:
        wanted = wanted.where(run.c.project == plain_text(query.project))
    if query.since_ns is not None:
        wanted = wanted.where(c.at_ns > query.since_ns)
    if query.before_ns is not None:
        wanted = wanted.where(c.at_ns <= query.before_ns)
    if query.levels:
        wanted = wanted.where(c.level.in_(sorted(query.levels)))
    wanted = wanted.order_by(c.at_ns.desc(), c.run_pk.desc(), c.number.desc())
    for project, run_id, at_ns, step, level, *texts in connection.execute(
        wanted, execution_options={"yield_per": _ROWS_AT_ONCE}
    ):
        key = given_text(project), given_text(run_id)
        if key not in without:
            yield FoundAlert(*key, AlertView(at_ns, step, level, *map(given_text, texts)))

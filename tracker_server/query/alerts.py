"""The alerts of all runs of a folder as one list, those of runs in memory and of those in the store together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..runs.run_alerts import AlertPage, AlertQuery, FoundAlert, matches, newest_first
from ..store.store_alerts import stored_alerts
from .folder import LocalFolder
from .found_runs import FoundRuns
from .run_queries import ask

# More are not counted, and not looked through.
MAX_COUNTED = 10_000


def find_alerts(
    folder: LocalFolder, query: AlertQuery, first: int, limit: int, sees: Callable[[str], bool] = lambda project: True
) -> AlertPage:
    """Return alerts that match, newest first, without those of archived and deleted runs.

    Args:
        folder: where the runs are.
        query: which alerts.
        first, limit: so many from this one on, counted from 0.
        sees: says of a project whether who asks may know of it.
    """

    def question(found: FoundRuns) -> AlertPage:
        live = {(view.project, view.id) for view in found.live}
        in_memory = [alert for alert in folder.live_alerts(query) if (alert.project, alert.run_id) in live]
        stored = iter(()) if found.connection is None else stored_alerts(found.connection, query, found.without)
        wanted = (one for one in newest_first(in_memory, stored) if matches(one, query) and sees(one.project))
        return _page(wanted, first, limit)

    return ask(folder, query.project, False, question)


def _page(alerts: Iterable[FoundAlert], first: int, limit: int) -> AlertPage:
    shown: list[FoundAlert] = []
    n_matching = 0
    for alert in alerts:
        if n_matching >= MAX_COUNTED:
            return AlertPage(shown, n_matching, False)
        if first <= n_matching < first + limit:
            shown.append(alert)
        n_matching += 1
    return AlertPage(shown, n_matching, True)

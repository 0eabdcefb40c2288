"""Ask runs to stop, and take that back: a decision in the catalog, which reaches the run on two ways.

Where the run's own folder is here, its processes find the control file in it. Where they send to this server, the
process that sends gets the order with the reply to its posts, and writes that file there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from tracker_core.control import StopOrder, give_order, read_order, withdraw_order
from tracker_core.errors import NotFoundError, UsageError
from tracker_core.sync.wire import JournalName, Order

from ..query.folder import LocalFolder
from ..runs.run_view import RunView
from .decisions import By, CatalogError, RunKey, Stop


def stop_runs(folder: LocalFolder, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Ask runs to stop, all or none. Returns those that were not asked already.

    An order is for the processes that write to the run now: one that is gone on with later is not stopped by it.

    Raises:
        NotFoundError: there is no such run.
        UsageError: one is not running.
        CatalogError: the catalog, or the folder of a run, cannot be written.
    """
    folder.catalog.refresh()
    views = [folder.run(*key) for key in dict.fromkeys(keys)]
    for view in views:
        _check_running(view, "stop", "there is nothing to stop; `tracker runs` shows the states")
    known = folder.catalog.decisions.stops
    wanted = {(view.project, view.id): Stop(_open_sessions(view), by) for view in views}
    new = [(key, stop) for key, stop in wanted.items() if not _covers(known.get(key), stop)]
    if new:
        folder.catalog.order_stops(new, [key for key in known if key not in wanted and _is_over(folder, key)])
    for view in views:
        stop = folder.catalog.decisions.stops[view.project, view.id]
        order = StopOrder(sorted(stop.sessions), stop.by.who, stop.by.why, stop.by.at_ns)
        _in_run_folder(folder, view, partial(give_order, order=order))
    return [key for key, _ in new]


def withdraw_stops(folder: LocalFolder, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Take back what runs were asked, all or none. Returns those. A process that has been told already stops anyway.

    Raises:
        NotFoundError: there is no such run, or nobody asked it to stop.
        UsageError: one is not running any more.
        CatalogError: the catalog, or the folder of a run, cannot be written.
    """
    folder.catalog.refresh()
    views = [folder.run(*key) for key in dict.fromkeys(keys)]
    for view in views:
        _check_running(view, "withdraw a stop", "it has ended; go on with it by init(id=..., resume='allow')")
        if standing_order(folder, view) is None:
            raise NotFoundError(f"nobody asked run {view.project}/{view.id} to stop; there is nothing to withdraw")
    folder.catalog.withdraw_stops([(view.project, view.id) for view in views], by)
    for view in views:
        _in_run_folder(folder, view, withdraw_order)
    return [(view.project, view.id) for view in views]


def standing_order(folder: LocalFolder, view: RunView) -> StopOrder | None:
    """Return the order that a running run has not carried out yet; None where there is none."""
    if view.state != "running":
        return None
    stop = folder.catalog.decisions.stops.get((view.project, view.id))
    is_decided = stop is not None and stop.withdrawn_ns is None
    # Of a run that is sent to a server, the order may be that server's: then only the file is here.
    order = StopOrder(sorted(stop.sessions), stop.by.who, stop.by.why, stop.by.at_ns) if stop and is_decided else None
    order = order or read_order(folder.run_folder(view))
    return order if order is not None and not _open_sessions(view).isdisjoint(order.sessions) else None


def orders_for(folder: LocalFolder, journals: Sequence[JournalName]) -> list[Order]:
    """Return what the processes that write these journals are asked to do, for the reply to who sends them."""
    folder.catalog.refresh()
    stops = folder.catalog.decisions.stops
    if not stops:
        return []
    sessions: dict[RunKey, set[str]] = {}
    for journal in journals:
        sessions.setdefault((journal.project, journal.run), set()).add(journal.session)
    return [
        Order(
            project=key[0],
            run=key[1],
            sessions=sorted(stop.sessions),
            action="stop" if stop.withdrawn_ns is None else "withdraw",
            by=stop.by.who,
            why=stop.by.why,
            at_ns=stop.by.at_ns,
        )
        for key, found in sessions.items()
        if (stop := stops.get(key)) is not None and not stop.sessions.isdisjoint(found)
    ]


def _check_running(view: RunView, where: str, remedy: str) -> None:
    if view.state != "running":
        got = f"run {view.project}/{view.id}, which is not running any more: it is {view.state}"
        raise UsageError(where, got, "a run that is running", remedy)


def _open_sessions(view: RunView) -> frozenset[str]:
    """Return the processes that write to a run now, as far as is known; some may be gone without a word."""
    found = [one.session for one in view.sessions if one.ended_ns is None and one.attempt in (0, view.attempt)]
    return frozenset(found)


def _covers(known: Stop | None, wanted: Stop) -> bool:
    return known is not None and known.withdrawn_ns is None and wanted.sessions <= known.sessions


def _is_over(folder: LocalFolder, key: RunKey) -> bool:
    return not folder.has_run(*key) or folder.run(*key).state != "running"


def _in_run_folder(folder: LocalFolder, view: RunView, work: Callable[[str], object]) -> None:
    """Do something to the control file of a run, where its folder is here."""
    path = folder.run_folder(view)
    if not os.path.isdir(path):
        return
    try:
        work(path)
    except OSError as error:
        remedy = "make it writable, or do this as a user who may write there"
        raise CatalogError(
            path, f"a folder that cannot be written ({error})", "to put the order there", remedy
        ) from None

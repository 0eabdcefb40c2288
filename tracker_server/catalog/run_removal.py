"""Delete, undelete, archive and remove the runs of a tracker folder.

Deleting is a decision in the catalog: the run is seen nowhere any more and lies in the trash. Emptying the trash
removes it: first that is decided, then its files go, then its rows in the index, then the decision is done. Whatever
step a kill comes at, the next emptying goes on from there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tracker_core.errors import NotFoundError, UsageError

from ..ingest.folder_naming import is_server_folder
from ..query.folder import LocalFolder
from ..runs.run_view import RunView
from ..store.store_lock import try_store_lock
from ..store.store_removal import drop_from_index
from .decisions import By, CatalogError, RunKey, Stage, Tombstone, tombstone_of
from .run_files import Removed, is_on_disk, remove_files

_INDEX_TIMEOUT_S = 30.0
_SHOWN = 5
_MANY = 20


@dataclass(frozen=True, slots=True)
class Emptied:
    """What emptying the trash did.

    Attributes:
        runs: those that are removed.
        n_bytes: how much room their files took, and the index gave back.
        troubles: what could not be removed now, and why; the next emptying tries again.
    """

    runs: list[RunKey]
    n_bytes: int
    troubles: list[str]


def delete_runs(folder: LocalFolder, keys: Sequence[RunKey], by: By, force: bool = False) -> list[RunKey]:
    """Put runs into the trash, all or none. Returns those that were not in it already.

    Args:
        folder: the tracker folder.
        keys: project and id of each.
        by: who decides this.
        force: also those that are still being written. What their processes go on writing is not shown either.

    Raises:
        NotFoundError: there is no such run.
        UsageError: one is still being written.
        CatalogError: the catalog cannot be written.
    """
    folder.catalog.refresh()
    buried = {one.key for one in folder.catalog.decisions.in_trash()}
    views = _views(folder, [key for key in dict.fromkeys(keys) if key not in buried or folder.has_run(*key)])
    running = [f"{view.project}/{view.id}" for view in views if view.state == "running"]
    if running and not force:
        shown = ", ".join(running[:_SHOWN]) + (f" and {len(running) - _SHOWN} more" if len(running) > _SHOWN else "")
        remedy = "stop them first, or delete them all the same with force (--force)"
        raise UsageError("delete", f"runs that are still being written: {shown}", "runs that have ended", remedy)
    return folder.catalog.delete([tombstone_of(view, by) for view in views]) if views else []


def _views(folder: LocalFolder, keys: Sequence[RunKey]) -> list[RunView]:
    """Return these runs; of many all runs of their projects are read at once, which opens no journal."""
    known: dict[RunKey, RunView] = {}
    if len(keys) > _MANY:
        for project in {key[0] for key in keys}:
            known.update(((view.project, view.id), view) for view in folder.runs(project))
    return [known.get(key) or folder.run(*key) for key in keys]


def undelete_runs(folder: LocalFolder, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Bring runs back from the trash, all or none. Returns those that were in it; one that is there is left alone.

    Raises:
        NotFoundError: a run is neither there nor in the trash.
        CatalogError: the catalog cannot be written.
    """
    folder.catalog.refresh()
    buried = {one.key for one in folder.catalog.decisions.in_trash()}
    for key in keys:
        if key not in buried and not folder.has_run(*key):
            text = f"run {key[0]}/{key[1]} is not in the trash of {folder.path}; `tracker trash list` lists what is"
            raise NotFoundError(text)
    return folder.catalog.undelete(list(dict.fromkeys(keys)), by)


def archive_runs(folder: LocalFolder, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Archive runs, all or none. Returns those that were not archived.

    Raises:
        NotFoundError: there is no such run.
        CatalogError: the catalog cannot be written.
    """
    _check_known(folder, keys)
    return folder.catalog.archive(keys, by)


def unarchive_runs(folder: LocalFolder, keys: Sequence[RunKey], by: By) -> list[RunKey]:
    """Take runs out of the archive, all or none. Returns those that were in it.

    Raises:
        NotFoundError: there is no such run.
        CatalogError: the catalog cannot be written.
    """
    _check_known(folder, keys)
    return folder.catalog.unarchive(keys, by)


def empty_trash(
    folder: LocalFolder, by: By, older_than_s: float = 0.0, only: Collection[RunKey] | None = None
) -> Emptied:
    """Remove for good what is in the trash: journals, kept files and rows of the index.

    Args:
        folder: the tracker folder.
        by: who decides this.
        older_than_s: only what was deleted so long ago. What was begun earlier and broken off is always finished.
        only: of these runs alone.

    Raises:
        CatalogError: another process is emptying the trash, or the catalog cannot be written.
    """
    if folder.database.has_tail and not os.path.isdir(folder.path):
        return _empty(folder, _due(folder, older_than_s, only), by)  # the database alone, which keeps writers apart
    place = os.path.join(folder.path, "trash.lock")
    with try_store_lock(place) as is_held:
        if not is_held:
            remedy = "wait until it is done; on a folder that cannot be written, do this where it can"
            raise CatalogError(place, "a lock that another process holds, or no right to write", "the lock", remedy)
        return _empty(folder, _due(folder, older_than_s, only), by)


def _due(folder: LocalFolder, older_than_s: float, only: Collection[RunKey] | None) -> list[Tombstone]:
    folder.catalog.refresh()
    latest_ns = time.time_ns() - int(older_than_s * 1e9)
    decisions = folder.catalog.decisions
    hidden = folder.hidden_journals() if folder.database.has_tail else ()
    there = {name.rpartition("/")[0] for name in hidden}

    def is_due(run: Tombstone) -> bool:
        if run.stage is Stage.EMPTYING:
            return True
        if run.stage is Stage.EMPTIED:  # its process has put it back
            return run.folder in there or is_on_disk(folder.path, run, decisions)
        return run.by.at_ns <= latest_ns and (only is None or run.key in only)

    return [run for run in decisions.tombstones if is_due(run)]


def _empty(folder: LocalFolder, due: list[Tombstone], by: By) -> Emptied:
    if not due:
        return Emptied([], 0, [])
    folder.catalog.begin_emptying(due, by)
    decisions = folder.catalog.decisions
    done = [(run, remove_files(folder.path, run, decisions)) for run in due]
    n_bytes = sum(removed.n_bytes for _, removed in done)
    troubles = [trouble for _, removed in done for trouble in removed.troubles]
    given_back = _drop(folder, done)
    if given_back is None:
        troubles.append("the index is being written; what it has of these runs goes with the next emptying")
        return Emptied([], n_bytes, troubles)
    gone = [run for run, removed in done if not removed.troubles]
    # Other machines bring their journals to a database or a server again as long as they have them.
    folder.catalog.end_emptying(gone, by, keep=folder.database.has_tail or is_server_folder(folder.path))
    return Emptied([run.key for run in gone], n_bytes + given_back, troubles)


def _drop(folder: LocalFolder, done: Sequence[tuple[Tombstone, Removed]]) -> int | None:
    journals = {name for _, removed in done for name in removed.journals}
    folders = {run.folder for run, _ in done}
    journals |= {name for name in folder.hidden_journals() if name.rpartition("/")[0] in folders}
    # What the index says of an id that is in use again is of the new run.
    runs = {run.key for run, removed in done if not removed.is_in_use}
    return drop_from_index(folder.database, journals, runs, _INDEX_TIMEOUT_S)


def _check_known(folder: LocalFolder, keys: Sequence[RunKey]) -> None:
    for key in keys:
        if not folder.has_run(*key):
            folder.run(*key)  # looks again, and says what is wrong

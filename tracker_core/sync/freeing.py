"""Remove local runs that a server has wholly, some days after they ended, where the user asked for that."""

from __future__ import annotations

import contextlib
import os
import shutil
import time

from .followed_run import FollowedRun
from .sender import Sender
from .sync_folder import RunPlace
from .transport import SyncError
from .wire import MAX_NAMES, FilesReply, FilesRequest, StateReply, StateRequest

_DAY_S = 86_400.0
_FREED_PREFIX = ".freed-"
# What `tracker server` puts into its folder.
_SERVER_FILE = "server.json"


def free_old_runs(sender: Sender, keep_days: float) -> list[RunPlace]:
    """Remove the folders of runs that ended, are older than so many days, and are wholly at the server.

    The server is asked once more for each of them, and the end of each journal compared. A run that is not wholly
    there, was deleted there, or that a process may still write to, stays. What is written to a run meanwhile is in
    journals of their own, with which the run is not wholly there.

    Returns:
        The runs removed.
    """
    if os.path.exists(os.path.join(sender.folder, _SERVER_FILE)):
        return []  # this folder is itself a server's, maybe that one's
    freed = []
    for place in list(sender.acked.runs):
        run = FollowedRun(sender.folder, place, sender.acked.of(place))
        run.look(sender.now_s())
        if run.is_gone:
            sender.acked.forget(place)
            continue
        if not _is_old(run, keep_days) or run.is_live(sender.now_s()):
            continue
        try:
            if _is_wholly_there(sender, run) and _remove(sender, run):
                freed.append(place)
        except SyncError:
            break
    sender.acked.write()
    return freed


def _is_old(run: FollowedRun, keep_days: float) -> bool:
    times = [0.0]
    for journal in run.journals.values():
        with contextlib.suppress(OSError):
            times.append(os.stat(journal.follow.path).st_mtime)
    return bool(run.journals) and time.time() - max(times) > keep_days * _DAY_S


def _is_wholly_there(sender: Sender, run: FollowedRun) -> bool:
    """Ask the server about every journal and file of a run, and have the ends of the journals compared."""
    journals = list(run.journals.values())
    if not journals or len(journals) > MAX_NAMES or len(run.files) > MAX_NAMES or run.project is None:
        return False
    if run.artifacts.left or run.artifacts.parked:
        return False
    reply = sender.transport.call("state", StateRequest([journal.name for journal in journals]), StateReply)
    sender.blocks.learn(journals, reply.acks, sender.now_s())
    if any(journal.parked or journal.acked < journal.follow.size for journal in journals):
        return False  # bytes that are no whole record are nowhere but here
    for journal in journals:
        journal.compare_end()
    sender.blocks.send(journals, sender.now_s())
    if any(journal.parked or journal.n_moved or journal.acked < journal.follow.size for journal in journals):
        return False
    request = FilesRequest(run.project, run.place[1], sorted(run.files))
    return not sender.transport.call("missing", request, FilesReply).missing


def _remove(sender: Sender, run: FollowedRun) -> bool:
    """Take a run's folder away in one step, then remove it; say whether it is away."""
    head, name = os.path.split(run.path)
    away = os.path.join(head, f"{_FREED_PREFIX}{name}-{os.getpid()}")
    sizes = {name: journal.follow.size for name, journal in run.journals.items()}
    try:
        run.look(sender.now_s())
        if {name: journal.follow.size for name, journal in run.journals.items()} != sizes:
            return False  # somebody goes on with it
        os.rename(run.path, away)
    except OSError:
        return False
    shutil.rmtree(away, ignore_errors=True)
    sender.followed.pop(run.place, None)
    sender.acked.forget(run.place)
    return True

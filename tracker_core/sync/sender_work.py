"""What the background sender does from its start to its end, be it a process or, where there can be none, a thread."""

from __future__ import annotations

import threading
import time

from .followed_run import FollowedRun
from .freeing import free_old_runs
from .sender import Sender
from .sender_job import SenderJob
from .sender_lock import SenderLock
from .sync_folder import unwant, want, wanted_runs
from .wake_pipe import WakePipe

_AWAY_MAX_S = 24 * 3600.0
_REFUSED_MAX_S = 600.0
_FREE_S = 3600.0


def work(job: SenderJob, ending: threading.Event) -> None:
    """Send until nothing is left and nobody trains any more, or until `ending` is set.

    Raises:
        OSError: the sender's folder cannot be written.
    """
    lock = SenderLock(job.sync_folder)
    while lock.take():
        pipe = WakePipe(job.sync_folder)
        sender = Sender(
            job.folder,
            job.base_url,
            job.api_key,
            runs=lambda: wanted_runs(job.sync_folder),
            first_wait_s=job.first_wait_s,
            most_wait_s=job.most_wait_s,
            interval_s=job.interval_s,
            is_helper=True,
            settings=job.settings(),
        )
        sender.acked.compact()
        sender.announce()
        try:
            _send(job, sender, pipe, ending)
        finally:
            sender.close()
            pipe.close()
            lock.release()
        # Whoever wanted a run sent before the lock was let go of took this sender for one that is at work.
        if ending.is_set() or not any(place not in sender.followed for place in wanted_runs(job.sync_folder)):
            return


def _send(job: SenderJob, sender: Sender, pipe: WakePipe, ending: threading.Event) -> None:
    busy_at = time.monotonic()
    free_at = 0.0
    while not ending.is_set():
        wait_s = sender.step()
        now_s = time.monotonic()
        if sender.status.state == "ok":
            settle(sender)
            if job.keep_days > 0 and now_s >= free_at:
                free_at = now_s + _FREE_S
                free_old_runs(sender, job.keep_days)
        if _is_wanted(sender):
            busy_at = now_s
        elif now_s - busy_at >= job.idle_s:
            return
        if wait_s > 0 and pipe.wait(min(wait_s, job.idle_s) if not sender.followed else wait_s):
            sender.wake()
            sender.try_now()


def _is_wanted(sender: Sender) -> bool:
    """Say whether a process may still write, or something is left that may be sent before long."""
    if sender.is_live():
        return True
    most_s = _REFUSED_MAX_S if sender.status.state == "refused" else _AWAY_MAX_S
    return sender.has_left and sender.away_s < most_s


def settle(sender: Sender) -> None:
    """Take the runs of which everything is there off the list of those to be sent."""
    for place, run in list(sender.followed.items()):
        if _is_settled(run, sender.now_s()):
            unwant(sender.sync_folder, place)
            run.look(sender.now_s())
            if not _is_settled(run, sender.now_s()):
                want(sender.sync_folder, place)  # somebody began to write while it was taken off


def _is_settled(run: FollowedRun, now_s: float) -> bool:
    if run.has_left or run.is_live(now_s):
        return False
    is_refused = any(not journal.is_deleted for journal in run.journals.values() if journal.parked)
    is_refused = is_refused or bool(run.parked_files) or bool(run.artifacts.parked)
    return not is_refused and (bool(run.journals) or run.is_gone)

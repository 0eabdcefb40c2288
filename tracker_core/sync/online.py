"""What a training process does for its run to be sent: it asks for a sender, sees to it that one lives, and waits a
little at the end. It never talks to the server itself.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..paths import project_dir_name
from ..say import warn
from .sender_lock import is_sender_running
from .sender_status import SenderStatus, read_status
from .sync_folder import shown_address, sync_folder, want
from .wake_pipe import wake_sender

if TYPE_CHECKING:
    from ..run import Run
    from ..settings import Settings
    from .sender_job import SenderJob

_MOST_LOOK_S = 300.0
_POLL_S = 0.01
_MOST_POLL_S = 0.1
_SIGNALLED_S = 2.0
_AWAY_TOLD_S = 30.0
# A server that has been away for so long is given so little time at the end.
_AWAY_NS, _AWAY_WAIT_S = 5_000_000_000, 1.5


def begin(run: Run, settings: Settings, folder: str) -> OnlineRun | None:
    """Have a run sent from now on; None where no server is named, which is said. Never raises for the network."""
    if not settings.base_url:
        warn("mode is online, but no server is named; the run is kept in the folder. Remedy: set TRACKER_BASE_URL")
        return None
    if not settings.base_url.strip().lower().startswith(("http://", "https://")):
        remedy = "write base_url with http:// or https://"
        warn(f"{shown_address(settings.base_url)!r} is no server's address; nothing is sent. Remedy: {remedy}")
        return None
    try:
        online = OnlineRun(run.project, run.id, settings, folder)
        online.begin()
        run.go_online(online)
        run.wait_at_end(online.wait_at_end)
        return online
    except Exception as error:  # noqa: BLE001
        warn(f"the run is not sent now: {error!r}; it is kept in the folder. Later: tracker sync")
        return None


class OnlineRun:
    """The sending of one run, as its training process sees it. `tick` is for the journal's thread.

    Args:
        project, run_id: the run.
        settings: where to and how.
        folder: the tracker folder.
    """

    def __init__(self, project: str, run_id: str, settings: Settings, folder: str) -> None:
        base_url = settings.base_url or ""
        self.address = shown_address(base_url)
        self.url = f"{self.address}/p/{quote(project, safe='')}/r/{quote(run_id, safe='')}"
        self._settings = settings
        self._folder = folder
        self._place = (project_dir_name(project), run_id)
        self._sync_folder = sync_folder(folder, base_url, settings.api_key)
        self._look_at = 0.0
        self._look_s = settings.heartbeat_interval_s
        self._n_starts = 0
        self._starter: threading.Thread | None = None
        self._told: set[str] = set()
        self._pid = os.getpid()

    def begin(self) -> None:
        """Ask for the run to be sent, and for a sender where there is none."""
        with contextlib.suppress(OSError):
            want(self._sync_folder, self._place)
        self._look_at = time.monotonic() + self._look_s
        self._start_thread()

    def tick(self) -> None:
        """Now and then: see to it that a sender lives, and tell the user what it has to say. Never raises."""
        now_s = time.monotonic()
        if now_s < self._look_at or os.getpid() != self._pid:
            return
        self._look_at = now_s + min(_MOST_LOOK_S, self._look_s * 2.0 ** max(0, self._n_starts - 3))
        with contextlib.suppress(OSError):
            want(self._sync_folder, self._place)
            if not is_sender_running(self._sync_folder):
                self._start_thread()
            else:
                self._n_starts = 0
            self._tell(read_status(self._sync_folder))

    # The sender

    def _start_thread(self) -> None:
        if self._starter is not None and self._starter.is_alive():
            return
        self._n_starts += 1
        self._starter = threading.Thread(target=self._start, name="tracker-sync-start", daemon=True)
        try:
            self._starter.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._starter = None
            self._start()

    def _start(self) -> None:
        try:
            if is_sender_running(self._sync_folder):
                return
            from .start_sender import start_sender

            start_sender(self._job())
        except Exception as error:  # noqa: BLE001
            self._tell_once("start", f"runs are not sent now: {error!r}; they are kept here. Later: tracker sync")

    def _job(self) -> SenderJob:
        from .sender_job import SenderJob

        settings = self._settings
        return SenderJob(
            folder=os.path.abspath(self._folder),
            base_url=settings.base_url or "",
            api_key=settings.api_key,
            interval_s=max(0.05, settings.sync_interval_s),
            keep_days=settings.synced_keep_days,
            database_url=settings.database_url,
            blobs_url=settings.blobs_url,
        )

    # What the user is told

    def _tell(self, status: SenderStatus | None) -> None:
        if status is None or status.state == "ok":
            return
        if status.state == "refused":
            remedy = "check TRACKER_API_KEY, or `tracker login`; then: tracker sync"
            self._tell_once("refused", f"{status.error}; runs are kept in the folder. Remedy: {remedy}")
        elif time.time_ns() - status.since_ns > _AWAY_TOLD_S * 1e9:
            self._tell_once("away", f"{status.error}; training goes on, and everything is sent later")

    def _tell_once(self, kind: str, message: str) -> None:
        if kind not in self._told and not self._settings.quiet:
            self._told.add(kind)
            warn(message)

    # The end

    def wait_at_end(self, timeout_s: float, is_signalled: bool) -> None:
        """Wait until all of the run is at the server, while that answers and within bounds. Never raises OSError."""
        del timeout_s  # that of writing to disk
        most_s = self._settings.sync_timeout_s
        if is_signalled:
            most_s = min(most_s, _SIGNALLED_S)
        began_s, began_ns, pause_s = time.monotonic(), time.time_ns(), _POLL_S
        until_s = began_s + most_s
        with contextlib.suppress(OSError):
            want(self._sync_folder, self._place)
            if not is_sender_running(self._sync_folder):
                self._start_thread()
        wake_sender(self._sync_folder)
        while self.left_bytes() and time.monotonic() < until_s:
            status = read_status(self._sync_folder)
            if status is not None and status.state != "ok":
                if status.tried_ns >= began_ns:
                    return  # it has tried since we woke it
                if began_ns - status.since_ns > _AWAY_NS:
                    until_s = min(until_s, began_s + _AWAY_WAIT_S)
            time.sleep(pause_s)
            pause_s = min(_MOST_POLL_S, 1.2 * pause_s)

    def left_bytes(self) -> int:
        """Return how much of the run is not known to be at the server."""
        from .sync_state import acked_of_run, left_bytes

        run_folder = os.path.join(self._folder, "runs", *self._place)
        return left_bytes(run_folder, acked_of_run(self._sync_folder, self._place))

    def last_word(self) -> str:
        """Return what to tell the user at the end: that all is sent and where it is, or what is left."""
        left = self.left_bytes()
        status = read_status(self._sync_folder)
        if not left:
            return f"all sent: {self.url}"
        why = f" ({status.error})" if status is not None and status.error else ""
        if status is not None and status.is_running and status.state != "refused":
            return f"{shown_bytes(left)} left{why}; process {status.pid} goes on sending it; or: tracker sync"
        return f"{shown_bytes(left)} left{why}; send it with: tracker sync"


def shown_bytes(n_bytes: int) -> str:
    """Return an amount for people: "3.1 MiB"."""
    if n_bytes < 1024:
        return f"{n_bytes} bytes"
    for unit in ("KiB", "MiB"):
        n_bytes_in_unit = n_bytes / (1024 if unit == "KiB" else 1 << 20)
        if n_bytes_in_unit < 1000:
            return f"{n_bytes_in_unit:.1f} {unit}"
    return f"{n_bytes / (1 << 30):.1f} GiB"

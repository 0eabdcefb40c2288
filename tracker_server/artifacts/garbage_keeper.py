"""Collects garbage in a folder that is served: once a day what no rule keeps and nothing needs goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tracker_core.errors import TrackerError

from ..blobs.collect import Options
from ..blobs.gc_report import GcReport
from ..catalog.decisions import by_me
from ..query.folder import LocalFolder
from .garbage import collect_garbage
from .local_artifacts import LocalArtifacts

# The first look waits, so that a server that is just starting has its disk to itself.
_FIRST_S = 900.0
_INTERVAL_S = 86_400.0

_log = logging.getLogger(__name__)


class GarbageKeeper:
    """Collects in a thread of its own, a while after the start and then once a day. Several processes may.

    Args:
        folder: the tracker folder.
        artifacts: gives the artifacts of it.
    """

    def __init__(self, folder: LocalFolder, artifacts: Callable[[], LocalArtifacts]) -> None:
        self._folder, self._artifacts = folder, artifacts
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracker-garbage", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after what it is collecting at the moment."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def look(self) -> GcReport:
        """Collect; trouble is logged, and what could not be done is for the next look."""
        try:
            report = collect_garbage(self._artifacts(), lambda: self._folder, by_me("daily collection"), Options())
        except (TrackerError, OSError) as error:
            _log.warning("the garbage of %s is not collected: %s", self._folder.path, error)
            return GcReport()
        for trouble in report.troubles:
            _log.warning("of the garbage of %s: %s", self._folder.path, trouble)
        return report

    def _work(self) -> None:
        wait_s = _FIRST_S
        while not self._end.wait(wait_s):
            self.look()
            wait_s = _INTERVAL_S

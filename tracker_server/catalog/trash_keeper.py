"""Empties the trash of a folder that is served: what was deleted longer ago than `trash_days` is removed."""

from __future__ import annotations

import logging
import threading

from tracker_core.errors import TrackerError

from ..query.folder import LocalFolder
from .decisions import By, by_me
from .run_removal import Emptied, empty_trash

_INTERVAL_S = 3600.0
DAY_S = 86_400.0

_log = logging.getLogger(__name__)


class TrashKeeper:
    """Looks into the trash in a thread of its own, at the start and then once an hour.

    Args:
        folder: the tracker folder.
        trash_days: for how long a deleted run can be brought back; 0 keeps it until somebody empties the trash.
    """

    def __init__(self, folder: LocalFolder, trash_days: float) -> None:
        self._folder = folder
        self._trash_days = trash_days
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracker-trash", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._trash_days:
            self._thread.start()

    def close(self) -> None:
        """End the thread, after what it is removing at the moment."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def look(self) -> Emptied:
        """Remove what is due; trouble is logged, and what could not be removed is for the next look."""
        try:
            emptied = empty_trash(self._folder, self._by(), self._trash_days * DAY_S)
        except (TrackerError, OSError) as error:
            _log.warning("the trash of %s is not emptied: %s", self._folder.path, error)
            return Emptied([], 0, [])
        for trouble in emptied.troubles:
            _log.warning("of the trash of %s: %s", self._folder.path, trouble)
        return emptied

    def _by(self) -> By:
        return by_me(f"deleted {self._trash_days:g} days ago, the setting trash_days")

    def _work(self) -> None:
        while not self._end.is_set():
            if self._folder.catalog.decisions.tombstones or self._folder.catalog.refresh():
                self.look()
            self._end.wait(_INTERVAL_S)

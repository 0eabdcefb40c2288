"""The names in a folder, listed anew only where something may have changed."""

from __future__ import annotations

import os
import time

# A folder changed as recently as this may change again without its time of change moving.
_GRAIN_NS = 2_500_000_000
_FULL_LOOK_S = 30.0


class FolderListing:
    """Lists a folder again only when it changed, as far as its time of change tells, and now and then regardless."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mtime_ns = self._listed_ns = 0
        self._full_at = 0.0

    def forget(self) -> None:
        """List it next time, whatever it says."""
        self._mtime_ns = 0

    def names(self, now_s: float) -> list[str] | None:
        """Return the names in the folder, or None where there is nothing new to learn."""
        try:
            mtime_ns = os.stat(self._path).st_mtime_ns
            is_certain = self._listed_ns - mtime_ns > _GRAIN_NS
            if mtime_ns == self._mtime_ns and is_certain and now_s < self._full_at:
                return None
            listed_ns = time.time_ns()
            names = os.listdir(self._path)
        except FileNotFoundError:
            return []
        except OSError:
            return None
        self._mtime_ns, self._listed_ns, self._full_at = mtime_ns, listed_ns, now_s + _FULL_LOOK_S
        return names

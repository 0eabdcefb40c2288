"""Find the journals of a tracker folder. Cheap to repeat: a folder is listed again only when its mtime moved."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from tracker_core.paths import JOURNAL_SUFFIX

_JOURNAL = re.compile(
    r"(?P<writer>[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})\.(?P<session>[0-9a-f]{32})" + re.escape(JOURNAL_SUFFIX)
)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A folder changed as recently as this may change again without its mtime moving (coarse file system clocks).
_MTIME_GRAIN_NS = 2_500_000_000
# Network file systems may serve an old mtime: look regardless, this often.
_FULL_SCAN_S = 30.0


@dataclass(frozen=True, slots=True)
class JournalPath:
    """A journal found. `name` is its path below the `runs` folder with forward slashes, which the index uses."""

    name: str
    path: str
    project_dir: str
    run_id: str
    writer: str
    session: str


@dataclass(slots=True)
class _Listing:
    mtime_ns: int
    listed_ns: int
    folders: list[str]
    files: list[str]


class JournalScan:
    """Remembers the listings of `<folder>/runs` and below. Not thread-safe.

    Attributes:
        was_full: whether the last scan trusted no mtime.
    """

    def __init__(self, folder: str) -> None:
        self._root = os.path.join(folder, "runs")
        self._listings: dict[str, _Listing] = {}
        self._found: dict[str, dict[str, JournalPath]] = {}
        self._full_scan_at = 0.0
        self.was_full = False

    def scan(self) -> dict[str, JournalPath]:
        """Return the journals that are there now, by name. A folder that cannot be listed is as it was before."""
        self.was_full = time.monotonic() >= self._full_scan_at
        if self.was_full:
            self._full_scan_at = time.monotonic() + _FULL_SCAN_S
        self._visited: set[str] = set()
        found: dict[str, JournalPath] = {}
        for project_dir in self._list(self._root).folders:
            project_path = os.path.join(self._root, project_dir)
            for run_id in self._list(project_path).folders:
                if _RUN_ID.fullmatch(run_id):
                    found.update(self._journals(project_path, project_dir, run_id))
        if self.was_full:
            for gone in self._listings.keys() - self._visited:
                del self._listings[gone]
                self._found.pop(gone, None)
        return found

    def _journals(self, project_path: str, project_dir: str, run_id: str) -> dict[str, JournalPath]:
        run_path = os.path.join(project_path, run_id)
        before = self._listings.get(run_path)
        listing = self._list(run_path)
        if listing is before and run_path in self._found:
            return self._found[run_path]
        journals = {}
        for file in listing.files:
            match = _JOURNAL.fullmatch(file)
            if match:
                name = f"{project_dir}/{run_id}/{file}"
                path = os.path.join(run_path, file)
                journals[name] = JournalPath(name, path, project_dir, run_id, match["writer"], match["session"])
        self._found[run_path] = journals
        return journals

    def _list(self, path: str) -> _Listing:
        self._visited.add(path)
        known = self._listings.get(path)
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            is_certain = known is not None and known.listed_ns - mtime_ns > _MTIME_GRAIN_NS
            if known is not None and known.mtime_ns == mtime_ns and is_certain and not self.was_full:
                return known
            listing = _Listing(mtime_ns, time.time_ns(), [], [])
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        listing.folders.append(entry.name)
                    elif entry.is_file():
                        listing.files.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            self._listings.pop(path, None)
            return _Listing(0, 0, [], [])
        except OSError:
            # Too many open files, a network that is away: no reason to take the runs for deleted.
            return known or _Listing(0, 0, [], [])
        self._listings[path] = listing
        return listing

"""Find the journals of a tracker folder. Cheap to repeat: a folder is listed again only when its mtime moved."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass

from tracker_core.journal_reader import FileBytes, JournalBytes
from tracker_core.paths import JOURNAL_SUFFIX

from .journal_source import JournalPath, JournalState

_JOURNAL = re.compile(
    r"(?P<writer>[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})\.(?P<session>[0-9a-f]{32})" + re.escape(JOURNAL_SUFFIX)
)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A folder changed as recently as this may change again without its mtime moving (coarse file system clocks).
_MTIME_GRAIN_NS = 2_500_000_000
# Network file systems may serve an old mtime: look regardless, this often.
_FULL_SCAN_S = 30.0
# A look into all runs' folders that takes longer than this is followed by a rest so many times as long.
_LONG_LOOK_S = 0.02
_RESTS = 20.0


def journal_of(name: str) -> JournalPath | None:
    """Return the journal of a name that a database keeps, with the name for its path; None where it is none."""
    return _journal(name, name)


def _journal(name: str, path: str) -> JournalPath | None:
    parts = name.split("/")
    match = _JOURNAL.fullmatch(parts[-1])
    if match is None or len(parts) != 3 or not _RUN_ID.fullmatch(parts[1]):
        return None
    return JournalPath(name, path, parts[0], parts[1], match["writer"], match["session"])


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
        self._found_in: dict[str, dict[str, JournalPath]] = {}
        self._full_scan_at = 0.0
        self._look_at = 0.0
        self._is_look_due = True
        self._again: set[str] = set()
        self.was_full = False

    def scan(self) -> dict[str, JournalPath]:
        """Return the journals that are there now, by name. A folder that cannot be listed is as it was before."""
        began_s = time.monotonic()
        self.was_full = began_s >= self._full_scan_at
        self._is_look_due = self.was_full or began_s >= self._look_at
        self._visited: set[str] = set()
        found: dict[str, JournalPath] = {}
        for project_dir in self._list(self._root).folders:
            found.update(self._journals_of_project(project_dir))
        if self.was_full:
            for gone in self._listings.keys() - self._visited:
                del self._listings[gone]
                self._found.pop(gone, None)
                self._found_in.pop(gone, None)
        self._again.clear()
        self._plan(began_s)
        return found

    def _plan(self, began_s: float) -> None:
        """Look into the folders of very many runs less often: new runs are seen at once, new processes of old later."""
        ended_s = time.monotonic()
        rest_s = _RESTS * (ended_s - began_s)
        if self.was_full:
            self._full_scan_at = ended_s + max(_FULL_SCAN_S, rest_s)
        if self._is_look_due:
            self._look_at = ended_s + rest_s if ended_s - began_s > _LONG_LOOK_S else 0.0

    def _journals_of_project(self, project_dir: str) -> dict[str, JournalPath]:
        path = os.path.join(self._root, project_dir)
        before = self._listings.get(path)
        listing = self._list(path)
        if listing is before and not self._is_look_due and path in self._found_in and path not in self._again:
            return self._found_in[path]
        found: dict[str, JournalPath] = {}
        for run_id in listing.folders:
            if _RUN_ID.fullmatch(run_id):
                found.update(self._journals(path, project_dir, run_id))
        self._found_in[path] = found
        return found

    def path_of(self, name: str) -> JournalPath:
        """Return a journal that was found by its name. Raises KeyError where it is gone."""
        return self._found[os.path.join(self._root, *name.split("/")[:2])][name]

    def look_again(self, names: Collection[str]) -> None:
        """Have the next scan find these journals, also in folders that it would not list yet."""
        for name in names:
            project_path = os.path.join(self._root, name.split("/")[0])
            run_path = os.path.join(project_path, name.split("/")[1])
            if name not in self._found.get(run_path, ()):
                self._again |= {project_path, run_path}

    def state(self, journal: JournalPath) -> JournalState:
        """Return a journal's size and time. Raises OSError where it cannot be looked at."""
        status = os.stat(journal.path)
        return JournalState(status.st_size, status.st_mtime)

    def open(self, path: str) -> JournalBytes:
        """Open a journal. Raises OSError where it cannot be read."""
        return FileBytes(path)

    def _journals(self, project_path: str, project_dir: str, run_id: str) -> dict[str, JournalPath]:
        run_path = os.path.join(project_path, run_id)
        if not self._is_look_due and run_path in self._found and run_path not in self._again:
            return self._found[run_path]
        before = self._listings.get(run_path)
        listing = self._list(run_path)
        if listing is before and run_path in self._found:
            return self._found[run_path]
        journals = {}
        for file in listing.files:
            journal = _journal(f"{project_dir}/{run_id}/{file}", os.path.join(run_path, file))
            if journal is not None:
                journals[journal.name] = journal
        self._found[run_path] = journals
        return journals

    def _list(self, path: str) -> _Listing:
        self._visited.add(path)
        known = self._listings.get(path)
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            is_certain = known is not None and known.listed_ns - mtime_ns > _MTIME_GRAIN_NS
            is_trusted = is_certain and not self.was_full and path not in self._again
            if known is not None and known.mtime_ns == mtime_ns and is_trusted:
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

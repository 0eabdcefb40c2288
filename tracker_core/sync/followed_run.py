"""What a sender knows of one run: its journals and files, how far each is at the server, and what is left."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from ..files import FILES_FOLDER
from ..journal_reader import read_session
from ..paths import JOURNAL_SUFFIX, project_dir_name
from ..process import boot_id, is_dead
from ..records import Session
from .acked import AckedJournal, AckedRun
from .folder_listing import FolderListing
from .followed_artifacts import FollowedArtifacts
from .journal_follow import JournalFollow
from .sync_folder import RunPlace
from .wire import JournalName

_JOURNAL = re.compile(
    r"(?P<writer>[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})\.(?P<session>[0-9a-f]{32})" + re.escape(JOURNAL_SUFFIX)
)
_DIGEST = re.compile("[0-9a-f]{64}")
# Silence after which a process of which nothing else is known counts as gone; journals have heartbeats.
QUIET_S = 120.0
# How much of the end of a journal is sent once more to see that the server has the same; holds a block.
COMPARED_BYTES = 64 << 10


class FollowedJournal:
    """One journal.

    Attributes:
        acked: bytes of the local file that the server keeps; -1 before it was asked.
        sent: bytes that are there or on their way.
        base: where the local file's bytes begin in the server's copy.
        parked: why it is not sent, "" for a journal that is. One that was refused is tried again at `retry_at`.
        retry_at: not before this time, by the sender's clock.
        has_lost: the server keeps less than it did, and may have lost files and artifacts of the run as well.
    """

    def __init__(self, name: JournalName, path: str, session: Session | None, cached: AckedJournal | None) -> None:
        self.name = name
        self.file = os.path.basename(path)
        self.follow = JournalFollow(path, name.session)
        self.cached = cached
        self.acked = -1
        self.sent = 0
        self.base = 0
        self.parked = ""
        self.retry_at = 0.0
        self.n_failures = 0
        self.n_moved = 0
        self.has_lost = False
        self._session = session
        self._grown_at: float | None = None
        self._is_first_look = True

    @property
    def left_bytes(self) -> int:
        """How much of what is intact the server does not keep."""
        return 0 if self.parked else self.follow.end - max(self.acked, 0)

    @property
    def left_to_send(self) -> int:
        """How much of what is intact is not even on its way."""
        return self.follow.end - self.sent

    def compare_end(self) -> None:
        """Send the end once more, so that the server compares it with what it has."""
        self.acked = self.sent = max(0, self.follow.end - COMPARED_BYTES)

    def look(self, now_s: float) -> None:
        """Look for what is new. Raises OSError where the file cannot be read."""
        before = self.follow.end
        if self.follow.look():
            self.acked, self.sent, self.cached, self.n_moved = -1, 0, None, 0
            if self.parked and not self.is_deleted:
                self.parked = ""
        if self.parked and not self.is_deleted and now_s >= self.retry_at:
            self.acked, self.sent, self.parked = -1, 0, ""  # what was wrong there may have been put right
        if self.follow.end != before and not self._is_first_look:
            self._grown_at = now_s
        self._is_first_look = False

    @property
    def is_deleted(self) -> bool:
        return self.parked.startswith("deleted")

    def age_s(self, now_s: float) -> float:
        """Return how long ago the journal was last written: by the monotonic clock where that was seen happen."""
        if self._grown_at is not None:
            return max(0.0, now_s - self._grown_at)
        try:
            return max(0.0, time.time() - os.stat(self.follow.path).st_mtime)
        except OSError:
            return 0.0

    def is_live(self, now_s: float) -> bool:
        """Say whether a process may still write it."""
        if self.follow.is_closed:
            return False
        session = self._session
        if session is not None and session.boot_id and session.boot_id == boot_id() and session.process_start:
            return not is_dead(session)
        return self.age_s(now_s) < QUIET_S


class FollowedRun:
    """One run. Not thread-safe.

    Args:
        folder: the tracker folder.
        place: the run.
        acked: what is remembered of it.

    Attributes:
        journals: by file name.
        files: kept files by digest, with their size in bytes.
        acked_files: digests of files that are there.
        parked_files: digests of files that are not sent, and why.
        artifacts: versions of artifacts that it logged and used.
        odd: files that look like journals of this run and are none, and why.
        next_look: when to look again, by the sender's clock.
        parked: why nothing of it is sent.
    """

    def __init__(self, folder: str, place: RunPlace, acked: AckedRun) -> None:
        self.place = place
        self.path = os.path.join(folder, "runs", *place)
        self.journals: dict[str, FollowedJournal] = {}
        self.files: dict[str, int] = {}
        self.acked_files: set[str] = set(acked.files)
        self.asked_files: set[str] = set()
        self.parked_files: dict[str, str] = {}
        self.artifacts = FollowedArtifacts(self.path, acked.artifacts)
        self.odd: dict[str, str] = {}
        self.next_look = 0.0
        self._cached = acked
        self._run_listing = FolderListing(self.path)
        self._files_listing = FolderListing(os.path.join(self.path, FILES_FOLDER))

    @property
    def shown(self) -> str:
        """The run as users name it."""
        project = next((journal.name.project for journal in self.journals.values()), self.place[0])
        return f"{project}/{self.place[1]}"

    @property
    def project(self) -> str | None:
        """The project's name; None where no journal says it."""
        return next((journal.name.project for journal in self.journals.values()), None)

    @property
    def parked(self) -> str:
        """Why nothing of it is sent; "" where something is."""
        reasons = [journal.parked for journal in self.journals.values()]
        return reasons[0] if reasons and all(reasons) else ""

    @property
    def trouble(self) -> str:
        """Why something of it is not sent."""
        reasons = [journal.parked for journal in self.journals.values() if journal.parked]
        parked = [*self.parked_files.values(), *self.artifacts.parked.values(), *self.artifacts.delayed.values()]
        return next(iter([*reasons, *self.odd.values(), *parked]), "")

    @property
    def left_files(self) -> dict[str, int]:
        """Files that are not known to be there, and may be sent."""
        if self.parked:
            return {}
        return {d: n for d, n in self.files.items() if d not in self.acked_files and d not in self.parked_files}

    @property
    def left_artifacts(self) -> list[str]:
        """Notes of versions that are not known to be there, and may be sent."""
        return [] if self.parked else self.artifacts.left

    @property
    def left_bytes(self) -> int:
        n_bytes = sum(j.left_bytes for j in self.journals.values()) + sum(self.left_files.values())
        return n_bytes + (self.artifacts.left_bytes if self.left_artifacts else 0)

    @property
    def has_left(self) -> bool:
        """Whether anything is left to send; an empty file is, too."""
        has_journals = any(journal.left_bytes for journal in self.journals.values())
        return has_journals or bool(self.left_files) or bool(self.left_artifacts)

    @property
    def is_gone(self) -> bool:
        """Whether its folder is no longer there."""
        return not self.journals and not os.path.isdir(self.path)

    def is_live(self, now_s: float) -> bool:
        """Say whether a process may still write to it."""
        return any(journal.is_live(now_s) for journal in self.journals.values())

    def look(self, now_s: float) -> None:
        """Look for new journals, records and files. What cannot be read is looked at another time."""
        names = self._run_listing.names(now_s)
        if names is not None:
            self._take_names(names)
        digests = self._files_listing.names(now_s)
        if digests is not None:
            self._take_digests(digests)
        self.artifacts.look(now_s)
        for name, journal in list(self.journals.items()):
            try:
                journal.look(now_s)
            except FileNotFoundError:
                del self.journals[name]
                self._run_listing.forget()
            except OSError:
                continue

    def forget_acks(self) -> None:
        """Take nothing for being at the server, until it is asked."""
        for journal in self.journals.values():
            journal.acked, journal.sent, journal.cached = -1, 0, None
        self.acked_files.clear()
        self.asked_files.clear()
        self.artifacts.forget_acks()
        self.next_look = 0.0

    def _take_names(self, names: list[str]) -> None:
        for name in names:
            match = _JOURNAL.fullmatch(name)
            if match is None or name in self.journals:
                continue
            path = os.path.join(self.path, name)
            found = _journal_name(path, self.place, match["writer"], match["session"])
            if isinstance(found, str):
                self.odd[name] = found
            elif found is not None:
                self.odd.pop(name, None)
                self.journals[name] = FollowedJournal(found[0], path, found[1], self._cached.journals.get(name))

    def _take_digests(self, names: list[str]) -> None:
        for name in names:
            if _DIGEST.fullmatch(name) and name not in self.files:
                try:
                    self.files[name] = os.path.getsize(os.path.join(self.path, FILES_FOLDER, name))
                except OSError:
                    continue
        for gone in self.files.keys() - set(names):
            del self.files[gone]

    def file_path(self, digest: str) -> str:
        """Return where a kept file lies."""
        return os.path.join(self.path, FILES_FOLDER, digest)


def _journal_name(
    path: str, place: RunPlace, writer: str, session: str
) -> tuple[JournalName, Session | None] | str | None:
    """Return what to call a journal at the server; None while it does not say that, a reason where it is another's."""
    try:
        found = read_session(path)
    except OSError:
        return None
    if found is None:
        project = unquote(place[0])
        if project_dir_name(project) != place[0] or os.path.getsize(path) == 0:
            return None
        return JournalName(project, place[1], writer, session), None
    if (project_dir_name(found.project), found.run, found.writer, found.session) != (*place, writer, session):
        return f"{os.path.basename(path)} was written as part of another run, {found.project}/{found.run}"[:300]
    return JournalName(found.project, found.run, found.writer, found.session), found


Places = Callable[[], Iterator[RunPlace]]

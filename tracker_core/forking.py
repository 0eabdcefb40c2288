"""Begin a run, or a new attempt of one, with the history of a run up to a step: `fork_from` and `resume_from`.

What is inherited is copied once, by a thread, into a journal of its own in the new attempt: to a temporary file first,
which gets its name when it is whole and on the device. A process that is killed before leaves nothing half, and the
next one that goes on with the attempt makes it. Nothing of the parent changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from typing import Any, Protocol

import msgspec

from . import paths
from .earlier_sessions import sessions_of
from .errors import UsageError
from .inherited import Copied, Source, config_as_of, copy_history, fsync
from .inherited_media import copy_media
from .records import Session
from .say import warn
from .sessions import PRIMARY_WRITER
from .settings import Settings

_EXPECTED = 'text such as "RUN?_step=100" or "PROJECT/RUN?_step=100"'
_MAX_STEP = (1 << 63) - 1
_MOST_ATTEMPTS = 1 << 31
_RETRY_S, _MOST_RETRY_S = 1.0, 60.0
# A thread that copies works for at most so long at once, then rests as long: `log` must not wait for it.
_WORK_S = 0.001
_SIGNALLED_WAIT_S = 2.0


class Branch(msgspec.Struct, frozen=True):
    """Where a history begins: with that of a run up to and including a step."""

    project: str
    run: str
    step: int

    @property
    def text(self) -> str:
        """As it is kept in the session."""
        return f"{self.project}/{self.run}?_step={self.step}"


def parse_branch(text: str, where: str, project: str) -> Branch:
    """Return what `fork_from` or `resume_from` says; `project` is meant where it names none.

    Raises:
        UsageError: it is not of that form.
    """
    place, separator, step = text.rpartition("?_step=")
    named, _, run = place.removeprefix("local/").rpartition("/")
    if not separator or not re.fullmatch("[0-9]{1,19}", step) or int(step) > _MAX_STEP or not run:
        raise UsageError(where, repr(text)[:200], _EXPECTED, "give the run's id and a step")
    return Branch(paths.check_project(named or project, where), paths.check_run_id(run, where), int(step))


def branch_of(settings: Settings) -> Branch | None:
    """Return where the run is to branch off, None where it does not.

    Raises:
        UsageError: the text is wrong, or it contradicts another setting.
    """
    given = [name for name in ("fork_from", "resume_from", "resume") if getattr(settings, name)]
    if not given or given == ["resume"]:
        return None
    if len(given) > 1:
        got = " and ".join(f"{name}={getattr(settings, name)!r}" for name in given)
        raise UsageError("init()", got, "one of fork_from, resume_from and resume", "leave the others out")
    (name,) = given
    branch = parse_branch(getattr(settings, name), f"init({name}=)", settings.project)
    is_same = branch.run == settings.run_id and branch.project == settings.project
    if name == "fork_from" and is_same:
        raise UsageError("init(fork_from=)", f"the run {branch.run!r} itself", "another run", "rewind with resume_from")
    if name == "resume_from" and (settings.run_id not in (None, branch.run) or branch.project != settings.project):
        got = f"{branch.text!r} for the run {settings.project}/{settings.run_id or branch.run}"
        raise UsageError("init(resume_from=)", got, "that run itself", "begin a new run from it with fork_from")
    return branch


def below_attempt(branch: Branch, child: Session) -> int:
    """Return the attempt that the history is looked for below: the child's own where it was rewound."""
    return child.attempt if (branch.project, branch.run) == (child.project, child.run) else _MOST_ATTEMPTS


def find_sources(folder: str, branch: Branch, below: int, began_ns: int) -> list[Source]:
    """Return the journals that hold the history up to a branch, in order; none where the run is not in the folder.

    Args:
        folder: the tracker folder.
        branch: the run and step.
        below: only attempts below this one count; of these the latest that there was when the child began.
        began_ns: when the child began.
    """
    sessions = [
        (session, path)
        for session, path in sessions_of(folder, branch.project, branch.run)
        if session.writer == PRIMARY_WRITER and session.attempt < below
    ]
    then = [session.attempt for session, _ in sessions if session.wall_time_ns <= began_ns]
    attempt = max(then or [session.attempt for session, _ in sessions], default=0)
    shown = [(session, path) for session, path in sessions if session.attempt == attempt]
    sources = [Source(path, branch.step) for _, path in shown]
    first = next((session for session, _ in shown if session.forked_from and not session.inherited), None)
    if first is not None and not any(session.inherited for session, _ in shown):
        # It was killed before its own history was whole.
        origin = parse_branch(first.forked_from, "forked_from", first.project)
        earlier = find_sources(folder, origin, below_attempt(origin, first), first.wall_time_ns)
        sources = [Source(one.path, min(one.max_step, branch.step)) for one in earlier] + sources
    return sources


def config_at(folder: str, branch: Branch, child: Session) -> dict[str, Any]:
    """Return the config as of the branch, as far as it can be read."""
    try:
        return config_as_of(find_sources(folder, branch, below_attempt(branch, child), child.wall_time_ns))
    except OSError as error:
        warn(f"the config of {branch.text} cannot be read ({error}); the run begins without")
        return {}


def inherited_session(child: Session) -> Session:
    """Return the session of the journal that holds what `child` inherits; the same in whichever process makes it."""
    name = f"{child.project}\n{child.run}\n{child.attempt}\n{child.forked_from}"
    return msgspec.structs.replace(
        child,
        session=hashlib.sha256(name.encode()).hexdigest()[:32],
        writer=PRIMARY_WRITER,
        counter=0,
        resumed=False,
        inherited=True,
    )


class HistorySource(Protocol):
    """A server that may have the history."""

    def fetch(self, branch: Branch, below: int, began_ns: int, path: str) -> bool:
        """Write the journal of a history to `path`; False where the server has no such run. OSError: it is away."""


class Inheritance:
    """The making of the journal with what a run inherits, by a thread.

    Args:
        folder: the tracker folder.
        child: the session that says where the history comes from.
        server: who is asked for it where the folder does not have it; None for nobody.
    """

    def __init__(self, folder: str, child: Session, server: HistorySource | None = None) -> None:
        self._folder = folder
        self._child = child
        self._server = server
        self._branch = parse_branch(child.forked_from, "forked_from", child.project)
        self._is_urgent = threading.Event()
        self._worked_since_s = 0.0
        self._thread = threading.Thread(target=self._work, name="tracker-inherit", daemon=True)

    def start(self) -> None:
        """Begin; does it at once where there can be no more threads."""
        try:
            self._thread.start()
        except RuntimeError:
            self._is_urgent.set()
            self._work()

    def finish(self, timeout_s: float, is_signalled: bool) -> None:
        """Wait until it is whole, for at most about `timeout_s`."""
        self._is_urgent.set()
        if self._thread.is_alive():
            self._thread.join(min(timeout_s, _SIGNALLED_WAIT_S) if is_signalled else timeout_s)
        if self._thread.is_alive():
            warn(f"the history of {self._branch.text} is not whole yet; going on with the run completes it")

    def _work(self) -> None:
        try:
            copied = self._make()
        except OSError as error:
            remedy = "going on with the run does it"
            warn(f"the history of {self._branch.text} cannot be taken over now ({error}); {remedy}")
            return
        if copied is not None and copied.last_step < self._branch.step:
            reached = f"step {copied.last_step}" if copied.n_rows else "no step"
            parent = f"{self._branch.project}/{self._branch.run}"
            warn(f"{parent} has only reached {reached}, not {self._branch.step}; {copied.n_rows} rows were taken over")

    def _make(self) -> Copied | None:
        """Make the journal; None where it is there or where nobody has the parent."""
        session = inherited_session(self._child)
        id_bytes = bytes.fromhex(session.session)
        path = paths.journal_path(self._folder, session.project, session.run, session.writer, id_bytes)
        if os.path.exists(path):
            return None
        below, began_ns = below_attempt(self._branch, self._child), self._child.wall_time_ns
        sources = find_sources(self._folder, self._branch, below, began_ns)
        draft = os.path.join(os.path.dirname(path), f".{session.session}.{os.getpid()}.inherited")
        fetched = f"{draft}.fetched"
        try:
            if not sources and self._server is not None and self._fetch(self._server, below, began_ns, fetched):
                sources = [Source(fetched, self._branch.step)]
            if not sources:
                return None
            self._worked_since_s = time.monotonic()
            with open(draft, "wb") as file:
                copied = copy_history(sources, file, session, self._rest)
                fsync(file)
            folders = list(dict.fromkeys(os.path.dirname(source.path) for source in sources))
            copy_media(copied.media, folders, os.path.dirname(path), self._rest)
            os.replace(draft, path)
        finally:
            for left in (draft, fetched):
                with contextlib.suppress(OSError):
                    os.unlink(left)
        return copied

    def _fetch(self, server: HistorySource, below: int, began_ns: int, path: str) -> bool:
        """Get the history from the server, again and again while that is away and the run goes on."""
        pause_s = _RETRY_S
        while True:
            is_last = self._is_urgent.is_set()
            try:
                return server.fetch(self._branch, below, began_ns, path)
            except OSError:
                if is_last:
                    raise
            self._is_urgent.wait(pause_s)
            pause_s = min(2 * pause_s, _MOST_RETRY_S)

    def _rest(self) -> None:
        """Give the training its turn."""
        if self._is_urgent.is_set():
            return
        worked_s = time.monotonic() - self._worked_since_s
        if worked_s >= _WORK_S:
            self._is_urgent.wait(worked_s)
            self._worked_since_s = time.monotonic()


def has_parent(folder: str, branch: Branch) -> bool:
    """Say whether the run to branch off from is in the folder."""
    return any(session.writer == PRIMARY_WRITER for session, _ in sessions_of(folder, branch.project, branch.run))

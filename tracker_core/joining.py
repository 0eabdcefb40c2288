"""Decide which attempt of a run a new process writes to, where several share one id by TRACKER_RUN_ID.

The first process to create the file `attempt-<n>.claim` in the run's folder is the primary writer of attempt n; all
that come while it lives join as further writers. A claim is created once, whole or not at all, and never removed or
changed, so that nothing depends on locks. Whether its holder lives is looked up anew each time: a dead one is in
nobody's way.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

import msgspec

from . import paths
from .journal_reader import JournalReader, read_session
from .lazy_pattern import lazy_pattern
from .process import boot_id, process_start
from .records import CLOSING_STATES, Session, State
from .sessions import LAUNCHER_WRITER, PRIMARY_WRITER
from .settings import env_name

# Variables that name a process's rank, each with the one that says how many there are.
_RANKS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
_CLAIM = lazy_pattern(r"attempt-(\d{1,9})(?:\.(\d{1,9}))?\.claim")
_TAIL_BYTES = 192 << 10  # holds the last two blocks whole
_CLAIM_WRITE_S = 5.0
_MAX_TRIES = 1000


class Claim(msgspec.Struct, frozen=True):
    """What a claim file says: the session that writes an attempt, what it calls the run, and its process."""

    session: str
    name: str
    host: str
    pid: int
    boot_id: str
    process_start: str


class _Known(msgspec.Struct, frozen=True):
    """What a run's folder holds: its sessions with their paths, and its claims by (attempt, number)."""

    sessions: list[tuple[Session, str]]
    claims: dict[tuple[int, int], str]

    @property
    def attempt(self) -> int:
        """The latest attempt, 0 for none."""
        return max([session.attempt for session, _ in self.sessions] + [attempt for attempt, _ in self.claims] + [0])

    def of(self, attempt: int) -> list[tuple[Session, str]]:
        return [(session, path) for session, path in self.sessions if session.attempt == attempt]

    def n_claims(self, attempt: int) -> int:
        return max([number for claimed, number in self.claims if claimed == attempt] + [0])


def find_launcher(folder: str, environ: Mapping[str, str]) -> Session | None:
    """Return the session of the `tracker run` that this process runs under, by what it left in the environment."""
    session_id, run_id = environ.get(env_name("launcher"), ""), environ.get(env_name("run_id"), "")
    if not re.fullmatch("[0-9a-f]{32}", session_id) or not run_id:
        return None
    try:
        project = paths.check_project(environ.get(env_name("project")))
        path = paths.journal_path(
            folder, project, paths.check_run_id(run_id), LAUNCHER_WRITER, bytes.fromhex(session_id)
        )
        return read_session(path)
    except (OSError, ValueError):
        return None


def place(session: Session, folder: str, timeout_s: float, launcher: Session | None = None) -> Session:
    """Return `session` as the primary writer of a new attempt, or as a further writer of the one being written.

    Args:
        session: a new session of this process; the attempt and writer in it are not looked at.
        folder: the tracker folder.
        timeout_s: silence after which a process of another machine counts as dead.
        launcher: the session of `tracker run`; its attempt is the only one in question then.

    Never raises OSError: where no claim can be made, the session is the primary writer of a new attempt.
    """
    run_folder = paths.run_folder(folder, session.project, session.run)
    for _ in range(_MAX_TRIES):
        known = _look(run_folder)
        attempt = launcher.attempt if launcher else known.attempt
        if _is_being_written(known, attempt, timeout_s):
            return _joined(session, known, attempt)
        new = attempt if launcher else attempt + 1
        number = known.n_claims(new) + 1
        try:
            _claim(run_folder, new, number, session)
        except FileExistsError:
            continue  # another process was quicker: look again
        except OSError:
            pass
        return msgspec.structs.replace(session, attempt=new, writer=PRIMARY_WRITER)
    return msgspec.structs.replace(session, attempt=_look(run_folder).attempt + 1, writer=PRIMARY_WRITER)


def last_state(path: str) -> State | None:
    """Return the last state near the end of a journal, where a closing state is; None where there is none.

    Raises:
        OSError: the file cannot be read.
    """
    reader = JournalReader(path, max(0, os.path.getsize(path) - _TAIL_BYTES))
    states = [record for _, record in reader.read().records if isinstance(record, State)]
    return states[-1] if states else None


def other_writer_name(environ: Mapping[str, str]) -> str:
    """Return what a process that joins a run is called: "rank<k>" in a distributed job, else "process-<pid>"."""
    for rank, size in _RANKS:
        number, count = environ.get(rank, ""), environ.get(size, "")
        if number.isdecimal() and count.isdecimal() and int(count) > 1:
            return f"rank{int(number)}"
    return f"process-{os.getpid()}"


def _joined(session: Session, known: _Known, attempt: int) -> Session:
    joined = msgspec.structs.replace(session, attempt=attempt, writer=other_writer_name(os.environ))
    primary = next((other for other, _ in reversed(known.of(attempt)) if other.writer == PRIMARY_WRITER), None)
    if primary is None:
        claim = _read_claim(known.claims.get((attempt, known.n_claims(attempt)), ""))
        return msgspec.structs.replace(joined, name=claim.name) if claim else joined
    return msgspec.structs.replace(
        joined,
        counter=primary.counter,
        name=primary.name,
        group=primary.group,
        job_type=primary.job_type,
        tags=primary.tags,
        notes=primary.notes,
    )


def _look(run_folder: str) -> _Known:
    known = _Known([], {})
    try:
        names = sorted(os.listdir(run_folder))
    except OSError:
        return known
    for name in names:
        path = os.path.join(run_folder, name)
        if match := _CLAIM.fullmatch(name):
            known.claims[int(match[1]), int(match[2] or 1)] = path
        elif name.endswith(paths.JOURNAL_SUFFIX):
            try:
                session = read_session(path)
            except OSError:
                continue
            if session is not None and not session.inherited:
                known.sessions.append((session, path))
    known.sessions.sort(key=lambda item: (item[0].counter, item[0].wall_time_ns))
    return known


def _is_being_written(known: _Known, attempt: int, timeout_s: float) -> bool:
    """Say whether an attempt has a primary writer that lives, or others that outlive one that ended well."""
    sessions = known.of(attempt)
    primaries = [(session, path) for session, path in sessions if session.writer == PRIMARY_WRITER]
    if any(is_open(session, path, timeout_s) for session, path in primaries):
        return True
    path = known.claims.get((attempt, known.n_claims(attempt)))
    if path is not None and _is_about_to_write(path, {session.session for session, _ in sessions}, timeout_s):
        return True
    if not primaries or state_of(primaries[-1][1]) != "finished":
        return False
    others = [item for item in sessions if item[0].writer not in (PRIMARY_WRITER, LAUNCHER_WRITER)]
    return any(is_open(session, path, timeout_s) for session, path in others)


def is_open(session: Session, path: str, timeout_s: float) -> bool:
    """Say whether a session is being written by another process."""
    if _is_this_process(session) or not _is_process_alive(session, path, timeout_s):
        return False
    return state_of(path) not in CLOSING_STATES


def state_of(path: str) -> str:
    """Return the last state near the end of a journal, "" where there is none."""
    try:
        state = last_state(path)
    except OSError:
        return ""
    return state.state if state else ""


def _is_about_to_write(path: str, begun: set[str], timeout_s: float) -> bool:
    """Say whether the holder of a claim lives and has not opened its journal yet."""
    claim = _read_claim(path)
    if claim is None:  # it may be being written, where there are no hard links
        return _is_recent(path, _CLAIM_WRITE_S)
    if claim.session in begun or _is_this_process(claim):
        return False
    return _is_process_alive(claim, path, timeout_s)


def _read_claim(path: str) -> Claim | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Claim)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_this_process(other: Session | Claim) -> bool:
    is_comparable = other.boot_id == boot_id() and other.process_start == process_start(os.getpid())
    return is_comparable and other.pid == os.getpid()


def _is_process_alive(other: Session | Claim, path: str, timeout_s: float) -> bool:
    """Say whether a process lives: by its id on this machine, else by when its file was last written."""
    if other.boot_id and other.boot_id == boot_id() and other.process_start:
        return process_start(other.pid) == other.process_start
    return _is_recent(path, timeout_s)


def _is_recent(path: str, age_s: float) -> bool:
    try:
        return abs(time.time() - os.path.getmtime(path)) <= age_s
    except OSError:
        return False


def _claim(run_folder: str, attempt: int, number: int, session: Session) -> None:
    """Claim an attempt; raises FileExistsError where that has been done, OSError where it cannot be done at all."""
    claim = Claim(session.session, session.name, session.host, session.pid, session.boot_id, session.process_start)
    content = msgspec.json.encode(claim)
    os.makedirs(run_folder, exist_ok=True)
    path = os.path.join(run_folder, f"attempt-{attempt}.claim" if number == 1 else f"attempt-{attempt}.{number}.claim")
    draft = os.path.join(run_folder, f".{session.session}.claim")
    with open(draft, "xb") as file:
        file.write(content)
    try:
        _link(draft, path, content)
    finally:
        os.unlink(draft)


def _link(draft: str, path: str, content: bytes) -> None:
    """Give the draft its name: atomic, exclusive, and on network file systems too."""
    try:
        os.link(draft, path)
    except FileExistsError:
        if os.stat(draft).st_nlink < 2:  # else it was done, and a network file system lost the reply
            raise
    except (OSError, AttributeError):  # a file system or platform without hard links
        with open(path, "xb") as file:
            file.write(content)

"""Which run a new session writes to, and where it goes on: what `id`, `resume`, `fork_from` and `resume_from` mean.

docs/resume.md has the rules as a table.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from . import joining, paths
from .earlier_sessions import find_earlier, read_progress, sessions_of
from .errors import UsageError
from .names import new_run_id, new_run_name
from .records import Session
from .say import warn
from .sessions import PRIMARY_WRITER, EarlierSessions, new_session
from .settings import Settings

if TYPE_CHECKING:
    from .forking import Branch
    from .remote.run_progress import Progress

RESUME_FOLDER = "resume"


def is_online(settings: Settings) -> bool:
    """Say whether the run is sent to a server."""
    return settings.mode == "online" or (settings.mode is None and bool(settings.base_url))


def session_mode(settings: Settings) -> str:
    """Return what a session says of where its run is kept."""
    return "online" if is_online(settings) else "offline"


class _Server:
    """The server that a run is sent to, asked what the folder may not know. What it cannot tell is warned of once."""

    def __init__(self, settings: Settings) -> None:
        from .remote.run_progress import RunServer

        self.runs = RunServer(settings)
        self.is_away = False

    def progress(self, project: str, run_id: str, step: int | None = None) -> Progress | None:
        """Return how far a run has come there, None where that cannot be told."""
        from .remote.run_progress import UnansweredError

        if self.is_away:
            return None
        try:
            return self.runs.progress(project, run_id, step)
        except UnansweredError as error:
            self.is_away = True
            remedy = "should it have an earlier part of the run, both are kept"
            warn(f"the server could not be asked about run {project}/{run_id} ({error}); going on without: {remedy}")
            return None


class Beginning(msgspec.Struct):
    """A session that is about to begin, as the primary writer of a run.

    Attributes:
        session: the session.
        earlier: what there was of the run before, with the step and config to go on with.
        heir: the session that says where the attempt's history comes from, where that is to be made yet.
        server: who may know of the run what the folder does not.
    """

    session: Session
    earlier: EarlierSessions
    heir: Session | None = None
    server: _Server | None = None


def begin(settings: Settings, folder: str, launcher: Session | None, number: int) -> Beginning:
    """Return this process's session as the primary writer of a run.

    Raises:
        UsageError: `resume`, `fork_from` or `resume_from` cannot be what the user meant.
    """
    branch = _branch_of(settings)
    server = _Server(settings) if _may_ask(settings, branch, launcher) else None
    if settings.resume == "auto":
        settings = _with_auto(settings, folder, number)
    if branch is not None and settings.resume_from:
        settings = replace(settings, run_id=branch.run)
    run_id = settings.run_id or new_run_id()
    earlier = _find(settings, folder, run_id, server) if settings.run_id else EarlierSessions()
    if branch is not None:
        _check_parent(branch, settings, folder, server)
    resumes = _check_resume(settings, run_id, earlier, server is None or not server.is_away)
    session = _new_session(settings, folder, run_id, earlier, launcher, resumes)
    if branch is not None:
        session.forked_from = branch.text
    beginning = Beginning(session, earlier, server=server)
    if settings.resume == "auto" and settings.run_id is None:
        _remember(settings, folder, session, number)
    return beginning


def find_place(beginning: Beginning, folder: str, shared: bool, timeout_s: float, launcher: Session | None) -> None:
    """Decide a session's attempt and writer, where other processes may have the same run id, and where it goes on."""
    session, earlier = beginning.session, beginning.earlier
    if launcher or shared:
        session = beginning.session = joining.place(session, folder, timeout_s, launcher)
        session.resumed = earlier.last is not None and earlier.last.attempt == session.attempt
        session.resumed = session.resumed and session.writer == PRIMARY_WRITER
    if session.writer != PRIMARY_WRITER:
        session.forked_from = ""
        return
    if session.resumed:
        read_progress(earlier, folder, session.project, session.run)
        _add_remote(earlier)
        if earlier.branch is not None:
            branch = _branch_in(earlier.branch)
            earlier.next_step = max(earlier.next_step, branch.step + 1)
            session.forked_from = earlier.branch.forked_from
            beginning.heir = None if earlier.has_inherited else earlier.branch
    elif session.forked_from:
        from .forking import config_at, has_parent

        branch = _branch_in(session)
        earlier.next_step = branch.step + 1
        if has_parent(folder, branch):
            earlier.config = config_at(folder, branch, session)
        elif beginning.server is not None:
            known = beginning.server.progress(branch.project, branch.run, branch.step)
            earlier.config = known.config if known else {}
        beginning.heir = session


def _branch_of(settings: Settings) -> Branch | None:
    if not (settings.fork_from or settings.resume_from):
        return None
    from .forking import branch_of

    return branch_of(settings)


def _branch_in(session: Session) -> Branch:
    from .forking import parse_branch

    return parse_branch(session.forked_from, "forked_from", session.project)


def _may_ask(settings: Settings, branch: Branch | None, launcher: Session | None) -> bool:
    """Say whether a server is to be asked: where a run that has been before may go on there."""
    is_known = settings.run_id is not None or branch is not None or settings.resume == "auto"
    return is_known and launcher is None and is_online(settings) and bool(settings.base_url)


def _find(settings: Settings, folder: str, run_id: str, server: _Server | None) -> EarlierSessions:
    """Return what there is of a run: in the folder, and at the server that it is sent to."""
    earlier = find_earlier(folder, settings.project, run_id)
    known = server.progress(settings.project, run_id) if server is not None else None
    if known is None or known.last is None:
        return earlier
    is_further = (known.attempt, known.counter) > (earlier.attempt, earlier.counter)
    if known.attempt >= earlier.attempt:
        earlier.remote = known
    if is_further or earlier.last is None:
        earlier.last = known.last
    if known.attempt > earlier.attempt or earlier.branch is None:
        earlier.branch, earlier.has_inherited = known.branch, known.has_inherited
    earlier.has_inherited = earlier.has_inherited or (known.attempt == earlier.attempt and known.has_inherited)
    earlier.is_further_there = is_further
    earlier.attempt = max(earlier.attempt, known.attempt)
    earlier.counter = max(earlier.counter, known.counter)
    return earlier


def _add_remote(earlier: EarlierSessions) -> None:
    """Add what the server knows of the latest attempt to what the folder has of it."""
    if earlier.remote is None:
        return
    earlier.next_step = max(earlier.next_step, earlier.remote.next_step)
    there, here = earlier.remote.config, earlier.config
    earlier.config = {**here, **there} if earlier.is_further_there else {**there, **here}


def _check_parent(branch: Branch, settings: Settings, folder: str, server: _Server | None) -> None:
    """Raise UsageError where the run to branch off from certainly does not exist."""
    from .forking import has_parent

    if has_parent(folder, branch):
        return
    known = server.progress(branch.project, branch.run) if server is not None else None
    if server is not None and (known is None or known.last is not None):
        return
    name = "resume_from" if settings.resume_from else "fork_from"
    where = folder if server is None else f"neither {folder} nor the server"
    got = f"{branch.text!r}, a run that {where} {'does not have' if server is None else 'has'}"
    raise UsageError(f"init({name}=)", got, "a run that is there", "check id, project and dir; see: tracker runs")


def _check_resume(settings: Settings, run_id: str, earlier: EarlierSessions, is_asked: bool) -> bool:
    """Say whether this session goes on with an attempt; raises UsageError where the user ruled that out."""
    exists, project = earlier.last is not None, settings.project
    if settings.resume == "must" and not exists and is_asked:
        got = f"{run_id!r}, which project {project!r} does not have"
        raise UsageError("init(resume='must', id=)", got, "the id of a run", "check id and dir, or use resume='allow'")
    if settings.resume == "never" and exists:
        got = f"{run_id!r}, which project {project!r} has already"
        raise UsageError("init(resume='never', id=)", got, "a new id", "choose another, or use resume='allow'")
    return exists and settings.resume in ("allow", "must", "auto")


def _new_session(
    settings: Settings,
    folder: str,
    run_id: str,
    earlier: EarlierSessions,
    launcher: Session | None,
    resumes: bool,
) -> Session:
    runs_folder = os.path.dirname(paths.run_folder(folder, settings.project, run_id))
    last = launcher or earlier.last
    return new_session(
        Session(
            wall_time_ns=0,
            session="",
            run=run_id,
            project=settings.project,
            entity=settings.entity,
            counter=earlier.counter + 1,
            attempt=earlier.attempt + (not resumes),
            resumed=resumes,
            name=settings.name or (last.name if last else new_run_name(run_id, runs_folder)),
            group=settings.group or (last.group if last else ""),
            job_type=settings.job_type or (last.job_type if last else ""),
            tags=list(settings.tags or (last.tags if last else ())),
            notes=settings.notes or (last.notes if last else ""),
            mode=session_mode(settings),
        )
    )


# resume="auto"


class _Remembered(msgspec.Struct):
    """Which run a script, or a job of SLURM, began last."""

    project: str
    run: str


def _with_auto(settings: Settings, folder: str, number: int) -> Settings:
    """Return the settings with the id of the run that `resume="auto"` goes on with, if there is one."""
    if settings.run_id is not None:
        return settings
    try:
        with open(_memory_path(settings, folder, number), "rb") as file:
            known = msgspec.json.decode(file.read(), type=_Remembered)
    except (OSError, msgspec.MsgspecError):
        return settings
    try:
        paths.check_run_id(known.run)
    except UsageError:
        return settings
    if known.project != settings.project or not _is_unfinished(folder, known, settings.heartbeat_timeout_s):
        return settings
    return replace(settings, run_id=known.run)


def _is_unfinished(folder: str, known: _Remembered, timeout_s: float) -> bool:
    """Say whether a run has ended, or broken off, and did not finish."""
    primary = [
        (session, path)
        for session, path in sessions_of(folder, known.project, known.run)
        if session.writer == PRIMARY_WRITER and not session.inherited
    ]
    if not primary:
        return False
    session, path = max(primary, key=lambda item: (item[0].counter, item[0].wall_time_ns))
    if joining.is_open(session, path, timeout_s) and _slurm_job(os.environ) is None:
        return False  # the same script, started twice
    return joining.state_of(path) != "finished"


def _remember(settings: Settings, folder: str, session: Session, number: int) -> None:
    path = _memory_path(settings, folder, number)
    draft = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(_Remembered(session.project, session.run)))
        os.replace(draft, path)


def _memory_path(settings: Settings, folder: str, number: int) -> str:
    """Return the file that remembers the run of this job, or of this script, and of its n-th `init`."""
    import hashlib

    whose = _slurm_job(os.environ) or f"script {_script()}"
    key = "\n".join([settings.project, whose, str(number)])
    return os.path.join(folder, RESUME_FOLDER, f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")


def _slurm_job(environ: Mapping[str, str]) -> str | None:
    """Return what names a job of SLURM, the same after a requeue; None outside of any."""
    job, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    if job and task:
        return f"slurm {job}_{task}"
    job = environ.get("SLURM_JOB_ID")
    return f"slurm {job}" if job else None


def _script() -> str:
    main = sys.modules.get("__main__")
    name = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    return os.path.realpath(name) if name and name != "-c" else f"in {os.path.realpath(os.curdir)}"

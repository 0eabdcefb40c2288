"""`init`: begin a run, or go on with one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from . import current, ending, joining, notebook, paths
from .disabled import DisabledRun
from .earlier_sessions import find_earlier, read_progress
from .errors import UsageError
from .names import new_run_id, new_run_name
from .records import Session
from .run import Run
from .say import say, warn
from .sessions import LAUNCHER_WRITER, PRIMARY_WRITER, EarlierSessions, new_session
from .settings import Settings, env_name, load_settings, merge_settings, unknown_argument
from .values import to_config

# Arguments of wandb.init that scripts pass and that change nothing here. Accepted, and listed in the documentation.
IGNORED_WANDB_ARGUMENTS = (
    "allow_val_change",
    "anonymous",
    "force",
    "magic",
    "monitor_gym",
    "sync_tensorboard",
    "tensorboard",
)
_REINIT_WORDS = {"return_previous": "return", "finish_previous": "finish", "create_new": "new"}


def init(
    project: str | None = None,
    name: str | None = None,
    id: str | None = None,
    config: Any = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    mode: str | None = None,
    resume: str | bool | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    entity: str | None = None,
    reinit: str | bool | None = None,
    config_include_keys: Sequence[str] | None = None,
    config_exclude_keys: Sequence[str] | None = None,
    save_code: bool | None = None,
    **ignored: Any,
) -> Run | DisabledRun:
    """Begin a run and make it the one that module-level calls go to.

    Args:
        project: the project; made when it is new. Default "uncategorized".
        name: name shown for the run.
        id: the run's id. An id used before is a new attempt of that run, unless `resume` is given.
        config: hyper-parameters: a dict, argparse namespace or dataclass.
        group: group of runs that belong together.
        job_type: kind of job, such as "train".
        tags: labels.
        notes: free text.
        dir: the tracker folder. Default: the nearest `.tracker/` upwards, else a new `./.tracker/`.
        mode: "offline" (to the folder), "online" (also to the server), "disabled" (do nothing at all).
        resume: "allow" goes on with `id` where it exists, "must" requires that it does, "never" that it does not.
        settings: further settings; see `Settings`.
        entity: owner of the project.
        reinit: what to do while another run is active: "return_previous" (the default), "finish_previous" or True (the
            default in a notebook), "create_new".
        config_include_keys: of `config`, record only these.
        config_exclude_keys: of `config`, do not record these.
        save_code: keep the whole source tree with the run, not only the main script.
        **ignored: arguments of wandb.init without effect here, see IGNORED_WANDB_ARGUMENTS.

    Raises:
        UsageError: an argument is unknown or not what it must be.
    """
    for unknown in ignored:
        if unknown not in IGNORED_WANDB_ARGUMENTS:
            raise unknown_argument("init", unknown, _INIT_ARGUMENTS)
    plain_config = _chosen(to_config(config), config_include_keys, config_exclude_keys)
    policy = _reinit_policy(reinit)
    previous = _active(policy)
    if previous is not None and policy == "return":
        warn(f"init() returned the run {previous.path}, which is still active; finish() it first for a new one")
        previous.config.update(plain_config)
        return previous
    arguments = {
        "project": project, "name": name, "run_id": id, "group": group, "job_type": job_type, "tags": tags,
        "notes": notes, "dir": dir, "mode": mode, "resume": resume, "entity": entity, "save_code": save_code,
    }  # fmt: skip
    merged = merge_settings(load_settings(settings), arguments)
    run = _start(merged, plain_config)
    if policy != "new" or previous is None:
        current.set(run)
    return run


def _active(policy: str) -> Run | DisabledRun | None:
    """Return the active run, after finishing one that must not go on beside a new one."""
    run = current.get()
    if run is not None and current.is_left_open(run):
        run.finish()
        return None
    if run is not None and policy == "finish":
        run.finish()
    return run


_INIT_ARGUMENTS = (*init.__annotations__.keys() - {"return", "ignored"}, *IGNORED_WANDB_ARGUMENTS)


def _chosen(config: dict[str, Any], include: Sequence[str] | None, exclude: Sequence[str] | None) -> dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if (include is None or key in include) and (exclude is None or key not in exclude)
    }


def _reinit_policy(reinit: str | bool | None) -> str:
    if reinit is None or reinit == "default":
        return "finish" if notebook.is_active() else "return"
    if isinstance(reinit, bool):
        return "finish" if reinit else "return"
    if isinstance(reinit, str) and reinit in _REINIT_WORDS:
        return _REINIT_WORDS[reinit]
    expected = "a truth value, 'default', " + ", ".join(map(repr, _REINIT_WORDS))
    raise UsageError("init(reinit=)", repr(reinit), expected, "choose one of these")


def _start(settings: Settings, config: dict[str, Any]) -> Run | DisabledRun:
    paths.check_project(settings.project)
    if settings.run_id is not None:
        paths.check_run_id(settings.run_id)
    if settings.mode == "disabled":
        return DisabledRun(settings, config)
    settings, launcher = _adopt_launcher(settings)
    folder = _writable_folder(paths.find_folder(settings.dir))
    session, earlier = _new_session(settings, folder, launcher)
    if launcher or _is_shared(settings):
        session = joining.place(session, folder, settings.heartbeat_timeout_s, launcher)
        session.resumed = earlier.last is not None and earlier.last.attempt == session.attempt
        session.resumed = session.resumed and session.writer == PRIMARY_WRITER
    if session.resumed:
        read_progress(earlier, folder, session.project, session.run)
    run = Run(session, folder, settings, {**earlier.config, **config}, earlier.next_step)
    ending.install()
    current.add(run)
    run.start_recorders()
    _announce(run, session, settings, folder)
    return run


def launch(settings: Settings) -> Run:
    """Begin the run of a command that `tracker run` starts. Nothing is recorded but what the caller does.

    Raises:
        UsageError: a setting is not what it must be.
    """
    paths.check_project(settings.project)
    if settings.run_id is not None:
        paths.check_run_id(settings.run_id)
    folder = _writable_folder(paths.find_folder(settings.dir))
    session, _ = _new_session(settings, folder, None)
    session.writer = LAUNCHER_WRITER
    run = Run(session, folder, settings, {})
    _announce(run, session, settings, folder)
    return run


def _adopt_launcher(settings: Settings) -> tuple[Settings, Session | None]:
    """Return the session of the `tracker run` that this process is to log into, and the settings for it.

    A later `init` of this process begins a run of its own, and so do processes that it starts from now on.
    """
    launcher = None
    if settings.launcher is not None and settings.run_id == os.environ.get(env_name("run_id")):
        launcher = joining.find_launcher(paths.find_folder(os.environ.get(env_name("dir"))), os.environ)
    if launcher is None:
        return replace(settings, launcher=None), None
    if settings.project != launcher.project:
        remedy = f"`tracker run --project {settings.project}` puts it there"
        warn(f"init(project={settings.project!r}) logs into {launcher.project}/{launcher.run}, begun before; {remedy}")
    for name in ("launcher", "run_id"):
        os.environ.pop(env_name(name), None)
    return replace(settings, project=launcher.project, dir=os.environ.get(env_name("dir"))), launcher


def _is_shared(settings: Settings) -> bool:
    """Say whether the run's id comes from the environment, where other processes may have it too."""
    return settings.run_id is not None and settings.run_id == os.environ.get(env_name("run_id")) and not settings.resume


def _announce(run: Run, session: Session, settings: Settings, folder: str) -> None:
    if settings.mode == "online" or (settings.mode is None and settings.base_url):
        warn("this version does not send runs to a server yet; the run is kept in the folder below, whole")
    if not settings.quiet:
        verb = "goes on" if session.resumed else "starts"
        if session.writer not in (PRIMARY_WRITER, LAUNCHER_WRITER):
            verb = f"is joined as {session.writer}"
        say(f"run {run.name} ({run.path}) {verb}; kept in {_shown(folder)}; see it with: tracker ui")


def _check_resume(settings: Settings, run_id: str, earlier: EarlierSessions) -> bool:
    """Say whether this session goes on with an attempt; raises UsageError where the user ruled that out."""
    exists, project = earlier.last is not None, settings.project
    if settings.resume == "must" and not exists:
        got = f"{run_id!r}, which project {project!r} does not have"
        raise UsageError("init(resume='must', id=)", got, "the id of a run", "check id and dir, or use resume='allow'")
    if settings.resume == "never" and exists:
        got = f"{run_id!r}, which project {project!r} has already"
        raise UsageError("init(resume='never', id=)", got, "a new id", "choose another, or use resume='allow'")
    return exists and settings.resume in ("allow", "must")


def _new_session(settings: Settings, folder: str, launcher: Session | None) -> tuple[Session, EarlierSessions]:
    """Return this process's session as the primary writer of a run, and what the run's folder has already."""
    run_id = settings.run_id or new_run_id()
    earlier = find_earlier(folder, settings.project, run_id) if settings.run_id else EarlierSessions()
    resumes = _check_resume(settings, run_id, earlier)
    runs_folder = os.path.dirname(paths.run_folder(folder, settings.project, run_id))
    last = launcher or earlier.last
    session = new_session(
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
            mode=settings.mode or "offline",
        )
    )
    return session, earlier


def _writable_folder(folder: str) -> str:
    """Return `folder` where it can be written, else a folder that can, with a warning: no run is refused."""
    fallback = paths.fallback_folder()
    for candidate in (folder, fallback):
        try:
            if candidate == fallback:
                paths.make_fallback_folder()
            paths.make_folder(candidate)
            probe = os.path.join(candidate, "runs", f".probe-{os.getpid()}")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
            os.unlink(probe)
            return candidate
        except OSError as error:
            remedy = f"looking at {fallback} instead" if candidate == folder else "keeping rows in memory"
            warn(f"{candidate} cannot be written ({error}); {remedy}. Remedy: free or unlock it, or set TRACKER_DIR")
    return folder


def _shown(folder: str) -> str:
    try:
        relative = os.path.relpath(folder)
    except (OSError, ValueError):  # the working directory was deleted; on Windows: another drive
        return folder
    return folder if relative.startswith("..") else relative

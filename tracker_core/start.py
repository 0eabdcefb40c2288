"""`init`: begin a run, or go on with one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import current, ending, paths
from .disabled import DisabledRun
from .errors import UsageError
from .names import new_run_id, new_run_name
from .records import Session
from .run import Run
from .say import say, warn
from .sessions import EarlierSessions, find_earlier, new_session, read_progress
from .settings import Settings, load_settings, merge_settings, unknown_argument
from .values import to_config

# Arguments of wandb.init that scripts pass and that change nothing here. Accepted, and listed in the documentation.
IGNORED_WANDB_ARGUMENTS = (
    "allow_val_change",
    "anonymous",
    "force",
    "magic",
    "monitor_gym",
    "save_code",
    "sync_tensorboard",
    "tensorboard",
)
_REINIT = {None: "return", False: "return", True: "finish"}
_REINIT_WORDS = {"default": "return", "return_previous": "return", "finish_previous": "finish", "create_new": "new"}


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
        reinit: what to do while another run is active: "return_previous" (the default), "finish_previous" or True,
            "create_new".
        config_include_keys: of `config`, record only these.
        config_exclude_keys: of `config`, do not record these.
        **ignored: arguments of wandb.init without effect here, see IGNORED_WANDB_ARGUMENTS.

    Raises:
        UsageError: an argument is unknown or not what it must be.
    """
    for unknown in ignored:
        if unknown not in IGNORED_WANDB_ARGUMENTS:
            raise unknown_argument("init", unknown, _INIT_ARGUMENTS)
    plain_config = _chosen(to_config(config), config_include_keys, config_exclude_keys)
    policy = _reinit_policy(reinit)
    previous = current.get()
    if previous is not None and current.is_left_open(previous):
        previous.finish()
        previous = None
    if previous is not None and policy == "return":
        warn(f"init() returned the run {previous.path}, which is still active; finish() it first for a new one")
        previous.config.update(plain_config)
        return previous
    if previous is not None and policy == "finish":
        previous.finish()
    arguments = {
        "project": project, "name": name, "run_id": id, "group": group, "job_type": job_type, "tags": tags,
        "notes": notes, "dir": dir, "mode": mode, "resume": resume, "entity": entity,
    }  # fmt: skip
    merged = merge_settings(load_settings(settings), arguments)
    run = _start(merged, plain_config)
    if policy != "new" or previous is None:
        current.set(run)
    return run


_INIT_ARGUMENTS = (*init.__annotations__.keys() - {"return", "ignored"}, *IGNORED_WANDB_ARGUMENTS)


def _chosen(config: dict[str, Any], include: Sequence[str] | None, exclude: Sequence[str] | None) -> dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if (include is None or key in include) and (exclude is None or key not in exclude)
    }


def _reinit_policy(reinit: str | bool | None) -> str:
    policy = _REINIT_WORDS.get(reinit) if isinstance(reinit, str) else None
    if reinit is None or isinstance(reinit, bool):
        policy = _REINIT[reinit]
    if policy is None:
        expected = "a truth value, " + ", ".join(map(repr, _REINIT_WORDS))
        raise UsageError("init(reinit=)", repr(reinit), expected, "choose one of these")
    return policy


def _start(settings: Settings, config: dict[str, Any]) -> Run | DisabledRun:
    project = paths.check_project(settings.project)
    if settings.run_id is not None:
        paths.check_run_id(settings.run_id)
    if settings.mode == "disabled":
        return DisabledRun(settings, config)
    folder = _writable_folder(paths.find_folder(settings.dir))
    run_id = settings.run_id or new_run_id()
    earlier = find_earlier(folder, project, run_id) if settings.run_id else EarlierSessions()
    resumes = _check_resume(settings, project, run_id, earlier)
    if resumes:
        read_progress(earlier, folder, project, run_id)
    session = _session(settings, folder, run_id, earlier, resumes)
    run = Run(session, folder, settings, {**earlier.config, **config}, earlier.next_step)
    ending.install()
    current.add(run)
    if settings.mode == "online" or (settings.mode is None and settings.base_url):
        warn("this version does not send runs to a server yet; the run is kept in the folder below, whole")
    if not settings.quiet:
        verb = "goes on" if resumes else "starts"
        say(f"run {run.name} ({run.path}) {verb}; kept in {_shown(folder)}; see it with: tracker ui")
    return run


def _check_resume(settings: Settings, project: str, run_id: str, earlier: EarlierSessions) -> bool:
    """Say whether this session goes on with an attempt; raises UsageError where the user ruled that out."""
    exists = earlier.last is not None
    if settings.resume == "must" and not exists:
        got = f"{run_id!r}, which project {project!r} does not have"
        raise UsageError("init(resume='must', id=)", got, "the id of a run", "check id and dir, or use resume='allow'")
    if settings.resume == "never" and exists:
        got = f"{run_id!r}, which project {project!r} has already"
        raise UsageError("init(resume='never', id=)", got, "a new id", "choose another, or use resume='allow'")
    return exists and settings.resume in ("allow", "must")


def _session(settings: Settings, folder: str, run_id: str, earlier: EarlierSessions, resumes: bool) -> Session:
    runs_folder = os.path.dirname(paths.run_folder(folder, settings.project, run_id))
    last = earlier.last
    name = settings.name or (last.name if last else new_run_name(run_id, runs_folder))
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
            name=name,
            group=settings.group or (last.group if last else ""),
            job_type=settings.job_type or (last.job_type if last else ""),
            tags=list(settings.tags or (last.tags if last else ())),
            notes=settings.notes or (last.notes if last else ""),
            mode=settings.mode or "offline",
        )
    )


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

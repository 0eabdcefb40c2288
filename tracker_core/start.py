"""`init`: begin a run, or go on with one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from . import current, ending, joining, notebook, paths, resuming
from .disabled import DisabledRun
from .errors import UsageError
from .records import Session
from .resuming import Beginning, is_online, session_mode
from .run import Run
from .say import say, warn
from .sessions import LAUNCHER_WRITER, PRIMARY_WRITER, EarlierSessions, new_session, next_init_number
from .settings import Settings, env_name, load_settings, merge_settings, unknown_argument
from .values import to_config

if TYPE_CHECKING:
    from .ranks import Rank
    from .remote.run_progress import RunServer

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
    fork_from: str | None = None,
    resume_from: str | None = None,
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
        resume: "allow" goes on with `id` where it exists, "must" requires that it does, "never" that it does not;
            "auto" or True, without `id`, with the run that this script (or SLURM job) began last, if it did not finish.
        settings: further settings; see `Settings`.
        entity: owner of the project.
        reinit: what to do while another run is active: "return_previous" (the default), "finish_previous" or True (the
            default in a notebook), "create_new".
        config_include_keys: of `config`, record only these.
        config_exclude_keys: of `config`, do not record these.
        save_code: keep the whole source tree with the run, not only the main script.
        fork_from: "RUN?_step=N" begins a new run with the history of another up to that step.
        resume_from: "RUN?_step=N" goes on with a run behind that step, as a new attempt.
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
        "fork_from": fork_from, "resume_from": resume_from,
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
    number = next_init_number()
    if settings.mode == "disabled":
        return DisabledRun(settings, config)
    place = _place_in_job(number)
    settings, launcher = _adopt_launcher(settings)
    folder = _writable_folder(paths.find_folder(settings.dir))
    joined = None if place is None else _joined_rank(place, settings, folder)
    if joined is not None:
        beginning, settings = joined
    else:
        beginning = _begun(place, settings, folder, launcher, number)
    session, earlier = beginning.session, beginning.earlier
    run = Run(session, folder, settings, {**earlier.config, **config}, earlier.next_step)
    ending.install()
    current.add(run)
    if beginning.heir is not None:
        _inherit(run, folder, beginning.heir, None if beginning.server is None else beginning.server.runs)
    run.start_recorders()
    _announce(run, session, settings, folder)
    return run


def _place_in_job(number: int) -> Rank | None:
    """Return which rank of a distributed job this process is, None where it is none."""
    has_group = getattr(sys.modules.get("torch.distributed"), "is_initialized", None)
    if "WORLD_SIZE" not in os.environ and not (has_group and has_group()):
        return None
    from . import ranks

    place = ranks.find_rank(os.environ, number)
    if place is not None:
        ranks.leave_mark(place)
    return place


def _joined_rank(place: Rank, settings: Settings, folder: str) -> tuple[Beginning, Settings] | None:
    """Return the session of a rank in the run that rank 0 began; None for rank 0, and where there is no such run."""
    from . import rank_channels, ranks

    if place.rank == 0:
        return None
    patience_s = ranks.patience_s(settings.join_timeout_s)
    agreed = rank_channels.hear(place, folder, patience_s, settings.heartbeat_timeout_s)
    if agreed is None:
        if ranks.note_in_vain():
            remedy = "call init() in rank 0 too, or in rank 0 only; join_timeout_s sets how long it waits"
            warn(f"rank {place.rank} found no run of rank 0 in {patience_s:g} s and begins its own. Remedy: {remedy}")
        return None
    if not ranks.is_meant(agreed, settings):
        return None
    own = new_session(Session(wall_time_ns=0, session="", run="", project="", mode=session_mode(settings)))
    session = ranks.joined_session(place, agreed, own)
    earlier = EarlierSessions(next_step=agreed.next_step, config=agreed.config)
    return Beginning(session, earlier), ranks.settings_of(place, settings, agreed)


def _begun(place: Rank | None, settings: Settings, folder: str, launcher: Session | None, number: int) -> Beginning:
    """Return the session of this process in a run that it begins or goes on with; rank 0 tells the others of it."""
    is_shared = bool(launcher) or _is_shared(settings)
    is_first = place is not None and place.rank == 0
    if place is not None and is_first and settings.run_id is None:
        from . import rank_channels

        before = rank_channels.before_restart(place, folder)
        if before is not None and before.session.project == settings.project:
            settings = replace(settings, run_id=before.session.run)
    beginning = resuming.begin(settings, folder, launcher, number)
    resuming.find_place(beginning, folder, is_shared, settings.heartbeat_timeout_s, launcher)
    if place is not None and is_first:
        from . import rank_channels, ranks

        session, earlier = beginning.session, beginning.earlier
        session.launch, session.node = (place.launch, place.node) if place.size > 1 else ("", "")
        agreed = ranks.agreement_of(place, session, earlier.next_step, earlier.config)
        rank_channels.tell(place, agreed, folder)
    return beginning


def _inherit(run: Run, folder: str, heir: Session, server: RunServer | None) -> None:
    """Begin to copy the history that the run's attempt begins with; the end of the run waits for it."""
    from .forking import Inheritance

    inheritance = Inheritance(folder, heir, server)
    run.wait_at_end(inheritance.finish)
    inheritance.start()


def launch(settings: Settings) -> Run:
    """Begin the run of a command that `tracker run` starts. Nothing is recorded but what the caller does.

    Raises:
        UsageError: a setting is not what it must be.
    """
    paths.check_project(settings.project)
    if settings.run_id is not None:
        paths.check_run_id(settings.run_id)
    folder = _writable_folder(paths.find_folder(settings.dir))
    session = resuming.begin(settings, folder, None, 1).session
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
    sent = ""
    if is_online(settings):
        from .sync import online

        online_run = online.begin(run, settings, folder)
        sent = "" if online_run is None else f", sent to {online_run.address}"
    if not settings.quiet:
        verb = "goes on" if session.resumed else "starts"
        if session.writer not in (PRIMARY_WRITER, LAUNCHER_WRITER):
            verb = f"is joined as {session.writer}"
        see = f"at: {run.url}" if sent and run.url else "with: tracker ui"
        say(f"run {run.name} ({run.path}) {verb}; kept in {_shown(folder)}{sent}; see it {see}")


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

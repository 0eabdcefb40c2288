"""Every setting in one table: name, default, unit, meaning. Each can be set by argument or by TRACKER_<NAME>."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import UsageError

MODES = ("online", "offline", "disabled")
ENV_PREFIX = "TRACKER_"

# Settings of wandb that scripts pass and that have no meaning here. Accepted and ignored.
IGNORED_WANDB_SETTINGS = frozenset(
    """
    _service_wait anonymous code_dir console_multipart disable_job_creation init_timeout job_name login_timeout
    program show_errors show_info show_warnings start_method strict symlink sync_tensorboard x_label x_primary
    x_update_finish_state
    """.split()
)

# Settings of wandb that have a meaning here under another name -> our name, and what "true" there means here.
_AS_GIVEN = object()
WANDB_SETTINGS: dict[str, tuple[str, Any]] = {
    "silent": ("quiet", _AS_GIVEN),
    "x_stats_sampling_interval": ("system_interval_s", _AS_GIVEN),
    "_disable_stats": ("system_interval_s", 0.0),
    "x_disable_stats": ("system_interval_s", 0.0),
    "_disable_meta": ("capture_environment", False),
    "x_disable_meta": ("capture_environment", False),
    "disable_git": ("capture_git", False),
    "disable_code": ("save_code", False),
}
_CONSOLE_WORDS = {"auto": "wrap", "redirect": "wrap", "wrap_raw": "wrap", "wrap_emu": "wrap"}


def _setting(default: Any, help: str, unit: str = "") -> Any:
    return field(default=default, metadata={"help": help, "unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is made with. Arguments of `init` win over `init(settings=)`, which wins over the environment."""

    project: str = _setting("uncategorized", "Project that the run belongs to.")
    entity: str = _setting("local", "Owner of the project; a team, on a server.")
    run_id: str | None = _setting(None, "Id of the run. Default: a new random one.")
    name: str | None = _setting(None, "Name shown for the run. Default: two words and a number.")
    group: str = _setting("", "Group that the run belongs to.")
    job_type: str = _setting("", "Kind of job, such as train or eval.")
    tags: tuple[str, ...] = _setting((), "Tags; in the environment separated by commas.")
    notes: str = _setting("", "Free text about the run.")
    dir: str | None = _setting(None, "Tracker folder. Default: the nearest .tracker/ upwards, else ./.tracker.")
    mode: str | None = _setting(None, "online, offline or disabled. Default: offline unless base_url is set.")
    resume: str | None = _setting(None, "allow, must or never. Default: a known id is a new attempt of that run.")
    base_url: str | None = _setting(None, "Address of a tracker server.")
    api_key: str | None = _setting(None, "Key for that server.")
    quiet: bool = _setting(False, "Print no line at the start and end of a run.")
    fsync_interval_s: float = _setting(1.0, "How often journals are flushed to the device.", "s")
    heartbeat_interval_s: float = _setting(10.0, "How often a run that logs nothing says that it lives.", "s")
    heartbeat_timeout_s: float = _setting(60.0, "Silence after which a run counts as crashed.", "s")
    slow_write_s: float = _setting(0.1, "A write that takes longer makes rows wait in memory.", "s")
    queue_max_mib: int = _setting(64, "Memory for rows that wait for a failing or slow disk.", "MiB")
    console: str = _setting("wrap", "Record what is printed: wrap or off.")
    console_max_mib: int = _setting(64, "Output recorded of one process; beyond it the middle is left out.", "MiB")
    system_interval_s: float = _setting(15.0, "How often the machine and its GPUs are sampled; 0 never.", "s")
    capture_environment: bool = _setting(True, "Record command, packages, machine and the main script.")
    capture_git: bool = _setting(True, "Record the git commit and the uncommitted changes.")
    diff_max_mib: int = _setting(10, "Most that is kept of the uncommitted changes.", "MiB")
    save_code: bool = _setting(False, "Keep the whole source tree with the run.")
    file_max_mib: int = _setting(0, "Largest file that is kept with a run; 0 for no limit.", "MiB")
    secret_names: tuple[str, ...] = _setting((), "Further names whose values are masked, besides the usual ones.")
    launcher: str | None = _setting(None, "Set by `tracker run` for the command that it runs.")
    finish_timeout_s: float = _setting(10.0, "How long finish() tries to write rows that wait.", "s")
    ui_host: str = _setting("127.0.0.1", "Address that `tracker ui` listens at.")
    ui_port: int = _setting(7007, "Port that `tracker ui` tries first.")
    allowed_hosts: tuple[str, ...] = _setting((), "Host names, besides localhost, that the dashboard answers to.")


_MAX_AMOUNT = 1_000_000
_FIELDS = {f.name: f for f in fields(Settings)}


def env_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def load_settings(
    overrides: Mapping[str, Any] | Settings | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the defaults, changed by TRACKER_* variables, changed by `overrides`.

    Raises:
        UsageError: an override is no setting, or a value cannot be read as its setting's type.
    """
    if isinstance(overrides, Settings):
        return overrides
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {
        name: _parse(name, environ[env_name(name)], env_name(name)) for name in _FIELDS if env_name(name) in environ
    }
    for name, value in dict(overrides or {}).items():
        if name in IGNORED_WANDB_SETTINGS:
            continue
        if name in WANDB_SETTINGS:
            name, meaning = WANDB_SETTINGS[name]
            if meaning is not _AS_GIVEN:
                if not value:
                    continue
                value = meaning
        if name not in _FIELDS:
            raise unknown_argument("Settings", name, _FIELDS)
        values[name] = _parse(name, value, f"Settings({name}=)")
    return checked(Settings(**values))


def merge_settings(settings: Settings, arguments: Mapping[str, Any]) -> Settings:
    """Return `settings` with the arguments that are not None put over them."""
    given = {name: _parse(name, value, f"init({name}=)") for name, value in arguments.items() if value is not None}
    return checked(replace(settings, **given))


def checked(settings: Settings) -> Settings:
    """Return the settings; raises UsageError where a value is not one of those allowed."""
    if settings.mode not in (None, *MODES):
        raise UsageError("init(mode=)", repr(settings.mode), " or ".join(map(repr, MODES)), "choose one of these")
    if settings.resume not in (None, "allow", "must", "never"):
        expected = '"allow", "must" or "never"'
        raise UsageError("init(resume=)", repr(settings.resume), expected, "choose one of these, with id= set")
    if settings.console not in ("wrap", "off"):
        expected = '"wrap" or "off"'
        raise UsageError("Settings(console=)", repr(settings.console), expected, "choose one of these")
    for name, unit in ((f.name, f.metadata["unit"]) for f in _FIELDS.values()):
        if unit and not 0 <= getattr(settings, name) <= _MAX_AMOUNT:
            got, expected = repr(getattr(settings, name)), f"0 to {_MAX_AMOUNT} {unit}"
            raise UsageError(f"Settings({name}=)", got, expected, f"the default is {_FIELDS[name].default!r}")
    return settings


def unknown_argument(where: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> UsageError:
    """Return the error for an argument that nobody knows, with the nearest known name."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "see the list in the documentation"
    return UsageError(f"{where}({name}=)", f"the unknown name {name!r}", "one of " + ", ".join(known), remedy)


def _parse(name: str, value: Any, where: str) -> Any:
    """Read a value as the type of its setting; text comes from the environment."""
    default = _FIELDS[name].default
    if not _is_text_valid(value):
        raise UsageError(where, f"{value!r:.200}", "valid Unicode text", "remove its lone surrogates")
    try:
        if isinstance(default, bool):
            return _parse_bool(value)
        if isinstance(default, int):
            return int(value)
        if isinstance(default, float):
            return float(value)
        if isinstance(default, tuple):
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(str(part).strip() for part in parts if str(part).strip())
    except (TypeError, ValueError):
        expected = type(default).__name__
        raise UsageError(where, repr(value), f"a value of type {expected}", f"the default is {default!r}") from None
    if name == "console":
        return _CONSOLE_WORDS.get(str(value).lower(), value)
    if name == "resume" and isinstance(value, bool):
        return "allow" if value else None
    if value is None or isinstance(value, str):
        return value or None if default is None else value
    if name == "dir" and isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise UsageError(where, f"{value!r} of type {type(value).__name__}", "text", "pass a str")


def _is_text_valid(value: Any) -> bool:
    texts = value if isinstance(value, (list, tuple)) else [value]
    try:
        for text in texts:
            str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse_bool(value: Any) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("1", "true", "yes", "on"):
            return True
        if word in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(value)
    return bool(value)

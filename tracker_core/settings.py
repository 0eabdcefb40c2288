"""Every setting in one table: name, default, unit, meaning. Each can be set by argument or by TRACKER_<NAME>."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from .errors import UsageError
from .say import warn
from .servers_file import KeptServers, ServersFileError, read_servers, same_address

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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made with. Arguments of `init` win over `init(settings=)`, which wins over the environment."""

    project: Annotated[str, "Project that the run belongs to."] = "uncategorized"
    entity: Annotated[str, "Owner of the project; a team, on a server."] = "local"
    run_id: Annotated[str | None, "Id of the run. Default: a new random one."] = None
    name: Annotated[str | None, "Name shown for the run. Default: two words and a number."] = None
    group: Annotated[str, "Group that the run belongs to."] = ""
    job_type: Annotated[str, "Kind of job, such as train or eval."] = ""
    tags: Annotated[tuple[str, ...], "Tags; in the environment separated by commas."] = ()
    notes: Annotated[str, "Free text about the run."] = ""
    dir: Annotated[str | None, "Tracker folder. Default: the nearest .tracker/ upwards, else ./.tracker."] = None
    mode: Annotated[str | None, "online, offline or disabled. Default: offline unless base_url is set."] = None
    resume: Annotated[str | None, "allow, must, never or auto. Default: a known id is a new attempt."] = None
    base_url: Annotated[str | None, "Address of a tracker server."] = None
    api_key: Annotated[str | None, "Key for that server."] = None
    quiet: Annotated[bool, "Print no line at the start and end of a run."] = False
    fsync_interval_s: Annotated[float, "How often journals are flushed to the device."] = 1.0
    heartbeat_interval_s: Annotated[float, "How often a run that logs nothing says that it lives."] = 10.0
    heartbeat_timeout_s: Annotated[float, "Silence after which a run counts as crashed."] = 60.0
    slow_write_s: Annotated[float, "A write that takes longer makes rows wait in memory."] = 0.1
    queue_max_mib: Annotated[int, "Memory for rows that wait for a failing or slow disk."] = 64
    console: Annotated[str, "Record what is printed: wrap or off."] = "wrap"
    console_max_mib: Annotated[int, "Output recorded of one process; beyond it the middle is left out."] = 64
    system_interval_s: Annotated[float, "How often the machine and its GPUs are sampled; 0 never."] = 15.0
    capture_environment: Annotated[bool, "Record command, packages, machine and the main script."] = True
    capture_git: Annotated[bool, "Record the git commit and the uncommitted changes."] = True
    diff_max_mib: Annotated[int, "Most that is kept of the uncommitted changes."] = 10
    save_code: Annotated[bool, "Keep the whole source tree with the run."] = False
    file_max_mib: Annotated[int, "Largest file that is kept with a run; 0 for no limit."] = 0
    secret_names: Annotated[tuple[str, ...], "Further names whose values are masked, besides the usual ones."] = ()
    launcher: Annotated[str | None, "Set by `tracker run` for the command that it runs."] = None
    finish_timeout_s: Annotated[float, "How long finish() tries to write rows that wait."] = 10.0
    fork_from: Annotated[str | None, "RUN?_step=N: begin a new run with another's history up to that step."] = None
    resume_from: Annotated[str | None, "RUN?_step=N: go on with a run from an earlier step, as a new attempt."] = None
    init_timeout_s: Annotated[float, "How long init() asks a server about a run to go on with."] = 5.0
    join_timeout_s: Annotated[float, "How long a rank waits to learn from rank 0 which run it joins."] = 30.0
    sync_interval_s: Annotated[float, "How often what is new is sent to the server."] = 1.0
    sync_timeout_s: Annotated[float, "How long finish() waits until a server that answers has everything."] = 10.0
    synced_keep_days: Annotated[float, "For how long runs that a server has wholly are kept here; 0 for ever."] = 0.0
    on_stop: Annotated[str, "What a stop request does: raise (at the next log) or flag (run.should_stop)."] = "raise"
    stop_grace_s: Annotated[float, "How long after SIGTERM `tracker run` kills a command that is to stop."] = 30.0
    database_url: Annotated[
        str | None,
        "Address of a PostgreSQL database that `tracker ui` keeps the store in. Default: files of the folder.",
    ] = None
    ui_host: Annotated[str, "Address that `tracker ui` listens at."] = "127.0.0.1"
    ui_port: Annotated[int, "Port that `tracker ui` tries first."] = 7007
    server_host: Annotated[str, "Address that `tracker server` listens at."] = "127.0.0.1"
    server_port: Annotated[int, "Port that `tracker server` listens at."] = 7080
    artifact_dir: Annotated[str, "Folder that artifacts are downloaded below."] = "artifacts"
    blobs_url: Annotated[
        str | None, "Where the bytes of artifacts are kept: s3://, gs:// or az://. Default: blobs/ of the folder."
    ] = None
    cache_dir: Annotated[str | None, "Folder of what was fetched from servers. Default: the user's cache."] = None
    cache_max_gib: Annotated[float, "Most that the cache of artifacts holds; 0 keeps nothing."] = 20.0
    media_max_mib: Annotated[int, "Memory for images and other media that wait to be encoded."] = 256
    tls_certificate: Annotated[str | None, "File with the certificate chain of `tracker server`, PEM."] = None
    tls_key: Annotated[str | None, "File with the private key of that certificate, PEM."] = None
    trusted_proxies: Annotated[tuple[str, ...], "Addresses of proxies whose X-Forwarded-* headers count."] = ()
    trash_days: Annotated[float, "For how long `tracker ui` keeps deleted runs; 0 for ever."] = 30.0
    allowed_hosts: Annotated[tuple[str, ...], "Host names, besides localhost, that the dashboard answers to."] = ()


_MAX_AMOUNT = 1_000_000
_UNITS = {"s": "s", "mib": "MiB", "gib": "GiB", "days": "days"}
_DEFAULTS: dict[str, Any] = dict(zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True))


def env_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def unit_of(name: str) -> str:
    """Return the unit of a setting, which its name ends with; "" where it has none."""
    return _UNITS.get(name.rpartition("_")[2], "")


def load_settings(
    overrides: Mapping[str, Any] | Settings | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the defaults, changed by TRACKER_* variables, changed by `overrides`.

    Where these name no server, it is the one that `tracker login` keeps; a key is only ever taken for its own server.

    Raises:
        UsageError: an override is no setting, or a value cannot be read as its setting's type.
    """
    if isinstance(overrides, Settings):
        return overrides
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {
        name: _parse(name, environ[env_name(name)], env_name(name)) for name in _DEFAULTS if env_name(name) in environ
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
        if name not in _DEFAULTS:
            raise unknown_argument("Settings", name, _DEFAULTS)
        values[name] = _parse(name, value, f"Settings({name}=)")
    elsewhere = _url_of(environ)
    if "api_key" not in dict(overrides or {}) and elsewhere and not _is_same(elsewhere, values.get("base_url")):
        values.pop("api_key", None)  # that of the environment is for another server
    return checked(Settings(**_with_kept_server(values, environ)))


def _with_kept_server(values: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings with the server, or the key for it, that `tracker login` keeps, where they have none."""
    if "base_url" in values and (not values["base_url"] or values.get("api_key")):
        return values
    kept = _kept_servers(environ)
    base_url = values.get("base_url") or kept.default or None
    key = values.get("api_key") or (kept.key_for(base_url) if base_url else None)
    return {**values, "base_url": base_url, "api_key": key}


def _kept_servers(environ: Mapping[str, str]) -> KeptServers:
    try:
        return read_servers(environ)
    except ServersFileError as error:
        _warn_once(str(error))
        return KeptServers()


@lru_cache(maxsize=8)
def _warn_once(text: str) -> None:
    warn(text)


def _url_of(environ: Mapping[str, str]) -> str | None:
    return environ.get(env_name("base_url")) or None


def _is_same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and same_address(one) == same_address(other)


def merge_settings(settings: Settings, arguments: Mapping[str, Any]) -> Settings:
    """Return `settings` with the arguments that are not None put over them."""
    given = {name: _parse(name, value, f"init({name}=)") for name, value in arguments.items() if value is not None}
    if "base_url" in given and "api_key" not in given and not _is_same(settings.base_url, given["base_url"]):
        if settings.base_url:
            given["api_key"] = None  # what there is, is for another server
        given = _with_kept_server({"api_key": settings.api_key, **given}, os.environ)
    return checked(msgspec.structs.replace(settings, **given))


def checked(settings: Settings) -> Settings:
    """Return the settings; raises UsageError where a value is not one of those allowed."""
    if settings.mode not in (None, *MODES):
        raise UsageError("init(mode=)", repr(settings.mode), " or ".join(map(repr, MODES)), "choose one of these")
    if settings.resume not in (None, "allow", "must", "never", "auto"):
        expected = '"allow", "must", "never" or "auto"'
        raise UsageError("init(resume=)", repr(settings.resume), expected, "choose one of these, with id= set")
    if settings.console not in ("wrap", "off"):
        expected = '"wrap" or "off"'
        raise UsageError("Settings(console=)", repr(settings.console), expected, "choose one of these")
    if settings.on_stop not in ("raise", "flag"):
        expected = '"raise" or "flag"'
        raise UsageError("Settings(on_stop=)", repr(settings.on_stop), expected, "choose one of these")
    for name, default in _DEFAULTS.items():
        unit = unit_of(name)
        if unit and not 0 <= getattr(settings, name) <= _MAX_AMOUNT:
            got, expected = repr(getattr(settings, name)), f"0 to {_MAX_AMOUNT} {unit}"
            raise UsageError(f"Settings({name}=)", got, expected, f"the default is {default!r}")
    return settings


def unknown_argument(where: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> UsageError:
    """Return the error for an argument that nobody knows, with the nearest known name."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "see the list in the documentation"
    return UsageError(f"{where}({name}=)", f"the unknown name {name!r}", "one of " + ", ".join(known), remedy)


def _parse(name: str, value: Any, where: str) -> Any:
    """Read a value as the type of its setting; text comes from the environment."""
    default = _DEFAULTS[name]
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
        return "auto" if value else None
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

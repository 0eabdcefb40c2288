"""The tracker's front door: `import tracker_core as tracker`, then `init`, `log`, `finish`.

Importing is cheap and starts nothing. It registers "tracker" with transformers' `report_to`, now or when transformers
is imported later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import current as _current_run
from . import framework_hook as _framework_hook
from .control import RunStopped
from .errors import NoRunError, NotFoundError, TrackerError, UsageError
from .run import Run
from .settings import load_settings as _load_settings
from .start import init
from .version import __version__

if TYPE_CHECKING:
    from .api import Api
    from .mappings import Config, Summary

    config: Config
    summary: Summary
    run: Run | None

__all__ = [
    "Api",
    "Error",
    "NoRunError",
    "NotFoundError",
    "Run",
    "RunStopped",
    "Settings",
    "TrackerError",
    "UsageError",
    "__version__",
    "define_metric",
    "finish",
    "init",
    "log",
    "log_code",
    "mark_preempting",
    "save",
]

Error = TrackerError


def Settings(**values: Any) -> dict[str, Any]:  # noqa: N802  scripts written for wandb call it by this name
    """Return settings for `init(settings=)`; raises UsageError for a name or value that is wrong."""
    _load_settings(values, {})
    return values


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Record one row in the current run; see `Run.log`."""
    _current_run.require("log()").log(data, step, commit)


def define_metric(name: str, *args: Any, **kwargs: Any) -> None:
    """Say how a metric of the current run is shown and summarised; see `Run.define_metric`."""
    _current_run.require("define_metric()").define_metric(name, *args, **kwargs)


def save(glob_str: Any, base_path: Any = None, policy: str = "live") -> list[str]:
    """Keep files with the current run; see `Run.save`."""
    return _current_run.require("save()").save(glob_str, base_path, policy)


def log_code(*args: Any, **kwargs: Any) -> list[str]:
    """Keep source files with the current run; see `Run.log_code`."""
    return _current_run.require("log_code()").log_code(*args, **kwargs)


def mark_preempting() -> None:
    """Say that this process is about to be stopped by its scheduler; see `Run.mark_preempting`."""
    _current_run.require("mark_preempting()").mark_preempting()


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run, if there is one; see `Run.finish`."""
    run = _current_run.get()
    if run is not None:
        run.finish(exit_code, quiet)


def __getattr__(name: str) -> Any:
    if name == "run":
        return _current_run.get()
    if name in ("config", "summary"):
        return getattr(_current_run.require(f"tracker_core.{name}"), name)
    if name == "Api":
        from .api import Api

        return Api
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


globals().pop("run", None)  # Python put the submodule there; `tracker_core.run` is the active run, by __getattr__
_framework_hook.install()

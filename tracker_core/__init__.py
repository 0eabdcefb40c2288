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
    from .artifacts.artifact import Artifact
    from .artifacts.artifact_facts import ArtifactTTL
    from .mappings import Config, Summary
    from .media import plots as plot
    from .media.alerts import AlertLevel
    from .media.audio import Audio
    from .media.figures import Plotly
    from .media.histogram import Histogram
    from .media.html import Html
    from .media.image import Image
    from .media.overlays import Classes
    from .media.table import Table
    from .media.video import Video

    config: Config
    summary: Summary
    run: Run | None

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "ArtifactTTL",
    "Audio",
    "Classes",
    "Error",
    "Histogram",
    "Html",
    "Image",
    "NoRunError",
    "NotFoundError",
    "Plotly",
    "Run",
    "RunStopped",
    "Settings",
    "Table",
    "TrackerError",
    "UsageError",
    "Video",
    "__version__",
    "alert",
    "define_metric",
    "finish",
    "finish_artifact",
    "init",
    "link_artifact",
    "link_model",
    "log",
    "log_artifact",
    "log_code",
    "log_model",
    "mark_preempting",
    "plot",
    "save",
    "upsert_artifact",
    "use_artifact",
    "use_model",
]

Error = TrackerError

# Loaded when somebody asks for one: the module of tracker_core.media that has it.
_MEDIA = {
    "AlertLevel": "alerts",
    "Audio": "audio",
    "Classes": "overlays",
    "Histogram": "histogram",
    "Html": "html",
    "Image": "image",
    "Molecule": "refused",
    "Object3D": "refused",
    "Plotly": "figures",
    "Table": "table",
    "Video": "video",
    "plot": "plots",
}


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


def alert(title: str, *args: Any, **kwargs: Any) -> None:
    """Tell people of something; see `Run.alert`."""
    _current_run.require("alert()").alert(title, *args, **kwargs)


def log_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Log a version of an artifact; see `Run.log_artifact`."""
    return _current_run.require("log_artifact()").log_artifact(*args, **kwargs)


def use_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Return a version of an artifact, and note that the current run uses it; see `Run.use_artifact`."""
    return _current_run.require("use_artifact()").use_artifact(*args, **kwargs)


def link_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Put a version into a registered model; see `Run.link_artifact`."""
    return _current_run.require("link_artifact()").link_artifact(*args, **kwargs)


def upsert_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Add files to a version that several runs make together; see `Run.upsert_artifact`."""
    return _current_run.require("upsert_artifact()").upsert_artifact(*args, **kwargs)


def finish_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Log a version that several runs make together; see `Run.finish_artifact`."""
    return _current_run.require("finish_artifact()").finish_artifact(*args, **kwargs)


def log_model(*args: Any, **kwargs: Any) -> Artifact:
    """Log the files of a model; see `Run.log_model`."""
    return _current_run.require("log_model()").log_model(*args, **kwargs)


def use_model(name: str) -> str:
    """Download a model and return its path; see `Run.use_model`."""
    return _current_run.require("use_model()").use_model(name)


def link_model(*args: Any, **kwargs: Any) -> Artifact:
    """Log the files of a model, and put it into the registry; see `Run.link_model`."""
    return _current_run.require("link_model()").link_model(*args, **kwargs)


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
    if name in ("Artifact", "ArtifactTTL"):
        from .artifacts import artifact

        return getattr(artifact, name)
    if name in _MEDIA:
        from importlib import import_module

        module = import_module(f".media.{_MEDIA[name]}", __name__)
        return module if name == "plot" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


globals().pop("run", None)  # Python put the submodule there; `tracker_core.run` is the active run, by __getattr__
_framework_hook.install()

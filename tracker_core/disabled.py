"""The run of mode "disabled": takes every call, does nothing, leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import current
from .mappings import Config, Summary
from .settings import Settings

if TYPE_CHECKING:
    from .artifacts.artifact import Artifact


def _ignore(*_: Any) -> None:
    return None


class DisabledRun:
    """Has the surface of `Run`; records nothing. Config and summary hold values in memory only."""

    def __init__(self, settings: Settings, config: dict[str, Any]) -> None:
        self.settings = settings
        self.config = Config(config, _ignore)
        self.summary = Summary({}, dict, _ignore)
        self.id = settings.run_id or "disabled"
        self.name = settings.name or "disabled"
        self.notes, self.tags = settings.notes, settings.tags
        self.project, self.entity = settings.project, settings.entity
        self.group, self.job_type = settings.group, settings.job_type
        self.path = f"{self.project}/{self.id}"
        self.dir, self.url, self.mode = "", None, "disabled"
        self.session_id = ""
        self.step = self.starting_step = 0
        self.resumed = self.is_finished = False
        self.disabled = True
        self.should_stop = False
        self.stop_order_sessions: tuple[str, ...] = ()

    def log(self, data: Any, step: Any = None, commit: Any = None) -> None:
        """Do nothing."""

    def define_metric(self, name: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def save(self, *args: Any, **kwargs: Any) -> list[str]:
        """Keep nothing."""
        return []

    def log_code(self, *args: Any, **kwargs: Any) -> list[str]:
        """Keep nothing."""
        return []

    def alert(self, title: Any, text: Any = "", level: Any = None, wait_duration: Any = None) -> None:
        """Tell nobody."""

    def log_artifact(self, artifact_or_path: Any, name: Any = None, type: Any = None, *_: Any, **__: Any) -> Artifact:
        """Return the artifact, or one in place of what a path names; nothing is kept."""
        from .artifacts.disabled_artifacts import stand_in

        return stand_in(artifact_or_path, name, type)

    upsert_artifact = finish_artifact = log_artifact

    def use_artifact(self, artifact_or_name: Any, type: Any = None, *_: Any, **__: Any) -> Artifact:
        """Return an artifact in place of the one that is named; nothing is looked up."""
        from .artifacts.disabled_artifacts import stand_in

        return stand_in(artifact_or_name, None, type)

    def link_artifact(self, artifact: Any, *_: Any, **__: Any) -> Artifact:
        """Return the artifact; nothing is linked."""
        return self.use_artifact(artifact)

    def log_model(self, path: Any, name: Any = None, *_: Any, **__: Any) -> Artifact:
        """Return an artifact in place of the model; nothing is kept."""
        return self.log_artifact(path, name, "model")

    def link_model(self, path: Any, registered_model_name: Any = None, *_: Any, **__: Any) -> Artifact:
        """Return an artifact in place of the model; nothing is kept."""
        return self.log_artifact(path, None, "model")

    def use_model(self, name: Any) -> str:
        """Return the path that the model would have; nothing is there."""
        return self.use_artifact(name, "model").download()

    def log_late(self, key: str, step: int, value: Any) -> None:
        """Do nothing."""

    def leave_stop_to_adapter(self, is_adapted: bool) -> None:
        """Do nothing: nobody can ask for a stop."""

    def raise_if_stopped(self) -> None:
        """Do nothing."""

    def go_online(self, online: Any) -> None:
        """Do nothing: nothing is sent."""

    def wait_at_end(self, wait: Any) -> None:
        """Do nothing: nothing is under way at the end."""

    def mark_preempting(self) -> None:
        """Do nothing."""

    def note_signal(self, name: str) -> None:
        """Do nothing."""

    def call_after_write(self, call: Any) -> bool:
        """Return False: nothing is written."""
        return False

    def start_recorders(self) -> None:
        """Do nothing."""

    def record(self, record: Any) -> None:
        """Do nothing."""

    def record_system(self, values: dict[str, float]) -> None:
        """Do nothing."""

    def note_error(self, error: BaseException) -> None:
        """Do nothing."""

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run, which changes nothing."""
        self.is_finished = True
        current.remove(self)

    def end(self, exit_code: int, error: Any, quiet: bool = False, signal: str = "") -> None:
        """End the run, which changes nothing."""
        self.finish()

    def __enter__(self) -> DisabledRun:
        return self

    def __exit__(self, *_: Any) -> None:
        self.finish()

"""Lightning: `Trainer(logger=TrackerLogger())`, under `lightning`, `pytorch_lightning` and Fabric."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_only

from tracker_core.settings import env_name

from .lightning_media import media_list
from .lightning_stop import add_stopper
from .open_runs import HeldRun

if TYPE_CHECKING:
    from tracker_core.disabled import DisabledRun
    from tracker_core.run import Run

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
DEFAULT_PROJECT = "lightning_logs"


def _package() -> str:
    """Return which of Lightning's two packages is in use: the one imported, else the one installed."""
    for name in _PACKAGES:
        if name in sys.modules:
            return name
    return _PACKAGES[0] if importlib.util.find_spec("lightning") else _PACKAGES[1]


_loggers = importlib.import_module(f"{_package()}.loggers.logger")


class TrackerLogger(_loggers.Logger):  # type: ignore[misc, name-defined]
    """Logs what Lightning logs to a run: metrics at the Trainer's global step, hyper-parameters to the config.

    The run begins at the first fit, validate or test, on rank 0 only. A later fit or test with the same logger
    goes on with it. It ends at the end of the process, or when the next run begins; an exception in training ends it as
    failed, with the traceback. A run that the user began by `tracker_core.init` is used instead, and not ended. Fabric
    tells no logger of the end of a training: call `finalize("success")`, or `experiment.finish()`.

    Checkpoints go to `save_dir`/project/run id/checkpoints. Can be pickled with an open run.

    Args:
        name: name shown for the run. Default: two words and a number.
        save_dir: where Lightning puts checkpoints. The run itself is kept in the tracker folder, see `dir`.
        version: the run's id; the same as `id`, which other loggers call so.
        offline: keep the run in the tracker folder, whatever server is named.
        dir: the tracker folder. Default: as for `tracker_core.init`.
        id: the run's id. One used before is gone on with.
        project: the project. Default: TRACKER_PROJECT, else "lightning_logs".
        experiment: a run to log into.
        prefix: put before every metric name, with a "-".
        **init_arguments: further arguments of `tracker_core.init`, such as config, group, job_type, tags, notes.

    Raises:
        UsageError: an argument is unknown or not what it must be.
    """

    LOGGER_JOIN_CHAR = "-"

    def __init__(
        self,
        name: str | None = None,
        save_dir: str | os.PathLike[str] = ".",
        version: int | str | None = None,
        offline: bool = False,
        dir: str | os.PathLike[str] | None = None,
        id: str | None = None,
        project: str | None = None,
        experiment: Run | None = None,
        prefix: str = "",
        **init_arguments: Any,
    ) -> None:
        super().__init__()
        self._save_dir = os.fspath(save_dir)
        self._prefix = prefix + self.LOGGER_JOIN_CHAR if prefix else ""
        arguments: dict[str, Any] = {"resume": "allow", **init_arguments, "name": name, "dir": dir}
        if offline:
            arguments["mode"] = "offline"
        if version is not None or id is not None:
            arguments["id"] = id if version is None else str(version)
        project = project or os.environ.get(env_name("project")) or DEFAULT_PROJECT
        self._held = HeldRun("TrackerLogger", project, arguments)
        if experiment is not None:
            self._held.use(experiment)

    @property
    @_loggers.rank_zero_experiment  # type: ignore[untyped-decorator, unused-ignore]
    def experiment(self) -> Run | DisabledRun:
        """The run, begun now where it has not; a stand-in that takes every call on ranks above 0."""
        # A run that has ended is shown as it ended; only a call that records something goes on with it.
        return self._held.run or self._held.open()

    @property
    def name(self) -> str:
        """The project: Lightning's name for the folder of all runs."""
        return self._held.project

    @property
    def version(self) -> str:
        """The run's id."""
        return self._held.id

    @property
    def save_dir(self) -> str:
        """The folder that holds the folders of the projects."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The folder of the project's checkpoints."""
        return os.path.join(self._save_dir, self.name)

    @property
    def log_dir(self) -> str:
        """The folder of this run's checkpoints."""
        return os.path.join(self.root_dir, self.version)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record one row at `step`, the Trainer's global step. `metrics`, which other loggers share, is not changed."""
        self._held.open().log({self._prefix + key: value for key, value in metrics.items()}, step)

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace | None = None, *args: Any, **kwargs: Any) -> None:
        """Record hyper-parameters, a dict, namespace or dataclass, in the run's config."""
        if params is not None:
            self._held.open().config.update(params)

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log images, with arguments of `Image` as lists of one for each, such as caption=["a", "b"]."""
        from tracker_core.media.image import Image

        self.log_metrics({key: media_list(Image, "log_image()", images, kwargs)}, step)

    @rank_zero_only
    def log_audio(self, key: str, audios: Sequence[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log sounds, with arguments of `Audio` as lists of one for each, such as sample_rate=[8000]."""
        from tracker_core.media.audio import Audio

        self.log_metrics({key: media_list(Audio, "log_audio()", audios, kwargs)}, step)

    @rank_zero_only
    def log_video(self, key: str, videos: Sequence[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log videos, with arguments of `Video` as lists of one for each, such as fps=[10]."""
        from tracker_core.media.video import Video

        self.log_metrics({key: media_list(Video, "log_video()", videos, kwargs)}, step)

    @rank_zero_only
    def log_table(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: int | None = None
    ) -> None:
        """Log a table of rows, or a data frame."""
        from tracker_core.media.table import Table

        self.log_metrics({key: Table(columns=columns, data=data, dataframe=dataframe)}, step)

    def log_text(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: int | None = None
    ) -> None:
        """Log a table of texts."""
        self.log_table(key, columns, data, dataframe, step)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Go on with a run that ended. Lightning calls this whenever a fit or test begins; no graph is kept."""
        add_stopper(getattr(model, "_trainer", None), self._held)
        self._go_on()

    @rank_zero_only
    def _go_on(self) -> None:
        self._held.open()

    def save(self) -> None:
        """Do nothing: `log_metrics` returned with the row on its way to disk."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Note that a fit, validate or test ended. After "success" more may follow; "failed" ends the run.

        Lightning says "finished" before it requeues a SLURM job, whose process is then stopped.
        """
        if status == "failed":
            self._held.fail(sys.exception())
        elif status == "finished":
            self._held.open().mark_preempting()
        else:
            self._held.leave_open()


def _register_with_the_other_package() -> None:
    """Make `issubclass` hold for typed configurations written for Lightning's other package."""
    for name in _PACKAGES:
        loggers = sys.modules.get(f"{name}.loggers.logger")
        if loggers is not None and not issubclass(TrackerLogger, loggers.Logger):
            loggers.Logger.register(TrackerLogger)


_register_with_the_other_package()

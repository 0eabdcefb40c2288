"""Hugging Face Trainer: `TrainingArguments(report_to="tracker")`, after `import tracker_core`."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import TrainerCallback

from tracker_core.errors import UsageError
from tracker_core.say import warn
from tracker_core.settings import env_name

from .open_runs import HeldRun
from .stop_together import SharedStop

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from tracker_core.disabled import DisabledRun
    from tracker_core.run import Run

NAME = "tracker"
DEFAULT_PROJECT = "huggingface"

# What the Trainer says once, at the end of a training: kept in the summary as it is.
_SINGLE_VALUES = frozenset(
    ["train_runtime", "train_loss", "total_flos", "train_samples_per_second", "train_steps_per_second"]
)
_SECRET_ENDINGS = ("token", "api_key", "password", "secret")

# The callback whose `train()` is under way, and the last Trainer state that was logged for, with the callback that did.
_training: TrackerCallback | None = None
_n_trainings = 0
_logging: tuple[TrainerState, TrackerCallback] | None = None


class TrackerCallback(TrainerCallback):  # type: ignore[misc]
    """Logs a Trainer's metrics to a run, at its global step, from the main process only.

    Every `train()` and every trial of a hyper-parameter search is a run of its own; `evaluate` and `predict` before and
    after log to the same one. It ends at the end of the process, or when the next run begins. A run that the user began
    by `tracker_core.init` is used instead, and not ended. Of two such callbacks on one Trainer the first logs.

    Args:
        **init_arguments: arguments of `tracker_core.init`. Default project: `TrainingArguments.project` where the user
            set it, else TRACKER_PROJECT, else "huggingface"; default name: `TrainingArguments.run_name`.
    """

    def __init__(self, **init_arguments: Any) -> None:
        project = init_arguments.pop("project", None)
        HeldRun("TrackerCallback", project or DEFAULT_PROJECT, init_arguments)  # raises for wrong arguments now
        self._project = project
        self._init_arguments = init_arguments
        self._held: HeldRun | None = None
        self._has_trained = False
        self._shared_stop: SharedStop | None = None

    def setup(self, args: TrainingArguments, state: TrainerState, model: Any = None) -> HeldRun:
        """Begin a run, or take the user's, and record the configuration. Subclasses may add to it."""
        trial = {"name": args.run_name}
        if state.is_hyper_param_search:
            trial = {"name": state.trial_name, "group": args.run_name or args.output_dir}
        held = HeldRun(
            "TrackerCallback",
            self._project or _project(args),
            {**trial, **self._init_arguments},
            adopts=not state.is_hyper_param_search,
        )
        held.open().config.update(training_config(args, model))
        self._held = held
        return held

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Begin a run, or go on with the one that an earlier `evaluate` began."""
        global _training, _n_trainings
        if args.world_size > 1:
            self._shared_stop = SharedStop(_n_trainings, args.world_size, meets=args.logging_strategy == "steps")
        _n_trainings += 1
        if not self._logs_for(state):
            return
        if _training is not None:
            _training._fail()
        if self._held is None or self._has_trained:
            self.setup(args, state, model)
        self._has_trained = True
        _training = self
        assert self._held is not None
        self._held.open().leave_stop_to_adapter(True)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """End the training where somebody asked the run to stop: `train()` then returns as after its last step.

        With several processes all end it at the second logging step from then on, before which the Trainer itself has
        had them wait for one another. Where that cannot be, RunStopped is raised here.
        """
        run = self._held.run if _training is self and self._held is not None else None
        if self._shared_stop is None:
            if run is not None and run.should_stop:
                control.should_training_stop = True
            return
        if run is not None and run.should_stop and not self._shared_stop.announce(state.global_step):
            run.leave_stop_to_adapter(False)
            run.raise_if_stopped()
        if control.should_log and self._shared_stop.is_due(state.global_step):
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record what the Trainer logs. Evaluation metrics come this way too, so `on_evaluate` records nothing."""
        run = self._run(args, state, model)
        if run is None or not logs:
            return
        summary = {key: value for key, value in logs.items() if key in _SINGLE_VALUES}
        if summary:
            run.summary.update(summary)
        row = rewrite_logs({key: value for key, value in logs.items() if key not in _SINGLE_VALUES})
        if row.keys() - {"train/epoch"}:
            _log(run, row, state.global_step)

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any],
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Record the metrics of `predict`, which the Trainer logs nowhere else."""
        run = self._run(args, state, model)
        if run is not None and metrics:
            _log(run, rewrite_logs(metrics), state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the run open for `evaluate` and `predict`."""
        global _training
        if self._held is not None and self._logs_for(state):
            self._held.open().leave_stop_to_adapter(False)
            self._held.leave_open()
            _training = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shared_stop": None}

    def _run(self, args: TrainingArguments, state: TrainerState, model: Any) -> Run | DisabledRun | None:
        """Return the run to log to, begun where `evaluate` or `predict` comes before any training."""
        if not self._logs_for(state):
            return None
        if self._held is None:
            self.setup(args, state, model).leave_open()
        assert self._held is not None
        return self._held.open()

    def _logs_for(self, state: TrainerState) -> bool:
        """Say whether this callback is the one that logs for this Trainer, in this process."""
        global _logging
        if not state.is_world_process_zero:
            return False
        if _logging is not None and _logging[0] is state and _logging[1] is not self:
            return False
        _logging = (state, self)
        return True

    def _fail(self) -> None:
        """End a run whose training raised, which no event tells; the exception was caught, so it is not known here."""
        if self._held is not None:
            self._held.fail(None)


def rewrite_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return Trainer metrics under "eval/", "test/" and "train/" instead of "eval_", "test_" and nothing."""
    row = {}
    for key, value in logs.items():
        prefix, _, rest = key.partition("_")
        row[f"{prefix}/{rest}" if prefix in ("eval", "test") and rest else f"train/{key}"] = value
    return row


def training_config(args: TrainingArguments, model: Any) -> dict[str, Any]:
    """Return the model's and the training's configuration. Tokens and passwords are left out."""
    config: dict[str, Any] = {}
    model_config = getattr(model, "config", None)
    if model_config is not None:
        config.update(model_config if isinstance(model_config, Mapping) else model_config.to_dict())
    peft_config = getattr(model, "peft_config", None)
    if peft_config is not None:
        config["peft_config"] = peft_config
    config.update(_without_secrets(args.to_dict()))
    if hasattr(model, "num_parameters"):
        config["model/num_parameters"] = model.num_parameters()
    elif hasattr(model, "parameters"):
        config["model/num_parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return config


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_secrets(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if not str(key).lower().endswith(_SECRET_ENDINGS)
    }


def _project(args: TrainingArguments) -> str:
    project: str = getattr(args, "project", None) or DEFAULT_PROJECT
    return os.environ.get(env_name("project")) or project if project == DEFAULT_PROJECT else project


def _log(run: Run | DisabledRun, row: dict[str, Any], step: int) -> None:
    """Record a row. Of a row that cannot be kept whole, the numbers: the user's metric function made it, not a call."""
    try:
        run.log(row, step=step)
    except UsageError as error:
        warn(f"a metric was left out: {error}")
        run.log({key: value for key, value in row.items() if isinstance(value, Number)}, step=step)


def register() -> None:
    """Make `report_to="tracker"` known to transformers, and part of `report_to="all"`. Twice is as good as once."""
    integrations = importlib.import_module("transformers.integrations")
    module = importlib.import_module("transformers.integrations.integration_utils")
    if NAME in module.INTEGRATION_TO_CALLBACK:
        return
    module.INTEGRATION_TO_CALLBACK[NAME] = TrackerCallback
    available = module.get_available_reporting_integrations

    @functools.wraps(available)
    def with_tracker() -> list[str]:
        return [*available(), NAME]

    # TrainingArguments looks it up in the package, which may have a copy of its own by now; the Trainer in the module.
    places: list[Any] = [module, integrations]
    for place in places:
        place.get_available_reporting_integrations = with_tracker

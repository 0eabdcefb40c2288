"""Let Lightning's Trainer end a fit where somebody asked the run to stop: as early stopping does, after a batch."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from .open_runs import HeldRun

_TRAINER = ".trainer.trainer"


def add_stopper(trainer: Any, held: HeldRun) -> None:
    """Add the callback to a Trainer, on each rank, once. Nothing is done for what is no Trainer, such as Fabric's."""
    package = _package_of(trainer)
    if package is None:
        return
    stopper = stopper_class(package)
    if not any(isinstance(callback, stopper) and callback.held is held for callback in trainer.callbacks):
        trainer.callbacks.append(stopper(held))


def _package_of(trainer: Any) -> str | None:
    """Return which of Lightning's two packages a Trainer, or its base class, is of."""
    for kind in type(trainer).__mro__:
        if kind.__module__.endswith(_TRAINER) and kind.__name__ == "Trainer":
            return kind.__module__.removesuffix(_TRAINER)
    return None


@cache
def stopper_class(package: str) -> type[Any]:
    """Return the callback's class, made from the base class of the package that the Trainer is of."""
    base: type[Any] = importlib.import_module(f"{package}.callbacks.callback").Callback

    class StopWhenAsked(base):  # type: ignore[misc]
        """Sets `trainer.should_stop`. With several ranks they agree once every `log_every_n_steps` batches."""

        def __init__(self, held: HeldRun) -> None:
            super().__init__()
            self.held = held

        def on_train_start(self, trainer: Any, module: Any) -> None:
            self._leave_stop_here(True)

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if trainer.world_size > 1 and (batch_idx + 1) % max(1, trainer.log_every_n_steps):
                return
            run = self.held.run
            is_asked = run is not None and run.should_stop
            if trainer.world_size > 1:
                is_asked = trainer.strategy.reduce_boolean_decision(is_asked, all=False)
            if is_asked:
                trainer.should_stop = True

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self._leave_stop_here(False)

        def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
            self._leave_stop_here(False)

        def __reduce__(self) -> tuple[Any, ...]:
            return _make_stopper, (package, self.held)

        def _leave_stop_here(self, is_here: bool) -> None:
            if self.held.run is not None:
                self.held.run.leave_stop_to_adapter(is_here)

    StopWhenAsked.__qualname__ = f"StopWhenAsked[{package}]"
    return StopWhenAsked


def _make_stopper(package: str, held: HeldRun) -> Any:
    return stopper_class(package)(held)

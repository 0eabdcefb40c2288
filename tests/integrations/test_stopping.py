"""A run that is asked to stop: the framework ends its training by its own means, and no `log()` raises in it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from test_lightning import make_model
from test_lightning import make_trainer as make_lightning_trainer
from test_transformers import make_trainer
from transformers import TrainerCallback

import tracker_core
from tracker_core import current
from tracker_core.control import RunStopped, StopOrder, give_order
from tracker_core.run import Run
from tracker_integrations.lightning import TrackerLogger

pytestmark = [
    pytest.mark.filterwarnings("ignore::Warning:lightning"),
    pytest.mark.filterwarnings("ignore::Warning:pytorch_lightning"),
    pytest.mark.filterwarnings("ignore::Warning:transformers", "ignore::Warning:torch"),
]


def ask_to_stop(run: Any) -> None:
    """Put an order into the run's folder, and return when the run has seen it."""
    assert isinstance(run, Run)
    give_order(run.dir, StopOrder([run.session_id], "ann", "enough seen", time.time_ns()))
    deadline_s = time.monotonic() + 60
    while not run.stop_order_sessions:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)  # so that the journal's thread gets its turn


@pytest.fixture
def asked() -> Callable[[], None]:
    return lambda: ask_to_stop(current.active()[0])


def ended_run(recorded: Any, project: str) -> Any:
    for run in current.active():
        run.finish()
    return recorded.only_run(project)


class AskAtStep(TrainerCallback):  # type: ignore[misc]
    """Stands for somebody who asks in the middle of a step, before the user's code logs something of its own."""

    def __init__(self, ask: Callable[[], None], step: int) -> None:
        self.ask, self.step = ask, step

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            self.ask()
            current.active()[0].log({"own/metric": 1.0}, step=state.global_step)


def test_the_hugging_face_trainer_ends_after_the_step(recorded: Any, asked: Any) -> None:
    trainer = make_trainer({"max_steps": 100}, callbacks=[AskAtStep(asked, 5)])
    trainer.train()
    assert trainer.state.global_step == 6
    trainer.evaluate()  # what the script does afterwards is recorded, too
    run = ended_run(recorded, "huggingface")
    assert (run.state, run.stopped_by) == ("killed", "ann: enough seen")
    assert {"own/metric", "eval/loss"} <= set(run.keys())


@pytest.mark.parametrize("package", ["lightning", "pytorch_lightning"])
def test_the_lightning_trainer_ends_after_the_batch(recorded: Any, asked: Any, package: str) -> None:
    module = pytest.importorskip(package)

    class AskAtBatch(module.Callback):  # type: ignore[misc, name-defined]
        def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
            if trainer.global_step == 5:
                asked()
                current.active()[0].log({"own/metric": 1.0})

    logger = TrackerLogger()
    trainer = make_lightning_trainer(logger, module, max_epochs=50, callbacks=[AskAtBatch()])
    model = make_model(module)
    trainer.fit(model)
    assert trainer.global_step == 6
    trainer.test(model, verbose=False)
    run = ended_run(recorded, "lightning_logs")
    assert (run.state, run.stopped_by) == ("killed", "ann: enough seen")
    assert {"own/metric", "test/loss"} <= set(run.keys())


def test_the_callback_that_stops_lightning_is_there_once_and_can_be_pickled(recorded: Any) -> None:
    import lightning

    trainer = make_lightning_trainer(TrackerLogger(), max_epochs=1)
    model = make_model(lightning)
    before = len(trainer.callbacks)
    trainer.fit(model)
    trainer.validate(model, verbose=False)
    assert len(trainer.callbacks) == before + 1
    assert type(pickle.loads(pickle.dumps(trainer.callbacks[-1]))) is type(trainer.callbacks[-1])


def test_outside_of_a_training_log_raises_as_ever(recorded: Any, asked: Any) -> None:
    run = tracker_core.init(project="p")
    make_trainer({"max_steps": 2}).train()
    asked()
    with pytest.raises(RunStopped, match="enough seen"):
        run.log({"x": 1.0})

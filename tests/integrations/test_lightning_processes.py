"""Two processes train one model: one run, written by rank 0, that is finished at the end."""

from __future__ import annotations

from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

import tracker_core
from tracker_integrations.lightning import TrackerLogger

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


class LoggingModel(BoringModel):  # type: ignore[misc]
    def training_step(self, batch: Any, index: int) -> Any:
        loss = super().training_step(batch, index)
        self.log("loss", loss["loss"])
        return loss


class OnlyRankZeroHasARun(Callback):  # type: ignore[misc]
    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, index: int) -> None:
        run = trainer.logger.experiment
        assert isinstance(run, tracker_core.Run) == (trainer.global_rank == 0)
        assert trainer.global_rank == 0 or run.anything(foo="bar") is None


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork"])
@pytest.mark.parametrize("is_open_before", [False, True], ids=["begun by the child", "begun by the parent"])
def test_two_processes_are_one_run(recorded: Any, strategy: str, is_open_before: bool) -> None:
    logger = TrackerLogger()
    if is_open_before:
        logger.log_hyperparams({"rate": 0.1})
    trainer = Trainer(
        logger=logger, strategy=strategy, accelerator="cpu", devices=2, max_steps=4, log_every_n_steps=2,
        limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=[OnlyRankZeroHasARun()],
    )  # fmt: skip
    trainer.fit(LoggingModel())
    if is_open_before:
        tracker_core.finish(quiet=True)
    run = recorded.only_run("lightning_logs")
    assert (run.id, run.state) == (logger.version, "finished")
    assert recorded.rows(run) == [(1, ["epoch", "loss"]), (3, ["epoch", "loss"])]
    assert {session.writer for session in run.view.sessions} == {"main"}

"""Two processes train one model and the run is asked to stop: both end at one step, and neither waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from test_stopping import ask_to_stop

from tracker_core.api import Api
from tracker_integrations.lightning import TrackerLogger

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]
TIMEOUT_S = 240


class AskOnRankZero(Callback):  # type: ignore[misc]
    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == 0 and trainer.global_step == 3:
            ask_to_stop(trainer.logger.experiment)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        Path(f"ended-{trainer.global_rank}").write_text(str(trainer.global_step))


class LoggingModel(BoringModel):  # type: ignore[misc]
    def training_step(self, batch: Any, index: int) -> Any:
        loss = super().training_step(batch, index)
        self.log("loss", loss["loss"])
        return loss


def test_ranks_of_lightning_end_at_the_next_step_at_which_it_logs(recorded: Any) -> None:
    logger = TrackerLogger()
    trainer = Trainer(
        logger=logger, strategy="ddp_spawn", accelerator="cpu", devices=2, max_steps=500, log_every_n_steps=4,
        limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=[AskOnRankZero()],
    )  # fmt: skip
    trainer.fit(LoggingModel())
    assert Path("ended-0").read_text() == Path("ended-1").read_text() == "4"
    run = recorded.only_run("lightning_logs")
    assert (run.state, run.stopped_by) == ("killed", "ann: enough seen")


SCRIPT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from transformers import TrainerCallback
from tracker_core import current
from test_stopping import ask_to_stop
from test_transformers import make_trainer

class AskOnRankZero(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero and state.global_step == 3:
            ask_to_stop(current.active()[0])

import tracker_core
trainer = make_trainer({"max_steps": 500, "logging_steps": 2, "ddp_backend": "gloo"}, callbacks=[AskOnRankZero()])
trainer.train()
open(f"ended-{os.environ['RANK']}", "w").write(str(trainer.state.global_step))
"""


def test_ranks_of_the_hugging_face_trainer_end_at_the_second_logging_step(folder: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29641"]
    done = subprocess.run(
        [sys.executable, *command, "train.py", str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # Asked before step 4, at which rank 0 tells the others; the next logging step is the sixth.
    assert Path("ended-0").read_text() == Path("ended-1").read_text() == "6"
    (run,) = Api(folder).runs("huggingface")
    assert (run.state, run.stopped_by) == ("killed", "ann: enough seen")

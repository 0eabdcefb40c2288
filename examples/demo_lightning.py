"""Classify handwritten digits with Lightning. The tracker is one argument: `Trainer(logger=TrackerLogger())`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import demo_results
import digits
import lightning
import torch
from torch import nn

import tracker_core
from tracker_integrations.lightning import TrackerLogger

HYPER_PARAMETERS: list[dict[str, Any]] = [
    {"kind": "mlp", "width": 16, "lr": 0.001, "batch_size": 32},
    {"kind": "mlp", "width": 64, "lr": 0.003, "batch_size": 32},
    {"kind": "mlp", "width": 64, "lr": 0.05, "batch_size": 32},
    {"kind": "cnn", "width": 16, "lr": 0.002, "batch_size": 32},
]


class DigitClassifier(lightning.LightningModule):  # type: ignore[misc]
    """A network of one hidden layer, or of two convolutions."""

    def __init__(self, kind: str, width: int, lr: float, batch_size: int) -> None:
        super().__init__()
        self.save_hyperparameters()  # Lightning hands them to the logger: they become the run's config
        self.network = make_network(kind, width)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return self._log_loss_and_accuracy("train", batch)

    def validation_step(self, batch: Any, index: int) -> None:
        self._log_loss_and_accuracy("eval", batch)

    def _log_loss_and_accuracy(self, stage: str, batch: Any) -> torch.Tensor:
        images, labels = batch
        logits = self.network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        accuracy = (logits.argmax(1) == labels).float().mean()
        self.log_dict({f"{stage}/loss": loss, f"{stage}/accuracy": accuracy})
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


class Pictures(lightning.Callback):  # type: ignore[misc]
    """Logs what the network takes some images for, ten times in a training."""

    def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
        every = max(1, trainer.max_epochs // 10)
        if not trainer.sanity_checking and trainer.current_epoch % every == 0:
            val_set = trainer.val_dataloaders.dataset
            demo_results.log_pictures(trainer.logger.experiment, module.network, val_set, trainer.global_step)


def make_network(kind: str, width: int) -> nn.Sequential:
    """Return a network from images float[n, 1, 8, 8] to logits float[n, 10]."""
    if kind == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * width, 10),
    )  # fmt: skip


def train(project: str, n_epochs: int, on_run: Callable[[str, str], None]) -> None:
    """Train once per set of hyper-parameters; `on_run(path, text)` is called as each run ends."""
    quiet_lightning()
    train_set, val_set = digits.load()
    best = (0.0, None)
    for hyper_parameters in HYPER_PARAMETERS:
        lightning.seed_everything(0, verbose=False)
        name = "{kind}-{width} lr={lr}".format(**hyper_parameters)
        logger = TrackerLogger(name, project=project)
        trainer = lightning.Trainer(
            logger=logger,
            max_epochs=n_epochs,
            log_every_n_steps=3,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[Pictures()],
        )
        run = logger.experiment
        demo_results.use_data(run, train_set, val_set)
        batches = torch.utils.data.DataLoader(train_set, hyper_parameters["batch_size"], shuffle=True)
        module = DigitClassifier(**hyper_parameters)
        trainer.fit(module, batches, torch.utils.data.DataLoader(val_set, 360))
        # "eval/…" is what the Hugging Face Trainer calls it, so that both frameworks share their charts.
        accuracy = float(trainer.callback_metrics["eval/accuracy"])
        demo_results.log_results(run, module.network, val_set, trainer.global_step)
        best = max(best, (accuracy, demo_results.log_model(run, module.network, accuracy)), key=lambda one: one[0])
        on_run(run.path, f"{name}: {n_epochs} epochs, val accuracy {accuracy:.1%}")
    tracker_core.link_artifact(best[1], "model-registry/digits", aliases=["candidate"])
    tracker_core.finish()


def quiet_lightning() -> None:
    """Leave out Lightning's hints; they are about speed on large data."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


if __name__ == "__main__":
    train("digits", n_epochs=50, on_run=lambda path, text: print(f"{path}  {text}"))

"""Classify handwritten digits with the Hugging Face Trainer. The tracker is an import and `report_to="tracker"`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import digits
import torch
import transformers
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

import tracker_core

HYPER_PARAMETERS: list[dict[str, Any]] = [
    {"hidden_size": 16, "learning_rate": 0.005},
    {"hidden_size": 32, "learning_rate": 0.005},
    {"hidden_size": 64, "learning_rate": 0.002},
]


def make_model(hidden_size: int) -> ViTForImageClassification:
    """Return a vision transformer of two layers that reads an image as 16 patches of 2x2 pixels."""
    config = ViTConfig(
        image_size=8, patch_size=2, num_channels=1, num_labels=10, num_hidden_layers=2, num_attention_heads=2,
        hidden_size=hidden_size, intermediate_size=2 * hidden_size,
    )  # fmt: skip
    return ViTForImageClassification(config)


def collate(samples: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, torch.Tensor]:
    images, labels = zip(*samples, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.stack(labels)}


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def train(project: str, n_steps: int, on_run: Callable[[str, str], None]) -> None:
    """Train once per set of hyper-parameters; `on_run(path, text)` is called as each run ends."""
    quiet_transformers()
    train_set, val_set = digits.load()
    for hyper_parameters in HYPER_PARAMETERS:
        name = "vit-{hidden_size} lr={learning_rate}".format(**hyper_parameters)
        with tempfile.TemporaryDirectory() as output_dir:
            arguments = TrainingArguments(
                report_to="tracker",
                project=project,
                run_name=name,
                learning_rate=hyper_parameters["learning_rate"],
                max_steps=n_steps,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=360,
                logging_steps=3,
                eval_strategy="steps",
                eval_steps=max(1, n_steps // 15),
                save_strategy="no",
                remove_unused_columns=False,
                use_cpu=True,
                disable_tqdm=True,
                output_dir=output_dir,
                seed=0,
            )
            trainer = Trainer(
                make_model(hyper_parameters["hidden_size"]), arguments, collate, train_set, val_set,
                compute_metrics=accuracy,
            )  # fmt: skip
            trainer.remove_callback(transformers.PrinterCallback)  # it prints every row
            trainer.train()
        run = tracker_core.run
        assert run is not None
        on_run(run.path, f"{name}: {n_steps} steps, val accuracy {run.summary['eval/accuracy']:.1%}")
    tracker_core.finish()


def quiet_transformers() -> None:
    """Leave out what transformers says about itself."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


if __name__ == "__main__":
    train("digits", n_steps=800, on_run=lambda path, text: print(f"{path}  {text}"))

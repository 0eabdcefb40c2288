"""A plain PyTorch script written for wandb runs with only its import changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import argparse

import torch

import tracker_core as wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=3)

run = wandb.init(
    project="plain",
    entity="local",
    name="baseline",
    config=parser.parse_args(["--epochs", "2"]),
    tags=["cpu", "tiny"],
    notes="a loop",
    anonymous="allow",
    save_code=True,
    settings={"start_method": "thread"},
)
config = wandb.config
config.update({"batch_size": 4}, allow_val_change=True)
wandb.config.optimizer = "sgd"
wandb.define_metric("val/loss", summary="min")

torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=wandb.config.lr)
data = torch.randn(8, 2)

for epoch in range(config["epochs"]):
    for batch in data.split(config.batch_size):
        loss = model(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wandb.log({"train": {"loss": loss.item()}}, commit=False)
        wandb.log({"epoch": epoch, "train/grad": model.weight.grad.norm()})
    with torch.no_grad():
        wandb.log({"val/loss": model(data).square().mean()}, step=wandb.run.step)

wandb.summary["best"] = 0.5
wandb.run.summary.update({"done": True})
run.log({"late": 1}, step=100)
assert wandb.run is run
wandb.finish()
assert wandb.run is None
"""


def test_only_the_import_changes(recorded: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert process.returncode == 0, process.stderr
    run = recorded.only_run("plain")
    assert (run.name, run.state, run.tags, run.notes) == ("baseline", "finished", ["cpu", "tiny"], "a loop")
    assert run.config == {"lr": 0.1, "epochs": 2, "batch_size": 4, "optimizer": "sgd"}
    assert run.series("train/loss").steps.tolist() == [0, 1, 2, 3]
    assert run.series("epoch").values.tolist() == [0, 0, 1, 1]
    assert run.series("val/loss").steps.tolist() == [2, 4]
    assert run.summary["val/loss"] == {"min": min(run.series("val/loss").values)}
    assert (run.summary["best"], run.summary["done"], run.summary["late"]) == (0.5, True, 1)
    history = run.history()
    assert [row["_step"] for row in history] == [0, 1, 2, 3, 4, 100]
    assert {"train/loss", "train/grad", "epoch"} <= history[0].keys()

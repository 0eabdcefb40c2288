"""Measure a version of the weights on digits that training never saw: the second step of workflow.yml."""

from __future__ import annotations

import os
import sys

import numpy as np
from data import accuracy, load
from train import tell

import tracker_core


def main(version: str) -> None:
    run = tracker_core.init(project="digits", job_type="evaluate")
    folder = run.use_artifact(version).download()
    weights = np.load(os.path.join(folder, "weights.npy"), allow_pickle=False)
    _, (inputs, digits) = load()
    run.summary["test/accuracy"] = accuracy(weights, inputs, digits)
    run.finish()
    tell("run", f"digits/{run.id}")


if __name__ == "__main__":
    main(sys.argv[1])

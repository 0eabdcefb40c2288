"""Train a classifier of digits and log its weights: the first step of workflow.yml."""

from __future__ import annotations

import os

import numpy as np
from data import accuracy, load

import tracker_core


def main() -> None:
    config = {"learning_rate": 2.0, "n_epochs": 200}
    run = tracker_core.init(project="digits", job_type="train", config=config)
    (inputs, digits), _ = load()
    weights = np.zeros((inputs.shape[1], 10))
    for _ in range(config["n_epochs"]):
        scores = np.exp(inputs @ weights)
        shares = scores / scores.sum(axis=1, keepdims=True)
        loss = -np.log(shares[np.arange(len(digits)), digits]).mean()
        weights -= config["learning_rate"] * inputs.T @ (shares - np.eye(10)[digits]) / len(digits)
        run.log({"train/loss": loss, "train/accuracy": accuracy(weights, inputs, digits)})
    artifact = tracker_core.Artifact("digits-weights", type="model", description="softmax regression")
    with artifact.new_file("weights.npy", mode="wb") as file:
        np.save(file, weights)
    run.log_artifact(artifact).wait()
    run.finish()  # with a server: returns when all of it is there
    # By its id, which is the same here and on a server.
    tell("version", f"digits/digits-weights:{artifact.id}")


def tell(name: str, value: str) -> None:
    """Print an output, and give it to the steps that follow."""
    print(f"{name}={value}")
    if path := os.environ.get("GITHUB_OUTPUT"):
        with open(path, "a") as file:
            file.write(f"{name}={value}\n")


if __name__ == "__main__":
    main()

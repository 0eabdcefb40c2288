"""What a run keeps beside its metrics: its data and model as artifacts, predictions as images, a table and plots."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch

import tracker_core as tracker

N_IMAGES = 16


def use_data(run: Any, train_set: Any, val_set: Any) -> None:
    """Note which data the run is trained with. Logging the same content again makes no new version."""
    data = tracker.Artifact("digits", type="dataset", description="8x8 pixels in 0..1 and the digit that they show")
    for name, part in (("train", train_set), ("val", val_set)):
        images, labels = part.tensors
        content = io.BytesIO()
        np.savez(content, images=images.numpy(), labels=labels.numpy())
        with data.new_file(f"{name}.npz", "wb") as file:
            file.write(content.getvalue())
    run.use_artifact(data)


def log_pictures(run: Any, network: Any, val_set: Any, step: int) -> None:
    """Log some images with what the network takes them for."""
    images, labels = (tensor[:N_IMAGES] for tensor in val_set.tensors)
    found = predict(network, images).argmax(1)
    pictures = [
        tracker.Image(image[0].repeat_interleave(8, 0).repeat_interleave(8, 1).numpy(), caption=f"{label} → {digit}")
        for image, label, digit in zip(images, labels.tolist(), found.tolist(), strict=True)
    ]
    run.log({"predictions": pictures}, step=step)


def log_results(run: Any, network: Any, val_set: Any, step: int) -> None:
    """Log what the network got right and wrong."""
    images, labels = val_set.tensors
    probabilities = torch.softmax(predict(network, images), 1)
    found, sure = probabilities.argmax(1), probabilities.max(1).values
    names = [str(digit) for digit in range(10)]
    rows = tracker.Table(columns=["image", "digit", "taken for", "probability", "is right"])
    for image, label, digit, share in zip(images, labels.tolist(), found.tolist(), sure.tolist(), strict=True):
        rows.add_data(tracker.Image(image[0].numpy()), label, digit, share, label == digit)
    truth = labels.tolist()
    run.log(
        {
            "results": rows,
            "confusion": tracker.plot.confusion_matrix(y_true=truth, preds=found.tolist(), class_names=names),
            "roc": tracker.plot.roc_curve(truth, probabilities.numpy(), labels=names),
        },
        step=step,
    )


def log_model(run: Any, network: Any, accuracy: float) -> Any:
    """Log the trained network as a version of one artifact, which all runs share."""
    model = tracker.Artifact("digit-classifier", type="model", metadata={"accuracy": accuracy})
    with model.new_file("weights.pt", "wb") as file:
        torch.save(network.state_dict(), file)
    return run.log_artifact(model)


def predict(network: Any, images: torch.Tensor) -> torch.Tensor:
    """Return logits float[n, 10]."""
    network.eval()
    with torch.no_grad():
        return network(images)  # type: ignore[no-any-return]

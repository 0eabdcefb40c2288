"""scikit-learn's 1,797 handwritten digits, 8x8 pixels, as tensors. Nothing is downloaded."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def load() -> tuple[torch.utils.data.TensorDataset, torch.utils.data.TensorDataset]:
    """Return training and validation sets of (image float32[1, 8, 8] in 0..1, digit int64)."""
    pixels, digits = load_digits(return_X_y=True)
    parts = train_test_split(pixels / 16.0, digits, test_size=0.2, random_state=0, stratify=digits)
    train_x, val_x = (torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8) for part in parts[:2])
    train_y, val_y = (torch.tensor(part) for part in parts[2:])
    return torch.utils.data.TensorDataset(train_x, train_y), torch.utils.data.TensorDataset(val_x, val_y)

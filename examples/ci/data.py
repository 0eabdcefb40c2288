"""scikit-learn's 1,797 handwritten digits, 8x8 pixels. Nothing is downloaded."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def load() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return training and test sets of (pixels float64[n, 65] in 0..1 with a column of ones, digits int64[n])."""
    pixels, digits = load_digits(return_X_y=True)
    inputs = np.column_stack([pixels / 16.0, np.ones(len(digits))])
    is_test = np.arange(len(digits)) % 5 == 0
    return (inputs[~is_test], digits[~is_test]), (inputs[is_test], digits[is_test])


def accuracy(weights: np.ndarray, inputs: np.ndarray, digits: np.ndarray) -> float:
    """Return the share of digits that the weights, float64[65, 10], tell right."""
    return float(((inputs @ weights).argmax(axis=1) == digits).mean())

"""Columns as training logs them, made up or from a small model that is trained: what `store_size.py` measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 7
START_NS = 1_790_000_000_123_456_789


def data_sets(n: int) -> dict[str, NDArray[Any]]:
    """Return columns of n values by what they are."""
    rng = np.random.default_rng(SEED)
    steps = np.arange(n)
    return {
        "random walk, float64": np.cumsum(rng.normal(size=n)),
        "random walk, float32-exact": widened(np.cumsum(rng.normal(size=n))),
        "loss curve, float32-exact": widened(loss_curve(n, rng)),
        "loss curve, bfloat16-exact": (widened(loss_curve(n, rng)).astype("<f4").view("<u4") & 0xFFFF0000)
        .view("<f4")
        .astype(np.float64),
        "tokens seen, int64": np.cumsum(rng.integers(3_500, 4_097, n)),
        "learning rate, warm-up and cosine": learning_rate(n),
        "learning rate, ten steps": 0.1 * 0.5 ** (steps * 10 // n),
        "accuracy k/1797": rng.binomial(1797, np.minimum(0.98, 0.2 + steps / n)) / 1797,
        "accuracy k/512, float32-exact": widened(rng.binomial(512, 0.7, n) / 512),
        "seconds with 4 decimals": np.round(rng.gamma(50, 0.01, n), 4),
        "epoch, step/500": steps / 500,
        "constant": np.full(n, 0.1),
        "gradient norm, NaN but every 50th": np.where(steps % 50 == 0, np.abs(rng.normal(size=n)), np.nan),
        "truth value, 1 in 10": rng.random(n) < 0.1,
        "noise in all 64 bits": rng.integers(0, 1 << 64, n, np.uint64).view(np.float64),
        "steps, every one": steps,
        "steps, every 50th": steps * 50,
        "wall times, 5 ms ± 10 %": wall_times(n, rng),
    }


def widened(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values rounded to float32, as a framework hands them to `log`: float64."""
    return values.astype(np.float32).astype(np.float64)


def loss_curve(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a falling loss with noise."""
    return (0.3 + 2.0 * np.exp(-np.arange(n) / (n / 4))) * np.exp(0.1 * rng.normal(size=n))


def learning_rate(n: int) -> NDArray[np.float64]:
    """Return a linear warm-up over 2 % of the steps, then half a cosine."""
    steps, warm = np.arange(n), max(1, n // 50)
    return np.where(steps < warm, 1e-3 * steps / warm, 5e-4 * (1 + np.cos(np.pi * (steps - warm) / (n - warm))))


def wall_times(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return times, int64 nanoseconds, of steps that take 5 ms and a tenth more or less."""
    return START_NS + np.cumsum(rng.gamma(100.0, 5e4, n).astype(np.int64))


def trained_rows(n: int) -> dict[str, NDArray[Any]]:
    """Train a softmax classifier of digits for n steps in float32; returns the ten columns it would log."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target
    rng, rates = np.random.default_rng(SEED), learning_rate(n) * 100
    weights, out = np.zeros((64, 10), np.float32), np.zeros((4, n), np.float32)
    for step in range(n):
        batch = rng.integers(0, len(images), 64)
        logits = images[batch] @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        out[0, step] = -np.log(odds[np.arange(64), labels[batch]]).mean()
        out[1, step] = (odds.argmax(axis=1) == labels[batch]).mean()
        odds[np.arange(64), labels[batch]] -= 1
        gradient = images[batch].T @ odds / 64
        out[2, step] = np.linalg.norm(gradient)
        weights -= np.float32(rates[step]) * gradient
        out[3, step] = np.linalg.norm(weights)
    wide = out.astype(np.float64)
    return {
        **dict(zip(("loss", "accuracy", "gradient_norm", "weight_norm"), wide, strict=True)),
        "learning_rate": rates,
        "epoch": np.arange(n) * 64 / len(images),
        "n_samples": np.arange(n) * 64,
        "step_s": rng.gamma(100.0, 5e-5, n),
        "samples_per_s": 64 / rng.gamma(100.0, 5e-5, n),
        "is_clipped": wide[2] > 0.5,
    }

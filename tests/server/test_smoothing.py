"""The debiased exponential moving average, against its recurrence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.smoothing import MAX_WEIGHT, ema


def recurrence(values, weight):
    running, n, smoothed = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            smoothed.append(math.nan)
            continue
        n += 1
        running = weight * running + (1 - weight) * value
        smoothed.append(running / (1 - weight**n) if weight else value)
    return smoothed


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])), max_size=300),
    st.sampled_from([0.0, 1e-12, 0.1, 0.5, 0.9, 0.99, MAX_WEIGHT]),
)
def test_blocks_give_what_the_recurrence_gives(values, weight):
    expected = recurrence(values, weight)
    assert ema(np.array(values, np.float64), weight) == pytest.approx(expected, rel=1e-9, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9, MAX_WEIGHT])
def test_a_long_constant_series_stays_constant(weight):
    assert ema(np.full(100_000, 3.25), weight) == pytest.approx(np.full(100_000, 3.25), rel=1e-12)


def test_a_nan_does_not_poison_what_follows():
    smoothed = ema(np.array([1.0, math.nan, 1.0, math.inf, 1.0]), 0.9)
    assert np.isnan(smoothed[[1, 3]]).all() and smoothed[[0, 2, 4]] == pytest.approx([1, 1, 1])


def test_largest_numbers_do_not_overflow():
    assert np.isfinite(ema(np.full(1000, 1.7e308), 0.99)).all()


@pytest.mark.parametrize("weight", [-0.1, 1.0, math.nan])
def test_a_weight_outside_its_range_is_refused(weight):
    with pytest.raises(ValueError, match="smoothing weight"):
        ema(np.zeros(3), weight)

"""Every kind of smoothing, against its definition written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.charts.smoothing import MAX_WEIGHT, ema, ema_of_means, gaussian, running_mean, time_weighted_ema


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


@pytest.mark.parametrize("weight", [0.0, 0.9, MAX_WEIGHT])
def test_means_of_groups_are_averaged_as_so_many_points(weight):
    values = np.cumsum(np.random.default_rng(0).normal(size=400))
    assert ema_of_means(values, np.ones(400, np.int64), weight) == pytest.approx(ema(values, weight))
    counts = np.random.default_rng(1).integers(1, 9, 400)
    expected = ema(np.repeat(values, counts), weight)[np.cumsum(counts) - 1]
    assert ema_of_means(values, counts, weight) == pytest.approx(expected)
    assert len(ema_of_means(np.empty(0), np.empty(0, np.int64), weight)) == 0


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


def share_by_distance(kind, distance, length):
    """The weight of a point `distance` before (positive) or after the one averaged for."""
    if kind is time_weighted_ema:
        return math.exp(-math.log(2) * distance / length)
    if kind is gaussian:
        return math.exp(-((distance / length) ** 2) / 2) if abs(distance) <= 4 * length else 0.0
    return float(abs(distance) <= length / 2)


def written_out(kind, x, values, length):
    smoothed = []
    for i, value in enumerate(values):
        if not math.isfinite(value):
            smoothed.append(math.nan)
            continue
        near = range(i + 1) if kind is time_weighted_ema else range(len(values))
        near = [j for j in near if math.isfinite(values[j])]
        shares = [share_by_distance(kind, float(x[i] - x[j]), length) for j in near]
        total = math.fsum(share * values[j] for share, j in zip(shares, near, strict=True))
        smoothed.append(total / math.fsum(shares))
    return smoothed


KINDS = [time_weighted_ema, gaussian, running_mean]
NUMBERS = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, -math.inf]))
# Steps of many sizes, none among them: irregular x with duplicates.
GAPS = st.sampled_from([0, 0, 1, 1, 1, 2, 3, 50, 10_000])
POINTS = st.lists(st.tuples(GAPS, NUMBERS), min_size=1, max_size=300)
EVEN_POINTS = st.lists(st.tuples(st.just(3), st.floats(-1e3, 1e3)), min_size=1, max_size=150)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=None)
@given(st.one_of(POINTS, EVEN_POINTS), st.sampled_from([0.25, 1.0, 2.0, 6.0, 128.0, 1e5, 1e300]), st.booleans())
def test_a_kind_in_units_of_x_gives_what_its_definition_says(kind, points, length, is_integer):
    x = np.cumsum([gap for gap, _ in points]) - 1000
    x = x if is_integer else x.astype(np.float64) / 4
    values = np.array([value for _, value in points], np.float64)
    expected = written_out(kind, x.tolist(), values.tolist(), length)
    assert kind(x, values, length) == pytest.approx(expected, rel=1e-6, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_even", [True, False])
def test_one_huge_value_does_not_drown_what_comes_long_after(kind, is_even):
    x = np.arange(2000) * 2 + (0 if is_even else np.arange(2000) % 2)
    values = np.full(2000, 1.5)
    values[3] = 1e30
    # Of the average behind it, 1e30 keeps a share of 2**-200 at a distance of 200 half-lives, and none in a window.
    assert kind(x, values, 10.0)[1500:] == pytest.approx(np.full(500, 1.5), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("values", [[1.7e308] * 500, [-1.7e308, 1.7e308] * 250, [5e-324] * 500, [3.25] * 500])
def test_an_average_lies_between_the_extremes(kind, values):
    for x in (
        np.arange(500),
        np.sort(np.random.default_rng(0).integers(0, 400, 500)),
        np.linspace(-1, 1, 500) * 1.7e308,
    ):
        smoothed = kind(x, np.array(values), 7.0)
        assert np.all((smoothed >= min(values)) & (smoothed <= max(values)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_steps_at_the_ends_of_what_an_integer_holds_keep_their_distances(kind):
    x = np.array([-(1 << 63), 0, (1 << 63) - 1], np.int64)
    assert kind(x, np.array([1.0, 2.0, 3.0]), 100.0).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_points_and_none_finite(kind):
    assert len(kind(np.empty(0, np.int64), np.empty(0), 1.0)) == 0
    assert np.isnan(kind(np.arange(3), np.full(3, np.nan), 1.0)).all()

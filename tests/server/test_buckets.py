"""The chart grid and its cells, against a model that looks at one point at a time."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracker_server.charts.buckets import Grid, choose_grid, fill_cells, sort_by_x

VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.7e308, -1.7e308, 5e-324])
)
INTEGER_X = st.one_of(
    st.integers(0, 50), st.integers(-(10**6), 10**6), st.integers(2**53, 2**53 + 5000), st.integers(-(2**63), 2**63 - 1)
)
FLOAT_X = st.one_of(st.floats(-10, 10), st.floats(allow_nan=True, allow_infinity=True))
INTEGER_RUNS = st.lists(st.lists(st.tuples(INTEGER_X, VALUES), max_size=60), min_size=1, max_size=4)
FLOAT_RUNS = st.lists(st.lists(st.tuples(FLOAT_X, VALUES), max_size=60), min_size=1, max_size=4)


def arrays(run, dtype):
    return sort_by_x(np.array([x for x, _ in run], dtype), np.array([v for _, v in run], np.float64))


def cell_of(grid: Grid, x) -> int | None:
    """Where a point belongs, by comparing Python numbers, which are exact."""
    if grid.is_exact:
        lower = grid.lower.tolist()
        return lower.index(x) if x in lower else None
    found = None
    for index, lower in enumerate(grid.lower.tolist()):
        if x >= lower:
            found = index
    if grid.end is not None and x >= grid.end:
        return None
    return found


def check_against_model(runs, dtype, n_buckets, widths="decimal", x_min=None, x_max=None):
    points = [arrays(run, dtype) for run in runs]
    grid = choose_grid([x for x, _ in points], n_buckets, x_min, x_max, widths=widths)
    lower = grid.lower.tolist()
    assert all(one < other for one, other in pairwise(lower))
    for run, (x, values) in zip(runs, points, strict=True):
        cells = fill_cells(grid, x, values)
        members = [[] for _ in lower]
        ordered = sorted((p for p in run if math.isfinite(p[0])), key=lambda p: p[0])
        for x_value, value in ordered:
            index = cell_of(grid, x_value)
            if index is not None:
                members[index].append(value)
        for index, logged in enumerate(members):
            finite = [value for value in logged if math.isfinite(value)]
            assert cells.count[index] == len(finite)
            assert cells.nonfinite[index] == len(logged) - len(finite)
            if not finite:
                assert all(math.isnan(a[index]) for a in (cells.first, cells.last, cells.min, cells.max, cells.mean))
                continue
            assert (cells.first[index], cells.last[index]) == (finite[0], finite[-1])
            assert (cells.min[index], cells.max[index]) == (min(finite), max(finite))
            mean = float(sum(map(Fraction, finite)) / len(finite))
            scale = max(abs(value) for value in finite)
            assert cells.mean[index] == pytest.approx(mean, rel=1e-9, abs=1e-9 * scale)
    return grid


@settings(max_examples=300, deadline=None)
@given(INTEGER_RUNS, st.integers(1, 20), st.sampled_from(["binary", "decimal"]))
@example([[(2**63 - 1, 1.0), (-(2**63), 2.0), (0, 3.0), (1, 4.0)]], 1, "binary")
def test_integer_steps_fall_in_the_same_cells_as_in_the_model(runs, n_buckets, widths):
    check_against_model(runs, np.int64, n_buckets, widths)


@settings(max_examples=300, deadline=None)
@given(FLOAT_RUNS, st.integers(1, 20))
@example([[(1.7e308, 1.0), (-1.7e308, 2.0), (0.0, 3.0)]], 1)
@example([[(5e-324, 1.0), (0.0, 2.0), (1e-310, 3.0)]], 1)
def test_float_x_falls_in_the_same_cells_as_in_the_model(runs, n_buckets):
    check_against_model(runs, np.float64, n_buckets)


@settings(max_examples=200, deadline=None)
@given(INTEGER_RUNS, st.integers(1, 20), INTEGER_X, INTEGER_X)
def test_a_zoomed_range_keeps_every_point_in_it(runs, n_buckets, one, other):
    x_min, x_max = min(one, other), max(one, other)
    grid = check_against_model(runs, np.int64, n_buckets, "binary", x_min, x_max)
    for run in runs:
        for x, _ in run:
            if x_min <= x <= x_max:
                assert cell_of(grid, x) is not None


def test_a_line_leaves_the_picture_towards_its_next_point():
    sparse, dense = np.array([0, 500, 1000]), np.arange(480, 521)
    grid = choose_grid([sparse, dense], 100, 495, 499)
    assert grid.is_exact and grid.lower.tolist() == [0, 494, 495, 496, 497, 498, 499, 500]
    assert fill_cells(grid, sparse, np.ones(3)).count.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert fill_cells(grid, dense, np.ones(41)).count.tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert choose_grid([sparse], 100, 600, 700).lower.tolist() == [500, 1000]


def test_few_distinct_x_are_shown_exactly_each_as_its_own_cell():
    x = np.array([0, 3, 7], np.int64)
    grid = choose_grid([x, x + 1], n_buckets=3)
    assert grid.is_exact and grid.centres().tolist() == [0, 1, 3, 4, 7, 8]


def test_one_more_distinct_x_than_twice_the_buckets_makes_buckets():
    assert choose_grid([np.arange(20)], 10).is_exact
    grid = choose_grid([np.arange(21)], 10, widths="binary")
    assert not grid.is_exact and grid.width == 4 and grid.lower.tolist() == [0, 4, 8, 12, 16, 20]


def test_buckets_do_not_move_when_the_range_does():
    x = np.arange(100_000, dtype=np.int64)
    values = np.sin(x / 1000)
    near, far = (choose_grid([x], 100, low, low + 20_000, widths="binary") for low in (1_000, 1_777))
    assert near.width == far.width
    shared = np.intersect1d(near.lower, far.lower)
    assert len(shared) > 70
    for name in ("first", "last", "min", "max", "mean", "count"):
        one, other = (getattr(fill_cells(grid, x, values), name) for grid in (near, far))
        assert np.array_equal(one[np.isin(near.lower, shared)], other[np.isin(far.lower, shared)])


def test_steps_beyond_float_precision_stay_apart():
    start = 2**60
    x = np.arange(start, start + 100_000, dtype=np.int64)
    grid = choose_grid([x], 100, widths="binary")
    counts = fill_cells(grid, x, np.ones(len(x))).count
    assert counts.sum() == len(x) and set(counts[1:-1].tolist()) == {grid.width}


def test_two_steps_that_draw_at_one_place_share_a_bucket_and_say_so():
    x = np.array([2**60, 2**60 + 1], np.int64)
    grid = choose_grid([x], 100, widths="binary")
    assert not grid.is_exact and fill_cells(grid, x, np.array([1.0, 2.0])).count.tolist() == [2]


def test_one_spike_in_a_million_points_is_kept():
    x = np.arange(1_000_000)
    values = np.zeros(len(x))
    values[654_321] = 9.0
    cells = fill_cells(choose_grid([x], 390, widths="binary"), x, values)
    assert cells.max.max() == 9.0 and cells.count.sum() == len(x)


def test_equal_x_keep_the_order_logged():
    x, values = sort_by_x(np.array([5, 1, 5, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    cells = fill_cells(choose_grid([x], 10), x, values)
    assert cells.first.tolist() == [2.0, 1.0] and cells.last.tolist() == [4.0, 3.0]


def test_one_nan_leaves_the_other_points_of_its_cell_alone():
    x = np.zeros(3, np.int64)
    cells = fill_cells(choose_grid([x], 10), x, np.array([1.0, np.nan, 3.0]))
    assert (cells.mean[0], cells.count[0], cells.nonfinite[0]) == (2.0, 2, 1)


def test_nothing_in_range_gives_an_empty_grid():
    grid = choose_grid([np.empty(0, np.int64)], 10, 100, 200)
    assert len(grid.lower) == 0
    assert len(fill_cells(grid, np.arange(10), np.ones(10)).count) == 0
    assert len(choose_grid([], 10).lower) == 0


@pytest.mark.long
def test_a_million_points_take_tens_of_milliseconds():
    x, values = np.arange(1_000_000), np.random.default_rng(0).normal(size=1_000_000)
    began = time.perf_counter()
    fill_cells(choose_grid([x], 976, widths="binary"), *sort_by_x(x, values))
    assert time.perf_counter() - began < 0.2

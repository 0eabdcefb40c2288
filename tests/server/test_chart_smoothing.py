"""Smoothing as a chart's request says it: before bucketing, in units of x, the same at every zoom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tracker_core.errors import UsageError
from tracker_server.charts.chart_smoothing import MAX_RAW_POINTS, Smoothing, check_smoothing, smooth_points
from tracker_server.charts.chart_wire import encode_binary
from tracker_server.charts.smoothing import gaussian, running_mean, time_weighted_ema

from .chart_decoding import decode_chart
from .conftest import Journal
from .test_chart import chart_of

KINDS = {
    "time_weighted_ema": ("half_life", time_weighted_ema),
    "gaussian": ("sigma", gaussian),
    "running_mean": ("window", running_mean),
}


@pytest.mark.parametrize("kind", KINDS)
def test_zooming_never_moves_a_curve(tracker_dir, kind):
    journal = Journal(tracker_dir)
    values = np.cumsum(np.random.default_rng(0).normal(size=3000))
    for step, value in enumerate(values.tolist()):
        journal.row(2 * step, loss=value)
    name, function = KINDS[kind]
    smoothing = Smoothing(kind, **{name: 100.0})
    expected = function(2 * np.arange(3000), values, 100.0)
    whole = chart_of(tracker_dir, n_buckets=100, smoothing=smoothing)
    zoomed = chart_of(tracker_dir, n_buckets=100, smoothing=smoothing, x_min=2000.0, x_max=2100.0)
    assert whole.lines[0].cells.smooth[10] == pytest.approx(expected[320:352].mean())
    assert zoomed.lines[0].cells.smooth == pytest.approx(expected[999:1052])
    header = decode_chart(encode_binary(whole))
    assert header["smoothing"] == {"kind": kind, name: 100.0, "points": "raw"}


@pytest.mark.parametrize("x", ["relative_time", "wall_time"])
def test_on_a_time_axis_the_unit_is_a_second(tracker_dir, x):
    journal = Journal(tracker_dir)  # a row every millisecond
    for step, value in enumerate([0.0, 0.0, 9.0, 0.0, 0.0]):
        journal.row(step, loss=value)
    line = chart_of(tracker_dir, x=x, smoothing=Smoothing("running_mean", window=0.002)).lines[0]
    assert line.cells.smooth.tolist() == [0.0, 3.0, 3.0, 3.0, 0.0]


def test_points_logged_out_of_order_are_smoothed_in_order_of_x(tracker_dir):
    journal = Journal(tracker_dir)
    for step, value in [(3, 3.0), (1, 1.0), (2, 2.0), (2, 4.0), (100, math.nan), (0, 0.0)]:
        journal.row(step, loss=value)
    line = chart_of(tracker_dir, smoothing=Smoothing("running_mean", window=2.0)).lines[0]
    assert line.cells.smooth[:4] == pytest.approx([0.5, 7 / 4, 10 / 4, 3.0]) and math.isnan(line.cells.smooth[4])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_very_many_points_is_smoothed_over_means_and_says_so(kind):
    name, function = KINDS[kind]
    n = 3 * MAX_RAW_POINTS
    x = np.arange(n)
    values = np.sin(x / 20_000) + np.random.default_rng(1).normal(size=n)
    smoothing = Smoothing(kind, **{name: 5000.0})
    smoothed, is_raw = smooth_points(x, values, smoothing, 1.0, "binary")
    assert not is_raw and smoothed is not None
    if kind != "gaussian":  # which is slow there, hence the means
        # The first points of all are averages of few.
        assert np.abs(smoothed - function(x, values, 5000.0))[1000:].max() < 0.1
    part, is_raw = smooth_points(x[:1000], values[:1000], smoothing, 1.0, "binary")
    assert is_raw and part == pytest.approx(function(x[:1000], values[:1000], 5000.0))
    assert smooth_points(x, values, Smoothing("ema", 0.9), 1.0, "binary")[1]


@pytest.mark.parametrize(
    ("smoothing", "named"),
    [
        (Smoothing("gaussian"), "sigma too"),
        (Smoothing("ema"), "weight too"),
        (Smoothing("gaussian", sigma=0.0), "smoothing.sigma"),
        (Smoothing("gaussian", sigma=math.inf), "smoothing.sigma"),
        (Smoothing("running_mean", window=-1.0), "smoothing.window"),
        (Smoothing("running_mean", sigma=1.0), "smoothing.sigma"),
        (Smoothing("time_weighted_ema", 0.9, half_life=1.0), "smoothing.weight"),
        (Smoothing("time_weighted_ema", half_life=math.nan), "smoothing.half_life"),
        (Smoothing("none", 0.5), "smoothing.weight"),
        (Smoothing("ema", 1.0), "smoothing.weight"),
    ],
)
def test_a_kind_with_a_parameter_that_is_not_its_own_is_told_so(smoothing, named):
    with pytest.raises(UsageError, match=named):
        check_smoothing(smoothing)


def test_what_the_first_version_of_the_dashboard_sends_still_passes():
    check_smoothing(Smoothing("none", 0))
    check_smoothing(Smoothing("ema", 0.9))

"""Charts of real folders: x of every kind, smoothing before bucketing, zoom, and the bytes for the browser."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tracker_core.errors import UsageError
from tracker_server.charts.chart import ChartRequest, Smoothing, draw
from tracker_server.charts.chart_wire import encode_binary, encode_json
from tracker_server.charts.smoothing import ema
from tracker_server.query.folder import LocalFolder

from .chart_decoding import decode_chart
from .conftest import T0_NS, Journal


def chart_of(tracker_dir, runs=("a",), metric="loss", **options):
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    chart = draw(folder, "p", ChartRequest(list(runs), metric, **options))
    folder.close()
    return chart


def test_few_points_are_shown_exactly_on_the_union_of_steps(tracker_dir):
    for run, steps in (("a", [0, 10, 20]), ("b", [5, 10])):
        journal = Journal(tracker_dir, run=run)
        for step in steps:
            journal.row(step, loss=float(step))
    chart = chart_of(tracker_dir, ["b", "a", "missing"])
    assert chart.is_exact and chart.bucket_width is None and chart.x.tolist() == [0, 5, 10, 20]
    assert [line.id for line in chart.lines] == ["b", "a"]
    assert chart.lines[0].cells.count.tolist() == [0, 1, 1, 0]
    assert chart.lines[1].cells.last.tolist()[0] == 0.0 and math.isnan(chart.lines[1].cells.last[1])
    assert (chart.x_min, chart.x_max, chart.x_label) == (0, 20, "step")


def test_a_run_without_the_metric_has_no_line(tracker_dir):
    Journal(tracker_dir, run="a").row(0, loss=1.0)
    Journal(tracker_dir, run="b").row(0, other=1.0)
    assert [line.id for line in chart_of(tracker_dir, ["a", "b"]).lines] == ["a"]
    assert chart_of(tracker_dir, metric="nothing").lines == []
    assert len(chart_of(tracker_dir, metric="nothing").x) == 0


def test_zoom_keeps_the_full_range_in_the_header_and_the_curve_in_place(tracker_dir):
    journal = Journal(tracker_dir)
    values = np.cumsum(np.random.default_rng(0).normal(size=5000))
    for step, value in enumerate(values.tolist()):
        journal.row(step, loss=value)
    smoothing = Smoothing("ema", 0.99)
    smooth = ema(values, 0.99)
    whole = chart_of(tracker_dir, n_buckets=100, smoothing=smoothing)
    zoomed = chart_of(tracker_dir, n_buckets=100, smoothing=smoothing, x_min=2000.0, x_max=2100.0)
    assert not whole.is_exact and whole.bucket_width == 64
    assert zoomed.is_exact and (zoomed.x_min, zoomed.x_max) == (0, 4999)
    assert zoomed.x.tolist() == list(range(1999, 2102))  # and the next point on either side
    assert zoomed.lines[0].cells.smooth == pytest.approx(smooth[1999:2102])
    assert whole.lines[0].cells.smooth[10] == pytest.approx(smooth[640:704].mean())
    assert (zoomed.lines[0].n_points, zoomed.lines[0].min) == (5000, values.min())


def test_time_axes_are_seconds_from_1970_or_from_the_start_of_the_run(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(3):
        journal.row(step, loss=1.0)
    wall = chart_of(tracker_dir, x="wall_time")
    assert wall.x == pytest.approx([T0_NS / 1e9 + (i + 1) / 1000 for i in range(3)], abs=1e-6)
    relative = chart_of(tracker_dir, x="relative_time")
    assert relative.x.tolist() == [0.001, 0.002, 0.003]
    zoomed = chart_of(tracker_dir, x="wall_time", x_min=wall.x[1], x_max=wall.x[1])
    assert zoomed.x.tolist() == wall.x.tolist()


def test_a_long_time_axis_has_buckets_of_round_seconds(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(5000):
        journal.row(step, loss=1.0)
    chart = chart_of(tracker_dir, x="relative_time", n_buckets=100)
    assert chart.bucket_width == 0.05 and chart.lines[0].cells.count.sum() == 5000
    assert chart.x[0] == pytest.approx(0.025)


def test_another_metric_as_x_is_that_of_the_row_else_of_the_step_else_the_latest(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=0.0)  # nothing logged yet: has no place
    journal.row(1, loss=1.0, epoch=10.0)  # the same row
    journal.row(2, epoch=20.0)
    journal.row(2, loss=2.0)  # the same step, another row
    journal.row(3, loss=3.0)  # nothing at this step: the latest before
    journal.row(4, loss=4.0)  # a later row has the same step: that one
    journal.row(4, epoch=40.0)
    chart = chart_of(tracker_dir, x="metric:epoch")
    assert chart.x.tolist() == [10.0, 20.0, 40.0] and chart.x_label == "epoch"
    assert chart.lines[0].cells.first.tolist() == [1.0, 2.0, 4.0]
    assert chart.lines[0].cells.last.tolist() == [1.0, 3.0, 4.0]
    assert chart.lines[0].n_points == 5


def test_a_metric_used_as_x_is_aligned_in_sealed_and_resumed_runs_too(tracker_dir):
    first = Journal(tracker_dir, counter=1)
    for step in range(10):
        first.row(step, loss=float(step), epoch=float(step // 2))
    first.end("failed")
    second = Journal(tracker_dir, counter=2)
    second.row(10, loss=10.0)
    chart = chart_of(tracker_dir, x="metric:epoch")
    assert chart.lines[0].cells.count.tolist() == [2, 2, 2, 2, 3]


def test_what_is_not_finite_is_counted_at_its_place(tracker_dir):
    journal = Journal(tracker_dir)
    for step, value in enumerate([1.0, math.nan, math.inf, 4.0]):
        journal.row(step, loss=value)
    line = chart_of(tracker_dir).lines[0]
    assert line.cells.nonfinite.tolist() == [0, 1, 1, 0] and line.cells.count.tolist() == [1, 0, 0, 1]
    assert (line.n_points, line.n_nonfinite, line.min, line.max) == (4, 2, 1.0, 4.0)


def test_the_binary_and_the_json_answer_hold_the_same(tracker_dir):
    for run in ("a", "b"):
        journal = Journal(tracker_dir, run=run)
        for step, value in enumerate([0.5, math.nan, 2.5]):
            journal.row(step * (1 + (run == "b")), loss=value)
    chart = chart_of(tracker_dir, ["a", "b"], smoothing=Smoothing("ema", 0.5))
    binary = decode_chart(encode_binary(chart))
    plain = json.loads(encode_json(chart))
    assert binary["n_x"] == len(binary["x"]) == 4 and binary["exact"] is True
    assert binary["x_error"] == plain["x_error"] == 0
    assert binary["runs"][1]["cells"]["last"].dtype == np.float32
    for entry in plain["arrays"]:
        found = binary["x"] if entry["name"] == "x" else binary["runs"][entry["run"]]["cells"][entry["name"]]
        assert [None if v != v else v for v in found.tolist()] == entry["values"]
    assert {entry["name"] for entry in plain["arrays"]} == {
        *("x", "first", "last", "min", "max", "mean", "count", "nonfinite", "smooth")
    }


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.1, 0.9], np.float32),
        ([1e300, 2e300], np.float64),
        ([1_000_000.0, 1_000_000.5], np.float64),
        ([123_456_789, 123_456_790], np.float64),
        ([0.0, 0.0], np.float32),
        ([math.nan, math.nan], np.float32),
        ([1e-40, 2e-40], np.float64),
    ],
)
def test_values_travel_as_float32_only_where_nobody_could_see_it(tracker_dir, values, dtype):
    journal = Journal(tracker_dir)
    for step, value in enumerate(values):
        journal.row(step, loss=value)
    cells = decode_chart(encode_binary(chart_of(tracker_dir)))["runs"][0]["cells"]
    assert cells["last"].dtype == dtype
    assert cells["last"].tolist() == pytest.approx(values, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    "options",
    [
        {"n_buckets": 0},
        {"n_buckets": 100_000},
        {"x": "nonsense"},
        {"x_min": 2.0, "x_max": 1.0},
        {"x_min": math.nan},
        {"smoothing": Smoothing("ema", 1.0)},
    ],
)
def test_a_request_out_of_bounds_says_what_would_be_right(tracker_dir, options):
    with pytest.raises(UsageError, match="expected"):
        chart_of(tracker_dir, **options)


def test_points_logged_meanwhile_move_no_earlier_cell(tracker_dir):
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir)
    for step in range(1000):
        journal.row(step, loss=float(step))
    folder.refresh()
    request = ChartRequest(["a"], "loss", n_buckets=100)
    before = draw(folder, "p", request)
    journal.row(1000, loss=1000.0)
    folder.refresh()
    after = draw(folder, "p", request)
    assert after.x.tolist()[: len(before.x) - 1] == before.x.tolist()[:-1]
    assert after.lines[0].cells.count.sum() == 1001

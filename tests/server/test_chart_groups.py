"""Groups of runs, and several metrics, on one chart."""

from __future__ import annotations

import json
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.errors import UsageError
from tracker_server.charts.buckets import Grid, fill_cells
from tracker_server.charts.chart import MAX_GROUPS, MAX_RUNS
from tracker_server.charts.chart_groups import GroupRequest, group_cells
from tracker_server.charts.chart_smoothing import Smoothing
from tracker_server.charts.chart_wire import encode_binary, encode_json

from .chart_decoding import decode_chart
from .conftest import Journal
from .test_chart import chart_of

STATISTICS = ("mean", "std", "sem", "min", "max", "median")
VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.sampled_from([1e300, -1e300, 1e-300]))


def cells_of(values):
    grid = Grid(np.arange(len(values)), None, None, True)
    return fill_cells(grid, np.arange(len(values)), np.array(values, np.float64))


def written_out(values):
    present = [value for value in values if math.isfinite(value)]
    n = len(present)
    if n == 0:
        return dict.fromkeys(STATISTICS, math.nan)
    top = max(map(abs, present)) or 1.0
    std = statistics.stdev([value / top for value in present]) * top if n > 1 else math.nan
    mean, median = math.fsum(value / n for value in present), statistics.median(present)
    sem = std / math.sqrt(n)
    return {"mean": mean, "std": std, "sem": sem, "min": min(present), "max": max(present), "median": median}


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=7)))
def test_statistics_are_those_of_the_members_that_are_there(table):
    found = group_cells([cells_of(values) for values in table], len(table[0]))
    for i, column in enumerate(zip(*table, strict=True)):
        finite = [value for value in column if math.isfinite(value)]
        assert found.n[i] == len(finite)
        near = 1e-9 * max(map(abs, finite), default=0.0)
        for name, expected in written_out(column).items():
            assert getattr(found, name)[i] == pytest.approx(expected, rel=1e-9, abs=near, nan_ok=True), name


def test_many_members_on_many_cells_are_put_together_piece_by_piece():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 5000))
    found = group_cells([cells_of(values) for values in table], 5000)
    assert found.median == pytest.approx(np.median(table, axis=0))
    assert found.std == pytest.approx(table.std(axis=0, ddof=1))


def three_runs(tracker_dir):
    """Two runs that log every step and every second, a third that ends early."""
    for run, steps, factor in (("a", range(10), 1.0), ("b", range(0, 10, 2), 2.0), ("c", range(4), 3.0)):
        journal = Journal(tracker_dir, run=run)
        for step in steps:
            journal.row(step, loss=factor * step, other=-factor)


def test_a_group_has_no_value_between_the_points_of_its_members(tracker_dir):
    three_runs(tracker_dir)
    chart = chart_of(tracker_dir, [], groups=[GroupRequest("all", ["a", "b", "c", "c", "missing"])])
    assert chart.lines == [] and chart.x.tolist() == list(range(10))
    (group,) = chart.groups
    assert (group.name, group.n_runs, group.n_points) == ("all", 3, 19)
    assert group.cells.n.tolist() == [3, 2, 3, 2, 2, 1, 2, 1, 2, 1]
    assert group.cells.mean[:5] == pytest.approx([0, 2, 4, 6, 6])
    assert group.cells.std[5] != group.cells.std[5] and group.cells.mean[5] == 5.0
    assert chart.x_max == 9


def test_a_member_that_logs_often_weighs_no_more(tracker_dir):
    often, seldom = Journal(tracker_dir, run="a"), Journal(tracker_dir, run="b")
    for step in range(1000):
        often.row(step, loss=0.0)
        if step % 50 == 0:
            seldom.row(step, loss=1.0)
    chart = chart_of(tracker_dir, [], n_buckets=10, groups=[GroupRequest("g", ["a", "b"])])
    assert not chart.is_exact and set(chart.groups[0].cells.mean) == {0.5} and set(chart.groups[0].cells.n) == {2}


def test_a_group_is_the_same_whatever_else_is_shown(tracker_dir):
    three_runs(tracker_dir)
    alone = chart_of(tracker_dir, [], groups=[GroupRequest("g", ["a", "b"])])
    beside = chart_of(tracker_dir, ["c"], groups=[GroupRequest("g", ["a", "b"]), GroupRequest("h", ["c"])])
    assert [line.id for line in beside.lines] == ["c"]
    for name in (*STATISTICS, "n"):
        np.testing.assert_array_equal(getattr(alone.groups[0].cells, name), getattr(beside.groups[0].cells, name))


def test_the_smoothed_line_of_a_group_is_the_mean_of_its_members(tracker_dir):
    three_runs(tracker_dir)
    smoothing = Smoothing("running_mean", window=2.0)
    chart = chart_of(tracker_dir, ["a", "b"], smoothing=smoothing, groups=[GroupRequest("g", ["a", "b"])])
    lines = np.array([line.cells.smooth for line in chart.lines])
    assert chart.groups[0].cells.smooth == pytest.approx(np.nanmean(lines, axis=0))


def test_several_metrics_of_a_run_are_on_one_grid(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(4):
        journal.row(step, loss=float(step))
        journal.row(step + 10, other=float(-step))
    chart = chart_of(tracker_dir, metric=None, metrics=["other", "missing", "loss", "other"])
    assert [(line.id, line.metric) for line in chart.lines] == [("a", "other"), ("a", "loss")]
    assert chart.x.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert chart.lines[0].cells.count.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    both = chart_of(tracker_dir, metric="loss", metrics=["other"])
    assert [line.metric for line in both.lines] == ["loss", "other"]


def test_the_binary_and_the_json_answer_hold_the_same_groups(tracker_dir):
    three_runs(tracker_dir)
    groups = [GroupRequest("g", ["a", "b"]), GroupRequest("none", [])]
    chart = chart_of(tracker_dir, ["c"], metrics=["other"], groups=groups, smoothing=Smoothing("gaussian", sigma=2.0))
    binary, plain = decode_chart(encode_binary(chart)), json.loads(encode_json(chart))
    assert [(group["name"], group["metric"], group["n_runs"]) for group in plain["groups"]] == [
        *(("g", "loss", 2), ("none", "loss", 0), ("g", "other", 2), ("none", "other", 0)),
    ]
    entries = [entry for entry in plain["arrays"] if "group" in entry]
    for entry in entries:
        found = binary["groups"][entry["group"]]["cells"][entry["name"]]
        assert [None if value != value else value for value in found.tolist()] == entry["values"]
    assert {entry["name"] for entry in entries} == {*STATISTICS, "n", "smooth"}
    assert binary["groups"][0]["cells"]["n"].tolist()[:3] == [2, 1, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"metric": None},
        {"groups": [GroupRequest("g", []), GroupRequest("g", ["a"])]},
        {"groups": [GroupRequest(str(i), []) for i in range(MAX_GROUPS + 1)]},
        {"groups": [GroupRequest("g", [f"r{i}" for i in range(MAX_RUNS)])]},
        {"metrics": [f"m{i}" for i in range(MAX_RUNS)]},
    ],
)
def test_a_request_for_too_much_or_nothing_says_what_would_be_right(tracker_dir, options):
    with pytest.raises(UsageError, match="expected"):
        chart_of(tracker_dir, **options)

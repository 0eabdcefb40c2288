"""Charts of many points: from cells they say what they say from points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.charts import chart, chart_plan
from tracker_server.charts.chart import ChartRequest, Smoothing, draw
from tracker_server.query.folder import LocalFolder

from .chart_reference import NAMES, build_all_cells, check_line, joined, log_rows
from .conftest import Journal

RNG = np.random.default_rng(0)


def shaped(name: str, n: int) -> list[int]:
    """Return the steps of a run."""
    rng = np.random.default_rng(len(name))
    return {
        "every": np.arange(n),
        "every 50th": 50 * np.arange(n),
        "gaps": np.cumsum(rng.integers(1, 9, n)),
        "out of order": np.arange(n) + rng.integers(-300, 300, n),
        "duplicates": np.arange(n) // 3,
        "backwards": np.arange(n)[::-1],
        "far": 2**40 + np.arange(n) * 7,
        "negative": np.arange(n) - n // 2,
    }[name].tolist()


def valued(n: int, seed: int = 0) -> list[float]:
    """Return a random walk with a few values that are not finite."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(size=n))
    values[rng.integers(0, n, n // 50)] = np.nan
    values[rng.integers(0, n, 3)] = np.inf
    return values.tolist()


@pytest.fixture
def planned(monkeypatch):
    """Charts of any length are made as those of long runs."""
    monkeypatch.setattr(chart, "MAX_WHOLE_POINTS", -1)


def folder_of(path, **options):
    folder = LocalFolder(path, seal_bytes=1 << 14, **options)
    folder.refresh()
    return folder


@pytest.mark.parametrize(
    "shape", ["every", "every 50th", "gaps", "out of order", "duplicates", "backwards", "far", "negative"]
)
def test_a_chart_of_a_long_run_is_that_of_its_points(tracker_dir, planned, monkeypatch, shape):
    n = 6000
    logged = log_rows(journal := Journal(tracker_dir), shaped(shape, n), valued(n), extra_every=7)
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    low, high = int(logged.steps.min()), int(logged.steps.max())
    span = high - low
    for x_min, x_max in [(None, None), (low + span // 3, low + span // 2), (low + span // 2 + 7, high + 99)]:
        drawn = draw(folder, "p", ChartRequest(["a"], "loss", n_buckets=40, x_min=x_min, x_max=x_max))
        assert not drawn.is_exact and drawn.x_error == 0
        lower = drawn.x.astype(np.int64) - drawn.bucket_width // 2
        check_line(drawn.lines[0], lower, drawn.bucket_width, logged.steps, logged.values)
    line = drawn.lines[0]
    finite = logged.values[np.isfinite(logged.values)]
    assert (line.n_points, line.n_nonfinite) == (n, n - len(finite))
    assert (line.min, line.max, drawn.x_min, drawn.x_max) == (finite.min(), finite.max(), low, high)
    journal.end()
    folder.close()


def test_cells_are_there_and_are_used(tracker_dir, planned, monkeypatch):
    log_rows(Journal(tracker_dir), range(6000), valued(6000))
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    levels = []

    def look(source):
        levels.extend(
            part.level for parts in source.cells(7, "step", dict.fromkeys(names, (0, 5999))).values() for part in parts
        )
        return source.points(7, "step", dict.fromkeys(names, (0, 5999)))

    names = folder.lines_of("p", ["a"], "loss", None)[0].names
    points = folder.ask_metric("p", ["a"], "loss", None, look)
    folder.close()
    assert levels and set(levels) <= {6, 7}
    n_in_memory = sum(len(part.x) for parts in points.values() for part in parts)
    assert 0 < n_in_memory < 3000, "only the tail is read as points"


@pytest.mark.parametrize("writer", [None, "*", "rank1"])
def test_sessions_and_writers_that_log_the_same_steps_are_merged_in_their_order(
    tracker_dir, planned, monkeypatch, writer
):
    first = Journal(tracker_dir, counter=1)
    parts = {"main": [log_rows(first, range(3000), valued(3000))]}
    first.end("failed")
    second = Journal(tracker_dir, counter=2)
    second.now_ns = first.now_ns
    parts["main"].append(log_rows(second, range(2500, 5000), valued(2500, 1)))
    other = Journal(tracker_dir, writer="rank1", counter=3)
    parts["rank1"] = [log_rows(other, range(0, 5000, 2), valued(2500, 2))]
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    logged = joined(parts["main"] + parts["rank1"] if writer == "*" else parts[writer or "main"])
    drawn = draw(folder, "p", ChartRequest(["a"], "loss", n_buckets=50, writer=writer))
    folder.close()
    lower = drawn.x.astype(np.int64) - drawn.bucket_width // 2
    check_line(drawn.lines[0], lower, drawn.bucket_width, logged.steps, logged.values)


SMOOTHINGS = [
    Smoothing("ema", 0.9),
    Smoothing("time_weighted_ema", half_life=50.0),
    Smoothing("gaussian", sigma=40.0),
    Smoothing("running_mean", window=100.0),
]


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=lambda one: one.kind)
@pytest.mark.parametrize("x", ["step", "relative_time"])
def test_a_long_line_is_smoothed_over_cells_that_no_zoom_moves(tracker_dir, planned, monkeypatch, smoothing, x):
    n = 12_000
    values = np.sin(np.arange(n) / 300) + np.random.default_rng(1).normal(size=n) / 10
    log_rows(Journal(tracker_dir), range(n), values.tolist())
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    in_steps = 1.0 if x == "step" else 0.001  # a row every millisecond
    told = {name: length * in_steps for name, length in smoothing_lengths(smoothing).items()}
    smoothing = smoothing if not told else Smoothing(smoothing.kind, **told)

    def drawn(**bounds):
        request = ChartRequest(["a"], "loss", x=x, n_buckets=500, smoothing=smoothing, **bounds)
        return draw(folder, "p", request)

    raw = drawn()
    monkeypatch.setattr("tracker_server.charts.chart_smoothing.MAX_RAW_POINTS", 1000)
    whole, zoomed = drawn(), drawn(x_min=4000 * in_steps, x_max=4100 * in_steps)
    folder.close()
    assert raw.is_smoothed_raw and not whole.is_smoothed_raw and not zoomed.is_smoothed_raw
    assert np.abs(whole.lines[0].cells.smooth - raw.lines[0].cells.smooth)[20:].max() < 0.05
    at = np.searchsorted(whole.x, zoomed.x[50]) - 1
    assert abs(zoomed.lines[0].cells.smooth[50] - whole.lines[0].cells.smooth[at : at + 2]).min() < 0.1
    assert np.isfinite(zoomed.lines[0].cells.smooth[zoomed.lines[0].cells.count > 0]).all()


@pytest.mark.parametrize("x", ["step", "wall_time", "relative_time", "metric:other"])
@pytest.mark.parametrize(
    ("x_min", "x_max"), [(1e300, 1e301), (-1e301, -1e300), (-1e300, 1e300), (None, -1e300), (1e300, None), (0.25, 0.5)]
)
def test_a_range_far_from_all_points_shows_what_is_there_and_no_more(
    tracker_dir, planned, monkeypatch, x, x_min, x_max
):
    monkeypatch.setattr(chart, "MAX_POINTS", -1)
    log_rows(Journal(tracker_dir), range(3000), [1.0] * 3000, extra_every=1)
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    drawn = draw(folder, "p", ChartRequest(["a"], "loss", x=x, x_min=x_min, x_max=x_max))
    folder.close()
    n_shown = sum(int(line.cells.count.sum()) for line in drawn.lines)
    is_all = (x_min, x_max) == (-1e300, 1e300)
    assert n_shown == 3000 if is_all else n_shown < 3000


def chart_by_metric(tracker_dir, monkeypatch, x_values, max_points, **options):
    """Return the chart over a metric from all points, and that which long runs get."""
    journal = Journal(tracker_dir)
    for step, x in enumerate(x_values):
        journal.row(step, loss=float(step % 97), tokens=x)
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    request = ChartRequest(["a"], "loss", x="metric:tokens", n_buckets=50, **options)
    expected = draw(folder, "p", request)
    monkeypatch.setattr(chart, "MAX_POINTS", -1)
    monkeypatch.setattr("tracker_server.charts.chart_by_metric.MAX_POINTS", max_points)
    found = draw(folder, "p", request)
    folder.close()
    return expected, found


@pytest.mark.parametrize("bounds", [{}, {"x_min": 4e6, "x_max": 9e6}, {"x_min": 4e6, "x_max": 4.1e6}])
def test_over_another_metric_few_points_are_shown_exactly(tracker_dir, monkeypatch, bounds):
    tokens = [4096 * step for step in range(5000)]
    expected, found = chart_by_metric(tracker_dir, monkeypatch, tokens, 1 << 60, **bounds)
    same_chart(found, expected)


@pytest.mark.parametrize("bounds", [{}, {"x_min": 4e6, "x_max": 9e6}])
def test_over_another_metric_cells_are_put_where_their_middle_lies_and_the_chart_says_so(
    tracker_dir, monkeypatch, bounds
):
    tokens = [4096 * step for step in range(5000)]
    expected, found = chart_by_metric(tracker_dir, monkeypatch, tokens, -1, **bounds)
    assert found.x.tolist() == expected.x.tolist() and expected.x_error == 0
    assert 0 < found.x_error < found.bucket_width
    one, other = found.lines[0], expected.lines[0]
    assert (one.n_points, one.last, one.min, one.max) == (other.n_points, other.last, other.min, other.max)
    off = np.cumsum(one.cells.count.astype(int)) - np.cumsum(other.cells.count.astype(int))
    assert np.abs(off).max() <= 2 * found.x_error / 4096 + 1  # at the edges of the picture and of each bucket
    assert np.nanmax(one.cells.max) == 96.0


@pytest.mark.parametrize("odd", [float("nan"), None])
def test_where_a_row_lacks_the_other_metric_all_points_are_read(tracker_dir, monkeypatch, odd):
    tokens = [float(step) for step in range(3000)]
    tokens[1234] = odd
    expected, found = chart_by_metric(tracker_dir, monkeypatch, tokens, -1)
    same_chart(found, expected)
    assert found.lines[0].cells.count.sum() == (3000 if odd is None else 2999)


def test_by_time_cells_are_put_where_their_middle_lies_and_the_chart_says_so(tracker_dir, planned, monkeypatch):
    logged = log_rows(Journal(tracker_dir), range(6000), valued(6000))
    folder = folder_of(tracker_dir)
    build_all_cells(tracker_dir, monkeypatch)
    request = ChartRequest(["a"], "loss", x="relative_time", n_buckets=40)
    exact = draw(folder, "p", request)
    monkeypatch.setattr(chart_plan, "MAX_POINTS", -1)
    drawn = draw(folder, "p", request)
    folder.close()
    assert exact.x_error == 0 and 0 < drawn.x_error < drawn.bucket_width / 2
    assert drawn.x.tolist() == exact.x.tolist()
    off = np.cumsum(drawn.lines[0].cells.count.astype(int)) - np.cumsum(exact.lines[0].cells.count.astype(int))
    assert np.abs(off).max() <= drawn.x_error * 1000 + 1  # a row every millisecond
    assert drawn.lines[0].cells.nonfinite.sum() == np.count_nonzero(~np.isfinite(logged.values))


def smoothing_lengths(smoothing):
    name, value = smoothing.parameter()
    return {} if name == "weight" else {name: value}


RUNS = st.lists(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 400), st.integers(-3000, 3000)),
            st.one_of(st.floats(-5, 5), st.sampled_from([float("nan"), float("inf")])),
        ),
        min_size=1,
        max_size=150,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(RUNS, st.integers(1, 30), st.integers(-3000, 3000), st.integers(0, 4000), st.booleans(), st.data())
def test_from_cells_and_from_points_any_chart_is_the_same(
    tmp_path_factory, runs, n_buckets, x_min, length, is_whole, data
):
    path = tmp_path_factory.mktemp("any") / ".tracker"
    for number, run in enumerate(runs):
        journal = Journal(path, run=f"run{number}")
        n_sessions = data.draw(st.integers(1, 2))
        for session in range(n_sessions):
            part = run[session * len(run) // n_sessions : (session + 1) * len(run) // n_sessions]
            log_rows(journal, [step for step, _ in part], [value for _, value in part], extra_every=number * 3)
            if session + 1 < n_sessions:
                journal.end()
                journal = Journal(path, run=f"run{number}", counter=session + 2)
    folder = LocalFolder(path, seal_bytes=1)
    folder.refresh()
    with pytest.MonkeyPatch.context() as patch:
        build_all_cells(path, patch)
        patch.setattr(chart_plan, "MAX_POINTS", 1 << 60)
        bounds = {} if is_whole else {"x_min": float(x_min), "x_max": float(x_min + length)}
        names = [f"run{number}" for number in range(len(runs))]
        for x in ("step", "wall_time", "relative_time"):
            request = ChartRequest(names, "loss", n_buckets=n_buckets, x=x, **({} if x != "step" else bounds))
            patch.setattr(chart, "MAX_WHOLE_POINTS", 1 << 60)
            expected = draw(folder, "p", request)
            patch.setattr(chart, "MAX_WHOLE_POINTS", -1)
            same_chart(draw(folder, "p", request), expected)
            request.smoothing = SMOOTHINGS[n_buckets % 4]
            found = draw(folder, "p", request)
            patch.setattr(chart, "MAX_WHOLE_POINTS", 1 << 60)
            for one, other in zip(found.lines, draw(folder, "p", request).lines, strict=True):
                assert np.allclose(one.cells.smooth, other.cells.smooth, 1e-9, 1e-9, True)
    folder.close()


def same_chart(found, expected):
    assert found.x.tolist() == expected.x.tolist()
    assert (found.is_exact, found.bucket_width, found.x_error) == (expected.is_exact, expected.bucket_width, 0)
    assert (found.x_min, found.x_max) == (expected.x_min, expected.x_max)
    assert found.is_smoothed_raw
    assert [line.id for line in found.lines] == [line.id for line in expected.lines]
    for one, other in zip(found.lines, expected.lines, strict=True):
        for name in ("n_points", "n_nonfinite", "min", "max"):
            assert getattr(one, name) == getattr(other, name)
        assert np.array_equal([one.last], [other.last], equal_nan=True)
        for name in (*NAMES, "count", "nonfinite"):
            is_mean = name == "mean"
            a, b = getattr(one.cells, name), getattr(other.cells, name)
            assert np.allclose(a, b, 1e-9, 1e-9, True) if is_mean else np.array_equal(a, b, equal_nan=True), name

"""Very long runs and runs of very many metrics: every point is there, and readers stay quick."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import numpy as np
import pytest

import tracker_core
from tracker_core.api import Api
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.http.ui_server import run_in_background
from tracker_server.query.folder import LocalFolder

RUN_ID = "large"
CHART_S = 0.3
SEARCH_S = 0.5


def check_steps(folder: Path, n_steps: int) -> None:
    """Log steps, one spike among them, and check series, aggregates and chart against them."""
    values = np.random.default_rng(38).normal(size=n_steps)
    values[n_steps // 3] = 1000.0
    run = tracker_core.init(dir=folder, id=RUN_ID, settings={"quiet": True})
    for step, value in enumerate(values.tolist()):
        run.log({"loss": value, "n": step})
    run.finish()
    api = Api(dir=folder)
    series = api.run(RUN_ID).series("loss")
    assert np.array_equal(series.values, values)
    assert np.array_equal(series.steps, np.arange(n_steps))
    assert np.all(np.diff(series.wall_time_ns) >= 0)
    stats = api.run(RUN_ID).metric("loss").stats
    assert (stats.n, stats.min, stats.max, stats.last) == (n_steps, values.min(), 1000.0, values[-1])
    api.close()
    check_chart(folder, values)


def check_chart(folder: Path, values: np.ndarray) -> None:
    opened = LocalFolder(str(folder))
    opened.refresh()
    took_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        chart = draw(opened, "uncategorized", ChartRequest([RUN_ID], "loss", n_buckets=1000))
        took_s.append(time.perf_counter() - began_s)
    (line,) = chart.lines
    assert (line.n_points, line.max, line.last) == (len(values), 1000.0, values[-1])
    assert np.nanmax(line.cells.max) == 1000.0, "the spike is in the picture"
    assert min(took_s) < CHART_S
    opened.close()


@pytest.mark.fault("F38")
def test_a_hundred_thousand_steps_are_all_there(folder: Path) -> None:
    check_steps(folder, 100_000)


@pytest.mark.long
@pytest.mark.fault("F38")
def test_a_million_steps_are_all_there(folder: Path) -> None:
    check_steps(folder, 1_000_000)


def check_keys(folder: Path, n_keys: int) -> None:
    """Log very many metrics, by the thousand and all in one row, and look for them by `Api` and over HTTP."""
    keys = [f"layer{i // 1000}/w{i % 1000}" for i in range(n_keys)]
    run = tracker_core.init(dir=folder, id=RUN_ID, settings={"quiet": True})
    for step, begin in enumerate(range(0, n_keys, 1000)):
        run.log({key: begin + i for i, key in enumerate(keys[begin : begin + 1000])}, step=step)
    run.log({key: -float(i) for i, key in enumerate(keys)}, step=1000)
    run.finish()
    api = Api(dir=folder)
    found = api.run(RUN_ID)
    assert found.keys() == sorted(keys)
    for i in (0, 999, n_keys // 2, n_keys - 1):
        series = found.series(keys[i])
        assert (list(series.steps), list(series.values)) == ([i // 1000, 1000], [i, -i])
    assert found.summary[keys[-1]] == -(n_keys - 1)
    api.close()
    check_keys_over_http(folder, keys)


def check_keys_over_http(folder: Path, keys: list[str]) -> None:
    server = run_in_background(folder)
    try:
        with httpx.Client(base_url=server.base_url, timeout=60) as client:
            client.get(server.login_url())
            url = "/api/v1/projects/uncategorized"
            assert client.get(f"{url}/metrics").status_code == 200  # the first reads the index
            began_s = time.perf_counter()
            metrics = client.get(f"{url}/metrics").json()["metrics"]
            took_s = time.perf_counter() - began_s
            assert {metric["key"] for metric in metrics} == set(keys)
            assert took_s < SEARCH_S * max(1, len(keys) / 50_000)
            points = client.get(f"{url}/runs/{RUN_ID}/series", params={"key": keys[-1]}).json()
            assert points["values"] == [len(keys) - 1, 1 - len(keys)]
    finally:
        server.close()


@pytest.mark.fault("F39")
def test_twenty_thousand_metrics_are_all_found(folder: Path) -> None:
    check_keys(folder, 20_000)


@pytest.mark.long
@pytest.mark.fault("F39")
def test_a_hundred_thousand_metrics_are_all_found(folder: Path) -> None:
    check_keys(folder, 100_000)

"""Samples of the machine: found like metrics by name, and never mixed with what the user logged."""

from __future__ import annotations

import numpy as np
import pytest

from tracker_core.errors import NotFoundError, UsageError
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.query.folder import LocalFolder

from .conftest import T0_NS, Journal
from .test_folder import LONG_TEXT, delete_index


def opened(path, **options):
    folder = LocalFolder(path, **options)
    folder.refresh()
    return folder


def sampled(tracker_dir, n=10, **session):
    journal = Journal(tracker_dir, **session)
    for i in range(n):
        journal.row(i, loss=float(i))
        journal.system(i, cpu_percent=10.0 * i, memory_percent=50.0)
    return journal


def values_of(folder, key, writer=None, run="a"):
    return folder.series("p", run, key, writer).values.tolist()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_samples_are_no_rows_and_no_metrics_of_the_users(tracker_dir, is_sealed):
    journal = sampled(tracker_dir)
    if is_sealed:
        journal.end()
    folder = opened(tracker_dir)
    view = folder.run("p", "a")
    assert list(view.metrics) == ["loss"] and view.summary == {"loss": 9.0} and view.n_rows == 10
    assert [row.values for row in folder.rows("p", "a")] == [{"loss": float(i)} for i in range(10)]
    samples = list(folder.rows("p", "a", is_system=True))
    assert [row.step for row in samples] == list(range(10))
    assert samples[3].values == {"system/cpu_percent": 30.0, "system/memory_percent": 50.0}
    assert [row.values for row in folder.rows("p", "a", ["system/cpu_percent"], is_system=True)][1] == {
        "system/cpu_percent": 10.0
    }
    folder.close()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_series_and_charts_find_them_by_name(tracker_dir, is_sealed):
    journal = sampled(tracker_dir)
    if is_sealed:
        journal.end()
    folder = opened(tracker_dir)
    series = folder.series("p", "a", "system/cpu_percent")
    assert series.values.tolist() == [10.0 * i for i in range(10)] and series.steps.tolist() == list(range(10))
    assert series.wall_time_ns.tolist() == [T0_NS + 2_000_000 * (i + 1) for i in range(10)]
    for x, expected in (("relative_time", 0.002), ("step", 0), ("metric:loss", 0.0)):
        chart = draw(folder, "p", ChartRequest(["a"], "system/cpu_percent", x=x))
        assert chart.lines[0].n_points == 10 and chart.x[0] == pytest.approx(expected)
    assert draw(folder, "p", ChartRequest(["a"], "loss", x="metric:system/cpu_percent")).lines[0].n_points == 10
    details = folder.details("p", "a")
    assert details.system["system/cpu_percent"].stats.last == 90.0 and details.system_writer == "main"
    assert details.system["system/memory_percent"].n_points == 10
    folder.close()


def test_what_tracker_run_sampled_goes_before_what_the_process_did(tracker_dir):
    journal = sampled(tracker_dir)
    launcher = Journal(tracker_dir, writer="launcher")
    launcher.system(cpu_percent=-1.0)
    folder = opened(tracker_dir)
    assert values_of(folder, "system/cpu_percent") == [-1.0]
    assert len(values_of(folder, "system/cpu_percent", "main")) == 10
    details = folder.details("p", "a")
    assert (details.system_writer, details.system_writers) == ("launcher", ["launcher", "main"])
    assert list(details.system) == ["system/cpu_percent"]
    assert values_of(folder, "loss") == [float(i) for i in range(10)]
    chart = draw(folder, "p", ChartRequest(["a"], "system/cpu_percent", writer="main"))
    assert chart.lines[0].n_points == 10
    journal.end()


def test_samples_of_several_machines_are_never_one_series(tracker_dir):
    sampled(tracker_dir)
    sampled(tracker_dir, 3, writer="rank1", counter=2)
    folder = opened(tracker_dir)
    assert len(values_of(folder, "system/cpu_percent")) == 10
    assert len(values_of(folder, "system/cpu_percent", "rank1")) == 3
    with pytest.raises(UsageError, match="each machine"):
        folder.series("p", "a", "system/cpu_percent", "*")
    with pytest.raises(NotFoundError):
        folder.series("p", "a", "system/cpu_percent", "rank9")


def test_a_metric_that_the_user_logged_under_such_a_name_is_the_users(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, **{"system/cpu_percent": 1.5})
    journal.system(0, cpu_percent=99.0)
    for is_sealed in (False, True):
        if is_sealed:
            journal.end()
        folder = opened(tracker_dir)
        assert values_of(folder, "system/cpu_percent") == [1.5]
        assert folder.run("p", "a").summary == {"system/cpu_percent": 1.5}
        assert folder.details("p", "a").system["system/cpu_percent"].stats.last == 99.0
        folder.close()


def test_every_sample_is_there_once_through_partial_seals_and_lost_indexes(tracker_dir):
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    for i in range(30):
        journal.row(i, text=LONG_TEXT)
        journal.system(i, cpu_percent=float(i))
        if i % 5 == 0:
            folder.refresh()
        if i == 17:
            delete_index(tracker_dir)
    folder.refresh()
    for reader in (folder, opened(tracker_dir)):
        assert values_of(reader, "system/cpu_percent") == [float(i) for i in range(30)]
        assert len(list(reader.rows("p", "a", is_system=True))) == 30
        assert reader.details("p", "a").system["system/cpu_percent"].stats.sum == sum(range(30))
        assert len(list(reader.rows("p", "a"))) == 30


def test_a_gpu_that_comes_late_begins_a_metric_of_its_own(tracker_dir):
    journal = Journal(tracker_dir)
    journal.system(cpu_percent=1.0)
    journal.system(cpu_percent=2.0, **{"gpu0/power_w": 300.0})
    journal.system(cpu_percent=3.0, **{"gpu0/power_w": float("nan")})
    folder = opened(tracker_dir)
    assert values_of(folder, "system/cpu_percent") == [1.0, 2.0, 3.0]
    power = np.array(values_of(folder, "system/gpu0/power_w"))
    assert power[0] == 300.0 and np.isnan(power[1])


def test_changes_are_told_as_such(tracker_dir):
    journal, folder = Journal(tracker_dir), LocalFolder(tracker_dir)
    folder.refresh()
    journal.system(cpu_percent=1.0)
    assert [change.kinds for change in folder.refresh()] == [("system",)]
    journal.environment(command=["python", "train.py"])
    assert [change.kinds for change in folder.refresh()] == [("environment",)]


def test_a_packed_sample_of_foreign_names_is_shown_nowhere(tracker_dir):
    from tracker_core.journal_format import Kind

    journal = Journal(tracker_dir)
    journal._put_packed((("loss",), "d", Kind.SYSTEM), 0, (1.0,))
    folder = opened(tracker_dir)
    assert folder.details("p", "a").system == {} and folder.run("p", "a").metrics == {}
    with pytest.raises(NotFoundError):
        folder.series("p", "a", "loss")


def test_environment_is_put_together_from_its_records_with_the_processs_own_on_top(tracker_dir):
    launcher = Journal(tracker_dir, writer="launcher")
    launcher.environment(command=["tracker", "run"], host="a", gpus=[{"index": 0}])
    journal = Journal(tracker_dir)
    journal.environment(python={"version": "3.11"}, host="b")
    journal.environment(python={"version": "3.12"}, git={"commit": "abc"})
    for is_sealed in (False, True):
        if is_sealed:
            journal.end()
            launcher.end()
        folder = opened(tracker_dir)
        assert folder.details("p", "a").environment == {
            "command": ["tracker", "run"],
            "host": "b",
            "gpus": [{"index": 0}],
            "python": {"version": "3.12"},
            "git": {"commit": "abc"},
        }
        folder.close()


def test_an_environment_nested_too_deep_is_damage(tracker_dir):
    journal, deep = Journal(tracker_dir), []
    for _ in range(200):
        deep = [deep]
    journal.environment(ok=1)
    journal.environment(deep=deep)
    journal.row(0, text="x" * 70_000)
    journal.row(1, text="x" * 70_000)
    folder = opened(tracker_dir, seal_bytes=1)
    assert folder.details("p", "a").environment == {"ok": 1} and folder.run("p", "a").n_damaged == 1
    folder.close()
    again = opened(tracker_dir)
    assert again.details("p", "a").environment == {"ok": 1} and again.run("p", "a").n_damaged == 1

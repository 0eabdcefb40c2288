"""Alerts are in the run's journal, no more often than is asked for."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from logged_media import Logged

import tracker_core as tracker
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Alert


def alerts(logged: Logged) -> list[Alert]:
    logged.run.finish(quiet=True)
    (path,) = Path(logged.run.dir).glob("main.*.journal")
    return [record for _, record in JournalReader(str(path)).read().records if isinstance(record, Alert)]


def test_an_alert_says_what_how_bad_and_at_which_step(logged: Logged) -> None:
    logged.log(loss=1.0)
    tracker.alert("Loss is high", "it is 1.0", level=tracker.AlertLevel.WARN)
    logged.run.alert(title="Again", text="", level="error")
    logged.run.alert("Plain \ud800")
    found = [(one.title, one.text, one.level, one.step) for one in alerts(logged)]
    assert found == [("Loss is high", "it is 1.0", "WARN", 1), ("Again", "", "ERROR", 1), ("Plain ?", "", "INFO", 1)]


def test_a_title_comes_again_only_after_its_time(logged: Logged) -> None:
    for _ in range(3):
        logged.run.alert("default")
        logged.run.alert("never waits", wait_duration=0)
        logged.run.alert("long", wait_duration=datetime.timedelta(hours=1))
    titles = [one.title for one in alerts(logged)]
    assert (titles.count("default"), titles.count("never waits"), titles.count("long")) == (1, 3, 1)


def test_a_text_of_any_length_is_cut(logged: Logged) -> None:
    logged.run.alert("t" * 10_000, "x" * 10_000_000)
    (alert,) = alerts(logged)
    assert len(alert.title) == 256 and len(alert.text) == 64 << 10


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": ""},
        {"title": 5},
        {"title": "a", "level": "BAD"},
        {"title": "a", "level": 3},
        {"title": "a", "wait_duration": -1},
        {"title": "a", "wait_duration": "long"},
        {"title": "a", "wait_duration": float("nan")},
    ],
    ids=str,
)
def test_a_wrong_alert_raises_at_once(logged: Logged, arguments: dict[str, Any]) -> None:
    with pytest.raises(tracker.UsageError):
        logged.run.alert(**arguments)


def test_an_alert_needs_a_run_that_goes_on(logged: Logged) -> None:
    logged.run.finish(quiet=True)
    with pytest.raises(tracker.UsageError, match="finished"):
        logged.run.alert("late")
    with pytest.raises(tracker.NoRunError):
        tracker.alert("late")
    tracker.init(mode="disabled").alert("nobody", wait_duration=5)

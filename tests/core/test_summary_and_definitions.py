"""`run.summary` and `define_metric`: which rule holds, aggregates that NaN does not poison, values set by hand."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracker_core
from tracker_core import UsageError
from tracker_core.journal_reader import JournalReader
from tracker_core.metrics import MetricRules, MetricStats
from tracker_core.records import MetricDefinition, Summary


def rules(*definitions: dict[str, Any]) -> MetricRules:
    made = MetricRules()
    for definition in definitions:
        made.add(MetricDefinition(wall_time_ns=0, **definition))
    return made


def records_of(folder: Path, kind: type) -> list[Any]:
    (path,) = folder.rglob("*.journal")
    return [record for _, record in JournalReader(str(path)).read().records if isinstance(record, kind)]


@pytest.mark.parametrize(
    ("patterns", "key", "winner"),
    [
        (["*", "train/*", "train/loss"], "train/loss", "train/loss"),
        (["train/loss", "train/*", "*"], "train/loss", "train/loss"),
        (["*", "train/*"], "train/loss", "train/*"),
        (["train/*", "*"], "train/loss", "train/*"),
        (["*loss", "tr*"], "train/loss", "*loss"),
        (["*/loss", "trai*"], "train/loss", "*/loss"),
        (["a*c", "a*b*"], "abc", "a*b*"),
        (["*oss", "tra*"], "train/loss", "tra*"),
        (["tra*", "*oss"], "train/loss", "*oss"),
        (["train/*"], "val/loss", None),
        (["loss"], "loss2", None),
        (["a.b*"], "axb", None),
        (["[x]*"], "[x]y", "[x]*"),
        (["*"], "with\nnewline", "*"),
    ],
)
def test_most_specific_rule_holds(patterns: list[str], key: str, winner: str | None) -> None:
    rule = rules(*({"name": pattern} for pattern in patterns)).match(key)
    assert (rule.pattern if rule else None) == winner


def test_later_definition_of_a_name_adds_to_the_earlier_or_replaces_it() -> None:
    first = {"name": "x", "summary": ["min"], "goal": "minimize", "step_metric": "epoch"}
    added = rules(first, {"name": "x", "summary": ["max"]}).match("x")
    assert added is not None
    assert (added.summary, added.goal, added.step_metric) == (("max",), "minimize", "epoch")
    replaced = rules(first, {"name": "x", "hidden": True, "overwrite": True}).match("x")
    assert replaced is not None
    assert (replaced.summary, replaced.goal, replaced.step_metric, replaced.hidden) == ((), None, None, True)


VALUES = [math.nan, 3.0, -math.inf, 1.0, 2.0, math.inf, math.nan]


def test_aggregates_are_over_finite_values_and_count_the_others(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.define_metric("x", summary="min,max,mean,first,last,best", goal="maximize")
    for value in VALUES:
        run.log({"x": value})
    summary = run.summary["x"]
    assert {k: summary[k] for k in ("min", "max", "mean", "best", "n_nonfinite")} == {
        "min": 1.0, "max": 3.0, "mean": 2.0, "best": 3.0, "n_nonfinite": 4,
    }  # fmt: skip
    assert math.isnan(summary["first"])
    assert math.isnan(summary["last"])


@pytest.mark.parametrize("as_text", [False, True])
def test_definition_made_after_logging_began_counts_all_rows(folder: Path, as_text: bool) -> None:
    run = tracker_core.init(dir=folder)
    for n, value in enumerate([5.0, 1.0, math.nan, 3.0]):
        run.log({"x": value, "text": "t"} if as_text and n % 2 else {"x": value})
    run.define_metric("x", summary="min,max,first,last,mean")
    expected = {"min": 1.0, "max": 5.0, "first": 5.0, "last": 3.0, "mean": 3.0, "n_nonfinite": 1}
    assert run.summary["x"] == expected
    run.log({"x": 0.0})
    assert run.summary["x"]["min"] == 0.0
    assert run.summary["x"]["first"] == 5.0


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8])
def test_mean_of_narrow_numbers_does_not_overflow(folder: Path, kind: type) -> None:
    run = tracker_core.init(dir=folder)
    run.define_metric("x", summary=["mean", "max"])
    for _ in range(2000):
        run.log({"x": kind(100)})
    assert run.summary["x"] == {"mean": 100.0, "max": 100}


def test_mean_of_large_integers_is_exact_enough() -> None:
    stats = MetricStats()
    for value in (2**62, 2**62 + 1, -(2**62)):
        stats.add(value)
    assert (stats.min, stats.max) == (-(2**62), 2**62 + 1)
    assert stats.mean == pytest.approx((2**62 + 1) / 3)


def test_summary_without_definitions_is_the_last_value(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"a": 1.0, "t": "x"})
    run.log({"a": 2.0}, step=-5)
    assert dict(run.summary) == {"a": 2.0, "t": "x"}


def test_values_set_by_hand_win_before_and_after_logging(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.summary["a"] = 10
    run.log({"a": 1.0, "b": 2.0})
    run.summary["b"] = "best"
    run.log({"a": 3.0, "b": 4.0})
    run.summary.best_epoch = np.int64(7)
    assert dict(run.summary) == {"a": 10, "b": "best", "best_epoch": 7}
    del run.summary["a"]
    assert run.summary["a"] == 3.0
    with pytest.raises(UsageError, match="summary='none'"):
        del run.summary["a"]
    with pytest.raises(KeyError):
        del run.summary["never there"]
    changes = [(record.values, record.removed) for record in records_of(folder, Summary)]
    assert changes == [({"a": 10}, []), ({"b": "best"}, []), ({"best_epoch": 7}, []), ({}, ["a"])]


def test_metric_with_summary_none_is_hidden_from_the_summary(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.define_metric("debug/*", summary="none")
    run.log({"debug/x": 1.0, "y": 2.0})
    assert dict(run.summary) == {"y": 2.0}


@pytest.mark.parametrize("summary", ["median", ["min", "avg"], 5, {"min": 1}, "min;max"])
def test_unknown_aggregate_raises(folder: Path, summary: Any) -> None:
    run = tracker_core.init(dir=folder)
    with pytest.raises(UsageError, match=r"define_metric\(summary=\)"):
        run.define_metric("x", summary=summary)


@pytest.mark.parametrize(
    "arguments", [{"goal": "up"}, {"goal": ["min"]}, {"name": ""}, {"name": 3}, {"step_metric": 3}]
)
def test_wrong_definition_raises(folder: Path, arguments: dict[str, Any]) -> None:
    run = tracker_core.init(dir=folder)
    with pytest.raises(UsageError, match=r"define_metric\("):
        run.define_metric(**{"name": "x", **arguments})
    assert records_of(folder, MetricDefinition) == []


def test_definitions_are_recorded(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.define_metric("val/*", step_metric="epoch", summary=["min", "last"], goal="min", hidden=False, step_sync=True)
    (definition,) = records_of(folder, MetricDefinition)
    assert (definition.name, definition.step_metric, definition.summary) == ("val/*", "epoch", ["min", "last"])
    assert (definition.goal, definition.hidden) == ("minimize", False)


def test_config_and_summary_can_be_copied_and_pickled(folder: Path) -> None:
    run = tracker_core.init(dir=folder, config={"a": {"b": 1}})
    run.log({"x": 1.0})
    for again in (copy.deepcopy(run.config), pickle.loads(pickle.dumps(run.config)), copy.copy(run.config)):
        assert dict(again) == {"a": {"b": 1}}
        assert again.a == {"b": 1}
        again["new"] = 1
    assert "new" not in run.config
    assert dict(copy.deepcopy(run.summary)) == {"x": 1.0}

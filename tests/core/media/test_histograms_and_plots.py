"""Histograms and plots are kept as numbers, and these are right."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from logged_media import Logged
from sklearn import metrics

import tracker_core as tracker
from tracker_core.media.plot_value import Plot

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8, np.int64, np.uint8, bool])
def test_counts_are_those_of_numpy(dtype: type) -> None:
    values = (RNG.normal(0, 20, 1000) if dtype is not bool else RNG.normal(0, 1, 1000) > 0).astype(dtype)
    counts, edges = np.histogram(values.astype(np.float64), bins=64)
    found = tracker.Histogram(values.reshape(10, 100))
    assert (found.histogram, found.bins) == (counts.tolist(), edges.tolist())


def test_values_that_are_no_number_are_counted_beside() -> None:
    found = tracker.Histogram([1.0, math.nan, 2.0, math.inf, -math.inf], num_bins=2).value()
    assert found == {"_type": "histogram", "bins": [1.0, 1.5, 2.0], "counts": [1, 1], "n_nonfinite": 3}
    assert tracker.Histogram([math.nan]).value()["counts"] == [0]
    assert sum(tracker.Histogram([]).histogram) == 0


def test_known_counts_are_taken_as_they_are(logged: Logged) -> None:
    logged.log(h=tracker.Histogram(np_histogram=np.histogram([1, 2, 2, 3], bins=2)))
    assert logged.value("h") == {"_type": "histogram", "bins": [1.0, 2.0, 3.0], "counts": [1, 3]}


def test_a_large_tensor_is_counted_by_the_thread_at_its_step(logged: Logged) -> None:
    tensor = torch.arange(200_000, dtype=torch.float32)
    logged.run.log({"large": tracker.Histogram(tensor, num_bins=4), "loss": 1.0}, step=3)
    tensor.zero_()
    logged.run.log({"loss": 2.0}, step=4)
    rows = {row["_step"]: row for row in logged.read.history()}
    assert rows[3]["large"]["counts"] == [50_000] * 4 and rows[3]["loss"] == 1.0 and "large" not in rows[4]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sequence": [1], "np_histogram": ([1], [0, 1])},
        {"sequence": [1], "num_bins": 513},
        {"sequence": [1], "num_bins": 0},
        {"sequence": ["a"]},
        {"sequence": [1j]},
        {"sequence": object()},
        {"np_histogram": ([1], [0])},
        {"np_histogram": ([1, 2], [0, 2, 1])},
        {"np_histogram": ([1, math.nan], [0, 1, 2])},
        {"np_histogram": 5},
        {"np_histogram": ([1] * 600, list(range(601)))},
    ],
)
def test_a_wrong_histogram_raises_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(tracker.UsageError):
        tracker.Histogram(**arguments)


TABLE = tracker.Table(columns=["x", "y", "who"], data=[[1, 2.0, "a"], [2, math.nan, "b"], [3, 5.0, "a"]])


def test_plots_of_tables_are_numbers(logged: Logged) -> None:
    logged.log(
        line=tracker.plot.line(TABLE, "x", "y", stroke="who", title="Lines"),
        scatter=tracker.plot.scatter(TABLE, "x", "y"),
        bar=tracker.plot.bar(TABLE, "who", "x"),
        histogram=tracker.plot.histogram(TABLE, "y"),
        series=tracker.plot.line_series([0, 1], [[1, 2], [3, 4]], keys=["p", "q"], xname="epoch"),
    )
    value = logged.value("line")
    assert {**value, "path": ""} == {"_type": "plot", "kind": "line", "path": "", "title": "Lines"}

    def numbers(key: str) -> dict[str, Any]:
        return json.loads(logged.file(logged.value(key)["path"]))  # type: ignore[no-any-return]

    assert numbers("line") == {
        "kind": "line",
        "title": "Lines",
        "x_label": "x",
        "y_label": "y",
        "series": [{"name": "a", "x": [1, 3], "y": [2.0, 5.0]}, {"name": "b", "x": [2], "y": [None]}],
    }
    assert numbers("scatter")["series"] == [{"name": "y", "x": [1, 2, 3], "y": [2.0, None, 5.0]}]
    assert (numbers("bar")["labels"], numbers("bar")["values"]) == (["a", "b", "a"], [1, 2, 3])
    assert sum(numbers("histogram")["counts"]) == 2 and numbers("histogram")["n_nonfinite"] == 1
    assert [one["name"] for one in numbers("series")["series"]] == ["p", "q"]


def scores() -> tuple[np.ndarray, np.ndarray]:
    truth = RNG.integers(0, 3, 400)
    logits = RNG.normal(size=(400, 3)).round(1)  # rounded: equal scores are one threshold
    logits[np.arange(400), truth] += 1
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_a_roc_curve_is_that_of_scikit_learn() -> None:
    truth, probabilities = scores()
    plot = tracker.plot.roc_curve(truth, probabilities, labels=["cat", "dog", "owl"])
    assert [one["name"] for one in plot.fields["series"]] == ["cat", "dog", "owl"]
    for index, one in enumerate(plot.fields["series"]):
        x, y, _ = metrics.roc_curve(truth == index, probabilities[:, index])
        assert np.interp(x, one["x"], one["y"]).max() == 1
        assert one["area"] == pytest.approx(metrics.auc(x, y), abs=1e-12)
        assert metrics.auc(one["x"], one["y"]) == pytest.approx(one["area"], abs=1e-12)


def test_a_pr_curve_is_that_of_scikit_learn() -> None:
    truth, probabilities = scores()
    plot = tracker.plot.pr_curve(torch.from_numpy(truth), torch.from_numpy(probabilities), classes_to_plot=[2])
    (one,) = plot.fields["series"]
    precision, recall, _ = metrics.precision_recall_curve(truth == 2, probabilities[:, 2])
    assert one["average_precision"] == pytest.approx(metrics.average_precision_score(truth == 2, probabilities[:, 2]))
    assert len(one["x"]) == 21 and one["x"][0] == 0 and one["x"][-1] == 1
    for at, value in zip(one["x"], one["y"], strict=True):
        reached = recall[:-1] >= at - 1e-12  # of the highest threshold at which the recall is reached
        assert value == pytest.approx(precision[:-1][reached][-1])


def test_a_binary_classifier_may_give_one_probability() -> None:
    plot = tracker.plot.roc_curve([0, 1, 1], [0.2, 0.9, 0.7])
    assert [one["area"] for one in plot.fields["series"]] == [1.0, 1.0]
    alone = tracker.plot.roc_curve([0, 0], [[0.5, 0.5], [0.1, 0.9]])
    assert [one["area"] for one in alone.fields["series"]] == [None, None]


def test_a_confusion_matrix_counts_truth_against_prediction() -> None:
    truth, probabilities = scores()
    expected = metrics.confusion_matrix(truth, probabilities.argmax(axis=1)).tolist()
    by_scores = tracker.plot.confusion_matrix(probs=probabilities, y_true=truth, class_names=["a", "b", "c"])
    by_names = tracker.plot.confusion_matrix(
        preds=["abc"[one] for one in probabilities.argmax(axis=1)], y_true=truth, class_names=["a", "b", "c"]
    )
    assert by_scores.fields == by_names.fields == {"classes": ["a", "b", "c"], "counts": expected}


WRONG = {
    "absent column": lambda: tracker.plot.line(TABLE, "x", "z"),
    "no table": lambda: tracker.plot.bar([[1]], "x", "y"),  # type: ignore[arg-type]
    "texts in a histogram": lambda: tracker.plot.histogram(TABLE, "who"),
    "no truth": lambda: tracker.plot.pr_curve(None, [[1.0]]),
    "other lengths": lambda: tracker.plot.roc_curve([0, 1], [[0.1, 0.9]]),
    "NaN": lambda: tracker.plot.roc_curve([0, 1], [[0.1, 0.9], [math.nan, 0.1]]),
    "labels": lambda: tracker.plot.roc_curve([0, 1], [[0.1, 0.9], [0.9, 0.1]], labels=["one"]),
    "both": lambda: tracker.plot.confusion_matrix(probs=[[1.0]], preds=[0], y_true=[0]),
    "negative class": lambda: tracker.plot.confusion_matrix(preds=[-1], y_true=[0]),
    "unknown name": lambda: tracker.plot.confusion_matrix(preds=["z"], y_true=["a"], class_names=["a"]),
    "large class": lambda: tracker.plot.confusion_matrix(preds=[10**9], y_true=[0]),
    "empty": lambda: tracker.plot.confusion_matrix(preds=[], y_true=[]),
    "own chart": lambda: tracker.plot.plot_table("me/chart", TABLE, {}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plot_raises_at_once(name: str) -> None:
    with pytest.raises(tracker.UsageError, match=r"got .* expected"):
        WRONG[name]()


def test_a_plot_comes_back_from_its_numbers() -> None:
    plot = tracker.plot.scatter(TABLE, "x", "y", "Points")
    again = Plot.of_numbers(json.loads(json.dumps(plot.numbers())))
    assert (again.plot_kind, again.title, again.fields) == ("scatter", "Points", plot.fields)


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 1.0 + 2**-52],
        [1e17, 1e17 + 16],
        [1e17],
        [0.0, 5e-324],
        [-1.7e308, 0.0, 1.7e308],
        [1.7976931348623157e308, 1.7976931348623155e308],
        [-1.7976931348623157e308],
    ],
)
@pytest.mark.parametrize("n_bins", [1, 64, 512])
def test_values_too_near_or_too_far_apart_are_counted_too(values: list[float], n_bins: int) -> None:
    found = tracker.Histogram(values, num_bins=n_bins)
    edges = found.bins
    assert sum(found.histogram) == len(values) and len(edges) == n_bins + 1
    assert all(math.isfinite(one) for one in edges) and all(np.less(edges[:-1], edges[1:]))
    assert edges[0] <= min(values) and max(values) <= edges[-1]


def test_a_line_is_named_by_its_value_also_where_that_is_zero() -> None:
    table = tracker.Table(columns=["x", "y", "fold"], data=[[1, 2.0, 0], [1, 3.0, 1], [1, 4.0, None]])
    assert [one["name"] for one in tracker.plot.line(table, "x", "y", "fold").fields["series"]] == ["0", "1", "y"]

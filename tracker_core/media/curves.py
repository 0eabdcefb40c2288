"""How well a classifier does, as curves and counts. Pure.

Precision and recall at every threshold, their average precision without interpolation, and the ROC curve with its area
by trapezoids: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006); J. Davis and M.
Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError

_MOST_CLASSES = 1000
_MOST_POINTS = 1000


def pr_curves(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, classes_to_plot: Sequence[Any] | None, n_points: int
) -> list[dict[str, Any]]:
    """Return for each class its name, recalls "x", precisions "y", and "average_precision" (None without positives)."""
    import numpy as np

    where = "plot.pr_curve()"
    if not isinstance(n_points, int) or not 2 <= n_points <= _MOST_POINTS:
        expected = f"2 to {_MOST_POINTS}"
        raise UsageError("plot.pr_curve(interp_size=)", f"{n_points!r:.100}", expected, "choose fewer points")
    curves: list[dict[str, Any]] = []
    grid = np.linspace(0, 1, n_points)
    for name, is_positive, scores in _classes(y_true, y_probas, labels, classes_to_plot, where):
        true_positives, false_positives = _cumulated(is_positive, scores)
        n_positives = int(true_positives[-1])
        if n_positives == 0:
            curves.append({"name": name, "x": [], "y": [], "average_precision": None})
            continue
        precision = true_positives / (true_positives + false_positives)
        recall = true_positives / n_positives
        average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        at = np.minimum(np.searchsorted(recall, grid, side="left"), len(recall) - 1)
        curve = {"name": name, "x": grid.tolist(), "y": precision[at].tolist(), "average_precision": average}
        curves.append(curve)
    return curves


def roc_curves(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, classes_to_plot: Sequence[Any] | None
) -> list[dict[str, Any]]:
    """Return for each class its name, false positive rates "x", true ones "y", and "area" (None: one class only)."""
    import numpy as np

    curves: list[dict[str, Any]] = []
    for name, is_positive, scores in _classes(y_true, y_probas, labels, classes_to_plot, "plot.roc_curve()"):
        true_positives, false_positives = _cumulated(is_positive, scores)
        if true_positives[-1] == 0 or false_positives[-1] == 0:
            curves.append({"name": name, "x": [], "y": [], "area": None})
            continue
        x = np.concatenate([[0.0], false_positives / false_positives[-1]])
        y = np.concatenate([[0.0], true_positives / true_positives[-1]])
        area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
        kept = _thinned(x, y)
        curves.append({"name": name, "x": x[kept].tolist(), "y": y[kept].tolist(), "area": area})
    return curves


def _thinned(x: Any, y: Any) -> Any:
    """Return the indices of the corners of a curve, and of at most 1000 of these evenly."""
    import numpy as np

    inner = np.any([np.diff(x, 2) != 0, np.diff(y, 2) != 0], axis=0)
    kept = np.flatnonzero(np.concatenate([[True], inner, [True]]))
    if len(kept) > _MOST_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, _MOST_POINTS).round().astype(int)]
    return kept


def _cumulated(is_positive: Any, scores: Any) -> tuple[Any, Any]:
    """Return how many true and false positives there are at each distinct threshold, from the highest down."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    is_positive, scores = is_positive[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true_positives = np.cumsum(is_positive)[last].astype(np.float64)
    return true_positives, 1.0 + last - true_positives


def _classes(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, classes_to_plot: Sequence[Any] | None, where: str
) -> list[tuple[str, Any, Any]]:
    """Return (name, whether each sample is of it, its score) of each class to plot."""
    import numpy as np

    truth, scores = _array(y_true, where, "y_true"), _array(y_probas, where, "y_probas")
    if truth.ndim != 1 or not len(truth):
        raise UsageError(where, f"y_true of shape {truth.shape}", "one class for each sample", "pass them as a list")
    scores = scores.astype(np.float64)
    if scores.ndim == 1 or scores.shape[-1] == 1:
        scores = np.stack([1 - scores.reshape(-1), scores.reshape(-1)], axis=1)
    classes = np.unique(truth)
    if scores.ndim != 2 or len(scores) != len(truth) or np.isnan(scores).any():
        got = f"y_probas of shape {scores.shape}{' with NaN' if np.isnan(scores).any() else ''}"
        raise UsageError(where, got, f"numbers of shape ({len(truth)}, classes)", "pass one row for each sample")
    n = scores.shape[1]
    if n > _MOST_CLASSES:
        raise UsageError(where, f"{n} classes", f"at most {_MOST_CLASSES}", "plot a few of them")
    numbers = _class_of_columns(classes, n, where)
    names = [str(one) for one in (labels if labels is not None else numbers)]
    if len(names) != n:
        raise UsageError(where, f"{len(names)} labels", f"{n}, one for each class", "name every class")
    wanted = set(numbers if classes_to_plot is None else np.asarray(classes_to_plot).tolist())
    return [
        (name, truth == number, scores[:, index])
        for index, (name, number) in enumerate(zip(names, numbers, strict=True))
        if number in wanted or name in wanted
    ]


def _class_of_columns(classes: Any, n: int, where: str) -> list[Any]:
    """Return which class each column of the probabilities is for: 0, 1, ..., or the classes there are, sorted."""
    found = classes.tolist()
    if classes.dtype.kind in "biu" and all(0 <= one < n for one in found):
        return list(range(n))
    if len(found) == n:
        return list(found)
    got = f"{len(found)} classes in y_true and {n} in y_probas"
    raise UsageError(where, got, "classes numbered from 0, or equally many", "number the classes as the columns are")


def confusion_counts(
    probs: Any, y_true: Any, preds: Any, class_names: Sequence[str] | None
) -> tuple[list[str], list[list[int]]]:
    """Return the classes' names, and for each true class how often each was predicted.

    Raises:
        UsageError: the arguments do not fit one another.
    """
    import numpy as np

    where = "plot.confusion_matrix()"
    if (probs is None) == (preds is None):
        got = "neither probs nor preds" if probs is None else "both probs and preds"
        raise UsageError(where, got, "one of the two", "pass what was predicted")
    names = None if class_names is None else [str(name) for name in class_names]
    truth = _numbers(_array(y_true, where, "y_true"), names, where)
    if probs is not None:
        scores = _array(probs, where, "probs")
        if scores.ndim != 2:
            raise UsageError(where, f"probs of shape {scores.shape}", "(samples, classes)", "pass preds= instead")
        predicted = scores.argmax(axis=1)
    else:
        predicted = _numbers(_array(preds, where, "preds"), names, where)
    if truth.ndim != 1 or truth.shape != predicted.shape or not len(truth):
        got = f"{truth.shape} true and {predicted.shape} predicted classes"
        raise UsageError(where, got, "one of each for every sample", "pass lists of equal length")
    n = max(int(truth.max()), int(predicted.max())) + 1
    if min(int(truth.min()), int(predicted.min())) < 0 or n > _MOST_CLASSES or (names is not None and n > len(names)):
        most = _MOST_CLASSES if names is None else len(names)
        raise UsageError(
            where, f"classes up to {n - 1}", f"0 to {most - 1}", "number the classes from 0, name them all"
        )
    names = [f"Class_{number}" for number in range(1, n + 1)] if names is None else names
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return names, counts.tolist()


def _numbers(array: Any, names: list[str] | None, where: str) -> Any:
    """Return classes as numbers; texts are looked up in the names."""
    import numpy as np

    if array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.all(array == np.round(array))):
        return array.astype(np.int64)
    known = {name: number for number, name in enumerate(names or ())}
    if names is None or any(str(one) not in known for one in array.tolist()):
        got = f"classes such as {array.tolist()[:3]}"
        raise UsageError(where, got, "numbers from 0, or names of class_names", "number the classes")
    return np.array([known[str(one)] for one in array.tolist()], np.int64)


def _array(values: Any, where: str, name: str) -> Any:
    import numpy as np

    from .arrays import ArraySnapshot, is_torch

    if values is None:
        raise UsageError(where, f"no {name}", "values for every sample", f"pass {name}=")
    array = ArraySnapshot(values, where).numpy() if is_torch(values) else np.asarray(values)
    if array.dtype.kind not in "biufUO":
        raise UsageError(where, f"{name} of dtype {array.dtype}", "numbers or names", "convert them")
    return array

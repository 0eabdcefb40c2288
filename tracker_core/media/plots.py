"""The functions of `tracker_core.plot`: plots of tables, and of how well a classifier does. Kept as numbers.

Arguments have the names and meaning that they have in wandb.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from .curves import confusion_counts, pr_curves, roc_curves
from .plot_value import Plot, column
from .table import Table

__all__ = [
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
]


def line(table: Table, x: str, y: str, stroke: str | None = None, title: str = "", split_table: bool = False) -> Plot:
    """Return a line through the rows of a table.

    Args:
        table: with the columns.
        x: name of the column along the axis.
        y: name of the column of values.
        stroke: name of a column; rows of equal value in it make a line of their own.
        title: of the plot.
        split_table: accepted for scripts written for wandb.

    Raises:
        UsageError: a column is not there, or holds no numbers.
    """
    xs, ys = _column(table, x, "plot.line(x=)"), _column(table, y, "plot.line(y=)")
    strokes = ["" for _ in xs] if stroke is None else _column(table, stroke, "plot.line(stroke=)")
    groups: dict[Any, tuple[list[Any], list[Any]]] = {}
    for at, value, name in zip(xs, ys, strokes, strict=True):
        group = groups.setdefault("" if name is None else name, ([], []))
        group[0].append(at)
        group[1].append(value)
    series = [{"name": y if name == "" else str(name), "x": group[0], "y": group[1]} for name, group in groups.items()]
    return Plot("line", title, {"x_label": x, "y_label": y, "series": series})


def line_series(
    xs: Any, ys: Any, keys: Sequence[Any] | None = None, title: str = "", xname: str = "x", split_table: bool = False
) -> Plot:
    """Return several lines in one plot.

    Args:
        xs: the positions of all lines, or a list of them for each.
        ys: a list of values for each line.
        keys: the lines' names.
        title: of the plot.
        xname: name of the axis.
        split_table: accepted for scripts written for wandb.

    Raises:
        UsageError: there are not as many positions as values, or not as many names as lines.
    """
    where = "plot.line_series()"
    lines = [column(values, where) for values in ys]
    xs = xs.tolist() if hasattr(xs, "tolist") else list(xs)
    is_nested = bool(xs) and (isinstance(xs[0], (list, tuple)) or getattr(xs[0], "shape", ()) != ())
    places = [column(one, where) for one in xs] if is_nested else [column(xs, where)] * len(lines)
    names = [f"line_{number}" for number in range(len(lines))] if keys is None else [str(key) for key in keys]
    if not len(places) == len(names) == len(lines):
        got = f"{len(places)} lists of positions, {len(lines)} of values, {len(names)} names"
        raise UsageError(where, got, "equally many", "pass a list of positions and a name for each line")
    for at, values in zip(places, lines, strict=True):
        if len(at) != len(values):
            raise UsageError(where, f"{len(at)} positions of {len(values)} values", "equally many", "cut one of them")
    series = [{"name": name, "x": at, "y": one} for name, at, one in zip(names, places, lines, strict=True)]
    return Plot("line", title, {"x_label": xname, "series": series})


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> Plot:
    """Return a point for each row of a table. Raises UsageError where a column is not there."""
    xs, ys = _column(table, x, "plot.scatter(x=)"), _column(table, y, "plot.scatter(y=)")
    return Plot("scatter", title, {"x_label": x, "y_label": y, "series": [{"name": y, "x": xs, "y": ys}]})


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> Plot:
    """Return a bar for each row of a table. Raises UsageError where a column is not there."""
    labels = [str(one) for one in _column(table, label, "plot.bar(label=)")]
    values = _column(table, value, "plot.bar(value=)")
    return Plot("bar", title, {"x_label": label, "y_label": value, "labels": labels, "values": values})


def histogram(table: Table, value: str, title: str = "", split_table: bool = False, num_bins: int = 64) -> Plot:
    """Return how many values of a column lie in which bin.

    Raises:
        UsageError: the column is not there, or holds no numbers.
    """
    from .histogram import Histogram

    where = "plot.histogram(value=)"
    cells = [float("nan") if one is None else one for one in _column(table, value, where)]
    if any(isinstance(one, str) for one in cells):
        raise UsageError(where, f"the column {value!r} with texts", "a column of numbers", "choose another")
    found = Histogram(cells, num_bins=num_bins).value()
    fields = {"x_label": value, "bins": found["bins"], "counts": found["counts"]}
    if "n_nonfinite" in found:
        fields["n_nonfinite"] = found["n_nonfinite"]
    return Plot("histogram", title, fields)


def pr_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> Plot:
    """Return precision against recall for each class, one against all others.

    Args:
        y_true: the class of each sample, n of them.
        y_probas: the probability of each class for each sample, of shape (n, classes); of shape (n,) with two classes:
            that of the second.
        labels: names of the classes, in the order of the columns of `y_probas`.
        classes_to_plot: the classes to show; default all.
        interp_size: at how many recalls the precision is given.
        title: of the plot.
        split_table: accepted for scripts written for wandb.

    Raises:
        UsageError: the arguments do not fit one another.
    """
    curves = pr_curves(y_true, y_probas, labels, classes_to_plot, interp_size)
    return Plot("pr_curve", title, {"x_label": "Recall", "y_label": "Precision", "series": curves})


def roc_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> Plot:
    """Return the true against the false positive rate for each class, with the area below; see `pr_curve`."""
    curves = roc_curves(y_true, y_probas, labels, classes_to_plot)
    names = {"x_label": "False positive rate", "y_label": "True positive rate"}
    return Plot("roc_curve", title, {**names, "series": curves})


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix",
    split_table: bool = False,
) -> Plot:
    """Return how often which class was taken for which.

    Args:
        probs: the probability of each class for each sample, of shape (n, classes), or
        preds: the predicted class of each sample, as a number from 0, or a name of `class_names`.
        y_true: the true class of each sample.
        class_names: names of the classes by their number.
        title: of the plot.
        split_table: accepted for scripts written for wandb.

    Raises:
        UsageError: the arguments do not fit one another.
    """
    names, counts = confusion_counts(probs, y_true, preds, class_names)
    return Plot("confusion_matrix", title, {"classes": names, "counts": counts})


def plot_table(
    vega_spec_name: str, data_table: Table, fields: dict[str, Any], string_fields: Any = None, **_: Any
) -> Plot:
    """Return the plot of wandb's own chart of a table: line, scatter, bar or histogram.

    Raises:
        UsageError: it is a chart of one's own, which there is none of here.
    """
    title = (string_fields or {}).get("title", "")
    name = vega_spec_name.removeprefix("wandb/").removesuffix("/v0").removesuffix("/v1")
    if name == "histogram":
        return histogram(data_table, fields["value"], title)
    if name == "bar":
        return bar(data_table, fields["label"], fields["value"], title)
    if name in ("line", "scatter"):
        made = line if name == "line" else scatter
        return made(data_table, fields["x"], fields["y"], title=title)
    expected = "wandb/line/v0, wandb/scatter/v0, wandb/bar/v0 or wandb/histogram/v0"
    raise UsageError("plot_table(vega_spec_name=)", f"{vega_spec_name!r:.100}", expected, "log a Plotly figure")


def _column(table: Table, name: str, where: str) -> list[Any]:
    if not isinstance(table, Table):
        raise UsageError(where.partition("(")[0], f"a {type(table).__name__}", "a Table", "make one of the data")
    if name not in table.columns:
        raise UsageError(where, f"{name!r:.200}", f"one of {table.columns}"[:500], "choose a column of the table")
    return column(table.get_column(name), where)

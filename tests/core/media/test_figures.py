"""Figures of matplotlib and Plotly are taken as they are when they are logged."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from logged_media import Logged
from matplotlib import pyplot as plt

import tracker_core as tracker


def test_a_figure_axes_and_pyplot_itself_are_pictures(logged: Logged) -> None:
    figure, axes = plt.subplots(figsize=(3, 2), dpi=50)
    axes.plot([1, 2, 3])
    logged.log(figure=figure, axes=axes, pyplot=plt, image=tracker.Image(figure, caption="a"))
    plt.close(figure)
    for key in ("figure", "axes", "pyplot", "image"):
        value = logged.value(key)
        assert (value["_type"], value["width"], value["height"]) == ("image", 150, 100)
        assert np.asarray(logged.picture(key).convert("L")).min() < 255
    assert logged.value("image")["caption"] == "a"


def test_a_figure_that_cannot_be_drawn_is_refused(logged: Logged) -> None:
    figure, axes = plt.subplots()
    axes.set_title(r"$\frac{$")
    with pytest.raises(tracker.UsageError, match="cannot draw"):
        logged.log(figure=figure)
    plt.close(figure)


def test_a_plotly_figure_is_its_json(logged: Logged) -> None:
    figure = go.Figure(go.Scatter(x=np.arange(3), y=[1.0, float("nan"), 3.0], name="<b>a</b>"))
    logged.log(direct=figure, named=tracker.Plotly(figure))
    figure.data[0].name = "later"
    for key in ("direct", "named"):
        value = logged.value(key)
        assert value["_type"] == "plotly"
        kept = json.loads(logged.file(value["path"]))
        assert kept["data"][0]["name"] == "<b>a</b>" and kept["data"][0]["type"] == "scatter"


def test_plotly_takes_a_matplotlib_figure_where_it_can() -> None:
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4])
    kept = json.loads(tracker.Plotly(figure).to_json())
    assert kept["data"][0]["y"]
    plt.close(figure)
    with pytest.raises(tracker.UsageError, match="figure of Plotly"):
        tracker.Plotly({"data": []})

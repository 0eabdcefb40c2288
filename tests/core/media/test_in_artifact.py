"""Rich values that are put into an artifact come back as what they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import tracker_core as tracker
from tracker_core.file_names import check_file_name
from tracker_core.media.lists import MediaList
from tracker_core.media.values import from_artifact

PICTURE = np.random.default_rng(8).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def there_and_back(value: Any, name: str = "folder/name") -> Any:
    files = value.artifact_files(name)
    assert files == value.artifact_files(name) and files[0][0].startswith(f"{name}.")
    assert len({check_file_name(path) for path, _ in files}) == len(files)
    return from_artifact(files[0][0], dict(files).__getitem__)


def test_an_image_with_masks_and_boxes() -> None:
    mask = np.arange(30).reshape(6, 5)
    box = {"position": {"minX": 0.0, "maxX": 0.5, "minY": 0.0, "maxY": 0.5}, "class_id": 1}
    image = tracker.Image(
        PICTURE,
        caption="c",
        boxes={"b": {"box_data": [box], "class_labels": {1: "car"}}},
        masks={"m": {"mask_data": mask}},
    )
    found = there_and_back(image)
    assert np.array_equal(np.asarray(found.to_pil()), PICTURE)
    assert there_and_back(found).artifact_files("x") == found.artifact_files("x") == image.artifact_files("x")


def test_a_table_with_pictures() -> None:
    table = tracker.Table(columns=["a", "b"], data=[[1, tracker.Image(PICTURE)], [None, None]])
    found = there_and_back(table)
    assert found.columns == ["a", "b"] and np.array_equal(np.asarray(found.data[0][1].to_pil()), PICTURE)
    assert found.data[1] == [None, None] and found.get_dataframe().shape == (2, 2)


@pytest.mark.parametrize(
    "value",
    [
        tracker.Audio(np.zeros(100), sample_rate=8000, caption="c"),
        tracker.Video(np.zeros((2, 3, 4, 4), np.uint8), caption="c"),
        tracker.Html("<b>é</b>"),
        tracker.Histogram(list(range(100)), num_bins=5),
        tracker.Histogram(np.arange(200_000), num_bins=5),
        tracker.Plotly(go.Figure(go.Bar(y=[1, 2]))),
        tracker.plot.line(tracker.Table(columns=["x", "y"], data=[[1, 2]]), "x", "y", title="t"),
    ],
    ids=lambda value: value.kind,
)
def test_every_other_value(value: Any) -> None:
    found = there_and_back(value)
    assert type(found) is type(value)
    assert [data for _, data in found.artifact_files("x")][1:] == [data for _, data in value.artifact_files("x")][1:]


def test_a_list_of_images() -> None:
    found = there_and_back(MediaList([tracker.Image(PICTURE), tracker.Image(PICTURE[:2])]))
    assert [image.height for image in found] == [6, 2]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.txt", b""),
        ("x.image.json", b"[1]"),
        ("x.image.json", b"\xff"),
        ("x.histogram.json", b'{"_type":"histogram"}'),
        ("x.images.json", b'{"_type":"images"}'),
        ("x.table.parquet", b"no"),
        ("x.image.json", b'{"_type":"image","path":"x.image.json"}'),
    ],
)
def test_what_stands_for_nothing_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(tracker.UsageError):
        from_artifact(name, lambda _: data)

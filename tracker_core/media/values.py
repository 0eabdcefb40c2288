"""Rich values back from what a row, a table or an artifact holds of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from .in_artifact import from_artifact as from_artifact

KINDS = ("image", "images", "audio", "video", "html", "histogram", "plotly", "plot", "list")


def from_value(value: dict[str, Any], read: Callable[[str], bytes]) -> Any:
    """Return the object that a value with "_type" stands for; `read` gives the bytes of a file by its path.

    Of media that were left out the value itself is returned, as it is of kinds that are not known here.

    Raises:
        UsageError: the value is damaged.
    """
    kind, path = value.get("_type"), value.get("path")
    try:
        if kind in ("images", "list"):
            return [from_value(item, read) for item in value["items"]]
        if kind == "histogram":
            from .histogram import Histogram

            return Histogram(np_histogram=(value["counts"], value["bins"]))
        if kind == "table" and isinstance(path, str):
            from .table import Table

            return Table.of_parquet(read(path), read)
        return _of_file(str(kind), value, read, path) if isinstance(path, str) else value
    except (KeyError, TypeError) as error:
        where, got = f"a value of type {kind!r:.100}", f"a damaged one ({error!r})"
        raise UsageError(where, got, "one as it was logged", "log it anew") from None


def _of_file(kind: str, value: dict[str, Any], read: Callable[[str], bytes], path: str) -> Any:
    if kind == "image":
        from .image import Image

        return Image.of_file(read(path), value, read)
    if kind == "audio":
        from .audio import Audio

        return Audio(read(path), sample_rate=value.get("sample_rate"), caption=value.get("caption"))
    if kind == "video":
        from .video import Video

        return Video(read(path), caption=value.get("caption"))
    if kind == "html":
        from .html import Html

        return Html(read(path).decode(errors="replace"), data_is_not_path=True)
    if kind == "plotly":
        from .figures import Plotly

        return Plotly.of_json(read(path))
    if kind == "plot":
        from .plot_value import Plot

        return Plot.of_numbers(json.loads(read(path)))
    return value

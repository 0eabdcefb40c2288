"""Values of a row that are more than a number: images, tables, plots. What a row holds of them is a small mapping whose
`_type` names the kind and whose paths name files of the run; docs/media.md has the fields. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

GALLERY_KINDS = frozenset({"image", "images", "audio", "video", "html"})
PLOT_KINDS = frozenset({"histogram", "plot", "plotly"})
KINDS = GALLERY_KINDS | PLOT_KINDS | {"table"}
# What is logged as plain text is shown beside the images, step by step.
TEXT = "text"
_NUMBERS = {"histogram": ("bins", "counts"), "images": ("items",)}
_MAX_DEPTH = 8
_MAX_PATHS = 10_000
_MAX_BRIEF_TEXT = 1000


def is_media(value: object) -> bool:
    """Say whether a value is a mapping that stands for media: it is one value, not several under dotted keys."""
    return isinstance(value, Mapping) and kind_of(value) != ""


def kind_of(value: object) -> str:
    """Return what kind of media a value is, `TEXT` for text, "" for what is none."""
    if isinstance(value, str):
        return TEXT
    if not isinstance(value, Mapping):
        return ""
    kind = value.get("_type")
    return kind if isinstance(kind, str) and kind in KINDS else ""


def brief(value: Any) -> Any:
    """Return what a summary keeps of a value: the numbers of a histogram and all images of a list stay in their row."""
    if not is_media(value):
        return value
    kind, counts, items = value["_type"], value.get("counts"), value.get("items")
    left_out = _NUMBERS.get(kind, ())
    short = {
        key: item for key, item in value.items() if isinstance(key, str) and key not in left_out and _is_brief(item)
    }
    if kind == "histogram":
        short["n_bins"] = len(counts) if isinstance(counts, list) else 0
    if kind == "images":
        short["n_items"] = len(items) if isinstance(items, list) else 0
    return short


def _is_brief(item: Any) -> bool:
    if isinstance(item, str):
        return len(item) <= _MAX_BRIEF_TEXT
    if isinstance(item, list):
        return len(item) <= 100 and all(isinstance(one, (str, int, float)) for one in item) and _n_chars(item) <= 4000
    return item is None or isinstance(item, (int, float))


def _n_chars(items: list[Any]) -> int:
    return sum(len(one) for one in items if isinstance(one, str))


def paths_of(value: Any) -> Iterator[str]:
    """Yield the paths of all files that a value names."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    n_found = 0
    while waiting and n_found < _MAX_PATHS:
        item, depth = waiting.pop()
        if isinstance(item, Mapping):
            path = item.get("path")
            if isinstance(path, str):
                n_found += 1
                yield path
            if depth < _MAX_DEPTH:
                waiting.extend((inner, depth + 1) for inner in item.values() if isinstance(inner, (Mapping, list)))
        elif isinstance(item, list) and depth < _MAX_DEPTH:
            waiting.extend((inner, depth + 1) for inner in item if isinstance(inner, (Mapping, list)))

"""Boxes and masks on an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from .arrays import ArraySnapshot
from .place import Pending, Place, Target
from .png import encode_png
from .source_file import SourceFile

_MOST_BOXES = 10_000
_MOST_CHARS = 1000


class Classes:
    """Names of classes, for `Image(classes=)`.

    Args:
        class_set: [{"id": 0, "name": "car"}, ...].

    Raises:
        UsageError: it is not of that form.
    """

    def __init__(self, class_set: Sequence[Mapping[str, Any]]) -> None:
        self.labels = class_labels_of(class_set)


def class_labels_of(classes: Any) -> dict[str, str]:
    """Return the names of classes by their number as text, of [{"id": 0, "name": "car"}] or {0: "car"}.

    Raises:
        UsageError: it is neither.
    """
    if classes is None:
        return {}
    if isinstance(classes, Classes):
        return classes.labels
    if isinstance(classes, Mapping):
        return {str(_class_id(number)): _text(name) for number, name in classes.items()}
    try:
        return {str(_class_id(one["id"])): _text(one["name"]) for one in classes}
    except (TypeError, KeyError, IndexError):
        got = f"{classes!r:.200}"
        expected = '[{"id": 0, "name": "car"}, ...] or {0: "car"}'
        raise UsageError("Image(classes=)", got, expected, "name every class once") from None


def describe_boxes(boxes: Any, labels: dict[str, str], width: int, height: int) -> dict[str, Any]:
    """Return groups of boxes with all positions as fractions of the picture: minX, maxX, minY, maxY.

    Raises:
        UsageError: they are not of the form that `Image` says.
    """
    if not boxes:
        return {}
    groups: dict[str, Any] = {}
    n_boxes = 0
    for name, group in _groups(boxes, "boxes", "box_data"):
        data = group["box_data"]
        n_boxes += len(data)
        if n_boxes > _MOST_BOXES:
            raise _wrong("boxes", name, f"more than {_MOST_BOXES} boxes", f"at most {_MOST_BOXES}", "log the best")
        own = {**labels, **class_labels_of(group.get("class_labels"))}
        groups[name] = {"box_data": [_box(one, name, width, height) for one in data], "class_labels": own}
    return groups


def _groups(given: Any, argument: str, needed: str) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(given, Mapping):
        raise _wrong(argument, "", f"a {type(given).__name__}", f'{{"predictions": {{"{needed}": ...}}}}', "see docs")
    found = []
    for name, group in given.items():
        if not isinstance(name, str) or not isinstance(group, Mapping):
            raise _wrong(argument, name, f"{group!r:.100}", f'{{"{needed}": ...}}', "name the group by a text")
        if needed == "box_data" and not isinstance(group.get(needed), Sequence):
            raise _wrong(argument, name, f"{group!r:.100}", f'a list "{needed}"', "pass one, or leave the group out")
        found.append((_text(name), group))
    return found


def _box(box: Any, name: str, width: int, height: int) -> dict[str, Any]:
    try:
        position, is_pixel = box["position"], box.get("domain") == "pixel"
        if "middle" in position:
            (x, y), w, h = position["middle"], position["width"], position["height"]
            corners = [x - w / 2, x + w / 2, y - h / 2, y + h / 2]
        else:
            corners = [position[key] for key in ("minX", "maxX", "minY", "maxY")]
        numbers = [float(corner) for corner in corners]
        scores = {_text(key): _finite(float(score)) for key, score in (box.get("scores") or {}).items()}
        found: dict[str, Any] = {"class_id": _class_id(box["class_id"])} if box.get("class_id") is not None else {}
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        expected = '{"position": {"minX", "maxX", "minY", "maxY"} or {"middle", "width", "height"}, "class_id": 0}'
        raise _wrong("boxes", name, f"the box {box!r:.200}", expected, "correct this box") from None
    if not all(map(math.isfinite, numbers)):
        raise _wrong("boxes", name, f"the position {numbers}", "finite numbers", "leave this box out")
    if is_pixel:
        numbers = [number / (width if index < 2 else height) for index, number in enumerate(numbers)]
    found["position"] = dict(zip(("minX", "maxX", "minY", "maxY"), numbers, strict=True))
    if box.get("box_caption") is not None:
        found["box_caption"] = _text(box["box_caption"])
    if scores:
        found["scores"] = scores
    return found


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _class_id(number: Any) -> int:
    return int(number.item() if hasattr(number, "item") else number)


def _text(value: Any) -> str:
    return str(value)[:_MOST_CHARS].encode(errors="replace").decode()


def _wrong(argument: str, name: Any, got: str, expected: str, remedy: str) -> UsageError:
    where = f"Image({argument}=)" + (f", group {name!r:.100}" if name else "")
    return UsageError(where, got, expected, remedy)


class Mask:
    """A class number for every pixel, kept as an 8-bit PNG whose grey values are those numbers."""

    def __init__(self, name: str, group: Mapping[str, Any], labels: dict[str, str]) -> None:
        self.name = name
        self._labels = {**labels, **class_labels_of(group.get("class_labels"))}
        self._array: ArraySnapshot | None = None
        self._file: SourceFile | None = None
        where = f"Image(masks=), group {name!r:.100}"
        if group.get("path") is not None:
            self._file = SourceFile(group["path"], where)
            if not self._file.head.startswith(b"\x89PNG\r\n\x1a\n"):
                raise UsageError(where, f"{self._file!r}, which is no PNG", "a PNG of class numbers", "convert it")
        elif group.get("mask_data") is not None:
            self._array = ArraySnapshot(group["mask_data"], where)
            n_axes = len([n for n in self._array.shape if n != 1])
            if n_axes > 2 or 0 in self._array.shape:
                got = f"an array of shape {self._array.shape}"
                raise UsageError(where, got, "(height, width)", "pass one class number for each pixel")
        else:
            raise UsageError(where, f"{list(group)}", 'an array "mask_data" or a "path"', "pass one of the two")

    def held_bytes(self) -> int:
        """Return about how much memory it holds."""
        if self._array is not None:
            return self._array.n_bytes
        return 0 if self._file is None else self._file.held_bytes()

    def describe(self, place: Place) -> tuple[dict[str, Any], Pending]:
        """Return what the image's value holds of the mask, and its file."""
        path = place.path("mask", "png", self.name)
        value = {"path": path, "class_labels": self._labels}
        if self._file is not None:
            return value, self._file.pending(path)
        assert self._array is not None
        return value, Pending(self._array.n_bytes, lambda target, is_hurried: self._write(target, path, is_hurried))

    def _write(self, target: Target, path: str, is_hurried: bool) -> bool:
        import numpy as np

        assert self._array is not None
        numbers = self._array.numpy()
        shape = [n for n in numbers.shape if n != 1]
        numbers = numbers.reshape((*([1] * (2 - len(shape))), *shape) if len(numbers.shape) != 2 else numbers.shape)
        return target.keep_media(path, encode_png(np.clip(numbers, 0, 255).astype(np.uint8), is_hurried))


def taken_masks(masks: Any, labels: dict[str, str]) -> list[Mask]:
    """Return the masks given to an image. Raises UsageError where they are not of the form that `Image` says."""
    if not masks:
        return []
    return [Mask(name, group, labels) for name, group in _groups(masks, "masks", "mask_data")]

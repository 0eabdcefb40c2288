"""Several rich values logged under one key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..rich import RichValue, as_rich
from ..say import warn
from .histogram import Histogram
from .place import Pending, Place

MOST_ITEMS = 108
_has_warned = False


class MediaList(RichValue):
    """A list of images, or of other rich values; of more than 108 the first 108, as in wandb."""

    kind = "list"

    def __init__(self, values: Sequence[object]) -> None:
        global _has_warned
        self._items: list[RichValue] = []
        for value in values[:MOST_ITEMS]:
            item = as_rich(value)
            if item is None or isinstance(item, MediaList):
                got = f"a list of {type(values[0]).__name__} that also holds a {type(value).__name__}"
                raise UsageError(
                    "log()", got, "a list of images, or of other media", "log them under keys of their own"
                )
            if isinstance(item, Histogram):
                item.value()
            self._items.append(item)
        if len(values) > MOST_ITEMS and not _has_warned:
            _has_warned = True
            warn(f"of {len(values)} media logged under one key, the first {MOST_ITEMS} are kept. Said once.")

    def held_bytes(self) -> int:
        return sum(item.held_bytes() for item in self._items)

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        described = [item.describe(place) for item in self._items]
        kind = "images" if all(item.kind == "image" for item in self._items) else self.kind
        values = [value for value, _ in described]
        return {"_type": kind, "items": values}, [one for _, pending in described for one in pending]

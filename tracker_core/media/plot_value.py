"""`Plot`: what a plot shows, as numbers. The dashboard draws it."""

from __future__ import annotations

import json
import math
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .cells import plain_cell
from .place import Pending, Place, Target

KINDS = ("line", "scatter", "bar", "histogram", "pr_curve", "roc_curve", "confusion_matrix")
MOST_POINTS = 100_000
_MOST_TITLE_CHARS = 500


class Plot(RichValue):
    """A plot to log, made by the functions of `plot`. Kept as a JSON file of its numbers; docs/media.md has the fields.

    Attributes:
        plot_kind: line, scatter, bar, histogram, pr_curve, roc_curve or confusion_matrix.
        title: of the plot.
        fields: the numbers.
    """

    kind = "plot"

    def __init__(self, plot_kind: str, title: str, fields: dict[str, Any]) -> None:
        self.plot_kind = plot_kind
        self.title = str(title or "")[:_MOST_TITLE_CHARS].encode(errors="replace").decode()
        self.fields = fields

    @classmethod
    def of_numbers(cls, numbers: dict[str, Any]) -> Plot:
        """Return the plot that a JSON file holds."""
        fields = {key: value for key, value in numbers.items() if key not in ("kind", "title")}
        return cls(numbers["kind"], numbers.get("title", ""), fields)

    def numbers(self) -> dict[str, Any]:
        """Return everything that the file holds."""
        return {"kind": self.plot_kind, "title": self.title, **self.fields}

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, "json")

        def write(target: Target, _: bool) -> bool:
            text = json.dumps(self.numbers(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return target.keep_media(path, text.encode(errors="replace"))

        n_values = sum(len(value) if isinstance(value, list) else 1 for value in self.fields.values())
        value = {"_type": self.kind, "kind": self.plot_kind, "path": path, "title": self.title}
        return value, [Pending(64 * n_values, write)]


def column(values: Any, where: str) -> list[Any]:
    """Return numbers or texts for JSON: a value that is not finite, or none at all, is None.

    Raises:
        UsageError: a value is neither a number nor a text, or there are too many.
    """
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(values) > MOST_POINTS:
        remedy = "plot fewer of them, or log the table itself"
        raise UsageError(where, f"{len(values)} values", f"at most {MOST_POINTS}", remedy)
    return [_plain(value, where) for value in values]


def _plain(value: Any, where: str) -> Any:
    value = plain_cell(value)
    if isinstance(value, str):
        return value[:1000].encode(errors="replace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    got, remedy = f"a {type(value).__name__}", "choose a column of numbers"
    raise UsageError(where, got, "numbers or texts", remedy)

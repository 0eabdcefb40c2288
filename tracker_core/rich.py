"""What `log` takes beside numbers and text: a picture, a table, a histogram. Told apart here, at no cost to others.

The classes themselves are in `tracker_core.media`, which is imported when the first one is made.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .media.place import Pending, Place

_FIGURE_PACKAGES = frozenset(["matplotlib", "plotly"])


class RichValue:
    """Base of Image, Table and the others: it holds what was given as it was at that moment."""

    kind = "value"

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        """Return what a row holds of this value, and what is still to be written beside it.

        Cheap: called in the thread that trains. `place` gives the names of files.
        """
        raise NotImplementedError

    def held_bytes(self) -> int:
        """Return about how much memory it holds."""
        return 1024

    def artifact_files(self, name: str) -> list[tuple[str, bytes]]:
        """Return the files that stand for this value in an artifact, the object itself first."""
        from .media.in_artifact import files_of

        return files_of(self, name)


def as_rich(value: object) -> RichValue | None:
    """Return a rich value: one itself, a list of them, a figure or a data frame; None for all else."""
    kind = type(value)
    if kind is str or value is None:
        return None
    if isinstance(value, RichValue):
        return value
    if isinstance(value, (list, tuple)):
        if not value or isinstance(value[0], (list, tuple)) or as_rich(value[0]) is None:
            return None
        from .media.lists import MediaList

        return MediaList(value)
    return _foreign(value, kind)


def _foreign(value: Any, kind: type) -> RichValue | None:
    package = kind.__module__.partition(".")[0]
    if package in _FIGURE_PACKAGES or (kind is ModuleType and value.__name__ == "matplotlib.pyplot"):
        from .media.figures import from_figure

        return from_figure(value)
    if package == "pandas" and kind.__name__ == "DataFrame":
        from .media.table import Table

        return Table(dataframe=value)
    return None

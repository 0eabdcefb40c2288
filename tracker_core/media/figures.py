"""Figures of matplotlib and Plotly.

A matplotlib figure is drawn in the thread that logs it, since matplotlib is not made for several threads; a Plotly
figure is copied there, and turned into JSON by ours.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .place import Pending, Place, Target

_MOST_BYTES = 64 << 20


def from_figure(value: Any) -> RichValue | None:
    """Return an `Image` of a matplotlib figure, axes or pyplot itself, a `Plotly` of a Plotly figure, else None."""
    if hasattr(value, "to_plotly_json"):
        return Plotly(value)
    if matplotlib_figure(value) is None:
        return None
    from .image import Image

    return Image(value)


def matplotlib_figure(value: Any) -> Any:
    """Return the figure that is meant: one itself, that of axes or artists, the current one of pyplot; else None."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and value is pyplot:
        return pyplot.gcf()
    figure = value if hasattr(value, "savefig") else getattr(value, "figure", None)
    return figure if hasattr(figure, "savefig") else None


def drawn(value: Any) -> bytes:
    """Return a matplotlib figure as a PNG.

    Raises:
        UsageError: it is none, or cannot be drawn.
    """
    figure = matplotlib_figure(value)
    if figure is None:
        got = f"a {type(value).__module__}.{type(value).__name__}"
        raise UsageError("Image(data_or_path=)", got, "a matplotlib figure", "pass plt.gcf()")
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
    except (ValueError, RuntimeError, MemoryError) as error:
        got = f"a figure that matplotlib cannot draw ({str(error)[:300]})"
        raise UsageError("Image(data_or_path=)", got, "one that it can", "make it valid, or smaller") from None
    return buffer.getvalue()


class Plotly(RichValue):
    """A Plotly figure to log, kept as its JSON.

    Args:
        val: the figure, or one of matplotlib, which Plotly converts as far as it can.

    Raises:
        UsageError: it is neither.
    """

    kind = "plotly"

    def __init__(self, val: Any) -> None:
        if not hasattr(val, "to_plotly_json") and matplotlib_figure(val) is not None:
            val = _converted(matplotlib_figure(val))
        if not hasattr(val, "to_plotly_json"):
            got = f"a {type(val).__module__}.{type(val).__name__}"
            raise UsageError(
                "Plotly(val=)", got, "a figure of Plotly or matplotlib", "pass plotly.graph_objects.Figure"
            )
        self._figure: Any = val.to_plotly_json()  # a deep copy
        self._json: bytes | None = None

    @classmethod
    def of_json(cls, data: bytes) -> Plotly:
        """Return the figure in JSON that was kept."""
        figure = cls.__new__(cls)
        figure._figure, figure._json = None, data
        return figure

    def to_json(self) -> bytes:
        """Return the figure as Plotly's JSON."""
        if self._json is None:
            from plotly.io import to_json

            self._json = to_json(self._figure, validate=False).encode()
            self._figure = None
        return self._json

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, "json")

        def write(target: Target, _: bool) -> bool:
            data = self.to_json()
            if len(data) > _MOST_BYTES:
                raise ValueError(f"the figure has {len(data) >> 20} MiB, more than {_MOST_BYTES >> 20}")
            return target.keep_media(path, data)

        return {"_type": self.kind, "path": path}, [Pending(_size_of(self._figure), write)]


def _converted(figure: Any) -> Any:
    try:
        from plotly.tools import mpl_to_plotly

        return mpl_to_plotly(figure)
    except Exception as error:  # noqa: BLE001  raised again: of whatever kind it is, it is the figure's
        got = f"a matplotlib figure that Plotly cannot convert ({type(error).__name__}: {str(error)[:200]})"
        raise UsageError("Plotly(val=)", got, "one that it can", "log the figure itself, as an image") from None


def _size_of(value: Any) -> int:
    """Return about how many bytes nested dicts, lists and arrays hold."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, dict):
        return 64 + sum(_size_of(one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return 64 + (sum(map(_size_of, value)) if len(value) < 1000 else 64 * len(value))
    return len(value) if isinstance(value, (str, bytes)) else 32

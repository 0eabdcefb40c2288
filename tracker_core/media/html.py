"""`Html`: a page, or a part of one, shown in a frame that can do nothing."""

from __future__ import annotations

import os
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .place import Pending, Place, pending_bytes
from .source_file import SourceFile

_MOST_BYTES = 32 << 20
_EXTENSIONS = ("html", "htm")


class Html(RichValue):
    """HTML to log. It is shown in a sandboxed frame: scripts in it do not run.

    Args:
        data: the HTML as text, an open text file, or the path of a file whose name ends in .html.
        inject: accepted for scripts written for wandb; what is kept is what was given.
        data_is_not_path: take `data` as text whatever it looks like.

    Raises:
        UsageError: it is none of these, or larger than 32 MiB.
    """

    kind = "html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        if isinstance(data, os.PathLike) or (isinstance(data, str) and not data_is_not_path and _is_path(data)):
            data = SourceFile(data, "Html(data=)").read()
        elif callable(getattr(data, "read", None)):
            if callable(getattr(data, "seek", None)):
                data.seek(0)
            data = data.read()
        if isinstance(data, str):
            data = data.encode(errors="replace")
        if not isinstance(data, bytes):
            got, expected = f"a {type(data).__name__}", "HTML as text, or the path of an .html file"
            raise UsageError("Html(data=)", got, expected, "pass its text, such as figure.to_html()")
        if len(data) > _MOST_BYTES:
            got = f"{len(data) / (1 << 20):.1f} MiB"
            raise UsageError("Html(data=)", got, f"at most {_MOST_BYTES >> 20} MiB", "keep the file by run.save()")
        self._data = data

    @property
    def html(self) -> str:
        """The HTML as text."""
        return self._data.decode(errors="replace")

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, "html")
        value = {"_type": self.kind, "path": path, "size_bytes": len(self._data)}
        return value, [pending_bytes(path, self._data)]


def _is_path(text: str) -> bool:
    extension = os.path.splitext(text)[1].lower().removeprefix(".")
    return len(text) < 4096 and "\n" not in text and extension in _EXTENSIONS and os.path.isfile(text)

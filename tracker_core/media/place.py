"""Names of the files that stand for a rich value, and what is still to be written under them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_MOST_KEY_CHARS = 80
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


class Place(Protocol):
    """Gives names to files, each one new."""

    def path(self, kind: str, extension: str, part: str = "") -> str:
        """Return a relative path with forward slashes; `part` says what within the value it is for."""


class RunPlace:
    """Names of files of a run: "media/image/<key>_<step>_<12 hexadecimal digits>.png".

    The digits are random, so that nothing that anybody else logs, in whatever process, has the same name.
    """

    def __init__(self, key: str, step: int) -> None:
        self._key = plain_name(key)
        self._step = step

    def path(self, kind: str, extension: str, part: str = "") -> str:
        stem = f"{self._key}-{plain_name(part)}" if part else self._key
        return f"media/{kind}/{stem}_{self._step}_{os.urandom(6).hex()}.{extension}"


def plain_name(text: str) -> str:
    """Return a text as part of a file name that every system takes."""
    return _NOT_PLAIN.sub("_", text[:_MOST_KEY_CHARS]) or "_"


class Target(Protocol):
    """Takes the files."""

    def keep_media(self, name: str, source: bytes | int | Callable[[str], None]) -> bool:
        """Keep bytes, an open file, or what a function writes at a path; say whether that could be done."""


@dataclass(slots=True)
class Pending:
    """Something to be written by the encoder's thread.

    Attributes:
        n_bytes: the memory that it holds until then.
        write: does it; with True as fast as it can, at the cost of larger files. Says whether it could.
        is_quick: it can be done in about the time of one write.
        late: returns the value of a row that is logged when it is known; `write` is not called then.
        take_back: called at once where there is no room for it and it is left out.
    """

    n_bytes: int
    write: Callable[[Target, bool], bool]
    is_quick: bool = False
    late: Callable[[], dict[str, Any]] | None = None
    take_back: Callable[[], None] | None = None


def pending_bytes(name: str, data: bytes) -> Pending:
    """Return bytes that only need to be kept."""
    return Pending(len(data), lambda target, _: target.keep_media(name, data), is_quick=True)

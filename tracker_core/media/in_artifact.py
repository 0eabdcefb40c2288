"""Rich values in artifacts: the object as one file, what belongs to it beside."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .place import plain_name


class _ArtifactPlace:
    """Names of files in an artifact: "media/image/<name>_<number>.png", the same each time."""

    def __init__(self, name: str) -> None:
        self._stem = plain_name(name)
        self._n = 0

    def path(self, kind: str, extension: str, part: str = "") -> str:
        self._n += 1
        stem = f"{self._stem}-{plain_name(part)}" if part else self._stem
        return f"media/{kind}/{stem}_{self._n}.{extension}"


class _Collected:
    """Takes the files into memory."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []

    def keep_media(self, name: str, source: bytes | int | Callable[[str], None]) -> bool:
        if isinstance(source, int):
            with os.fdopen(os.dup(source), "rb") as file:
                file.seek(0)
                source = file.read()
        if not isinstance(source, bytes):
            raise UsageError("Artifact.add()", "a value that writes files of its own", "bytes", "add it by itself")
        self.files.append((name, source))
        return True


def files_of(value: RichValue, name: str) -> list[tuple[str, bytes]]:
    """Return the files that stand for a rich value in an artifact, the object itself first.

    A table is "<name>.table.parquet"; of others "<name>.<kind>.json" holds what a row would, and names the files. The
    same value gives the same files, so that an artifact with it is the same version.
    """
    from .table import Table

    collected, place = _Collected(), _ArtifactPlace(name)
    if isinstance(value, Table):
        buffer = io.BytesIO()
        value.write_into(buffer, collected, place)
        return [(f"{name}.table.parquet", buffer.getvalue()), *collected.files]
    described, pending = value.describe(place)
    for one in pending:
        if one.late is not None:
            described = one.late()
        elif not one.write(collected, False):
            raise UsageError("Artifact.add()", f"a {value.kind} that cannot be encoded", "one that can", "look at it")
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return [(f"{name}.{value.kind}.json", text), *collected.files]


def suffixes() -> tuple[str, ...]:
    """Return what the name of an object's file may end in, behind the name that it was added by."""
    from .values import KINDS

    return (".table.parquet", *(f".{kind}.json" for kind in KINDS))


def from_artifact(name: str, read: Callable[[str], bytes]) -> Any:
    """Return the object that a file of an artifact stands for.

    Args:
        name: of its file, such as "predictions.table.parquet".
        read: returns the bytes of a file of the artifact by its name.

    Raises:
        UsageError: the file stands for no object.
    """
    from .table import Table
    from .values import KINDS, from_value

    if name.endswith(".table.parquet"):
        return Table.of_parquet(read(name), read)
    if name.endswith(tuple(f".{kind}.json" for kind in KINDS)):
        try:
            value = json.loads(read(name))
        except ValueError:
            value = None
        if isinstance(value, dict):
            return from_value(value, read)
    expected = "a file whose name ends in one of " + ", ".join(suffixes())
    raise UsageError("Artifact.get()", repr(name), expected, "read the file itself, by Artifact.file()")

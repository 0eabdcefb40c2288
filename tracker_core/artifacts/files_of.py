"""The files of an artifact as lists, as scripts written for wandb ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import UsageError
from .entries import ArtifactEntry

if TYPE_CHECKING:
    from .artifact import Artifact


class ArtifactManifest:
    """The files of an artifact by name."""

    def __init__(self, artifact: Artifact, names: Iterable[str]) -> None:
        self.entries = {name: ArtifactEntry(artifact, name) for name in names}

    def __len__(self) -> int:
        return len(self.entries)


class ArtifactFile:
    """A file of an artifact, with `name`, `size`, `digest` and `download`."""

    def __init__(self, entry: ArtifactEntry) -> None:
        self._entry = entry

    def __repr__(self) -> str:
        return f"<artifact file {self.name!r} of {self.size} bytes>"

    @property
    def name(self) -> str:
        return self._entry.path

    @property
    def size(self) -> int:
        """In bytes; -1 where that of a reference is not known."""
        return self._entry.size

    @property
    def digest(self) -> str:
        """BLAKE3 of the content, hexadecimal; of a reference the checksum that its store gave."""
        return self._entry.digest

    def read(self) -> bytes:
        """Return the content."""
        return self._entry.read()

    def download(self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False) -> str:
        """Write the file to `root`/`name` and return that path.

        Args:
            root: the folder.
            replace: replace a file that is there.
            exist_ok: leave a file that is there.

        Raises:
            UsageError: a file is there, and neither is set.
        """
        path = os.path.join(os.path.abspath(root), *self.name.split("/"))
        if os.path.lexists(path):
            if exist_ok and not replace:
                return path
            if not replace:
                raise UsageError("download()", f"{path}, which exists", "a free path", "pass replace=True")
        return self._entry.download(root)

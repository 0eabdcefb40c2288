"""Files of a run as `Api` gives them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from .errors import TrackerError, UsageError

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ApiFile:
    """A file kept with a run.

    Attributes:
        name: its path relative to where it was saved from, with forward slashes.
        size: its length in bytes.
        kind: file, code or diff.
        digest: BLAKE3 of its bytes in hexadecimal.
        saved_ns: when it was saved, nanoseconds since the Unix epoch.
    """

    name: str
    size: int
    kind: str
    digest: str
    saved_ns: int
    open: Callable[[], BinaryIO] = field(repr=False)

    def read(self) -> bytes:
        """Return its bytes. Raises NotFoundError where they are gone."""
        with self.open() as file:
            return file.read()

    def download(self, root: str | os.PathLike[str] = ".", replace: bool = False) -> str:
        """Copy the file to `root`/`name` and return that path.

        Args:
            root: the folder; made where it is missing.
            replace: replace a file that is there already.

        Raises:
            UsageError: there is a file already.
            NotFoundError: the run's bytes of it are gone.
            TrackerError: they are not what was saved.
        """
        path = os.path.join(os.path.abspath(root), *self.name.split("/"))
        if not replace and os.path.lexists(path):
            raise UsageError("download()", f"{path}, which exists", "a free path", "pass replace=True or another root")
        temporary = f"{path}.{os.getpid()}.part"
        with self.open() as source:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                self._copy(source, temporary)
                os.replace(temporary, path)
            except BaseException:
                if os.path.exists(temporary):
                    os.unlink(temporary)
                raise
        return path

    def _copy(self, source: BinaryIO, path: str) -> None:
        from blake3 import blake3

        digest = blake3()
        with open(path, "wb") as target:
            while piece := source.read(_COPY_BYTES):
                digest.update(piece)
                target.write(piece)
        if digest.hexdigest() != self.digest:
            got = f"{self.name}: bytes with the digest {digest.hexdigest()}"
            raise TrackerError(f"{got}, expected {self.digest}; the run's folder was damaged or changed")

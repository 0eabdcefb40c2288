"""One file of an artifact, as `Artifact.get_entry` and `Artifact.files` give it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import UsageError
from .local_files import LocalFile
from .manifest import Entry

if TYPE_CHECKING:
    from .artifact import Artifact
    from .artifact_draft import ArtifactDraft

REFERENCE_SCHEME = "artifact://"


class ArtifactEntry:
    """A file or reference of an artifact, by its name in it."""

    __slots__ = ("_artifact", "path")

    def __init__(self, artifact: ArtifactDraft, path: str) -> None:
        self._artifact = artifact
        self.path = path

    def __repr__(self) -> str:
        return f"<artifact file {self.path!r}>"

    @property
    def name(self) -> str:
        """Its name in the artifact."""
        return self.path

    @property
    def size(self) -> int:
        """Its size in bytes; -1 where that of a reference is not known."""
        item = self._artifact._item(self.path)
        return item.size_bytes

    @property
    def digest(self) -> str:
        """BLAKE3 of the content, hexadecimal; of a reference the checksum that its store gave, "" where unknown.

        Raises:
            UsageError: it is a file of an artifact that is not logged yet.
        """
        item = self._artifact._item(self.path)
        if isinstance(item, LocalFile):
            raise UsageError("digest", f"{self.path!r}, which is not logged yet", "a logged artifact", "log it first")
        return item.checksum if item.reference else item.digest.hex()

    @property
    def ref(self) -> str | None:
        """Where a reference points to; None of a file."""
        item = self._artifact._item(self.path)
        return item.reference or None if isinstance(item, Entry) else None

    @property
    def local_path(self) -> str | None:
        """Where the file is that was added, until it is logged."""
        item = self._artifact._item(self.path)
        return item.path if isinstance(item, LocalFile) else None

    def ref_target(self) -> str:
        """Return where the reference points to; raises UsageError for a file."""
        if self.ref is None:
            raise UsageError("ref_target()", f"{self.path!r}, which is a file", "a reference", "download() it")
        return self.ref

    def ref_url(self) -> str:
        """Return an address of this file for people; `add_reference` takes the entry itself."""
        return f"{REFERENCE_SCHEME}{self.parent_artifact().id}/{self.path}"

    def parent_artifact(self) -> Artifact:
        """Return the artifact that it is in."""
        from .artifact import Artifact

        assert isinstance(self._artifact, Artifact)
        return self._artifact

    def download(self, root: str | os.PathLike[str] | None = None, skip_cache: bool | None = None) -> str:
        """Write the file below a folder and return its path.

        Args:
            root: the folder. Default: that of `Artifact.download`.
            skip_cache: accepted for scripts written for wandb.

        Raises:
            UsageError: the artifact is not logged yet, or something is in the way.
            TrackerError: the content cannot be had, or is not what was logged.
        """
        from .downloads import download

        return os.path.join(download(self.parent_artifact(), root, names=[self.path]), *self.path.split("/"))

    def read(self) -> bytes:
        """Return the content of the file."""
        from .downloads import read_entry

        return read_entry(self.parent_artifact(), self.path)

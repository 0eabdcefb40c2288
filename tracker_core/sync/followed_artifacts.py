"""What a sender knows of the versions of artifacts that one run logged and used."""

from __future__ import annotations

import os

from ..records import ArtifactLog, ArtifactUse
from .artifact_queue import ARTIFACTS_FOLDER, noted_size, read_note
from .folder_listing import FolderListing


class FollowedArtifacts:
    """The noted versions of one run. Not thread-safe.

    Args:
        run_folder: the run's folder.
        acked: names of notes that are known to be at the server.

    Attributes:
        noted: names of notes, with the bytes of their versions.
        acked: names of notes of which all is there.
        parked: names of notes that are not sent, and why.
        delayed: names of notes that could not be sent so far, and why.
        sent: how many bytes of the versions that are being sent are there.
    """

    def __init__(self, run_folder: str, acked: set[str]) -> None:
        self.noted: dict[str, int] = {}
        self.acked = set(acked)
        self.parked: dict[str, str] = {}
        self.delayed: dict[str, str] = {}
        self.sent: dict[str, int] = {}
        self._run_folder = run_folder
        self._records: dict[str, ArtifactLog | ArtifactUse] = {}
        self._listing = FolderListing(os.path.join(run_folder, ARTIFACTS_FOLDER))

    def look(self, now_s: float) -> None:
        """Look for new notes."""
        names = self._listing.names(now_s)
        if names is None:
            return
        sizes = {name: size for name in names if (size := noted_size(name)) is not None}
        if sizes.keys() != self.noted.keys():
            self.noted = sizes
            for known in (self.parked, self.delayed, self.sent, self._records):
                for gone in known.keys() - sizes.keys():
                    known.pop(gone)

    def forget_acks(self) -> None:
        """Take nothing for being at the server."""
        self.acked.clear()
        self.sent.clear()

    @property
    def left(self) -> list[str]:
        """Names of notes that are not known to be there, and may be sent."""
        return [name for name in self.noted if name not in self.acked and name not in self.parked]

    @property
    def left_bytes(self) -> int:
        """How much of them is left; a use counts as one byte."""
        return sum(max(1, self.noted[name] - self.sent.get(name, 0)) for name in self.left)

    def record(self, name: str) -> ArtifactLog | ArtifactUse | None:
        """Return what was noted; None where it cannot be read, which parks it."""
        if name not in self._records:
            found = read_note(self._run_folder, name)
            if found is None:
                self.parked[name] = f"{ARTIFACTS_FOLDER}/{name} cannot be read"
                return None
            self._records[name] = found
        return self._records[name]

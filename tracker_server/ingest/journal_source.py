"""Where journals come from: the files of a folder, or the tail table of a database. Readers see no difference."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from tracker_core.journal_reader import JournalBytes


@dataclass(frozen=True, slots=True)
class JournalPath:
    """A journal found. `name` is its path below the `runs` folder with forward slashes, which the index uses."""

    name: str
    path: str
    project_dir: str
    run_id: str
    writer: str
    session: str


@dataclass(frozen=True, slots=True)
class JournalState:
    """One journal as it is now.

    Attributes:
        size_bytes: how long it is.
        modified_s: when something was last appended, in seconds since 1970.
        first_offset: where what is still kept of it begins; everything before is sealed in the index.
        resume_offset: the block in which the sealed part ends, None where all of the journal is always kept.
        trouble: why nothing more is taken of it, or None.
    """

    size_bytes: int
    modified_s: float
    first_offset: int = 0
    resume_offset: int | None = None
    trouble: str | None = None


class JournalSource(Protocol):
    """Finds journals and opens them. Not thread-safe."""

    @property
    def was_full(self) -> bool:
        """Whether the last scan looked at everything, and not only at what seemed changed."""

    def scan(self) -> Mapping[str, JournalPath]:
        """Return the journals that are there now, by name."""

    def look_again(self, names: Collection[str]) -> None:
        """Have the next scan find these journals, which have just got something."""

    def path_of(self, name: str) -> JournalPath:
        """Return a journal that was found by its name. Raises KeyError where it is gone."""

    def state(self, journal: JournalPath) -> JournalState:
        """Return how a journal is now. Raises OSError where that cannot be told."""

    def open(self, path: str) -> JournalBytes:
        """Open a journal by `JournalPath.path`. Raises OSError where it cannot be read."""

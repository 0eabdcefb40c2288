"""Where posted blocks of journals go: files of the server's folder, or the tail table of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tracker_core.errors import TrackerError


class SinkFullError(TrackerError):
    """What was posted cannot be kept now: no room, or no right to write. Nothing of it counts; send it again."""


@dataclass(frozen=True, slots=True)
class PostedPart:
    """Bytes of a journal from `offset` on. `modified_ns` is when it was last written, since 1970, by our clock."""

    offset: int
    data: bytes
    modified_ns: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class Kept:
    """How many bytes of a journal are kept for good.

    `trouble`: "", "gap", "differs" or "refused", as in `wire.JournalAck`; `reason` says more.
    `n_new_bytes`: how many of them came with this call.
    """

    size_bytes: int
    trouble: str = ""
    reason: str = ""
    n_new_bytes: int = 0


Parts = Mapping[str, Sequence[PostedPart]]


class BlockSink(Protocol):
    """Keeps journals as they are sent. Thread-safe. Journals go by their names below `runs`, see `JournalPath.name`."""

    def sizes(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how many bytes of each of these journals are kept for good, 0 of one that is not there."""

    def take(self, parts: Parts) -> Mapping[str, Kept]:
        """Keep these parts, those of one journal in order, each byte once however often it is sent.

        When it returns, what it says is kept outlives a loss of power.

        Raises:
            SinkFullError: they cannot be kept now.
            DatabaseAwayError: the database does not answer.
        """

    def check(self) -> None:
        """Raise SinkFullError or DatabaseAwayError where nothing could be kept now."""


def difference(start: int, end: int) -> str:
    """Return the reason of "differs"."""
    return f"the bytes sent for {start} to {end} are not those that are there"

"""How an index is reached, whichever database holds it: short transactions to read, and one way to write."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from tracker_core.errors import TrackerError

# For modules that hand a connection on and have no SQL of their own.
StoreConnection: TypeAlias = Connection


class IndexUnreadableError(Exception):
    """The index failed during a read; the next read opens it anew."""


class DatabaseAwayError(TrackerError):
    """The database does not answer. Nothing is lost: journals keep what is not stored yet."""

    def __init__(self, place: str, reason: object) -> None:
        self.place, self.reason = place, " ".join(str(reason).split())
        super().__init__(f"{place} does not answer: {self.reason}. Journals are kept, and taken in when it is back")


class Reading(Protocol):
    """Reads of one index. Not thread-safe."""

    def transaction(self) -> AbstractContextManager[Connection | None]:
        """Open one read transaction, which sees one state throughout; yields None where there is no index.

        Raises:
            IndexUnreadableError: the index failed; the journals still have everything.
            DatabaseAwayError: the database does not answer, which alone has what is sealed.
        """

    def close(self) -> None:
        """Let go of the database; the next transaction opens it again."""


class Writing(Protocol):
    """What may write to one index, as long as `IndexDatabase.writing` lasts."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open one transaction in which the schema is there, committed at the end of the block."""

    def discard_if_broken(self, error: DatabaseError) -> bool:
        """Remove an index that an error shows to be damaged and that can be built anew; say whether that was so."""


class IndexDatabase(Protocol):
    """Where the index is.

    Attributes:
        place: its path or address, without a password.
        has_tail: whether journals are in a tail table of the same database.
    """

    place: str
    has_tail: bool

    def reading(self) -> Reading:
        """Return a new reader."""

    def writing(self) -> AbstractContextManager[Writing | None]:
        """Hold the right to write; yields None at once where someone else has it or nobody may write."""

    def close(self) -> None:
        """Let go of everything that is held open."""

"""A deleted run as `Api` gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker_server.query.run_source import BuriedRun, RunSource


class TrashedRun:
    """A run in the trash, with what is known of it there."""

    def __init__(self, source: RunSource, run: BuriedRun) -> None:
        self._source = source
        self._run = run

    def __repr__(self) -> str:
        return f"<deleted run {self.path} {self.name!r}>"

    @property
    def id(self) -> str:
        return self._run.run_id

    @property
    def project(self) -> str:
        return self._run.project

    @property
    def path(self) -> str:
        return f"{self.project}/{self.id}"

    @property
    def name(self) -> str:
        return self._run.name

    @property
    def state(self) -> str:
        """The state that it was in when it was deleted."""
        return self._run.state

    @property
    def deleted_ns(self) -> int:
        """When it was deleted, nanoseconds since the Unix epoch."""
        return self._run.by.at_ns

    @property
    def deleted_by(self) -> str:
        """The name of the user who deleted it."""
        return self._run.by.who

    @property
    def why(self) -> str:
        """The reason that was given, or ""."""
        return self._run.by.why

    def undelete(self, why: str = "") -> None:
        """Bring it back. Raises NotFoundError where it is not in the trash any more."""
        self._source.undelete([self._run.key], why)

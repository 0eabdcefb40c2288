"""Where an artifact is from: what answers for it, and for the runs beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import NotFoundError
from .source import ArtifactSource, ChunkReader

if TYPE_CHECKING:
    from tracker_server.query.run_source import RunSource

    from ..api_run import ApiRun
    from .wire import RunRef, VersionInfo


@dataclass(frozen=True, slots=True)
class Place:
    """A catalog of artifacts with the runs of the same folder or server.

    Attributes:
        source: the artifacts.
        open_runs: returns the runs.
        nearby: the artifacts of a folder on this machine that may hold the same bytes as a server.
    """

    source: ArtifactSource
    open_runs: Callable[[], RunSource]
    nearby: ArtifactSource | None = None

    def run(self, ref: RunRef) -> ApiRun | None:
        """Return a run, None where it was deleted or is not there yet."""
        from ..api_run import ApiRun

        runs = self.open_runs()
        runs.refresh()
        try:
            return ApiRun(runs, runs.run(ref.project, ref.run))
        except NotFoundError:
            return None

    def reader(self, version: VersionInfo) -> tuple[ChunkReader, VersionInfo]:
        """Return where to read a version from, and what it is there: from this machine where it has it."""
        if self.nearby is not None:
            try:
                return self.nearby, self.nearby.version(version.uid)
            except NotFoundError:
                pass
        return self.source, version

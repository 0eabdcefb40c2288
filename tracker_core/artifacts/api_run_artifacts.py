"""The part of `ApiRun` that has to do with artifacts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .wire import Lineage, RunRef, Use, VersionEdit

if TYPE_CHECKING:
    from tracker_server.query.run_source import RunSource

    from .artifact import Artifact


class RunArtifactQueries:
    """What a run logged and used."""

    _source: RunSource

    if TYPE_CHECKING:

        @property
        def id(self) -> str: ...
        @property
        def project(self) -> str: ...

    def logged_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Return the versions of artifacts that the run logged, in the order in which it did."""
        return self._artifacts(is_output=True)

    def used_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Return the versions of artifacts that the run used, in the order in which it did."""
        return self._artifacts(is_output=False)

    def log_artifact(
        self, artifact: Artifact, aliases: Sequence[str] | None = None, tags: Sequence[str] | None = None
    ) -> Artifact:
        """Say that the run logged a version; a draft is logged to the run's project.

        Args:
            artifact: the version, or a draft.
            aliases: that move to it.
            tags: added to it.
        """
        from .commit import commit
        from .names import check_aliases, check_tags
        from .place import Place

        wanted, labels = check_aliases(aliases, "log_artifact(aliases=)"), check_tags(tags, "log_artifact(tags=)")
        artifact._tags = list(dict.fromkeys([*artifact._tags, *labels]))
        place, ref = Place(self._source.artifacts, lambda: self._source), RunRef(self.project, self.id)
        if artifact.is_draft():
            commit(artifact, place, self.project, wanted, ref)
            return artifact
        info = artifact._logged("log_artifact()")
        place.source.add_uses([Use(info.uid, ref, time.time_ns(), is_output=True)])
        edited = place.source.edit(info.uid, VersionEdit(add_aliases=wanted, tags=artifact._tags))
        artifact._bind(place, edited, artifact._linked)
        return artifact

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Say that the run used a version; raises UsageError for a draft."""
        info = artifact._logged("use_artifact()")
        use = Use(info.uid, RunRef(self.project, self.id), time.time_ns(), used_as=use_as or "")
        self._source.artifacts.add_uses([use])
        return artifact

    def lineage(self, depth: int | None = None, direction: str = "both") -> Lineage:
        """Return what the run came from ("up"), what came of it ("down"), or "both", as of `Api.lineage`."""
        return self._source.artifacts.lineage(f"run:{self.project}/{self.id}", depth, direction)

    def _artifacts(self, is_output: bool) -> list[Artifact]:
        from .artifact import Artifact
        from .place import Place

        place = Place(self._source.artifacts, lambda: self._source)
        found = place.source.of_run(RunRef(self.project, self.id))
        return [Artifact.of(place, version) for use, version in found if use.is_output is is_output]

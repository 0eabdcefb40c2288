"""The part of `Api` that reads artifacts and the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import NotFoundError, UsageError
from ..paths import check_project
from ..settings import load_settings
from .api_collections import ArtifactCollection, ArtifactType, RegisteredModelView, pages
from .artifact import Artifact, registered_name
from .names import check_tags, parse_collection, parse_path
from .place import Place
from .resolve import check_found_type, find_in
from .wire import AuditEntry, Lineage

if TYPE_CHECKING:
    from tracker_server.query.run_source import RunSource


class ArtifactQueries:
    """Reads artifacts of the folder or server that `Api` reads runs of."""

    _source: RunSource

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return a version of an artifact.

        Args:
            name: "[entity/][project/]name[:version, alias or digest]", or "model-registry/NAME[:alias]". Default of the
                project: that of the settings; of the version: the latest.
            type: the type that it has to have.

        Raises:
            NotFoundError: there is none.
            UsageError: the name is not valid, or the artifact is of another type.
        """
        where = "artifact()"
        place = self._place()
        found = find_in(place, parse_path(name, where), load_settings().project)
        check_found_type(found, type, where)
        return Artifact.of(place, found.info, found.linked)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Say whether there is such a version; arguments are those of `artifact`."""
        try:
            self.artifact(name, type)
        except NotFoundError:
            return False
        except UsageError:
            parse_path(name, "artifact_exists()")
            return False
        return True

    def artifact_types(self, project: str | None = None) -> list[ArtifactType]:
        """Return the types of a project's artifacts. Default: the project of the settings."""
        name = self._project(project, "artifact_types(project=)")
        place = self._place()
        return [ArtifactType(place, name, type) for type in place.source.types(name)]

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Return one type of a project's artifacts: `api.artifact_type("model", "digits").collections()`.

        Raises:
            NotFoundError: the project has no artifact of this type.
        """
        name = self._project(project, "artifact_type(project=)")
        place = self._place()
        known = place.source.types(name)
        if type_name not in known:
            raise NotFoundError(f"no artifact of type {type_name!r} is in project {name!r}; it has {known}")
        return ArtifactType(place, name, type_name)

    def artifact_collections(
        self, project_name: str | None = None, type_name: str | None = None, per_page: int = 50
    ) -> list[ArtifactCollection]:
        """Return the artifacts of a project and of a type, the last changed first; by default all of them."""
        project = None if project_name is None else self._project(project_name, "artifact_collections(project_name=)")
        place = self._place()
        infos = pages(lambda after: place.source.collections(project, type_name, "", after, 500))
        return [ArtifactCollection(place, info) for info in infos]

    def artifact_collection(self, type_name: str | None, name: str) -> ArtifactCollection:
        """Return an artifact with all its versions.

        Args:
            type_name: the type that it has to have; None for any.
            name: "[project/]name".

        Raises:
            NotFoundError: there is none of this type.
        """
        path = parse_collection(name, "artifact_collection(name=)")
        place = self._place()
        info = place.source.collection(path.project or load_settings().project, path.name)
        if type_name is not None and info.type != type_name:
            raise NotFoundError(f"artifact {name!r} is of type {info.type!r}, not {type_name!r}")
        return ArtifactCollection(place, info)

    def artifact_collection_exists(self, name: str, type: str | None = None) -> bool:
        """Say whether there is such an artifact."""
        try:
            self.artifact_collection(type, name)
        except NotFoundError:
            return False
        return True

    def artifacts(
        self, type_name: str | None, name: str, per_page: int = 50, tags: Iterable[str] | None = None
    ) -> list[Artifact]:
        """Return the versions of an artifact, newest first.

        Args:
            type_name: the type that it has to have; None for any.
            name: "[project/]name".
            per_page: accepted for scripts written for wandb.
            tags: only versions that have all of these.

        Raises:
            NotFoundError: there is no such artifact.
        """
        wanted = set(check_tags(tags, "artifacts(tags=)"))
        versions = self.artifact_collection(type_name, name).versions()
        return [version for version in versions if wanted <= set(version.tags)]

    artifact_versions = artifacts

    # Lineage

    def lineage(self, path: str, depth: int | None = None, direction: str = "both") -> Lineage:
        """Return what an artifact or a run came from ("up"), what came of it ("down"), or "both".

        Args:
            path: of a version, as of `artifact`, or of a run, as "project/id".
            depth: how many edges away; None for all.
            direction: which.

        Returns:
            `nodes`, runs and versions, and `edges`, pairs of their ids in the direction in which data flows.

        Raises:
            NotFoundError: there is neither such a version nor such a run.
        """
        try:
            info = self.artifact(path)
        except (NotFoundError, UsageError):
            project, _, run_id = path.strip("/").removeprefix("local/").rpartition("/")
            self._source.refresh()
            found = self._source.run(project, run_id)
            return self._source.artifacts.lineage(f"run:{found.project}/{found.id}", depth, direction)
        return info.lineage(depth, direction)

    # The registry

    def registered_models(self, text: str = "") -> list[RegisteredModelView]:
        """Return the registered models whose names hold a text."""
        place = self._place()
        return [RegisteredModelView(place, model) for model in place.source.models(text)]

    def registered_model(self, name: str) -> RegisteredModelView:
        """Return a registered model by "NAME" or "model-registry/NAME"; raises NotFoundError where there is none."""
        place = self._place()
        return RegisteredModelView(place, place.source.model(registered_name(name, "registered_model()")))

    def registry_audit(self, name: str | None = None) -> Iterator[AuditEntry]:
        """Yield every change of the registry, or of one model, in the order made."""
        source = self._source.artifacts
        after = 0
        while entries := source.audit(name, after):
            yield from entries
            after = entries[-1].number

    def _place(self) -> Place:
        return Place(self._source.artifacts, lambda: self._source)

    def _project(self, project: str | None, where: str) -> str:
        """Return the project in "[entity/]project"; by default that of the settings."""
        if project is None:
            return load_settings().project
        return check_project(project.strip("/").rpartition("/")[2], where)

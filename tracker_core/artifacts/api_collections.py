"""Types, artifacts with all their versions, and registered models, as `Api` gives them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import NotFoundError, UsageError
from .artifact import Artifact
from .artifact_facts import check_description
from .names import check_name
from .place import Place
from .wire import AuditEntry, CollectionInfo, LinkedVersion, Page, RegisteredModel, Retention

_PAGE = 500


def pages(fetch: Callable[[int | None], Page]) -> Iterator[Any]:
    """Yield the items of all pages."""
    after: int | None = None
    while True:
        page = fetch(after)
        yield from page.items
        after = page.next_place
        if after is None:
            return


class ArtifactType:
    """A type of artifacts of a project."""

    def __init__(self, place: Place, project: str, name: str) -> None:
        self._place, self.project, self.name = place, project, name

    def __repr__(self) -> str:
        return f"<artifact type {self.name!r} of {self.project}>"

    @property
    def entity(self) -> str:
        return "local"

    @property
    def type(self) -> str:
        return self.name

    def collections(self, filters: Any = None, order: Any = None, per_page: int = 50) -> list[ArtifactCollection]:
        """Return the artifacts of this type, the last changed first.

        Raises:
            UsageError: filters or an order are given, which are not known here.
        """
        if filters is not None or order is not None:
            raise UsageError("collections()", "filters or an order", "neither", "choose from the list that is returned")
        infos = pages(lambda after: self._place.source.collections(self.project, self.name, "", after, _PAGE))
        return [ArtifactCollection(self._place, info) for info in infos]

    def collection(self, name: str) -> ArtifactCollection:
        """Return one artifact; raises NotFoundError where there is none of this type."""
        info = self._place.source.collection(self.project, check_name(name, "collection(name=)"))
        if info.type != self.name:
            raise NotFoundError(f"artifact {name!r} is of type {info.type!r}, not {self.name!r}")
        return ArtifactCollection(self._place, info)


class ArtifactCollection:
    """An artifact with all its versions, as of when it was asked for."""

    def __init__(self, place: Place, info: CollectionInfo) -> None:
        self._place, self._info = place, info
        self._description = info.description

    def __repr__(self) -> str:
        return f"<artifact {self.type} {self.project}/{self.name} of {len(self)} versions>"

    def __len__(self) -> int:
        return self._info.n_versions

    @property
    def info(self) -> CollectionInfo:
        """All that is known of it."""
        return self._info

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def project(self) -> str:
        return self._info.project

    @property
    def entity(self) -> str:
        return "local"

    @property
    def type(self) -> str:
        return self._info.type

    @property
    def aliases(self) -> list[str]:
        """All aliases that versions have."""
        return list(self._info.aliases)

    @property
    def created_at(self) -> str:
        """When its first version was logged, as in "2026-11-23T21:00:00Z"."""
        moment = datetime.datetime.fromtimestamp(self._info.created_ns / 1e9, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def description(self) -> str:
        """Free text; `save()` keeps a change."""
        return self._description

    @description.setter
    def description(self, text: str | None) -> None:
        self._description = check_description(text)

    @property
    def retention(self) -> Retention:
        """Which versions are kept; `set_retention` changes it."""
        return self._info.retention

    def set_retention(self, retention: Retention) -> None:
        """Change which versions are kept."""
        self._info = self._place.source.set_retention(self.project, self.name, retention)

    def save(self) -> None:
        """Keep a change of the description."""
        self._info = self._place.source.describe(self.project, self.name, self._description)

    def versions(self, per_page: int = _PAGE) -> list[Artifact]:
        """Return all versions, newest first."""
        source = self._place.source
        infos = pages(lambda after: source.versions(self.project, self.name, after, _PAGE))
        return [Artifact.of(self._place, info) for info in infos]

    artifacts = versions

    def is_sequence(self) -> bool:
        """Return True: it is no registered model."""
        return True

    def delete(self) -> None:
        """Delete it with all versions; raises UsageError where one is protected or in the registry."""
        self._place.source.delete_collection(self.project, self.name)


class RegisteredModelView:
    """A registered model, or data set, with the versions that it links."""

    def __init__(self, place: Place, model: RegisteredModel) -> None:
        self._place, self._model = place, model

    def __repr__(self) -> str:
        return f"<registered model {self.name!r} of {self._model.n_versions} versions>"

    @property
    def info(self) -> RegisteredModel:
        """All that is known of it."""
        return self._model

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def type(self) -> str:
        return self._model.type

    @property
    def aliases(self) -> dict[str, str]:
        """The aliases and the versions that have them, as in {"production": "v3"}."""
        return {alias: f"v{number}" for alias, number in self._model.aliases.items()}

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self._model.card

    def set_card(self, card: str, why: str = "") -> None:
        """Change the model card."""
        self._model = self._place.source.set_card(self.name, card, why)

    def versions(self) -> list[Artifact]:
        """Return the versions that it links, newest first."""
        return [self._artifact(linked) for linked in self._place.source.linked(self.name)]

    artifacts = versions

    def version(self, which: str = "latest") -> Artifact:
        """Return one version by "v3" or an alias; raises NotFoundError where there is none."""
        return self._artifact(self._place.source.resolve_linked(self.name, which))

    def audit(self) -> list[AuditEntry]:
        """Return every change, in the order made."""
        found: list[AuditEntry] = []
        while entries := self._place.source.audit(self.name, found[-1].number if found else 0):
            found += entries
        return found

    def is_sequence(self) -> bool:
        """Return False: it links versions of artifacts."""
        return False

    def delete(self, why: str = "") -> None:
        """Delete it; the versions that it links stay."""
        self._place.source.delete_model(self.name, why)

    def _artifact(self, linked: LinkedVersion) -> Artifact:
        return Artifact.of(self._place, linked.version, linked)

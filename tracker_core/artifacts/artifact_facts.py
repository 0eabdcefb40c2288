"""What an artifact is called and what is known of it: the part of `Artifact` that tells, and what can be edited."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .names import check_aliases, check_metadata, check_tags, check_ttl_days
from .wire import REGISTRY, LinkedVersion, VersionInfo

if TYPE_CHECKING:
    from .contents import Contents, Item
    from .manifest import Manifest
    from .place import Place
    from .source import ArtifactSource


class ArtifactTTL(Enum):
    """`artifact.ttl = ArtifactTTL.INHERIT` goes back to the time to live of the artifact's retention."""

    INHERIT = 0


class ArtifactFacts:
    """Names, counts and labels of an artifact. `Artifact` is the only subclass."""

    _name: str
    _type: str
    _description: str
    _metadata: dict[str, Any]
    _aliases: list[str]
    _tags: list[str]
    _ttl_days: float | None
    _use_as: str
    _is_incremental: bool
    _contents: Contents
    _info: VersionInfo | None = None
    _linked: LinkedVersion | None = None
    _place: Place | None = None
    _manifest: Manifest | None = None
    _stand_in: bool = False
    _is_final: bool = False
    _is_deleted: bool = False
    _trouble: str = ""
    _lease: tuple[ArtifactSource, str, str] | None = None  # store, project and lease of what is kept early

    def _logged(self, where: str) -> VersionInfo:
        """Return the committed version; raises UsageError where there is none."""
        if self._info is None:
            remedy = f"it could not be kept: {self._trouble}" if self._trouble else "log it first: run.log_artifact()"
            raise UsageError(f"Artifact.{where}", "an artifact that is not logged yet", "a logged one", remedy)
        return self._info

    def _early_lease(self, source: ArtifactSource, project: str) -> str | None:
        """Return the lease under which a store keeps what was added to a draft, None where it keeps nothing of it."""
        lease = self._lease
        return lease[2] if lease is not None and lease[0] is source and lease[1] == project else None

    def _item(self, name: str) -> Item:
        """Return what has a name in the artifact; raises NotFoundError where nothing has."""
        raise NotImplementedError

    def is_draft(self) -> bool:
        """Say whether it has not been logged yet."""
        return self._info is None

    @property
    def id(self) -> str | None:
        """The version's uid, 32 hexadecimal digits, the same everywhere; None of a draft."""
        return None if self._info is None else self._info.uid

    @property
    def entity(self) -> str:
        return "local"

    @property
    def project(self) -> str:
        """The project; "model-registry" of a version that was asked for by its registered model."""
        return REGISTRY if self._linked is not None else self._logged("project").project

    @property
    def name(self) -> str:
        """The name, with the version behind it as in "digits-train:v3" once it is logged."""
        return self.collection_name if self._info is None else f"{self.collection_name}:{self.version}"

    @property
    def collection_name(self) -> str:
        """The name without a version."""
        return self._name if self._linked is None else self._linked.model

    @property
    def qualified_name(self) -> str:
        """Project, name and version, as `Api.artifact` takes them."""
        return f"{self.project}/{self.name}"

    @property
    def version(self) -> str:
        """ "v0", "v1", ...; "" where the artifact was logged and could not be kept.

        Raises:
            UsageError: it is not logged yet.
        """
        if self._linked is not None:
            return f"v{self._linked.number}"
        return "" if self._trouble else self._logged("version").version

    @property
    def source_name(self) -> str:
        """The name and version that the run logged it as, also where it was asked for by its registered model."""
        return f"{self._name}:{self.source_version}" if self._info is not None else self._name

    @property
    def source_version(self) -> str:
        return self._logged("source_version").version

    @property
    def source_project(self) -> str:
        return self._logged("source_project").project

    @property
    def source_qualified_name(self) -> str:
        return f"{self.source_project}/{self.source_name}"

    @property
    def is_link(self) -> bool:
        """Whether it was asked for by its registered model."""
        return self._linked is not None

    @property
    def type(self) -> str:
        return self._type

    @property
    def state(self) -> str:
        """PENDING, COMMITTED or DELETED."""
        return "DELETED" if self._is_deleted else "PENDING" if self.is_draft() else "COMMITTED"

    @property
    def digest(self) -> str:
        """BLAKE3 of what the version holds, hexadecimal: the same content has the same."""
        return self._logged("digest").digest

    commit_hash = digest

    @property
    def size(self) -> int:
        """The size of all files, in bytes; references count as far as their size is known."""
        return self._contents.size_bytes if self._info is None else self._info.size_bytes

    @property
    def file_count(self) -> int:
        """How many files and references it has."""
        return len(self._contents) if self._info is None else self._info.n_files

    @property
    def created_ns(self) -> int:
        """When it was logged, nanoseconds since the Unix epoch."""
        return self._logged("created_ns").created_ns

    @property
    def created_at(self) -> str:
        """When it was logged, as in "2026-11-23T21:00:00Z"."""
        moment = datetime.datetime.fromtimestamp(self.created_ns / 1e9, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def created_by(self) -> str:
        """The user or key that committed it."""
        return self._logged("created_by").created_by

    @property
    def history_step(self) -> int | None:
        """The step of the run when it was logged."""
        return self._logged("history_step").history_step

    @property
    def use_as(self) -> str | None:
        """What the run that uses it said it is for."""
        return self._use_as or None

    @property
    def incremental(self) -> bool:
        return self._is_incremental

    # What can be edited

    @property
    def description(self) -> str:
        return self._description

    @description.setter
    def description(self, text: str | None) -> None:
        self._description = check_description(text)

    @property
    def metadata(self) -> dict[str, Any]:
        """What is noted with the version; changes of a logged one are kept by `save()`."""
        return self._metadata

    @metadata.setter
    def metadata(self, values: Mapping[str, Any] | None) -> None:
        self._metadata = check_metadata(values, "Artifact.metadata")

    @property
    def aliases(self) -> list[str]:
        """The aliases of the version, a list that may be changed; `save()` keeps the changes."""
        self._logged_or_tried("aliases")
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: Iterable[str]) -> None:
        self._logged_or_tried("aliases")
        latest = ["latest"] if "latest" in self._aliases else []
        self._aliases = [*latest, *check_aliases(aliases, "Artifact.aliases")]

    @property
    def tags(self) -> list[str]:
        """The tags of the version, a list that may be changed; `save()` keeps the changes."""
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._tags = check_tags(tags, "Artifact.tags")

    @property
    def ttl(self) -> datetime.timedelta | None:
        """How long the version is kept; None for ever, or as the artifact's retention says."""
        return datetime.timedelta(days=self._ttl_days) if self._ttl_days else None

    @ttl.setter
    def ttl(self, ttl: datetime.timedelta | ArtifactTTL | None) -> None:
        if ttl is None:
            self._ttl_days = 0.0
        elif isinstance(ttl, ArtifactTTL):
            self._ttl_days = None
        elif isinstance(ttl, datetime.timedelta):
            self._ttl_days = check_ttl_days(ttl / datetime.timedelta(days=1))
        else:
            got = f"{ttl!r:.200} of type {type(ttl).__name__}"
            remedy = "write for example datetime.timedelta(days=30)"
            raise UsageError("Artifact.ttl", got, "a timedelta, None or ArtifactTTL.INHERIT", remedy)

    def _logged_or_tried(self, where: str) -> None:
        if not self._trouble:
            self._logged(where)


def check_description(text: object) -> str:
    """Return a valid description; raises UsageError where it is no text."""
    if text is None:
        return ""
    if not isinstance(text, str) or any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        got = f"{text!a:.200} of type {type(text).__name__}"
        raise UsageError("Artifact(description=)", got, "a text", "pass a str")
    return text

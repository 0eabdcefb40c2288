"""Where artifacts are: a folder in this process, or a server. One conformance suite runs on both,
tests/server/test_artifact_conformance.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from .manifest import Chunk, Manifest
from .wire import (
    AuditEntry,
    CollectionInfo,
    Lineage,
    LinkedVersion,
    NewVersion,
    Page,
    RegisteredModel,
    Retention,
    RunRef,
    Usage,
    Use,
    VersionEdit,
    VersionInfo,
)


class ChunkTarget(Protocol):
    """Where the bytes of versions go. Thread-safe."""

    def begin_upload(self, project: str) -> str:
        """Return a lease: chunks put or found under it are kept until it ends, about a day after its last use."""

    def missing(self, lease: str, chunks: Sequence[Chunk]) -> set[bytes]:
        """Return the digests of those that are not there; those that are, are pinned to the lease."""

    def put(self, lease: str, chunks: Iterable[tuple[Chunk, bytes | memoryview]]) -> None:
        """Keep chunks for good; each is checked against its digest. Ones that are there already are fine.

        Raises:
            UsageError: the bytes are not those of the digest.
            OSError: they cannot be kept.
        """

    def commit(self, new: NewVersion) -> VersionInfo:
        """Make a version of chunks that are there, and move its aliases and "latest" to it.

        Where the artifact has a version of the same content that is not deleted, that one is returned, with the aliases
        and tags added to it.

        Raises:
            UsageError: the names are not valid, or an artifact of this name has another type.
            MissingChunksError: chunks are not there, or not pinned by the lease.
        """

    def end_upload(self, lease: str) -> None:
        """Let go of what the lease pins and no version needs."""


class ChunkReader(Protocol):
    """Where the bytes of versions come from. Thread-safe."""

    def read(self, uid: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        """Yield the bytes of chunks of a version, in order, each checked against its digest.

        Raises:
            NotFoundError: there is no such version, or it has no such chunk.
            DamagedChunkError: the bytes that are stored are not those of the digest.
        """


class ArtifactSource(ChunkTarget, ChunkReader, Protocol):
    """All that can be asked and decided about artifacts. Thread-safe; raises NotFoundError for what is not there."""

    @property
    def place(self) -> str:
        """The path of the folder, or the address of the server."""

    def close(self) -> None: ...

    # -- artifacts

    def projects(self) -> list[str]:
        """Return the projects that have artifacts."""

    def types(self, project: str) -> list[str]: ...

    def collections(
        self,
        project: str | None = None,
        type: str | None = None,
        text: str = "",
        after: int | None = None,
        size: int = 100,
    ) -> Page:
        """Return CollectionInfos, the last changed first; `text` is part of the name."""

    def collection(self, project: str, name: str) -> CollectionInfo: ...
    def versions(self, project: str, name: str, after: int | None = None, size: int = 100) -> Page:
        """Return VersionInfos, newest first."""

    def version(self, uid: str) -> VersionInfo: ...
    def resolve(self, project: str, name: str, which: str = "latest") -> VersionInfo:
        """Return a version by "v3", an alias, a digest or a uid (these by 8 or more digits)."""

    def manifest(self, uid: str) -> Manifest: ...
    def edit(self, uid: str, edit: VersionEdit, why: str = "") -> VersionInfo: ...
    def delete(self, uids: Sequence[str], why: str = "", delete_aliases: bool = False) -> list[str]:
        """Delete versions, all or none; raises UsageError for one with aliases, or that the registry links."""

    def delete_collection(self, project: str, name: str, why: str = "") -> None: ...
    def describe(self, project: str, name: str, description: str) -> CollectionInfo: ...
    def set_retention(self, project: str, name: str, retention: Retention) -> CollectionInfo: ...
    def usage(self, project: str | None = None) -> list[Usage]: ...

    # -- lineage

    def add_uses(self, uses: Sequence[Use]) -> None:
        """Say that runs used or logged versions; a version that is not known is left out."""

    def of_run(self, run: RunRef) -> list[tuple[Use, VersionInfo]]:
        """Return what a run logged and used, in the order in which it did."""

    def users(self, uid: str) -> list[Use]:
        """Return the runs that logged and used a version."""

    def lineage(self, node: str, depth: int | None = None, direction: str = "both", max_nodes: int = 2000) -> Lineage:
        """Return what a node (its id) came from ("up"), what came of it ("down"), or "both", to a depth."""

    # -- the registry

    def models(self, text: str = "") -> list[RegisteredModel]: ...
    def model(self, name: str) -> RegisteredModel: ...
    def linked(self, name: str) -> list[LinkedVersion]:
        """Return the versions of a registered model, newest first."""

    def resolve_linked(self, name: str, which: str = "latest") -> LinkedVersion:
        """Return a version by "v3" (of the model), an alias, or "latest"."""

    def link(self, name: str, uid: str, aliases: Sequence[str] = (), why: str = "") -> LinkedVersion:
        """Put a version into a registered model, which is made where there is none; one that is in it stays."""

    def unlink(self, name: str, number: int, why: str = "") -> None: ...
    def set_model_aliases(
        self, name: str, number: int, add: Sequence[str] = (), remove: Sequence[str] = (), why: str = ""
    ) -> LinkedVersion:
        """Move aliases to a version of a registered model, and take others off it."""

    def set_card(self, name: str, card: str, why: str = "") -> RegisteredModel: ...
    def delete_model(self, name: str, why: str = "") -> None: ...
    def audit(self, name: str | None = None, after: int = 0, size: int = 1000) -> list[AuditEntry]:
        """Return changes in the order made, from behind number `after` on; of all models or of one."""

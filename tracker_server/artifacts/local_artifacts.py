"""Artifacts in this process: versions in the catalog's database, their bytes in packs."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tracker_core.artifacts.manifest import Chunk, Manifest, decode_manifest
from tracker_core.artifacts.wire import (
    CollectionInfo,
    Lineage,
    NewVersion,
    Page,
    Retention,
    RunRef,
    Usage,
    Use,
    VersionEdit,
    VersionInfo,
)
from tracker_core.paths import check_project

from ..catalog.decisions import By
from ..ingest.folder_naming import tracker_folder
from ..store import store_artifact_changes as changes
from ..store import store_artifacts as reads
from ..store import store_lineage
from ..store.store_catalog import CatalogDatabase
from ..store.store_catalog_file import CatalogFile
from ..store.store_connection import StoreConnection
from .artifact_catalog import ArtifactCatalog
from .artifact_checks import check_retention, check_text, checked_edit, checked_new, checked_uses
from .local_registry import LocalRegistry
from .version_bytes import VersionBytes

if TYPE_CHECKING:
    from ..blobs.blob_store import BlobStore
    from ..query.folder import LocalFolder

__all__ = ["LocalArtifacts", "open_artifacts"]

# An upload writes a few times, and the ranks of a job often log at once: their turns add up.
_TURN_S = 60.0


class LocalArtifacts(LocalRegistry):
    """All artifacts of a tracker folder, or of the database that its server uses; an `ArtifactSource`.

    Safe between processes and threads: a transaction lasts for one call, and no file is kept open. Nothing is made
    before something is committed.

    Args:
        catalog: where versions are.
        blobs_url: where their bytes are. Default: `blobs/` of the folder.
        on_close: called by `close`, to let go of what was opened for this alone.
    """

    def __init__(
        self, catalog: ArtifactCatalog, blobs_url: str | None = None, on_close: Callable[[], None] | None = None
    ) -> None:
        super().__init__(catalog)
        self._bytes = VersionBytes(catalog, blobs_url)
        self._on_close = on_close

    @classmethod
    def of(cls, folder: LocalFolder, who: str | None = None, blobs_url: str | None = None) -> LocalArtifacts:
        """Return the artifacts of a folder that is open; `who` decides, by default the user of this process."""
        return cls(ArtifactCatalog(folder.catalog.database, folder.path, who), blobs_url)

    def as_user(self, who: str) -> LocalArtifacts:
        """Return the same for another one who decides, at no cost."""
        other = copy.copy(self)
        other._catalog = self._catalog.as_user(who)
        return other

    @property
    def place(self) -> str:
        """The path of the folder."""
        return self._catalog.folder

    @property
    def database(self) -> CatalogDatabase:
        """Where the catalog is."""
        return self._catalog.database

    @property
    def store(self) -> BlobStore:
        """Where chunks are."""
        return self._bytes.store

    def close(self) -> None:
        """Let go of the store of bytes, and of the database where it was opened for this alone."""
        self._bytes.close()
        if self._on_close is not None:
            self._on_close()

    # -- bytes

    def begin_upload(self, project: str) -> str:
        """Return a new lease; see `ChunkTarget`."""
        self._catalog.make_folder()
        return self._bytes.store.begin_upload(check_project(project, "upload(project=)"), self._catalog.by().who)

    def lease_project(self, lease: str) -> str:
        """Return the project of an upload; raises NotFoundError where it is over."""
        return self._bytes.store.lease_project(lease)

    def missing(self, lease: str, chunks: Sequence[Chunk]) -> set[bytes]:
        """Return which chunks are not there; see `ChunkTarget`."""
        return self._bytes.store.missing(lease, chunks)

    def put(self, lease: str, chunks: Iterable[tuple[Chunk, bytes | memoryview]]) -> None:
        """Keep chunks; see `ChunkTarget`."""
        self._bytes.store.put(lease, chunks)

    def end_upload(self, lease: str) -> None:
        """End a lease; one that is over already is fine."""
        self._bytes.store.end_upload(lease)

    def read(self, uid: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        """Yield the bytes of chunks of a version; see `ChunkReader`."""
        return self._bytes.read(uid, chunks)

    def commit(self, new: NewVersion) -> VersionInfo:
        """Make a version; see `ChunkTarget`. The same uid again gives the version as it is, also a deleted one."""
        new = checked_new(new)
        manifest = decode_manifest(new.manifest)
        digest = manifest.digest()

        def work(connection: StoreConnection, by: By) -> VersionInfo:
            uid = changes.insert_version(connection, new, manifest, digest, by)
            return reads.version_info(connection, reads.version_row(connection, uid, with_deleted=True))

        return self._catalog.write(work)

    # -- artifacts

    def projects(self) -> list[str]:
        """Return the projects that have artifacts."""
        return self._catalog.read(reads.read_projects, [])

    def types(self, project: str) -> list[str]:
        """Return the types of a project's artifacts."""
        return self._catalog.read(lambda connection: reads.read_types(connection, project), [])

    def collections(
        self,
        project: str | None = None,
        type: str | None = None,
        text: str = "",
        after: int | None = None,
        size: int = 100,
    ) -> Page:
        """Return CollectionInfos, the last changed first; `text` is part of the name, in any case of letters."""
        return self._catalog.read(
            lambda connection: reads.read_collections(connection, project, type, text, after, size), Page([])
        )

    def collection(self, project: str, name: str) -> CollectionInfo:
        """Return an artifact; raises NotFoundError where there is none."""

        def work(connection: StoreConnection) -> CollectionInfo:
            return reads.collection_infos(connection, [reads.artifact_row(connection, project, name)])[0]

        return self._catalog.find(work, f"artifact {project}/{name}")

    def versions(self, project: str, name: str, after: int | None = None, size: int = 100) -> Page:
        """Return VersionInfos, newest first, behind place `after`; raises NotFoundError where there is no artifact."""

        def work(connection: StoreConnection) -> Page:
            number = reads.artifact_row(connection, project, name).artifact_id
            return reads.read_versions(connection, number, after, size)

        return self._catalog.find(work, f"artifact {project}/{name}")

    def version(self, uid: str) -> VersionInfo:
        """Return a version by its uid, or one that it was committed again under; raises NotFoundError."""
        return self._catalog.find(
            lambda connection: reads.version_info(connection, reads.version_row(connection, uid)), f"version {uid}"
        )

    def resolve(self, project: str, name: str, which: str = "latest") -> VersionInfo:
        """Return a version by "v3", an alias, a digest or a uid; see `ArtifactSource`."""

        def work(connection: StoreConnection) -> VersionInfo:
            return reads.version_info(connection, reads.find_which(connection, project, name, which))

        return self._catalog.find(work, f"artifact {project}/{name}")

    def manifest(self, uid: str) -> Manifest:
        """Return the files of a version; raises NotFoundError where there is no such version."""
        return decode_manifest(
            self._catalog.find(lambda connection: reads.read_manifest(connection, uid), f"version {uid}")
        )

    def edit(self, uid: str, edit: VersionEdit, why: str = "") -> VersionInfo:
        """Change a version; an alias that is added is taken off the version that had it."""
        edit = checked_edit(edit)

        def work(connection: StoreConnection, by: By) -> VersionInfo:
            own = changes.edit_version(connection, uid, edit, by)
            return reads.version_info(connection, reads.version_row(connection, own))

        return self._catalog.write(work, why)

    def delete(self, uids: Sequence[str], why: str = "", delete_aliases: bool = False) -> list[str]:
        """Delete versions, all or none; see `ArtifactSource`. Their bytes go with the next collection of garbage."""
        if isinstance(uids, str):
            uids = [uids]
        return self._catalog.write(
            lambda connection, by: changes.delete_versions(connection, uids, by, delete_aliases), why
        )

    def delete_collection(self, project: str, name: str, why: str = "") -> None:
        """Delete an artifact with all its versions; raises UsageError where one is protected or in the registry."""
        self._catalog.write(lambda connection, by: changes.delete_artifact(connection, project, name, by), why)

    def describe(self, project: str, name: str, description: str) -> CollectionInfo:
        """Change the description of an artifact."""
        text = check_text(description, "description of an artifact")
        self._catalog.write(
            lambda connection, by: changes.edit_artifact(connection, project, name, by, description=text)
        )
        return self.collection(project, name)

    def set_retention(self, project: str, name: str, retention: Retention) -> CollectionInfo:
        """Change which versions of an artifact are kept."""
        rules = check_retention(retention)
        self._catalog.write(
            lambda connection, by: changes.edit_artifact(connection, project, name, by, retention=rules)
        )
        return self.collection(project, name)

    def usage(self, project: str | None = None) -> list[Usage]:
        """Return what projects' artifacts take, those that take most first."""
        return self._catalog.read(lambda connection: reads.read_usage(connection, project), [])

    # -- lineage

    def add_uses(self, uses: Sequence[Use]) -> None:
        """Say that runs used or logged versions; one that is not known is left out."""
        known = checked_uses(uses)
        if known:
            self._catalog.write(lambda connection, _: store_lineage.add_uses(connection, known))

    def of_run(self, run: RunRef) -> list[tuple[Use, VersionInfo]]:
        """Return what a run logged and used, deleted versions too, in the order in which it did."""
        return self._catalog.read(lambda connection: store_lineage.uses_of_run(connection, run), [])

    def users(self, uid: str) -> list[Use]:
        """Return the runs that logged and used a version."""
        return self._catalog.find(lambda connection: store_lineage.users_of(connection, uid), f"version {uid}")

    def lineage(self, node: str, depth: int | None = None, direction: str = "both", max_nodes: int = 2000) -> Lineage:
        """Return what a node came from, what came of it, or both; see `ArtifactSource`."""
        return self._catalog.find(
            lambda connection: store_lineage.read_lineage(connection, node, depth, direction, max_nodes), node
        )


def open_artifacts(
    dir: str | os.PathLike[str],
    database_url: str | None = None,
    blobs_url: str | None = None,
    who: str | None = None,
) -> LocalArtifacts:
    """Return the artifacts of a tracker folder, which need not exist yet. Opens in milliseconds; journals are not read.

    Args:
        dir: the tracker folder, or the folder that holds `.tracker`.
        database_url: the PostgreSQL database that has the catalog. Default: the folder's file.
        blobs_url: where bytes are, such as s3://bucket/prefix. Default: `blobs/` of the folder.
        who: who decides. Default: the user of this process.

    Raises:
        UsageError: an address is none, or the database is of another version.
        DatabaseAwayError: the database does not answer.
    """
    folder = tracker_folder(os.fspath(dir))
    if not database_url:
        return LocalArtifacts(ArtifactCatalog(CatalogFile(folder, _TURN_S), folder, who), blobs_url)
    # Alembic takes a while to import.
    from ..store.store_catalog_postgres import PostgresCatalog
    from ..store.store_migrate import open_database

    database = open_database(database_url)
    return LocalArtifacts(ArtifactCatalog(PostgresCatalog(database), folder, who), blobs_url, database.close)

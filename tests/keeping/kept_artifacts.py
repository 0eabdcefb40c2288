"""Artifacts logged chunk by chunk, as tests of what is kept need them; used in child processes too."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from blake3 import blake3

from tracker_core.artifacts.manifest import Chunk, Entry, Manifest
from tracker_core.artifacts.wire import NewVersion, RunRef, VersionInfo
from tracker_server.artifacts.local_artifacts import LocalArtifacts, open_artifacts
from tracker_server.blobs.blob_store import BlobStore
from tracker_server.blobs.collect import Options, collect
from tracker_server.blobs.gc_report import GcReport
from tracker_server.blobs.keep_files import keep_files
from tracker_server.store.store_catalog import CatalogDatabase
from tracker_server.store.store_connection import StoreConnection

T = TypeVar("T")
CHUNK_BYTES = 4096


class KeptArtifacts:
    """One folder, or one database, with its artifacts. `files` are bytes by path; each 4 KiB are a chunk."""

    def __init__(self, folder: str | os.PathLike[str], url: str | None = None, blobs_url: str | None = None) -> None:
        self.artifacts: LocalArtifacts = open_artifacts(folder, url, blobs_url)
        self.folder, self.url = self.artifacts.place, url

    @property
    def database(self) -> CatalogDatabase:
        return self.artifacts.database

    @property
    def store(self) -> BlobStore:
        return self.artifacts.store

    def begin(self, name: str, files: Mapping[str, bytes], project: str = "p", **fields: Any) -> NewVersion:
        """Bring the bytes of a version there, and return what is to be committed."""
        lease = self.artifacts.begin_upload(project)
        chunks = {one.digest: (one, data) for content in files.values() for one, data in cut(content)}
        missing = self.artifacts.missing(lease, [one for one, _ in chunks.values()])
        self.artifacts.put(lease, [chunks[digest] for digest in missing])
        manifest = Manifest(entry_of(path, content) for path, content in files.items())
        values: dict[str, Any] = {"uid": secrets.token_hex(16), "type": "model", **fields}
        return NewVersion(project=project, name=name, manifest=manifest.encode(), lease=lease, **values)

    def log(self, name: str, files: Mapping[str, bytes], project: str = "p", **fields: Any) -> VersionInfo:
        """Commit a version and end its upload."""
        new = self.begin(name, files, project, **fields)
        info = self.artifacts.commit(new)
        self.artifacts.end_upload(new.lease)
        return info

    def log_as_clients_do(self, name: str, files: Mapping[str, bytes], place: Path, uid: str, **fields: Any) -> None:
        """Commit a version of files on disk, cut and brought there as `log_artifact` does it."""
        paths = []
        for path, content in files.items():
            (place / path).write_bytes(content)
            paths.append((str(place / path), path))
        lease = self.artifacts.begin_upload("p")
        manifest = Manifest(keep_files(self.artifacts, lease, paths)).encode()
        new = NewVersion(uid=uid, project="p", name=name, type="model", manifest=manifest, lease=lease, **fields)
        self.artifacts.commit(new)
        self.artifacts.end_upload(lease)

    def files(self, uid: str) -> dict[str, bytes]:
        """Read a version back, every chunk checked."""
        manifest = self.artifacts.manifest(uid)
        return {entry.path: b"".join(self.artifacts.read(uid, entry.all_chunks)) for entry in manifest}

    def collect(self, **options: Any) -> GcReport:
        """Collect, by default without a grace period."""
        chosen = Options(**{"grace_s": 0.0, **options})
        report = GcReport(is_dry_run=chosen.is_dry_run)
        collect(self.store, self.database, chosen, report)
        return report

    def write(self, work: Callable[[StoreConnection], T]) -> T:
        return self.database.write(work)

    def read(self, work: Callable[[StoreConnection], T]) -> T:
        found = self.database.read(work)
        assert found is not None
        return found

    def pack_ids(self, project: str = "p") -> set[str]:
        """Return the packs whose files are there."""
        from tracker_core.paths import project_dir_name

        return {one.pack_id for one in self.store.place.packs(project_dir_name(project))}


def cut(content: bytes) -> list[tuple[Chunk, bytes]]:
    parts = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)]
    return [(Chunk(blake3(part).digest(), len(part)), part) for part in parts]


def entry_of(path: str, content: bytes) -> Entry:
    chunks: Sequence[Chunk] = [one for one, _ in cut(content)]
    return Entry(path, len(content), blake3(content).digest(), tuple(chunks) if len(chunks) > 1 else ())


def content(seed: int, n_chunks: int = 3) -> bytes:
    """Return bytes that are different for every seed, and chunk by chunk."""
    return b"".join(blake3(f"{seed} {i}".encode()).digest(length=CHUNK_BYTES) for i in range(n_chunks))


def logged_by(run: str, project: str = "p") -> RunRef:
    return RunRef(project, run)

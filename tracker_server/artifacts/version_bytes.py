"""The bytes of versions: the store of chunks, and which chunks are a version's."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tracker_core.artifacts.manifest import Chunk, decode_manifest
from tracker_core.errors import NotFoundError

from ..store.store_artifacts import read_manifest, version_row
from ..store.store_connection import StoreConnection
from .artifact_catalog import ArtifactCatalog

if TYPE_CHECKING:
    from ..blobs.blob_store import BlobStore

# A download asks for many files of one version, one after the other.
_KEPT_S = 30.0
_KEPT_CHUNKS = 500_000


class VersionBytes:
    """Reads chunks of versions, and only those. Thread-safe.

    Args:
        catalog: where versions are.
        blobs_url: where bytes are. Default: `blobs/` of the folder.
    """

    def __init__(self, catalog: ArtifactCatalog, blobs_url: str | None) -> None:
        self._catalog, self._blobs_url = catalog, blobs_url
        self._lock = threading.Lock()
        self._store: BlobStore | None = None
        # Of each version: when it was read, its project, the digests of its chunks.
        self._known: OrderedDict[str, tuple[float, str, frozenset[bytes]]] = OrderedDict()

    @property
    def store(self) -> BlobStore:
        """The store of chunks, opened when it is first needed."""
        from ..blobs.blob_store import BlobStore

        with self._lock:
            if self._store is None:
                self._store = BlobStore(self._catalog.folder, self._catalog.database, self._blobs_url)
            return self._store

    def read(self, uid: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        """Yield the bytes of chunks of a version, in order.

        Raises:
            NotFoundError: there is no such version, or it has no such chunk.
            DamagedChunkError: the bytes that are stored are not those of the digest.
        """
        project, own = self._chunks_of(uid)
        for chunk in chunks:
            if chunk.digest not in own:
                raise NotFoundError(f"version {uid} has no chunk {chunk.digest.hex()}")
        return self.store.read(project, chunks)

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None
            self._known.clear()

    def _chunks_of(self, uid: str) -> tuple[str, frozenset[bytes]]:
        now_s = time.monotonic()
        with self._lock:
            found = self._known.get(uid)
        if found is not None and now_s - found[0] < _KEPT_S:
            return found[1], found[2]

        def work(connection: StoreConnection) -> tuple[str, bytes]:
            return version_row(connection, uid).project, read_manifest(connection, uid)

        project, encoded = self._catalog.find(work, f"version {uid}")
        manifest = decode_manifest(encoded)
        digests = frozenset(chunk.digest for entry in manifest for chunk in entry.all_chunks)
        with self._lock:
            self._known[uid] = (now_s, project, digests)
            self._known.move_to_end(uid)
            while len(self._known) > 1 and sum(len(one[2]) for one in self._known.values()) > _KEPT_CHUNKS:
                self._known.popitem(last=False)
        return project, digests

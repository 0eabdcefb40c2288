"""Chunks of contents, and a store of them that can be opened again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from tracker_core.artifacts.manifest import Chunk
from tracker_server.blobs.blob_store import BlobStore
from tracker_server.store.store_catalog import CatalogDatabase


def chunk_of(data: bytes) -> Chunk:
    """Return the chunk that bytes are."""
    return Chunk(blake3(data).digest(), len(data))


def chunks_of(*contents: bytes) -> list[tuple[Chunk, bytes]]:
    """Return what a store is given of contents."""
    return [(chunk_of(data), data) for data in contents]


@dataclass(frozen=True)
class Stored:
    """A store of chunks, and what opens it again as another process would."""

    folder: Path
    database: CatalogDatabase
    open: Callable[[], BlobStore]

    @property
    def packs(self) -> list[Path]:
        """The files of packs in the folder."""
        return sorted(self.folder.rglob("*.pack"))

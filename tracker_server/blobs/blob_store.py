"""Chunks of projects, each kept once, under the BLAKE3 of its bytes."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence

from blake3 import blake3

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Chunk
from tracker_core.errors import NotFoundError
from tracker_core.paths import check_project, project_dir_name

from ..store import store_blobs
from ..store.store_blobs import ChunkPlace
from ..store.store_catalog import CatalogDatabase
from .folder_place import FolderPlace
from .pack_place import PackPlace
from .packs import PackWriter, check_chunk

BLOBS_FOLDER = "blobs"
# So many packs are made known at a time: fewer cost a transaction each, of more a kill would lose the work.
_PACKS_AT_ONCE = 8
# Bytes and chunks that one read fetches.
_READ_BYTES = 16 << 20
_READ_CHUNKS = 2_000


class BlobStore:
    """Keeps and gives chunks. Safe between threads and processes; nothing is kept open.

    Args:
        folder: the tracker folder.
        database: of the catalog, which says where chunks are.
        url: the object store that has the packs, such as "s3://bucket/prefix". Default: `blobs/` of the folder.

    Attributes:
        place: where the packs are.
    """

    def __init__(self, folder: str, database: CatalogDatabase, url: str | None = None) -> None:
        self._database = database
        self.place: PackPlace = open_place(folder, url)

    def close(self) -> None:
        """Let go of connections."""
        self.place.close()

    # -- keeping

    def begin_upload(self, project: str, who: str = "") -> str:
        """Return a lease: what is put or found under it stays, until it ends or a day after its last use."""
        check_project(project, "begin_upload(project=)")
        lease = secrets.token_hex(16)
        self._database.write(lambda connection: store_blobs.add_lease(connection, lease, project, who))
        return lease

    def lease_project(self, lease: str) -> str:
        """Return the project of a lease.

        Raises:
            NotFoundError: it is gone.
        """
        project = self._database.read(lambda connection: store_blobs.lease_project(connection, lease))
        if project is None:
            raise self._gone(lease)
        return project

    def missing(self, lease: str, chunks: Sequence[Chunk]) -> set[bytes]:
        """Return the digests of those that are not there; those that are, are pinned to the lease.

        Raises:
            NotFoundError: the lease is gone.
        """
        wanted = {chunk.digest for chunk in chunks}
        project, found = self._database.read(lambda connection: store_blobs.look_up(connection, lease, chunks)) or (
            None,
            None,
        )
        if found:  # what may be there is worth a write, for only that pins it
            found = self._database.write(lambda connection: store_blobs.pin_known(connection, lease, chunks))
        if project is None or found is None:
            raise self._gone(lease)
        return wanted - found

    def put(self, lease: str, chunks: Iterable[tuple[Chunk, bytes | memoryview]]) -> None:
        """Keep chunks for good, and pin them to the lease. The bytes of one are used until the next is asked for.

        When this returns they are on the device, under their name, and known. After an error those of whole packs
        that were made known stay so.

        Raises:
            UsageError: bytes are not those of the digest.
            NotFoundError: the lease is gone.
            OSError: they cannot be written.
        """
        writer = PackWriter(self.place, self.lease_project(lease))
        done: set[bytes] = set()
        try:
            for chunk, data in chunks:
                check_chunk(chunk, data)
                if chunk.digest in done:
                    continue
                done.add(chunk.digest)
                writer.add(chunk.digest, data)
                if writer.n_sealed >= _PACKS_AT_ONCE:
                    self._settle(lease, writer)
            writer.finish()
            self._settle(lease, writer)
        except BaseException:
            writer.discard()
            raise

    def _settle(self, lease: str, writer: PackWriter) -> None:
        # Taken first: after an error nobody knows whether the database has them, so that the files must stay.
        packs = writer.take_sealed()
        if packs and not self._database.write(lambda connection: store_blobs.settle_packs(connection, lease, packs)):
            raise self._gone(lease)

    def end_upload(self, lease: str) -> None:
        """Let go of what the lease pins and no version needs; one that is gone is fine."""
        self._database.write(lambda connection: store_blobs.end_lease(connection, lease))

    def _gone(self, lease: str) -> NotFoundError:
        return NotFoundError(
            f"{self.place.place}: the upload {lease[:64]!r} is not there or has expired; begin another"
        )

    # -- giving

    def read(self, project: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        """Yield the bytes of chunks of a project, in order, each checked against its digest.

        Raises:
            NotFoundError: the project has no such chunk, or it has another size.
            DamagedChunkError: what is stored is something else, or is gone.
            OSError: the place does not answer.
        """
        for part in _parts(chunks):
            yield from self._read_part(project, part)

    def _read_part(self, project: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        n_done = 0
        try:
            for data in self._read_once(project, chunks):
                n_done += 1
                yield data
        except FileNotFoundError:
            # Garbage collection may have moved them into another pack since we looked. Once more, and once only.
            try:
                yield from self._read_once(project, chunks[n_done:])
            except FileNotFoundError as error:
                raise DamagedChunkError(f"{self.place.place}: {error}", chunks[n_done].digest) from error

    def _read_once(self, project: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        digests = {chunk.digest for chunk in chunks}
        places = self._database.read(lambda connection: store_blobs.find_chunks(connection, project, digests)) or {}
        for chunk in chunks:
            place = places.get(chunk.digest)
            # What fits into memory was reckoned with the sizes that are asked for: one that is not true is not read.
            if place is None or place.size_bytes != chunk.size_bytes:
                asked = f"{chunk.digest.hex()[:64]} of {chunk.size_bytes:,} bytes"
                raise NotFoundError(f"{self.place.place}: project {project!r} has no chunk {asked}")
        folder = project_dir_name(project)
        for pack_id, group in itertools.groupby(chunks, key=lambda chunk: places[chunk.digest].pack_id):
            wanted = [(chunk.digest, places[chunk.digest]) for chunk in group]
            yield from self._read_pack(folder, pack_id, wanted)

    def _read_pack(self, folder: str, pack_id: str, wanted: Sequence[tuple[bytes, ChunkPlace]]) -> Iterator[bytes]:
        ranges = [(place.offset, place.size_bytes) for _, place in wanted]
        found = self.place.read_ranges(folder, pack_id, ranges)
        for (digest, _), data in zip(wanted, found, strict=True):
            if blake3(data).digest() != digest:
                raise DamagedChunkError(f"{self.place.place}: pack {folder}/{pack_id}", digest)
            yield data


def open_place(folder: str, url: str | None) -> PackPlace:
    """Return where the packs of a tracker folder are: in an object store, or in `blobs/` of it."""
    if url is None:
        return FolderPlace(os.path.join(folder, BLOBS_FOLDER))
    from .object_place import ObjectPlace

    return ObjectPlace(url)


def _parts(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    """Yield chunks so that a part of them fits into memory."""
    start, size_bytes = 0, 0
    for i, chunk in enumerate(chunks):
        if i > start and (size_bytes + chunk.size_bytes > _READ_BYTES or i - start >= _READ_CHUNKS):
            yield chunks[start:i]
            start, size_bytes = i, 0
        size_bytes += chunk.size_bytes
    if start < len(chunks):
        yield chunks[start:]

"""The statements about chunks, packs and upload leases, each within a transaction that the caller opens.

All that write go one after another (`CatalogDatabase.write`). Who condemns a pack removes the rows of its chunks in the
same transaction, after looking at leases and versions: a chunk that has a row is there, and one that is pinned stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tracker_core.artifacts.manifest import Chunk

from .store_artifact_schema import blob_chunk, blob_pack, lease_chunk, upload_lease
from .store_dialect import database_ns, upsert

LEASE_NS = 24 * 3600 * 10**9
# Digests in one statement: a database takes only so many.
_PART = 5_000


@dataclass(frozen=True, slots=True)
class NewPack:
    """A pack whose file is in its place: (digest, offset, size in bytes) of each chunk."""

    pack_id: str
    size_bytes: int
    chunks: Sequence[tuple[bytes, int, int]]


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where the bytes of a chunk are."""

    pack_id: str
    offset: int
    size_bytes: int


# -- leases


def add_lease(connection: Connection, lease: str, project: str, who: str) -> None:
    """Begin a lease, which lasts for `LEASE_NS` from its last use."""
    now_ns = database_ns(connection)
    row = {"lease_id": lease, "project": project, "created_ns": now_ns, "expires_ns": now_ns + LEASE_NS}
    connection.execute(insert(upload_lease).values(**row, created_by=who))


def lease_project(connection: Connection, lease: str) -> str | None:
    """Return the project of a lease; None where it is gone."""
    query = select(upload_lease.c.project).where(upload_lease.c.lease_id == lease)
    found: str | None = connection.execute(query).scalar()
    return found


def renew_lease(connection: Connection, lease: str) -> bool:
    """Let a lease last anew; says whether it is there."""
    expires_ns = database_ns(connection) + LEASE_NS
    statement = update(upload_lease).where(upload_lease.c.lease_id == lease).values(expires_ns=expires_ns)
    return connection.execute(statement).rowcount > 0


def end_lease(connection: Connection, lease: str) -> None:
    """Let go of what a lease pins; one that is gone is fine."""
    connection.execute(delete(lease_chunk).where(lease_chunk.c.lease_id == lease))
    connection.execute(delete(upload_lease).where(upload_lease.c.lease_id == lease))


def pin(connection: Connection, lease: str, digests: Collection[bytes]) -> None:
    """Keep chunks until a lease ends."""
    rows = [{"lease_id": lease, "digest": digest} for digest in sorted(digests)]
    upsert(connection, lease_chunk, rows, ["lease_id", "digest"])


# -- chunks


def known_chunks(connection: Connection, project: str, chunks: Collection[Chunk]) -> set[bytes]:
    """Return the digests of those that the project has, of the same size."""
    sizes = {chunk.digest: chunk.size_bytes for chunk in chunks}
    c = blob_chunk.c
    query = select(c.digest, c.size_bytes).join(blob_pack, blob_pack.c.pack_id == c.pack_id)
    query = query.where(c.project == project, blob_pack.c.state == "live")
    found: set[bytes] = set()
    for part in _parts(sizes):
        rows = connection.execute(query.where(c.digest.in_(part)))
        found.update(bytes(digest) for digest, size_bytes in rows if sizes[bytes(digest)] == size_bytes)
    return found


def unpinned(connection: Connection, project: str, lease: str, chunks: Collection[Chunk]) -> set[bytes]:
    """Return the digests that a version of the project cannot be made of under a lease.

    These are those which the project does not have, has in another size, or which the lease does not pin; all of them
    where the lease is gone or of another project.
    """
    missing = {chunk.digest for chunk in chunks}
    if lease_project(connection, lease) != project:
        return missing
    sizes = {chunk.digest: chunk.size_bytes for chunk in chunks}
    c = blob_chunk.c
    query = select(c.digest, c.size_bytes).join(blob_pack, blob_pack.c.pack_id == c.pack_id)
    query = query.join(lease_chunk, lease_chunk.c.digest == c.digest)
    query = query.where(c.project == project, blob_pack.c.state == "live", lease_chunk.c.lease_id == lease)
    for digest, size_bytes in connection.execute(query):
        if sizes.get(bytes(digest)) == size_bytes:
            missing.discard(bytes(digest))
    return missing


def find_chunks(connection: Connection, project: str, digests: Collection[bytes]) -> dict[bytes, ChunkPlace]:
    """Return where chunks are; those that the project does not have are left out."""
    c = blob_chunk.c
    query = select(c.digest, c.pack_id, c.offset, c.size_bytes).where(c.project == project)
    return {
        bytes(row.digest): ChunkPlace(row.pack_id, row.offset, row.size_bytes)
        for part in _parts(digests)
        for row in connection.execute(query.where(c.digest.in_(part)))
    }


def add_packs(connection: Connection, project: str, packs: Sequence[NewPack]) -> bool:
    """Make the chunks of packs known. Those that are known already stay where they are.

    Returns:
        False where one of the packs is known and is to be removed; nothing was changed then.
    """
    c = blob_pack.c
    query = select(c.pack_id, c.state).where(c.pack_id.in_([one.pack_id for one in packs]))
    # Whoever rebuilds the tables may have found the file before us.
    known = {row.pack_id: row.state for row in connection.execute(query)}
    if any(state != "live" for state in known.values()):
        return False
    now_ns = database_ns(connection)
    rows = [
        {
            "pack_id": one.pack_id,
            "project": project,
            "size_bytes": one.size_bytes,
            "n_chunks": len(one.chunks),
            "state": "live",
            "created_ns": now_ns,
        }
        for one in packs
        if one.pack_id not in known
    ]
    if rows:
        connection.execute(insert(blob_pack), rows)
    places: list[dict[str, Any]] = [
        {"project": project, "digest": digest, "pack_id": one.pack_id, "offset": offset, "size_bytes": size_bytes}
        for one in packs
        for digest, offset, size_bytes in one.chunks
    ]
    # In order: the pages of an index are then met one after another.
    places.sort(key=itemgetter("digest"))
    upsert(connection, blob_chunk, places, ["project", "digest"])
    return True


def _parts(digests: Collection[bytes]) -> Iterator[list[bytes]]:
    # In order, so that the database meets its pages one after another.
    wanted = sorted(digests)
    for start in range(0, len(wanted), _PART):
        yield wanted[start : start + _PART]


# -- what a store of blobs does in one transaction


def look_up(connection: Connection, lease: str, chunks: Collection[Chunk]) -> tuple[str | None, set[bytes]]:
    """Return the project of a lease, None where it is gone, and the digests that it has."""
    project = lease_project(connection, lease)
    return project, set() if project is None else known_chunks(connection, project, chunks)


def pin_known(connection: Connection, lease: str, chunks: Collection[Chunk]) -> set[bytes] | None:
    """Pin those chunks that are there to a lease, which lasts anew; None where the lease is gone."""
    project, found = look_up(connection, lease, chunks)
    if project is None or not renew_lease(connection, lease):
        return None
    pin(connection, lease, found)
    return found


def settle_packs(connection: Connection, lease: str, packs: Sequence[NewPack]) -> bool:
    """Make the chunks of packs known and pin them to a lease, which lasts anew.

    Returns:
        False where the lease is gone, or garbage collection has taken a pack for one that was broken off.
    """
    project = lease_project(connection, lease)
    if project is None or not renew_lease(connection, lease):
        return False
    if not add_packs(connection, project, packs):
        return False
    pin(connection, lease, {digest for one in packs for digest, _, _ in one.chunks})
    return True

"""The statements of collection: which chunks are needed, and how packs that nobody needs leave the tables.

Each function is called within a transaction of `CatalogDatabase`. All that write are kept apart there, so what one of
them decides holds for those after it: an upload that pins a chunk comes either before the pack is condemned, and then
keeps it, or after, and then does not find it.

A pack goes through these states: live; condemned, when its chunks leave `blob_chunk`, so that uploads bring them anew,
while whoever is reading the file goes on; removing, from which there is no way back; and then its row is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select, update

from .store_artifact_schema import (
    artifact,
    artifact_version,
    blob_chunk,
    blob_pack,
    lease_chunk,
    upload_lease,
)
from .store_artifacts import has_artifacts
from .store_blobs import NewPack
from .store_dialect import database_ns

LIVE, CONDEMNED, REMOVING = "live", "condemned", "removing"
# Values in one statement: a database takes only so many.
_PART = 500
IsNeeded = Callable[[Iterable[bytes]], bool]


class PackRow(NamedTuple):
    """A row of `blob_pack`. Sizes in bytes, times in ns since the Unix epoch."""

    project: str
    pack_id: str
    size_bytes: int
    n_chunks: int
    state: str
    created_ns: int
    condemned_ns: int | None


class Place(NamedTuple):
    """Where a chunk is: `offset` and `size_bytes` are bytes of the pack's file."""

    digest: bytes
    pack_id: str
    offset: int
    size_bytes: int


_PACK = (
    blob_pack.c.project,
    blob_pack.c.pack_id,
    blob_pack.c.size_bytes,
    blob_pack.c.n_chunks,
    blob_pack.c.state,
    blob_pack.c.created_ns,
    blob_pack.c.condemned_ns,
)

# -- reading


def blob_projects(connection: Connection) -> list[str]:
    """Return the projects that have packs, versions or uploads; none where the catalog is older than artifacts."""
    found: set[str] = set()
    if not has_artifacts(connection):
        return []
    for column in (blob_pack.c.project, artifact.c.project, upload_lease.c.project):
        found.update(connection.execute(select(column).distinct()).scalars())
    return sorted(found)


def packs_of(connection: Connection, project: str) -> list[PackRow]:
    """Return all packs of a project, whatever their state."""
    query = select(*_PACK).where(blob_pack.c.project == project).order_by(blob_pack.c.pack_id)
    return [PackRow(*row) for row in connection.execute(query)]


def places_of(connection: Connection, project: str, pack_ids: Sequence[str]) -> list[Place]:
    """Return where the chunks of these packs are, by pack and place."""
    c, found = blob_chunk.c, []
    for start in range(0, len(pack_ids), _PART):
        part = list(pack_ids[start : start + _PART])
        query = select(c.digest, c.pack_id, c.offset, c.size_bytes).where(c.project == project, c.pack_id.in_(part))
        found += [Place(bytes(row[0]), *row[1:]) for row in connection.execute(query.order_by(c.pack_id, c.offset))]
    return found


def places_of_chunks(connection: Connection, project: str, digests: Sequence[bytes]) -> list[Place]:
    """Return where these chunks are; those that are not there are left out."""
    c, found = blob_chunk.c, []
    for start in range(0, len(digests), _PART):
        part = list(digests[start : start + _PART])
        query = select(c.digest, c.pack_id, c.offset, c.size_bytes).where(c.project == project, c.digest.in_(part))
        found += [Place(bytes(row[0]), *row[1:]) for row in connection.execute(query)]
    return found


def kept_uids(connection: Connection, project: str) -> set[str]:
    """Return the versions of a project that are not deleted."""
    return set(connection.execute(_kept(project, artifact_version.c.uid)).scalars())


def manifest_sizes(connection: Connection, project: str) -> list[tuple[str, int]]:
    """Return uid and size of the encoded manifest, in bytes, of the versions that are not deleted."""
    v = artifact_version.c
    query = _kept(project, v.uid, func.coalesce(func.length(v.manifest), 0)).order_by(v.uid)
    return [(uid, size_bytes) for uid, size_bytes in connection.execute(query)]


def manifests_of(connection: Connection, uids: Collection[str]) -> list[tuple[str, bytes | None]]:
    """Return uid and encoded manifest of those of the versions that are not deleted."""
    v, wanted, found = artifact_version.c, sorted(uids), []
    for start in range(0, len(wanted), _PART):
        query = select(v.uid, v.manifest).where(v.uid.in_(wanted[start : start + _PART]), v.deleted_ns.is_(None))
        found += [(uid, manifest) for uid, manifest in connection.execute(query)]
    return found


def _kept(project: str, *columns: ColumnElement[Any]) -> Select[Any]:
    v, a = artifact_version.c, artifact.c
    query: Select[Any] = select(*columns).join(artifact, a.artifact_id == v.artifact_id)
    return query.where(a.project == project, v.deleted_ns.is_(None))


def pinned_digests(connection: Connection, project: str) -> set[bytes]:
    """Return the chunks that uploads which have not expired put or found."""
    u, p, now_ns = upload_lease.c, lease_chunk.c, database_ns(connection)
    query = select(p.digest).join(upload_lease, u.lease_id == p.lease_id)
    query = query.where(u.project == project, u.expires_ns > now_ns).distinct()
    return set(map(bytes, connection.execute(query).scalars()))


def leases_of(connection: Connection, project: str) -> list[tuple[str, int, int]]:
    """Return id, time of beginning and time of expiry of the uploads of a project."""
    u = upload_lease.c
    query = select(u.lease_id, u.created_ns, u.expires_ns).where(u.project == project).order_by(u.created_ns)
    return [(lease, created_ns, expires_ns) for lease, created_ns, expires_ns in connection.execute(query)]


# -- collecting


def end_expired_leases(connection: Connection) -> int:
    """Remove the uploads that nobody has gone on with for too long; return how many those were."""
    query = select(upload_lease.c.lease_id).where(upload_lease.c.expires_ns <= database_ns(connection))
    expired = list(connection.execute(query).scalars())
    for start in range(0, len(expired), _PART):
        part = expired[start : start + _PART]
        connection.execute(delete(lease_chunk).where(lease_chunk.c.lease_id.in_(part)))
        connection.execute(delete(upload_lease).where(upload_lease.c.lease_id.in_(part)))
    return len(expired)


def condemn(connection: Connection, project: str, pack_ids: Sequence[str], is_needed: IsNeeded) -> list[str]:
    """Condemn those of the packs that hold no chunk that a version or an upload needs; return them.

    Args:
        connection: within a transaction that writes.
        project: of the packs.
        pack_ids: packs that nobody seemed to need.
        is_needed: whether a version needs one of these chunks; it knows the versions of this transaction.
    """
    end_expired_leases(connection)
    done = []
    for pack_id in pack_ids:
        digests = [place.digest for place in places_of(connection, project, [pack_id])]
        if not _is_pinned(connection, project, pack_id) and not is_needed(digests):
            done.append(pack_id)
    return _condemn(connection, project, done)


def move_chunks(
    connection: Connection,
    project: str,
    old_ids: Sequence[str],
    new: NewPack,
    is_needed: IsNeeded,
) -> tuple[int, list[str]]:
    """Have chunks read from a new pack, and condemn the old packs of which nothing else is needed.

    A chunk that has left the old packs meanwhile is not moved.

    Returns:
        How many chunks were moved, and the packs that were condemned. Of none moved the new pack has no row.
    """
    there = {place.digest for place in places_of(connection, project, old_ids)}
    moved = [(digest, offset) for digest, offset, _ in new.chunks if digest in there]
    if moved:
        _insert_pack(connection, project, new)
        c = blob_chunk.c
        statement = update(blob_chunk).where(c.project == project, c.digest == bindparam("moved"))
        statement = statement.values(pack_id=new.pack_id, offset=bindparam("place"))
        connection.execute(statement, [{"moved": digest, "place": offset} for digest, offset in moved])
    return len(moved), condemn(connection, project, old_ids, is_needed)


def condemn_unknown(connection: Connection, project: str, packs: Sequence[tuple[str, int]]) -> list[str]:
    """Condemn packs, given with their sizes, whose files are there and whose rows are not; return them."""
    now_ns = database_ns(connection)
    rows = [
        {
            "pack_id": pack_id,
            "project": project,
            "size_bytes": size_bytes,
            "n_chunks": 0,
            "state": CONDEMNED,
            "created_ns": now_ns,
            "condemned_ns": now_ns,
        }
        for pack_id, size_bytes in packs
        if connection.execute(select(blob_pack.c.pack_id).where(blob_pack.c.pack_id == pack_id)).first() is None
    ]
    if rows:
        connection.execute(insert(blob_pack), rows)
    return [str(row["pack_id"]) for row in rows]


def begin_removal(connection: Connection, project: str, grace_ns: int) -> list[PackRow]:
    """Decide that packs condemned so long ago are removed; return them, and those of a removal broken off."""
    c = blob_pack.c
    latest_ns = database_ns(connection) - grace_ns
    is_due = (c.project == project) & (c.state == CONDEMNED) & (c.condemned_ns <= latest_ns)
    connection.execute(update(blob_pack).where(is_due).values(state=REMOVING))
    query = select(*_PACK).where(c.project == project, c.state == REMOVING).order_by(c.pack_id)
    return [PackRow(*row) for row in connection.execute(query)]


def end_removal(connection: Connection, pack_ids: Sequence[str]) -> None:
    """Say that the files of these packs are removed."""
    for start in range(0, len(pack_ids), _PART):
        part = list(pack_ids[start : start + _PART])
        connection.execute(delete(blob_pack).where(blob_pack.c.pack_id.in_(part), blob_pack.c.state == REMOVING))


def _is_pinned(connection: Connection, project: str, pack_id: str) -> bool:
    c, p, u = blob_chunk.c, lease_chunk.c, upload_lease.c
    query = select(p.digest).join(blob_chunk, c.digest == p.digest).join(upload_lease, u.lease_id == p.lease_id)
    query = query.where(c.project == project, c.pack_id == pack_id, u.project == project)
    return connection.execute(query.limit(1)).first() is not None


def _condemn(connection: Connection, project: str, pack_ids: Sequence[str]) -> list[str]:
    done: list[str] = []
    c, now_ns = blob_pack.c, database_ns(connection)
    for start in range(0, len(pack_ids), _PART):
        is_live = (c.project == project) & (c.state == LIVE) & c.pack_id.in_(list(pack_ids[start : start + _PART]))
        part = list(connection.execute(select(c.pack_id).where(is_live)).scalars())
        connection.execute(update(blob_pack).where(c.pack_id.in_(part)).values(state=CONDEMNED, condemned_ns=now_ns))
        connection.execute(delete(blob_chunk).where(blob_chunk.c.project == project, blob_chunk.c.pack_id.in_(part)))
        done += part
    return done


def _insert_pack(connection: Connection, project: str, new: NewPack) -> None:
    row = {
        "pack_id": new.pack_id,
        "project": project,
        "size_bytes": new.size_bytes,
        "n_chunks": len(new.chunks),
        "state": LIVE,
        "created_ns": database_ns(connection),
        "condemned_ns": None,
    }
    connection.execute(insert(blob_pack), [row])

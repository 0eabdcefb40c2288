"""The statements of verification, and of making the chunk tables anew from what packs say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from .store_artifact_schema import artifact, artifact_version, blob_chunk, blob_pack
from .store_collect import CONDEMNED, LIVE, packs_of
from .store_dialect import database_ns, upsert

_PART = 500
# digest, offset, size in bytes
Chunks = Sequence[tuple[bytes, int, int]]


def names_of(connection: Connection, uid: str) -> tuple[str, str] | None:
    """Return the artifact's name and "v3" of a version that is not deleted."""
    v, a = artifact_version.c, artifact.c
    query = select(a.name, v.ordinal).join(artifact, a.artifact_id == v.artifact_id)
    row = connection.execute(query.where(v.uid == uid, v.deleted_ns.is_(None))).first()
    return None if row is None else (row.name, f"v{row.ordinal}")


class ArtifactRow(NamedTuple):
    """An artifact with the uids and sizes of its versions that are not deleted."""

    number: int
    name: str
    type: str
    uids: list[str]
    size_bytes: int


def artifacts_of(connection: Connection, project: str) -> list[ArtifactRow]:
    """Return the artifacts of a project."""
    v, a = artifact_version.c, artifact.c
    versions: dict[int, list[tuple[str, int]]] = {}
    query = select(v.artifact_id, v.uid, v.size_bytes).join(artifact, a.artifact_id == v.artifact_id)
    for number, uid, size_bytes in connection.execute(query.where(a.project == project, v.deleted_ns.is_(None))):
        versions.setdefault(number, []).append((uid, size_bytes))
    rows = connection.execute(select(a.artifact_id, a.name, a.type).where(a.project == project).order_by(a.name))
    return [
        ArtifactRow(number, name, type, [uid for uid, _ in own], sum(size for _, size in own))
        for number, name, type, own in ((*row, versions.get(row.artifact_id, [])) for row in rows)
    ]


def forget_chunks(connection: Connection, project: str, chunks: Iterable[tuple[bytes, str]]) -> int:
    """Remove the rows of chunks, each given with the pack in which it cannot be read; return how many those were."""
    n, c = 0, blob_chunk.c
    for digest, pack_id in chunks:
        found = delete(blob_chunk).where(c.project == project, c.digest == digest, c.pack_id == pack_id)
        n += connection.execute(found).rowcount
    return n


def settle_found_packs(
    connection: Connection,
    project: str,
    found: Mapping[str, tuple[int, Chunks]],
    is_there: Callable[[str], bool],
    before_ns: int,
) -> tuple[int, int, int]:
    """Bring the tables of a project in line with the packs whose files were found.

    Args:
        connection: within a transaction that writes.
        project: of the packs.
        found: size in bytes and chunks of each pack that could be read.
        is_there: whether the file of a pack is there now.
        before_ns: when looking began; a pack that is newer is left as it is.

    Returns:
        How many packs were added or brought back, how many rows of packs without a file removed, and how many chunks
        are known in a place where they were not.
    """
    rows = {row.pack_id: row for row in packs_of(connection, project)}
    known = [row for row in rows.values() if row.state in (LIVE, CONDEMNED) and row.created_ns < before_ns]
    gone = [row.pack_id for row in known if not is_there(row.pack_id)]
    _remove_rows(connection, project, gone)
    n_packs = n_chunks = 0
    for pack_id, (size_bytes, chunks) in found.items():
        state = rows[pack_id].state if pack_id in rows else ""
        if state not in ("", LIVE, CONDEMNED) or not is_there(pack_id):
            continue  # it is being removed
        new = _unknown(connection, project, chunks)
        if state == CONDEMNED and not new:
            continue  # such a pack comes back only where it has what nothing else has
        if state == CONDEMNED:
            revived = update(blob_pack).where(blob_pack.c.pack_id == pack_id)
            connection.execute(revived.values(state=LIVE, condemned_ns=None))
        elif not state:
            _add_row(connection, project, pack_id, size_bytes, len(chunks))
        n_packs += state != LIVE
        n_chunks += _add_places(connection, project, pack_id, new)
    return n_packs, len(gone), n_chunks


def _remove_rows(connection: Connection, project: str, pack_ids: Sequence[str]) -> None:
    for start in range(0, len(pack_ids), _PART):
        part = list(pack_ids[start : start + _PART])
        connection.execute(delete(blob_chunk).where(blob_chunk.c.project == project, blob_chunk.c.pack_id.in_(part)))
        connection.execute(delete(blob_pack).where(blob_pack.c.pack_id.in_(part)))


def _add_row(connection: Connection, project: str, pack_id: str, size_bytes: int, n_chunks: int) -> None:
    row = {"pack_id": pack_id, "project": project, "size_bytes": size_bytes, "n_chunks": n_chunks}
    connection.execute(insert(blob_pack), [{**row, "state": LIVE, "created_ns": database_ns(connection)}])


def _add_places(connection: Connection, project: str, pack_id: str, chunks: Chunks) -> int:
    places = [
        {"project": project, "digest": digest, "pack_id": pack_id, "offset": offset, "size_bytes": size_bytes}
        for digest, offset, size_bytes in chunks
    ]
    upsert(connection, blob_chunk, places, ["project", "digest"])
    return len(places)


def _unknown(connection: Connection, project: str, chunks: Chunks) -> Chunks:
    """Return those of the chunks that have no row."""
    c, known = blob_chunk.c, set()
    for start in range(0, len(chunks), _PART):
        part = [digest for digest, _, _ in chunks[start : start + _PART]]
        known |= set(
            map(bytes, connection.execute(select(c.digest).where(c.project == project, c.digest.in_(part))).scalars())
        )
    return [one for one in chunks if one[0] not in known]

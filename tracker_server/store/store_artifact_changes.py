"""What changes artifacts and their versions, each within a write transaction that the caller opens."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from tracker_core.artifacts.errors import MissingChunksError
from tracker_core.artifacts.manifest import Manifest
from tracker_core.artifacts.names import LATEST
from tracker_core.artifacts.wire import NewVersion, Retention, RunRef, VersionEdit
from tracker_core.errors import UsageError

from ..catalog.decisions import By
from .store_artifact_schema import (
    artifact,
    artifact_alias,
    artifact_same,
    artifact_use,
    artifact_version,
    registry_link,
)
from .store_artifacts import (
    artifact_row,
    artifact_row_or_none,
    has_versions,
    parts,
    retention_of,
    version_row,
    version_row_or_none,
)
from .store_decision_log import log_decisions
from .store_dialect import upsert

_LIVE = artifact_version.c.deleted_ns.is_(None)


def insert_version(connection: Connection, new: NewVersion, manifest: Manifest, digest: str, by: By) -> str:
    """Make a version, or find the one of the same content; return its uid.

    Args:
        connection: within a transaction that may write; others that write wait for it.
        new: its names are valid.
        manifest: what `new.manifest` holds.
        digest: the manifest's.
        by: who commits, and when.

    Raises:
        UsageError: an artifact of this name has another type, or the uid is another version's.
        MissingChunksError: chunks are not there, or not kept for this upload.
    """
    known = version_row_or_none(connection, new.uid)
    if known is not None:
        if (known.project, known.name, known.digest) != (new.project, new.name, digest):
            remedy = "log the artifact again, which gives it a new uid"
            raise UsageError("commit of an artifact", f"uid {new.uid}, which is taken", "a uid of its own", remedy)
        return str(known.uid)
    number = _artifact_of(connection, new, by)
    uid = _same_content(connection, number, digest)
    if uid is None:
        _require_chunks(connection, new, manifest)
        uid = _insert_row(connection, number, new, manifest, digest, by)
    else:
        connection.execute(insert(artifact_same), [{"other_uid": new.uid, "uid": uid}])
        _add_tags(connection, uid, new.tags)
    move_aliases(connection, number, uid, [*new.aliases, LATEST], by)
    if new.logged_by is not None:
        insert_uses(connection, [(uid, new.logged_by, new.created_ns or by.at_ns, True, "")])
    connection.execute(update(artifact).where(artifact.c.artifact_id == number).values(updated_ns=by.at_ns))
    return uid


def _artifact_of(connection: Connection, new: NewVersion, by: By) -> int:
    """Return the number of the artifact that gets the version, which is made where there is none."""
    row = artifact_row_or_none(connection, new.project, new.name)
    if row is None:
        values = {
            "project": new.project,
            "name": new.name,
            "type": new.type,
            "description": "",
            "retention_json": "{}",
            "n_ordinals": 0,
            "created_ns": by.at_ns,
            "updated_ns": by.at_ns,
        }
        made = connection.execute(insert(artifact).values(**values)).inserted_primary_key
        assert made is not None
        return int(made[0])
    if row.type != new.type:
        if has_versions(connection, row.artifact_id):
            got, expected = f"type {new.type!r} for {new.name!r}", f"type {row.type!r}, which it has in {new.project!r}"
            raise UsageError("commit of an artifact", got, expected, "use that type, or another name")
        connection.execute(update(artifact).where(artifact.c.artifact_id == row.artifact_id).values(type=new.type))
    return int(row.artifact_id)


def _same_content(connection: Connection, number: int, digest: str) -> str | None:
    c = artifact_version.c
    query = select(c.uid).where(c.artifact_id == number, c.digest == digest, _LIVE).order_by(c.ordinal.desc())
    return connection.execute(query.limit(1)).scalar()


def _require_chunks(connection: Connection, new: NewVersion, manifest: Manifest) -> None:
    chunks = {chunk.digest: chunk for entry in manifest for chunk in entry.all_chunks}
    if chunks:
        from .store_blobs import unpinned

        missing = unpinned(connection, new.project, new.lease, list(chunks.values()))
        if missing:
            raise MissingChunksError(f"artifact {new.project}/{new.name}", missing)


def _insert_row(connection: Connection, number: int, new: NewVersion, manifest: Manifest, digest: str, by: By) -> str:
    a = artifact.c
    ordinal = connection.execute(select(a.n_ordinals).where(a.artifact_id == number)).scalar_one()
    connection.execute(update(artifact).where(a.artifact_id == number).values(n_ordinals=ordinal + 1))
    row = {
        "uid": new.uid,
        "artifact_id": number,
        "ordinal": ordinal,
        "digest": digest,
        "size_bytes": manifest.size_bytes,
        "n_files": len(manifest),
        "n_references": manifest.n_references,
        "created_ns": new.created_ns or by.at_ns,
        "committed_ns": by.at_ns,
        "created_by": by.who,
        "run_project": new.logged_by.project if new.logged_by else None,
        "run_id": new.logged_by.run if new.logged_by else None,
        "history_step": new.history_step,
        "ttl_days": new.ttl_days,
        "deleted_by": "",
        "delete_reason": "",
        "tags_json": _json(new.tags),
        "description": new.description,
        "metadata_json": _metadata(new.metadata),
        "manifest": new.manifest,
    }
    connection.execute(insert(artifact_version), [row])
    return new.uid


def move_aliases(connection: Connection, number: int, uid: str, aliases: Iterable[str], by: By) -> None:
    """Have aliases of an artifact point at a version, wherever they pointed before."""
    rows = [
        {"artifact_id": number, "alias": alias, "uid": uid, "moved_ns": by.at_ns, "moved_by": by.who}
        for alias in dict.fromkeys(aliases)
    ]
    upsert(connection, artifact_alias, rows, ["artifact_id", "alias"], ["uid", "moved_ns", "moved_by"])


def insert_uses(connection: Connection, uses: Sequence[tuple[str, RunRef, int, bool, str]]) -> None:
    """Keep edges of the lineage: (uid, run, time, whether it logged it, what for). Those that are there stay."""
    rows = [
        {
            "uid": uid,
            "run_project": run.project,
            "run_id": run.run,
            "is_output": out,
            "at_ns": at_ns,
            "used_as": used_as,
        }
        for uid, run, at_ns, out, used_as in uses
    ]
    upsert(connection, artifact_use, rows, ["uid", "run_project", "run_id", "is_output"])


# -- edits


def edit_version(connection: Connection, uid: str, edit: VersionEdit, by: By) -> str:
    """Change a version; return its own uid. Raises NotFoundError where there is none."""
    row = version_row(connection, uid)
    move_aliases(connection, row.artifact_id, row.uid, edit.add_aliases, by)
    if edit.remove_aliases:
        c = artifact_alias.c
        wanted = delete(artifact_alias).where(c.uid == row.uid, c.alias.in_(edit.remove_aliases))
        connection.execute(wanted)
    changes: dict[str, Any] = {}
    if edit.tags is not None:
        changes["tags_json"] = _json(edit.tags)
    if edit.description is not None:
        changes["description"] = edit.description
    if edit.metadata is not None:
        changes["metadata_json"] = _metadata(edit.metadata)
    if edit.ttl_days is not None:
        changes["ttl_days"] = None if edit.ttl_days < 0 else edit.ttl_days
    if changes:
        connection.execute(update(artifact_version).where(artifact_version.c.uid == row.uid).values(**changes))
    _touch(connection, row.artifact_id, by)
    return str(row.uid)


def _add_tags(connection: Connection, uid: str, tags: Sequence[str]) -> None:
    c = artifact_version.c
    before = json.loads(connection.execute(select(c.tags_json).where(c.uid == uid)).scalar_one())
    merged = list(dict.fromkeys([*before, *tags]))
    if merged != before:
        connection.execute(update(artifact_version).where(c.uid == uid).values(tags_json=_json(merged)))


def edit_artifact(
    connection: Connection,
    project: str,
    name: str,
    by: By,
    description: str | None = None,
    retention: Retention | None = None,
) -> None:
    """Change what an artifact says of all its versions; raises NotFoundError where there is none."""
    row = artifact_row(connection, project, name)
    changes: dict[str, Any] = {"updated_ns": by.at_ns}
    if description is not None:
        changes["description"] = description
    if retention is not None:
        changes["retention_json"] = msgspec.json.encode(retention).decode()
    connection.execute(update(artifact).where(artifact.c.artifact_id == row.artifact_id).values(**changes))


def _touch(connection: Connection, number: int, by: By) -> None:
    connection.execute(update(artifact).where(artifact.c.artifact_id == number).values(updated_ns=by.at_ns))


# -- deletion


def delete_versions(connection: Connection, uids: Sequence[str], by: By, delete_aliases: bool) -> list[str]:
    """Delete versions, all or none; return their own uids.

    Raises:
        NotFoundError: one is not there.
        UsageError: one has aliases and `delete_aliases` is not said, or a protected one, or the registry links it.
    """
    rows = {row.uid: row for row in (version_row(connection, uid) for uid in dict.fromkeys(uids))}
    _refuse_kept(connection, list(rows.values()), delete_aliases)
    _delete_rows(connection, list(rows.values()), by)
    return list(rows)


def delete_artifact(connection: Connection, project: str, name: str, by: By) -> None:
    """Delete an artifact with all its versions; raises as `delete_versions` does with `delete_aliases`."""
    found = artifact_row(connection, project, name)
    c = artifact_version.c
    uids = list(connection.execute(select(c.uid).where(c.artifact_id == found.artifact_id, _LIVE)).scalars())
    delete_versions(connection, uids, by, delete_aliases=True)
    changes = {"description": "", "retention_json": "{}"}
    connection.execute(update(artifact).where(artifact.c.artifact_id == found.artifact_id).values(**changes))


def _refuse_kept(connection: Connection, rows: Sequence[Row[Any]], delete_aliases: bool) -> None:
    uids = [row.uid for row in rows]
    aliases: dict[str, list[str]] = {}
    linked: set[str] = set()
    a, link = artifact_alias.c, registry_link.c
    for some in parts(uids):
        for uid, alias in connection.execute(select(a.uid, a.alias).where(a.uid.in_(some)).order_by(a.alias)):
            aliases.setdefault(uid, []).append(alias)
        linked.update(connection.execute(select(link.uid).where(link.uid.in_(some))).scalars())
    for row in rows:
        has, where = aliases.get(row.uid, []), f"{row.project}/{row.name}:v{row.ordinal}"
        kept = [alias for alias in has if alias in retention_of(row.retention_json).protected_aliases]
        if row.uid in linked:
            remedy = "unlink it there first"
            raise UsageError(f"delete {where}", "a version that the registry links", "one that nothing needs", remedy)
        if kept:
            remedy = "move that alias to another version, or change the artifact's retention"
            got = f"a version with the protected alias {kept[0]!r}"
            raise UsageError(f"delete {where}", got, "one without", remedy)
        if has and not delete_aliases:
            got = f"a version with the aliases {', '.join(has)}"
            raise UsageError(f"delete {where}", got, "one without", "pass delete_aliases=True to take them off too")


def _delete_rows(connection: Connection, rows: Sequence[Row[Any]], by: By) -> None:
    c, a = artifact_version.c, artifact_alias.c
    changes = {"manifest": None, "deleted_ns": by.at_ns, "deleted_by": by.who, "delete_reason": by.why}
    for some in parts([row.uid for row in rows]):
        connection.execute(update(artifact_version).where(c.uid.in_(some)).values(**changes))
        connection.execute(delete(artifact_alias).where(a.uid.in_(some)))
    for number in {row.artifact_id for row in rows}:
        _point_latest(connection, number, by)
        _touch(connection, number, by)
    log_decisions(connection, "delete version", [((row.project, f"{row.name}:v{row.ordinal}"), by) for row in rows])


def _point_latest(connection: Connection, number: int, by: By) -> None:
    """Have "latest" point at the newest version that is left, where it points at none."""
    c, a = artifact_version.c, artifact_alias.c
    if connection.execute(select(a.uid).where(a.artifact_id == number, a.alias == LATEST)).first() is None:
        newest = select(c.uid).where(c.artifact_id == number, _LIVE).order_by(c.ordinal.desc()).limit(1)
        uid = connection.execute(newest).scalar()
        if uid is not None:
            move_aliases(connection, number, uid, [LATEST], by)


def _metadata(metadata: dict[str, Any]) -> str:
    """Return metadata as JSON; NaN and infinities are the tokens that Python reads."""
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def _json(values: Collection[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)

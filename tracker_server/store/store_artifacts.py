"""What the catalog knows of artifacts and their versions: reads, each within a transaction that the caller opens."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Select, and_, func, inspect, or_, select

from tracker_core.artifacts.names import LATEST
from tracker_core.artifacts.wire import CollectionInfo, Page, Retention, RunRef, Usage, VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from .store_artifact_schema import (
    artifact,
    artifact_alias,
    artifact_same,
    artifact_use,
    artifact_version,
    blob_chunk,
    blob_pack,
    registered_model,
    registry_link,
)

T = TypeVar("T")
MAX_PAGE = 1000
# Names in one statement.
_PART = 500
_LAST_PLACE = (1 << 31) - 1
_NS_PER_DAY = 86_400_000_000_000
_MIN_PREFIX = 8
_ORDINAL = re.compile(r"v(0|[1-9][0-9]{0,8})")
_ARTIFACT_COLUMNS = (artifact.c.project, artifact.c.name, artifact.c.type, artifact.c.retention_json)
_VERSION_COLUMNS = tuple(column for column in artifact_version.c if column.name != "manifest")


def has_artifacts(connection: Connection) -> bool:
    """Say whether there are the tables; a catalog of an earlier version has none until something is written."""
    return connection.dialect.name != "sqlite" or inspect(connection).has_table(artifact_version.name)


def parts(items: Collection[T]) -> Iterator[list[T]]:
    """Yield the items in lists that fit into one statement."""
    every = list(items)
    for start in range(0, len(every), _PART):
        yield every[start : start + _PART]


def in_bounds(place: int) -> int:
    """Return a place in a list that a database can be asked for."""
    return max(0, min(place, _LAST_PLACE))


def expires_ns(committed_ns: int, ttl_days: float | None, retention: Retention) -> int | None:
    """Return when a version goes by its time to live, None never: its own, 0 for ever, before its artifact's."""
    days = retention.ttl_days if ttl_days is None else ttl_days
    return committed_ns + int(days * _NS_PER_DAY) if days else None


def retention_of(text: str) -> Retention:
    """Return the retention that a row holds."""
    return msgspec.json.decode(text, type=Retention)


# -- versions


def select_versions() -> Select[Any]:
    """Return the query of all versions, deleted ones too, with what their artifact says."""
    joined = artifact_version.join(artifact, artifact.c.artifact_id == artifact_version.c.artifact_id)
    return select(*_VERSION_COLUMNS, *_ARTIFACT_COLUMNS).select_from(joined)


def version_row(connection: Connection, uid: str, with_deleted: bool = False) -> Row[Any]:
    """Return the row of a version, by its uid or another one of the same version; raises NotFoundError."""
    found = version_row_or_none(connection, uid)
    if found is None or (found.deleted_ns is not None and not with_deleted):
        reason = "" if found is None else ": it was deleted"
        raise NotFoundError(f"there is no version {uid} of an artifact{reason}")
    return found


def version_row_or_none(connection: Connection, uid: str) -> Row[Any] | None:
    """Return the row of a version, deleted ones too; None where there is none."""
    of = artifact_version.c.uid
    found = connection.execute(select_versions().where(of == uid)).first()
    if found is None:
        other = select(artifact_same.c.uid).where(artifact_same.c.other_uid == uid).scalar_subquery()
        found = connection.execute(select_versions().where(of == other)).first()
    return found


def own_uids(connection: Connection, uids: Collection[str]) -> dict[str, str]:
    """Return the version's own uid for each of those that are known, deleted ones too."""
    found: dict[str, str] = {}
    s, of = artifact_same.c, artifact_version.c.uid
    for some in parts(uids):
        found.update((uid, uid) for uid in connection.execute(select(of).where(of.in_(some))).scalars())
        query = select(s.other_uid, s.uid).where(s.other_uid.in_(some))
        found.update((other, uid) for other, uid in connection.execute(query))
    return found


def versions_by_uid(connection: Connection, uids: Collection[str]) -> dict[str, VersionInfo]:
    """Return versions by their own uids, deleted ones too."""
    rows: list[Row[Any]] = []
    for some in parts(uids):
        rows += connection.execute(select_versions().where(artifact_version.c.uid.in_(some)))
    return {info.uid: info for info in version_infos(connection, rows)}


def version_infos(connection: Connection, rows: Sequence[Row[Any]]) -> list[VersionInfo]:
    """Return what is to know of versions, for rows of `select_versions`."""
    uids = [row.uid for row in rows]
    aliases, links, n_used_by = _aliases(connection, uids), _links(connection, uids), _n_used_by(connection, uids)
    return [
        VersionInfo(
            uid=row.uid,
            project=row.project,
            name=row.name,
            type=row.type,
            ordinal=row.ordinal,
            digest=row.digest,
            size_bytes=row.size_bytes,
            n_files=row.n_files,
            n_references=row.n_references,
            aliases=aliases.get(row.uid, []),
            tags=json.loads(row.tags_json),
            description=row.description,
            metadata=json.loads(row.metadata_json),
            created_ns=row.created_ns,
            created_by=row.created_by,
            logged_by=None if row.run_id is None else RunRef(row.run_project, row.run_id),
            history_step=row.history_step,
            ttl_days=row.ttl_days,
            expires_ns=expires_ns(row.committed_ns, row.ttl_days, retention_of(row.retention_json)),
            n_used_by=n_used_by.get(row.uid, 0),
            registered_as=links.get(row.uid, []),
            deleted_ns=row.deleted_ns,
        )
        for row in rows
    ]


def version_info(connection: Connection, row: Row[Any]) -> VersionInfo:
    """Return what is to know of one version."""
    return version_infos(connection, [row])[0]


def _aliases(connection: Connection, uids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    c = artifact_alias.c
    for some in parts(uids):
        for uid, alias in connection.execute(select(c.uid, c.alias).where(c.uid.in_(some)).order_by(c.alias)):
            found.setdefault(uid, []).append(alias)
    return found


def _links(connection: Connection, uids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    link, model = registry_link.c, registered_model.c
    joined = registry_link.join(registered_model, link.model_id == model.model_id)
    query = select(link.uid, model.name, link.number).select_from(joined).order_by(model.name, link.number)
    for some in parts(uids):
        for uid, name, number in connection.execute(query.where(link.uid.in_(some))):
            found.setdefault(uid, []).append((name, number))
    return found


def _n_used_by(connection: Connection, uids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    c = artifact_use.c
    for some in parts(uids):
        query = select(c.uid, func.count()).where(c.uid.in_(some), c.is_output.is_(False)).group_by(c.uid)
        found.update((uid, n) for uid, n in connection.execute(query))
    return found


def read_versions(connection: Connection, artifact_id: int, after: int | None, size: int) -> Page:
    """Return versions of an artifact, newest first, of lower ordinals than `after`."""
    c, size = artifact_version.c, max(1, min(size, MAX_PAGE))
    query = select_versions().where(c.artifact_id == artifact_id, c.deleted_ns.is_(None))
    if after is not None:
        query = query.where(c.ordinal < in_bounds(after))
    rows = connection.execute(query.order_by(c.ordinal.desc()).limit(size + 1)).all()
    more = rows[size - 1].ordinal if len(rows) > size else None
    return Page(version_infos(connection, rows[:size]), more)


def read_manifest(connection: Connection, uid: str) -> bytes:
    """Return the encoded manifest of a version; raises NotFoundError where there is no such version."""
    row = version_row(connection, uid)
    found: bytes | None = connection.execute(
        select(artifact_version.c.manifest).where(artifact_version.c.uid == row.uid)
    ).scalar()
    if found is None:
        raise NotFoundError(f"version {uid} of {row.project}/{row.name} has no manifest")
    return bytes(found)


def find_which(connection: Connection, project: str, name: str, which: str) -> Row[Any]:
    """Return the row of the version that "v3", an alias, or a digest or uid of 8 or more digits names.

    Raises:
        NotFoundError: there is none.
        UsageError: the digits are those of several versions.
    """
    found = artifact_row(connection, project, name)
    c = artifact_version.c
    live = select_versions().where(c.artifact_id == found.artifact_id, c.deleted_ns.is_(None))
    if ordinal := _ORDINAL.fullmatch(which):
        row = connection.execute(live.where(c.ordinal == int(ordinal[1]))).first()
    else:
        a = artifact_alias.c
        of_alias = select(a.uid).where(a.artifact_id == found.artifact_id, a.alias == which).scalar_subquery()
        row = connection.execute(live.where(c.uid == of_alias)).first()
        row = row or _by_digits(connection, live, which)
    if row is None:
        raise NotFoundError(f"artifact {project}/{name} has no version {which!r}; it has {_some(connection, found)}")
    return row


def _by_digits(connection: Connection, live: Select[Any], which: str) -> Row[Any] | None:
    digits = which.lower()
    if len(digits) < _MIN_PREFIX or not set(digits) <= set("0123456789abcdef"):
        return None
    c, s = artifact_version.c, artifact_same.c
    same = select(s.uid).where(_begins(s.other_uid, digits))
    query = live.where(or_(_begins(c.uid, digits), _begins(c.digest, digits), c.uid.in_(same)))
    rows = connection.execute(query.order_by(c.ordinal).limit(2)).all()
    if len(rows) > 1:
        got = f"{which!r}, which v{rows[0].ordinal} and v{rows[1].ordinal} begin with"
        raise UsageError("version of an artifact", got, "the digits of one version", "give more of them")
    return rows[0] if rows else None


def _begins(column: Any, digits: str) -> Any:
    return and_(column >= digits, column <= f"{digits}g")


def _some(connection: Connection, found: Row[Any]) -> str:
    page = read_versions(connection, found.artifact_id, None, 5)
    texts = [f"v{one.ordinal}" + (f" ({', '.join(one.aliases)})" if one.aliases else "") for one in page.items]
    return ", ".join(texts) + (" and more" if page.next_place is not None else "")


# -- artifacts


def artifact_row(connection: Connection, project: str, name: str) -> Row[Any]:
    """Return the row of an artifact that has a version; raises NotFoundError."""
    row = artifact_row_or_none(connection, project, name)
    if row is None or not has_versions(connection, row.artifact_id):
        raise NotFoundError(f"there is no artifact {name!r} in project {project!r}")
    return row


def artifact_row_or_none(connection: Connection, project: str, name: str) -> Row[Any] | None:
    """Return the row of an artifact, also of one that has no version any more."""
    return connection.execute(select(artifact).where(artifact.c.project == project, artifact.c.name == name)).first()


def has_versions(connection: Connection, artifact_id: int) -> bool:
    """Say whether an artifact has a version that is not deleted."""
    c = artifact_version.c
    query = select(c.uid).where(c.artifact_id == artifact_id, c.deleted_ns.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _live() -> Any:
    c = artifact_version.c
    query = select(c.uid).where(c.artifact_id == artifact.c.artifact_id, c.deleted_ns.is_(None))
    return query.correlate(artifact).exists()


def read_collections(
    connection: Connection, project: str | None, type: str | None, text: str, after: int | None, size: int
) -> Page:
    """Return artifacts, the last changed first, from place `after` on."""
    c, size, place = artifact.c, max(1, min(size, MAX_PAGE)), in_bounds(after or 0)
    query = select(artifact).where(_live()).order_by(c.updated_ns.desc(), c.artifact_id.desc())
    if project is not None:
        query = query.where(c.project == project)
    if type is not None:
        query = query.where(c.type == type)
    if text:
        query = query.where(func.lower(c.name).contains(text.lower(), autoescape=True))
    rows = connection.execute(query.offset(place).limit(size + 1)).all()
    return Page(collection_infos(connection, rows[:size]), place + size if len(rows) > size else None)


def collection_infos(connection: Connection, rows: Sequence[Row[Any]]) -> list[CollectionInfo]:
    """Return what is to know of artifacts, for their rows."""
    numbers = [row.artifact_id for row in rows]
    sums, aliases, latest = _sums(connection, numbers), _all_aliases(connection, numbers), _latest(connection, numbers)
    return [
        CollectionInfo(
            project=row.project,
            name=row.name,
            type=row.type,
            description=row.description,
            created_ns=row.created_ns,
            updated_ns=row.updated_ns,
            n_versions=sums.get(row.artifact_id, (0, 0))[0],
            size_bytes=sums.get(row.artifact_id, (0, 0))[1],
            latest=latest.get(row.artifact_id),
            aliases=aliases.get(row.artifact_id, []),
            retention=retention_of(row.retention_json),
        )
        for row in rows
    ]


def _sums(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    c = artifact_version.c
    query = select(c.artifact_id, func.count(), func.sum(c.size_bytes)).where(c.deleted_ns.is_(None))
    for some in parts(numbers):
        of_some = query.where(c.artifact_id.in_(some)).group_by(c.artifact_id)
        found.update((number, (n, int(size))) for number, n, size in connection.execute(of_some))
    return found


def _all_aliases(connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    c = artifact_alias.c
    query = select(c.artifact_id, c.alias).order_by(c.alias)
    for some in parts(numbers):
        for number, alias in connection.execute(query.where(c.artifact_id.in_(some))):
            found.setdefault(number, []).append(alias)
    return found


def _latest(connection: Connection, numbers: Sequence[int]) -> dict[int, VersionInfo]:
    c = artifact_alias.c
    found: dict[str, int] = {}
    for some in parts(numbers):
        query = select(c.uid, c.artifact_id).where(c.artifact_id.in_(some), c.alias == LATEST)
        found.update((uid, number) for uid, number in connection.execute(query))
    return {found[uid]: info for uid, info in versions_by_uid(connection, found).items()}


def read_projects(connection: Connection) -> list[str]:
    """Return the projects that have artifacts."""
    return list(
        connection.execute(select(artifact.c.project).distinct().where(_live()).order_by(artifact.c.project)).scalars()
    )


def read_types(connection: Connection, project: str) -> list[str]:
    """Return the types of a project's artifacts."""
    c = artifact.c
    query = select(c.type).distinct().where(c.project == project, _live()).order_by(c.type)
    return list(connection.execute(query).scalars())


def read_usage(connection: Connection, project: str | None) -> list[Usage]:
    """Return what projects' artifacts take, those that take most on the store first."""
    a, v, p, k = artifact.c, artifact_version.c, blob_pack.c, blob_chunk.c
    joined = artifact_version.join(artifact, a.artifact_id == v.artifact_id)
    counts = (func.count(a.artifact_id.distinct()), func.count(), func.sum(v.size_bytes))
    logical = select(a.project, *counts).select_from(joined)
    logical = logical.where(v.deleted_ns.is_(None)).group_by(a.project)
    stored = select(p.project, func.sum(p.size_bytes)).where(p.state != "open").group_by(p.project)
    chunks = select(k.project, func.count()).group_by(k.project)
    of_versions = {name: (n, m, int(size)) for name, n, m, size in connection.execute(logical)}
    of_packs = {name: int(size) for name, size in connection.execute(stored)}
    of_chunks = {name: int(n) for name, n in connection.execute(chunks)}
    found = []
    for name in {*of_versions, *of_packs, *of_chunks} if project is None else {project}:
        n_artifacts, n_versions, logical_bytes = of_versions.get(name, (0, 0, 0))
        stored_bytes, n_chunks = of_packs.get(name, 0), of_chunks.get(name, 0)
        found.append(Usage(name, n_artifacts, n_versions, logical_bytes, stored_bytes, n_chunks))
    return sorted(found, key=lambda one: (-one.stored_bytes, one.project))

"""Which versions of which artifacts rules speak of."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, exists, select

from tracker_core.artifacts.wire import Retention

from .store_artifact_schema import artifact, artifact_alias, artifact_version, registered_model, registry_link
from .store_artifacts import has_artifacts, retention_of


class RuledArtifact(NamedTuple):
    """An artifact that has rules, or a version with a time to live of its own."""

    number: int
    project: str
    name: str
    rules: Retention


class VersionRow(NamedTuple):
    """A version that is not deleted; `run` is (project, id) of the run that logged it."""

    uid: str
    ordinal: int
    size_bytes: int
    committed_ns: int
    ttl_days: float | None
    run: tuple[str, str] | None
    aliases: frozenset[str]
    links: tuple[str, ...]


def ruled_artifacts(connection: Connection, project: str | None = None) -> list[RuledArtifact]:
    """Return the artifacts, of a project or all, of which a rule may let versions go."""
    if not has_artifacts(connection):  # the catalog is older than artifacts
        return []
    a, v = artifact.c, artifact_version.c
    has_own = exists().where(v.artifact_id == a.artifact_id, v.deleted_ns.is_(None), v.ttl_days > 0)
    query = select(a.artifact_id, a.project, a.name, a.retention_json).where((a.retention_json != "{}") | has_own)
    if project is not None:
        query = query.where(a.project == project)
    rows = connection.execute(query.order_by(a.project, a.name))
    return [RuledArtifact(number, place, name, retention_of(text)) for number, place, name, text in rows]


def rules_of(connection: Connection, number: int) -> Retention:
    """Return the rules of an artifact as they are now."""
    text = connection.execute(select(artifact.c.retention_json).where(artifact.c.artifact_id == number)).scalar()
    return Retention() if text is None else retention_of(text)


def versions_under_rules(connection: Connection, number: int) -> list[VersionRow]:
    """Return the versions of an artifact that are not deleted."""
    v, a, link, model = artifact_version.c, artifact_alias.c, registry_link.c, registered_model.c
    aliases: dict[str, set[str]] = {}
    for uid, alias in connection.execute(select(a.uid, a.alias).where(a.artifact_id == number)):
        aliases.setdefault(uid, set()).add(alias)
    links: dict[str, list[str]] = {}
    query = select(link.uid, model.name, link.number).join(registered_model, model.model_id == link.model_id)
    query = query.join(artifact_version, v.uid == link.uid).where(v.artifact_id == number)
    for uid, name, linked in connection.execute(query.order_by(model.name, link.number)):
        links.setdefault(uid, []).append(f"{name} v{linked}")
    columns = (v.uid, v.ordinal, v.size_bytes, v.committed_ns, v.ttl_days, v.run_project, v.run_id)
    rows = connection.execute(select(*columns).where(v.artifact_id == number, v.deleted_ns.is_(None)))
    return [
        VersionRow(
            uid=row.uid,
            ordinal=row.ordinal,
            size_bytes=row.size_bytes,
            committed_ns=row.committed_ns,
            ttl_days=row.ttl_days,
            run=(row.run_project, row.run_id) if row.run_id else None,
            aliases=frozenset(aliases.get(row.uid, ())),
            links=tuple(links.get(row.uid, ())),
        )
        for row in rows
    ]

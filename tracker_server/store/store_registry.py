"""The registry: registered models, which link versions, and their aliases. Every change adds to the audit.

Each function works within a transaction that the caller opens.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from tracker_core.artifacts.names import LATEST
from tracker_core.artifacts.wire import LinkedVersion, RegisteredModel, VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from ..catalog.decisions import By
from .store_artifact_schema import artifact, artifact_version, registered_model, registry_alias, registry_link
from .store_artifacts import parts, version_row, versions_by_uid
from .store_audit import add_audit
from .store_dialect import upsert

_NUMBER = re.compile(r"v(0|[1-9][0-9]{0,8})")
_WORDS = "registered model"


# -- reading


def read_models(connection: Connection, text: str) -> list[RegisteredModel]:
    """Return registered models, the last changed first; `text` is part of the name, in any case of letters."""
    c = registered_model.c
    query = select(registered_model).order_by(c.updated_ns.desc(), c.name)
    if text:
        query = query.where(func.lower(c.name).contains(text.lower(), autoescape=True))
    return _models(connection, connection.execute(query).all())


def read_model(connection: Connection, name: str) -> RegisteredModel:
    """Return a registered model; raises NotFoundError where there is none."""
    return _models(connection, [_row(connection, name)])[0]


def read_linked(connection: Connection, name: str) -> list[LinkedVersion]:
    """Return the versions of a registered model, newest first; raises NotFoundError."""
    row = _row(connection, name)
    c = registry_link.c
    query = select(registry_link).where(c.model_id == row.model_id).order_by(c.number.desc())
    return _linked(connection, {row.model_id: row.name}, connection.execute(query).all())


def find_linked(connection: Connection, name: str, which: str) -> LinkedVersion:
    """Return a version of a registered model by "v3", an alias, or "latest"; raises NotFoundError."""
    row = _row(connection, name)
    number = _number_of(connection, row.model_id, which)
    c = registry_link.c
    query = select(registry_link).where(c.model_id == row.model_id, c.number == number)
    found = connection.execute(query).all() if number is not None else []
    if not found:
        aliases = _aliases(connection, [row.model_id]).get(row.model_id, {})
        has = ", ".join(f"{alias} (v{at})" for alias, at in sorted(aliases.items())) or "no aliases"
        raise NotFoundError(f"{_WORDS} {name!r} has no version {which!r}; it has {has}")
    return _linked(connection, {row.model_id: row.name}, found)[0]


def read_model_projects(connection: Connection) -> dict[str, list[str]]:
    """Return the projects whose versions each registered model links."""
    m, link, v, a = registered_model.c, registry_link.c, artifact_version.c, artifact.c
    joined = registered_model.outerjoin(registry_link, m.model_id == link.model_id)
    joined = joined.outerjoin(artifact_version, link.uid == v.uid).outerjoin(artifact, v.artifact_id == a.artifact_id)
    query = select(m.name, a.project).distinct().select_from(joined).order_by(m.name, a.project)
    found: dict[str, list[str]] = {}
    for name, project in connection.execute(query):
        found.setdefault(name, []).extend([] if project is None else [project])
    return found


def _row(connection: Connection, name: str) -> Row[Any]:
    row = _row_or_none(connection, name)
    if row is None:
        raise NotFoundError(f"there is no {_WORDS} {name!r}; `tracker registry list` lists those that there are")
    return row


def _row_or_none(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(registered_model).where(registered_model.c.name == name)).first()


def _number_of(connection: Connection, model_id: int, which: str) -> int | None:
    """Return which number a version has; None where there is none of that name."""
    if match := _NUMBER.fullmatch(which):
        return int(match[1])
    link, a = registry_link.c, registry_alias.c
    query = select(a.number).where(a.model_id == model_id, a.alias == which)
    if which == LATEST:
        query = select(func.max(link.number)).where(link.model_id == model_id)
    return connection.execute(query).scalar()


def _aliases(connection: Connection, model_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    c = registry_alias.c
    for some in parts(model_ids):
        query = select(c.model_id, c.alias, c.number).where(c.model_id.in_(some)).order_by(c.alias)
        for model_id, alias, number in connection.execute(query):
            found.setdefault(model_id, {})[alias] = number
    return found


def _models(connection: Connection, rows: Sequence[Row[Any]]) -> list[RegisteredModel]:
    ids = [row.model_id for row in rows]
    aliases = _aliases(connection, ids)
    counts: dict[int, int] = {}
    newest: list[Row[Any]] = []
    c = registry_link.c
    for some in parts(ids):
        tops = select(c.model_id, func.count().label("n"), func.max(c.number).label("top"))
        top = tops.where(c.model_id.in_(some)).group_by(c.model_id).subquery()
        joined = registry_link.join(top, (c.model_id == top.c.model_id) & (c.number == top.c.top))
        for row in connection.execute(select(registry_link, top.c.n).select_from(joined)):
            counts[row.model_id] = row.n
            newest.append(row)
    latest = {one.model: one for one in _linked(connection, {row.model_id: row.name for row in rows}, newest)}
    return [
        RegisteredModel(
            name=row.name,
            type=row.type,
            card=row.card,
            created_ns=row.created_ns,
            created_by=row.created_by,
            updated_ns=row.updated_ns,
            n_versions=counts.get(row.model_id, 0),
            aliases=aliases.get(row.model_id, {}),
            latest=latest.get(row.name),
        )
        for row in rows
    ]


def _linked(connection: Connection, names: dict[int, str], rows: Sequence[Row[Any]]) -> list[LinkedVersion]:
    versions = versions_by_uid(connection, {row.uid for row in rows})
    aliases = _aliases(connection, list(dict.fromkeys(row.model_id for row in rows)))
    return [
        LinkedVersion(
            model=names[row.model_id],
            number=row.number,
            version=versions[row.uid],
            aliases=[alias for alias, number in aliases.get(row.model_id, {}).items() if number == row.number],
            linked_ns=row.linked_ns,
            linked_by=row.linked_by,
            why=row.why,
        )
        for row in rows
    ]


# -- deciding


def link_version(connection: Connection, name: str, uid: str, aliases: Sequence[str], by: By) -> int:
    """Put a version into a registered model, which is made where there is none; return its number there.

    Raises:
        NotFoundError: there is no such version.
        UsageError: the model takes artifacts of another type.
    """
    version = version_row(connection, uid)
    row = _row_or_none(connection, name)
    if row is not None and row.type != version.type:
        got, expected = f"an artifact of type {version.type!r}", f"one of type {row.type!r}, as those in it"
        raise UsageError(f"{_WORDS} {name!r}", got, expected, "link it to another name")
    model_id = _insert_model(connection, name, version.type, by) if row is None else int(row.model_id)
    c = registry_link.c
    query = select(c.number).where(c.model_id == model_id, c.uid == version.uid)
    number = connection.execute(query).scalar()
    if number is None:
        number = _insert_link(connection, name, model_id, version, by)
    _set_aliases(connection, name, model_id, number, aliases, (), by)
    return number


def _insert_model(connection: Connection, name: str, type: str, by: By) -> int:
    values = {"name": name, "type": type, "card": "", "n_numbers": 0, "created_ns": by.at_ns, "created_by": by.who}
    made = connection.execute(insert(registered_model).values(**values, updated_ns=by.at_ns)).inserted_primary_key
    assert made is not None
    add_audit(connection, by, "register", name, type=type)
    return int(made[0])


def _insert_link(connection: Connection, name: str, model_id: int, version: Row[Any], by: By) -> int:
    c = registered_model.c
    number = int(connection.execute(select(c.n_numbers).where(c.model_id == model_id)).scalar_one())
    changes = {"n_numbers": number + 1, "updated_ns": by.at_ns}
    connection.execute(update(registered_model).where(c.model_id == model_id).values(**changes))
    row = {"model_id": model_id, "number": number, "uid": version.uid, "linked_ns": by.at_ns, "linked_by": by.who}
    connection.execute(insert(registry_link), [{**row, "why": by.why}])
    add_audit(connection, by, "link", name, number, **_named(version))
    return number


def unlink_version(connection: Connection, name: str, number: int, by: By) -> None:
    """Take a version out of a registered model, with its aliases there; raises NotFoundError."""
    found = find_linked(connection, name, f"v{number}")
    model_id = _row(connection, name).model_id
    link, a = registry_link.c, registry_alias.c
    connection.execute(delete(registry_alias).where(a.model_id == model_id, a.number == number))
    connection.execute(delete(registry_link).where(link.model_id == model_id, link.number == number))
    _touch(connection, model_id, by)
    add_audit(connection, by, "unlink", name, number, **_named(found.version), aliases=found.aliases)


def set_aliases(
    connection: Connection, name: str, number: int, add: Sequence[str], remove: Sequence[str], by: By
) -> None:
    """Move aliases to a version of a registered model, and take others off it; raises NotFoundError."""
    find_linked(connection, name, f"v{number}")
    _set_aliases(connection, name, int(_row(connection, name).model_id), number, add, remove, by)


def _set_aliases(
    connection: Connection, name: str, model_id: int, number: int, add: Sequence[str], remove: Sequence[str], by: By
) -> None:
    before = _aliases(connection, [model_id]).get(model_id, {})
    for alias in add:
        if before.get(alias) == number:
            continue
        row = {"model_id": model_id, "alias": alias, "number": number, "moved_ns": by.at_ns, "moved_by": by.who}
        upsert(connection, registry_alias, [row], ["model_id", "alias"], ["number", "moved_ns", "moved_by"])
        detail = {"alias": alias, "from": before.get(alias)}
        add_audit(connection, by, "set alias", name, number, **detail)
    c = registry_alias.c
    for alias in remove:
        if before.get(alias) != number or alias in add:
            continue
        connection.execute(delete(registry_alias).where(c.model_id == model_id, c.alias == alias))
        add_audit(connection, by, "remove alias", name, number, alias=alias)
    _touch(connection, model_id, by)


def set_card(connection: Connection, name: str, card: str, by: By) -> None:
    """Change the card of a registered model; raises NotFoundError. The audit has the digest of the text."""
    row = _row(connection, name)
    if card == row.card:
        return
    changes = {"card": card, "updated_ns": by.at_ns}
    connection.execute(update(registered_model).where(registered_model.c.model_id == row.model_id).values(**changes))
    digest = hashlib.sha256(card.encode()).hexdigest()
    add_audit(connection, by, "edit card", name, sha256=digest, n_chars=len(card))


def delete_model(connection: Connection, name: str, by: By) -> None:
    """Delete a registered model; what it links stays, and its audit too. Raises NotFoundError."""
    row = _row(connection, name)
    linked = [
        f"v{one.number} {one.version.project}/{one.version.name}:{one.version.version}"
        for one in read_linked(connection, name)
    ]
    aliases = _aliases(connection, [row.model_id]).get(row.model_id, {})
    for table in (registry_alias, registry_link, registered_model):
        connection.execute(delete(table).where(table.c.model_id == row.model_id))
    add_audit(connection, by, "delete model", name, versions=linked, aliases=aliases)


def _touch(connection: Connection, model_id: int, by: By) -> None:
    c = registered_model.c
    connection.execute(update(registered_model).where(c.model_id == model_id).values(updated_ns=by.at_ns))


def _named(version: VersionInfo | Row[Any]) -> dict[str, Any]:
    """Return what the audit says of a version, which may be deleted later."""
    name = f"{version.project}/{version.name}:v{version.ordinal}"
    return {"uid": version.uid, "artifact": name, "digest": version.digest}

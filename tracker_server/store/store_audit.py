"""The audit of the registry: entries are added, and never changed or removed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, insert, select

from tracker_core.artifacts.wire import AuditEntry

from ..artifacts.registry_audit import next_entry
from ..catalog.decisions import By
from .store_artifact_schema import registry_audit
from .store_artifacts import in_bounds

MAX_ENTRIES = 10_000


def add_audit(
    connection: Connection, by: By, action: str, model: str, version: int | None = None, **detail: Any
) -> None:
    """Add an entry to the chain, within the transaction that makes the change; others that write wait for it."""
    c = registry_audit.c
    last = connection.execute(select(c.number, c.hash).order_by(c.number.desc()).limit(1)).first()
    entry = next_entry(
        None if last is None else (last.number, last.hash), by.at_ns, by.who, action, model, version, detail, by.why
    )
    row = {
        "number": entry.number,
        "at_ns": entry.at_ns,
        "who": entry.who,
        "action": entry.action,
        "model": entry.model,
        "version": entry.version,
        "detail_json": json.dumps(entry.detail, sort_keys=True),
        "why": entry.why,
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }
    connection.execute(insert(registry_audit), [row])


def read_audit(connection: Connection, model: str | None, after: int, size: int) -> list[AuditEntry]:
    """Return entries in the order made, of higher numbers than `after`; of one model or of all."""
    c, size = registry_audit.c, max(1, min(size, MAX_ENTRIES))
    query = select(registry_audit).where(c.number > in_bounds(after)).order_by(c.number).limit(size)
    if model is not None:
        query = query.where(c.model == model)
    return [
        AuditEntry(
            number=row.number,
            at_ns=row.at_ns,
            who=row.who,
            action=row.action,
            model=row.model,
            version=row.version,
            detail=json.loads(row.detail_json),
            why=row.why,
            previous_hash=row.previous_hash,
            hash=row.hash,
        )
        for row in connection.execute(query)
    ]


def read_registrations(connection: Connection) -> dict[str, int]:
    """Return, for every name of a model, the number of the entry of when one of that name was last made."""
    c = registry_audit.c
    query = select(c.model, func.max(c.number)).where(c.action == "register").group_by(c.model)
    return {model: int(number) for model, number in connection.execute(query)}

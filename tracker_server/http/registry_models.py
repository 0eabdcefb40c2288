"""What the HTTP API's JSON replies about the registry hold. Times are float seconds since 1970."""

from __future__ import annotations

from typing import Any

import msgspec

from tracker_core.artifacts.wire import AuditEntry, LinkedVersion, RegisteredModel

from .artifact_models import VersionRow, as_json, seconds
from .artifact_reply import RunLinks
from .markdown import render


class LinkedRow(msgspec.Struct, kw_only=True):
    """A version in a registered model. `number` is 3 of its "v3" there; `source` the artifact's own version."""

    model: str
    number: int
    aliases: list[str]
    linked_s: float
    linked_by: str
    why: str
    source: VersionRow


class ModelRow(msgspec.Struct, kw_only=True):
    """A registered model or data set. `aliases` tells of each which version has it."""

    name: str
    type: str
    created_s: float
    created_by: str
    updated_s: float
    n_versions: int
    aliases: dict[str, int]
    latest: LinkedRow | None
    has_card: bool


class ModelList(msgspec.Struct):
    models: list[ModelRow]


class ModelDetail(msgspec.Struct, kw_only=True):
    """A registered model with its card, as Markdown and as harmless HTML, and its versions, newest first."""

    model: ModelRow
    card: str
    card_html: str
    versions: list[LinkedRow]


class AuditRow(msgspec.Struct, kw_only=True):
    """A change of the registry: `action` register, link, unlink, set alias, remove alias, edit card, delete model."""

    number: int
    at_s: float
    who: str
    action: str
    model: str
    version: int | None
    detail: dict[str, Any]
    why: str
    previous_hash: str
    hash: str


class AuditList(msgspec.Struct):
    """Changes in the order made; `next_place` goes into `after`."""

    entries: list[AuditRow]
    next_place: int | None


class ChainState(msgspec.Struct):
    """Whether the audit's hashes fit one another, from the first entry to the last. `head` is the last one's hash."""

    n_entries: int
    is_intact: bool
    problem: str
    head: str


def linked_row(linked: LinkedVersion, links: RunLinks) -> LinkedRow:
    """Return a version of a registered model as the API tells it."""
    return LinkedRow(
        model=linked.model,
        number=linked.number,
        aliases=linked.aliases,
        linked_s=seconds(linked.linked_ns),
        linked_by=linked.linked_by,
        why=linked.why,
        source=links.version(linked.version),
    )


def model_row(model: RegisteredModel, links: RunLinks) -> ModelRow:
    """Return a registered model as the API tells it."""
    return ModelRow(
        name=model.name,
        type=model.type,
        created_s=seconds(model.created_ns),
        created_by=model.created_by,
        updated_s=seconds(model.updated_ns),
        n_versions=model.n_versions,
        aliases=model.aliases,
        latest=None if model.latest is None else linked_row(model.latest, links),
        has_card=bool(model.card.strip()),
    )


def model_detail(model: RegisteredModel, versions: list[LinkedVersion], links: RunLinks) -> ModelDetail:
    """Return all that is known of a registered model."""
    return ModelDetail(
        model=model_row(model, links),
        card=model.card,
        card_html=render(model.card),
        versions=[linked_row(linked, links) for linked in versions],
    )


def audit_row(entry: AuditEntry) -> AuditRow:
    """Return a change of the registry as the API tells it."""
    return AuditRow(
        number=entry.number,
        at_s=seconds(entry.at_ns),
        who=entry.who,
        action=entry.action,
        model=entry.model,
        version=entry.version,
        detail=as_json(entry.detail),
        why=entry.why,
        previous_hash=entry.previous_hash,
        hash=entry.hash,
    )

"""The routes of the registry: models, their versions, aliases, cards, and the audit of every change."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ..query.folder import LocalFolder
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .artifact_reply import RunLinks
from .http_body import read_json
from .http_errors import json_response
from .markdown import MAX_CHARS, render
from .registry_models import (
    AuditList,
    LinkedRow,
    ModelDetail,
    ModelList,
    ModelRow,
    audit_row,
    linked_row,
    model_detail,
    model_row,
)
from .served_artifacts import ServedArtifacts

_MAX_NUMBER = 1 << 53
Place = Annotated[int, Query(ge=0, le=_MAX_NUMBER)]
Size = Annotated[int, Query(ge=1, le=1000)]


class AliasWish(msgspec.Struct, kw_only=True):
    """Aliases that a version of a registered model is to get, from wherever they are, and to lose."""

    add: list[str] = []
    remove: list[str] = []
    why: str = ""


class CardWish(msgspec.Struct):
    """The card of a registered model, as Markdown, and why it changes."""

    card: str
    why: str = ""


class WhyOnly(msgspec.Struct):
    """Why something is done."""

    why: str = ""


class MarkdownText(msgspec.Struct):
    """Markdown whose look is asked for."""

    text: str


class MarkdownHtml(msgspec.Struct):
    """Markdown as harmless HTML."""

    html: str


class Done(msgspec.Struct):
    """What was asked for is done."""

    done: bool = True


_alias = msgspec.json.Decoder(AliasWish)
_card = msgspec.json.Decoder(CardWish)
_why = msgspec.json.Decoder(WhyOnly)
_markdown = msgspec.json.Decoder(MarkdownText)


def add_registry_routes(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    """Declare the routes of the registry. Who may see and change what of it, `artifacts` asks itself."""
    _add_reading(routes, folder, artifacts, f"{prefix}/registry")
    _add_changes(routes, folder, artifacts, f"{prefix}/registry/{{model}}")

    @routes.add(
        "POST", f"{prefix}/markdown", Action.READ, per_project=True, **documented(MarkdownHtml, body=MarkdownText)
    )
    async def markdown(request: Request) -> Response:
        text = (await read_json(request, _markdown)).text[:MAX_CHARS]
        return json_response(MarkdownHtml(await run_in_threadpool(render, text)))


def _add_reading(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, path: str) -> None:
    @routes.add("GET", path, Action.READ, per_project=True, **documented(ModelList))
    def models(request: Request, text: str = "") -> Response:
        links = RunLinks(folder, principal_of(request), has_summary=True)
        return json_response(ModelList([model_row(model, links) for model in artifacts.of(request).models(text)]))

    @routes.add("GET", f"{path}/{{model}}", Action.READ, per_project=True, **documented(ModelDetail))
    def model(model: str, request: Request) -> Response:
        source = artifacts.of(request)
        links = RunLinks(folder, principal_of(request), has_summary=True)
        return json_response(model_detail(source.model(model), source.linked(model), links))

    @routes.add("GET", f"{path}/{{model}}/audit", Action.READ, per_project=True, **documented(AuditList))
    def audit(model: str, request: Request, after: Place = 0, size: Size = 500) -> Response:
        entries = artifacts.of(request).audit(model, after, size)
        next_place = entries[-1].number if len(entries) == size else None
        return json_response(AuditList([audit_row(entry) for entry in entries], next_place))


def _add_changes(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, path: str) -> None:
    changing: dict[str, Any] = {"action": Action.CHANGE, "per_project": True}

    @routes.add("POST", f"{path}/versions/{{number}}/aliases", **changing, **documented(LinkedRow, body=AliasWish))
    async def aliases(model: str, number: int, request: Request) -> Response:
        wish = await read_json(request, _alias)
        source = artifacts.of(request)

        def work() -> Response:
            linked = source.set_model_aliases(model, number, wish.add, wish.remove, wish.why)
            return json_response(linked_row(linked, RunLinks(folder, principal_of(request), has_summary=True)))

        return await run_in_threadpool(work)

    @routes.add("POST", f"{path}/versions/{{number}}/unlink", **changing, **documented(Done, body=WhyOnly))
    async def unlink(model: str, number: int, request: Request) -> Response:
        wish = await read_json(request, _why)
        await run_in_threadpool(artifacts.of(request).unlink, model, number, wish.why)
        return json_response(Done())

    @routes.add("POST", f"{path}/card", Action.CHANGE, **documented(ModelRow, body=CardWish))
    async def card(model: str, request: Request) -> Response:
        wish = await read_json(request, _card)
        source = artifacts.of(request)

        def work() -> Response:
            changed = source.set_card(model, wish.card, wish.why)
            return json_response(model_row(changed, RunLinks(folder, principal_of(request))))

        return await run_in_threadpool(work)

    @routes.add("POST", f"{path}/delete", Action.CHANGE, **documented(Done, body=WhyOnly))
    async def delete(model: str, request: Request) -> Response:
        wish = await read_json(request, _why)
        await run_in_threadpool(artifacts.of(request).delete_model, model, wish.why)
        return json_response(Done())

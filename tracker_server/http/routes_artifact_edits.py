"""The routes that change artifacts: aliases, tags, descriptions, retention, deletion, and links into the registry."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tracker_core.artifacts.wire import Retention, VersionEdit
from tracker_core.errors import UsageError

from ..query.folder import LocalFolder
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .artifact_models import CollectionRow, VersionRow
from .artifact_reply import RunLinks
from .http_body import read_json
from .http_errors import json_response
from .registry_models import LinkedRow, linked_row
from .served_artifacts import ServedArtifacts


class EditWish(msgspec.Struct, kw_only=True):
    """Changes of a version; null leaves as it is. `ttl_days` 0 keeps it for ever, -1 goes back to the artifact's."""

    add_aliases: list[str] = []
    remove_aliases: list[str] = []
    tags: list[str] | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    ttl_days: float | None = None
    why: str = ""


class CollectionWish(msgspec.Struct, kw_only=True):
    """Changes of an artifact; null leaves as it is."""

    description: str | None = None
    retention: Retention | None = None


class DeleteWish(msgspec.Struct, kw_only=True):
    """Versions of an artifact, by their uids, that are to be deleted: all or none. With aliases only where told so."""

    versions: list[str]
    delete_aliases: bool = False
    why: str = ""


class WhyWish(msgspec.Struct):
    """Why something is done."""

    why: str = ""


class LinkWish(msgspec.Struct, kw_only=True):
    """A registered model, or data set, that a version is to be put into; it is made where there is none."""

    model: str
    aliases: list[str] = []
    why: str = ""


class Deleted(msgspec.Struct):
    """The uids of what was deleted; an artifact is told by its name."""

    deleted: list[str]


_edit = msgspec.json.Decoder(EditWish)
_collection = msgspec.json.Decoder(CollectionWish)
_delete = msgspec.json.Decoder(DeleteWish)
_why = msgspec.json.Decoder(WhyWish)
_link = msgspec.json.Decoder(LinkWish)


def add_artifact_edits(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    """Declare the routes that change one artifact or version."""
    artifact_path = f"{prefix}/projects/{{project}}/artifacts/{{name}}"
    _add_version_edits(routes, folder, artifacts, f"{artifact_path}/versions/{{version}}")

    @routes.add("POST", f"{artifact_path}/edit", Action.CHANGE, **documented(CollectionRow, body=CollectionWish))
    async def edit(project: str, name: str, request: Request) -> Response:
        wish = await read_json(request, _collection)
        source = artifacts.of(request)

        def work() -> Response:
            info = source.collection(project, name)
            if wish.description is not None:
                info = source.describe(project, name, wish.description)
            if wish.retention is not None:
                info = source.set_retention(project, name, wish.retention)
            return json_response(RunLinks(folder, principal_of(request)).collection(info, is_whole=True))

        return await run_in_threadpool(work)

    @routes.add("POST", f"{artifact_path}/delete", Action.CHANGE, **documented(Deleted, body=WhyWish))
    async def delete(project: str, name: str, request: Request) -> Response:
        wish = await read_json(request, _why)
        await run_in_threadpool(artifacts.of(request).delete_collection, project, name, wish.why)
        return json_response(Deleted([name]))

    @routes.add("POST", f"{artifact_path}/delete_versions", Action.CHANGE, **documented(Deleted, body=DeleteWish))
    async def delete_versions(project: str, name: str, request: Request) -> Response:
        wish = await read_json(request, _delete)
        source = artifacts.of(request)

        def work() -> Response:
            # Only versions of this artifact: the guard asked for its project, not for others.
            uids = [source.resolve(project, name, uid).uid for uid in wish.versions]
            return json_response(Deleted(source.delete(uids, wish.why, wish.delete_aliases)))

        return await run_in_threadpool(work)


def _add_version_edits(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, path: str) -> None:
    @routes.add("POST", f"{path}/edit", Action.CHANGE, **documented(VersionRow, body=EditWish))
    async def edit(project: str, name: str, version: str, request: Request) -> Response:
        wish = await read_json(request, _edit)
        source = artifacts.of(request)
        changes = VersionEdit(
            add_aliases=wish.add_aliases,
            remove_aliases=wish.remove_aliases,
            tags=wish.tags,
            description=wish.description,
            metadata=wish.metadata,
            ttl_days=wish.ttl_days,
        )

        def work() -> Response:
            info = source.edit(source.resolve(project, name, version).uid, changes, wish.why)
            return json_response(RunLinks(folder, principal_of(request)).version(info))

        return await run_in_threadpool(work)

    @routes.add("POST", f"{path}/link", Action.CHANGE, **documented(LinkedRow, body=LinkWish))
    async def link(project: str, name: str, version: str, request: Request) -> Response:
        wish = await read_json(request, _link)
        source = artifacts.of(request)
        if not wish.model:
            raise UsageError("body.model", "no name", "the name of a registered model", "name one, such as 'digits'")

        def work() -> Response:
            uid = source.resolve(project, name, version).uid
            linked = source.link(wish.model, uid, wish.aliases, wish.why)
            return json_response(linked_row(linked, RunLinks(folder, principal_of(request), has_summary=True)))

        return await run_in_threadpool(work)

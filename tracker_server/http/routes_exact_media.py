"""The routes that media and alerts are read by from other programs of ours; see `routes_exact`."""

from __future__ import annotations

import dataclasses
from functools import partial

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ..query.alerts import find_alerts
from ..query.run_media import MediaQuery, media_page, run_media_keys
from ..runs.filter_syntax import SearchError
from ..runs.run_alerts import AlertQuery
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .authorize import Principal, authorize
from .exact_reply import FreshFolder, decoded, value_reply
from .http_body import read_body

MAX_LIMIT = 10_000
_MAX_PLACE = 1 << 53
_OPTIONS = documented(None)

_media_decoder = msgspec.msgpack.Decoder(MediaQuery)
_alerts_decoder = msgspec.msgpack.Decoder(tuple[AlertQuery, int, int])


def add_exact_media(routes: RouteTable, fresh: FreshFolder, prefix: str) -> None:
    """Declare the routes."""
    exact, folder = f"{prefix}/exact", fresh.folder
    run = f"{exact}/projects/{{project}}/runs/{{run_id}}"

    @routes.add("GET", f"{run}/media", Action.READ, **_OPTIONS)
    def keys(project: str, run_id: str, writer: str | None = None) -> Response:
        return value_reply(folder, lambda: run_media_keys(fresh.look(), project, run_id, writer))

    @routes.add("POST", f"{run}/media/values", Action.READ, **_OPTIONS)
    async def values(project: str, run_id: str, request: Request) -> Response:
        query = decoded(_media_decoder, await read_body(request))

        def work() -> Response:
            return value_reply(folder, lambda: media_page(fresh.look(), project, run_id, _checked_media(query)))

        return await run_in_threadpool(work)

    async def alerts(project: str | None, request: Request) -> Response:
        asked = decoded(_alerts_decoder, await read_body(request))
        return await run_in_threadpool(_alerts, fresh, project, principal_of(request), *asked)

    @routes.add("POST", f"{exact}/alerts", Action.READ, per_project=True, **_OPTIONS)
    async def alerts_of_all(request: Request) -> Response:
        return await alerts(principal_of(request).project, request)

    @routes.add("POST", f"{exact}/projects/{{project}}/alerts", Action.READ, **_OPTIONS)
    async def alerts_of_project(project: str, request: Request) -> Response:
        return await alerts(project, request)


def _alerts(
    fresh: FreshFolder, project: str | None, principal: Principal, query: AlertQuery, first: int, limit: int
) -> Response:
    sees = partial(authorize, principal, Action.READ)
    wanted = dataclasses.replace(query, project=project)

    def work() -> object:
        _check_window(first, limit)
        return find_alerts(fresh.look(), wanted, first, limit, sees)

    return value_reply(fresh.folder, work)


def _checked_media(query: MediaQuery) -> MediaQuery:
    _check_window(query.first, query.limit)
    return query


def _check_window(first: int, limit: int) -> None:
    if not (0 <= first <= _MAX_PLACE and 1 <= limit <= MAX_LIMIT):
        raise SearchError("limit", f"{limit} from {first} on", f"1 to {MAX_LIMIT}", "ask for the rest behind these")

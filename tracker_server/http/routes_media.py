"""The routes of what a run logged that is more than numbers: media, tables, plots; and of alerts."""

from __future__ import annotations

from functools import partial
from typing import Annotated, BinaryIO

import msgspec
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tracker_core.errors import NotFoundError, UsageError

from ..ingest.fold import ALERT_LEVELS
from ..ingest.kept_files import KeptFile, open_kept
from ..query.alerts import find_alerts
from ..query.folder import LocalFolder
from ..query.run_media import MediaQuery, media_page, run_media_keys
from ..query.table_page import MAX_ROWS, TablePage, TableRequest, table_page
from ..runs.run_alerts import AlertPage, AlertQuery
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .authorize import authorize
from .http_body import read_body
from .http_errors import json_response
from .media_models import AlertList, MediaKeys, MediaValues, alert_list, media_key_rows, media_values
from .media_reply import html_reply, media_reply

MAX_VALUES = 500
_MAX_PLACE = 1 << 53
_MAX_CHARS = 1_000_000
_MAX_CELLS = 100_000
_MAX_TIME_S = 9e9

_table_decoder = msgspec.json.Decoder(TableRequest)

Place = Annotated[int, Query(ge=0, le=_MAX_PLACE)]
Limit = Annotated[int, Query(ge=1, le=MAX_VALUES)]
Step = Annotated[int | None, Query(ge=-(1 << 63), le=(1 << 63) - 1)]
Seconds = Annotated[float | None, Query(ge=0, le=_MAX_TIME_S)]
Words = Annotated[str, Query(max_length=1000)]


def add_media_routes(routes: RouteTable, folder: LocalFolder, prefix: str) -> None:
    """Declare the routes."""
    run = f"{prefix}/projects/{{project}}/runs/{{run_id}}"
    _add_values(routes, folder, f"{run}/media")
    _add_bytes(routes, folder, f"{run}/media")
    _add_tables(routes, folder, f"{run}/media")
    _add_alerts(routes, folder, prefix)


def _add_values(routes: RouteTable, folder: LocalFolder, path: str) -> None:
    @routes.add("GET", path, Action.READ, **documented(MediaKeys))
    def keys(project: str, run_id: str, writer: str | None = None) -> Response:
        return json_response(MediaKeys(media_key_rows(run_media_keys(folder, project, run_id, writer))))

    @routes.add("GET", f"{path}/values", Action.READ, **documented(MediaValues))
    def values(
        project: str,
        run_id: str,
        key: str,
        first: Place = 0,
        limit: Limit = 50,
        step: Step = None,
        is_spread: bool = False,
        writer: str | None = None,
    ) -> Response:
        query = MediaQuery(key, first, limit, step, is_spread, writer)
        return json_response(media_values(media_page(folder, project, run_id, query)))


def _add_bytes(routes: RouteTable, folder: LocalFolder, path: str) -> None:
    @routes.add("GET", f"{path}/files/{{path:path}}", Action.READ, **documented(None))
    def file(
        project: str, run_id: str, path: str, request: Request, html: bool = False, scripts: bool = False
    ) -> Response:
        found, content = open_media(folder, project, run_id, path)
        if html:
            return html_reply(content, found, scripts)
        headers = request.headers
        return media_reply(content, found, headers.get("range", ""), headers.get("if-none-match", ""))


def open_media(folder: LocalFolder, project: str, run_id: str, path: str) -> tuple[KeptFile, BinaryIO]:
    """Open a file that a value of a run names; raises NotFoundError where it is not here (yet)."""
    found = folder.files(project, run_id, media=[path])
    if not found:
        raise NotFoundError(f"run {project}/{run_id} keeps no file {path[:200]!r}; it is not here yet, or never was")
    return found[0], open_kept(folder.run_folder(folder.run(project, run_id)), found[0].digest)


def _add_tables(routes: RouteTable, folder: LocalFolder, path: str) -> None:
    options = documented(TablePage, body=TableRequest)

    @routes.add("POST", f"{path}/table", Action.READ, **options)
    async def table(project: str, run_id: str, request: Request) -> Response:
        wanted = _table_decoder.decode(await read_body(request))
        n_cells = wanted.limit * max(1, len(wanted.columns or []))
        if not (0 <= wanted.first <= _MAX_PLACE and 1 <= wanted.limit <= MAX_ROWS and n_cells <= _MAX_CELLS):
            got = f"rows from {wanted.first}, {wanted.limit} of them"
            raise UsageError("rows of a table", got, f"1 to {MAX_ROWS} rows from 0 on", "ask for the rest behind these")
        if not 1 <= wanted.max_chars <= _MAX_CHARS or wanted.limit * wanted.max_chars > 50 * _MAX_CHARS:
            got = f"{wanted.max_chars} characters a cell"
            raise UsageError("max_chars", got, f"1 to {_MAX_CHARS}", "ask for the whole text of one row at a time")
        return json_response(await run_in_threadpool(_table, folder, project, run_id, wanted))


def _table(folder: LocalFolder, project: str, run_id: str, wanted: TableRequest) -> TablePage:
    found, content = open_media(folder, project, run_id, wanted.path)
    with content:
        return table_page(content, found.digest, wanted)


def _add_alerts(routes: RouteTable, folder: LocalFolder, prefix: str) -> None:
    def answer(query: AlertQuery, first: int, limit: int, request: Request) -> Response:
        sees = partial(authorize, principal_of(request), Action.READ)
        page = find_alerts(folder, query, first, limit, sees)
        return json_response(alert_list(page, _names(folder, page)))

    @routes.add("GET", f"{prefix}/alerts", Action.READ, per_project=True, **documented(AlertList))
    def of_all(
        request: Request,
        first: Place = 0,
        limit: Limit = 100,
        since_s: Seconds = None,
        before_s: Seconds = None,
        levels: Words = "",
        text: Words = "",
    ) -> Response:
        only = principal_of(request).project
        return answer(_query(only, since_s, before_s, levels, text), first, limit, request)

    @routes.add("GET", f"{prefix}/projects/{{project}}/alerts", Action.READ, **documented(AlertList))
    def of_project(
        project: str,
        request: Request,
        first: Place = 0,
        limit: Limit = 100,
        since_s: Seconds = None,
        before_s: Seconds = None,
        levels: Words = "",
        text: Words = "",
    ) -> Response:
        return answer(_query(project, since_s, before_s, levels, text), first, limit, request)


def _query(project: str | None, since_s: float | None, before_s: float | None, levels: str, text: str) -> AlertQuery:
    wanted = frozenset(filter(None, levels.upper().split(",")))
    if not wanted <= set(ALERT_LEVELS):
        raise UsageError("levels", repr(levels)[:100], f"some of {','.join(ALERT_LEVELS)}", "leave it out for all")
    return AlertQuery(project, _ns(since_s), _ns(before_s), wanted, text)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e9)


def _names(folder: LocalFolder, page: AlertPage) -> dict[tuple[str, str], str]:
    keys = {(one.project, one.run_id) for one in page.alerts}
    return {key: folder.run(*key).name for key in keys if folder.has_run(*key)}

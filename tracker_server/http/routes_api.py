"""The routes of the HTTP API, version 1."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Literal

import msgspec
import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tracker_core.errors import UsageError
from tracker_core.sync.sync_state import syncs_of_run
from tracker_core.version import __version__

from ..catalog.stop_orders import standing_order
from ..charts.chart import ChartRequest, draw
from ..charts.chart_wire import encode_binary, encode_json
from ..export.csv_cells import as_cell, seconds_text
from ..query.folder import LocalFolder
from ..query.lineage import forks_of
from ..query.series import Series
from ..runs.run_view import json_number
from .access import Action, RouteTable, is_still_known, principal_of
from .api_schema import documented
from .authorize import authorize
from .events import ChangeFeed
from .http_body import read_body
from .http_errors import json_response
from .http_models import Health, RunDetail, SeriesPoints, run_detail
from .routes_search import add_search_routes
from .run_relations import run_relations

PREFIX = "/api/v1"

_chart_decoder = msgspec.json.Decoder(ChartRequest)


def add_api_routes(routes: RouteTable, folder: LocalFolder, feed: ChangeFeed) -> None:
    """Declare the API's routes."""
    add_search_routes(routes, folder, PREFIX)

    @routes.add("GET", f"{PREFIX}/health", Action.PUBLIC, **documented(Health))
    async def health() -> Response:
        return json_response(Health("ok", __version__))

    @routes.add("GET", f"{PREFIX}/projects/{{project}}/runs/{{run_id}}", Action.READ, **documented(RunDetail))
    def run(project: str, run_id: str, request: Request, writer: str | None = None) -> Response:
        view, details = folder.run(project, run_id), folder.details(project, run_id, writer)
        files = folder.files(project, run_id, with_media=False)
        n_lines = folder.console(project, run_id).n_lines()
        stop = standing_order(folder, view)
        reader = principal_of(request)
        forks = [fork for fork in forks_of(folder, project, run_id) if authorize(reader, Action.READ, fork.project)]
        syncs = syncs_of_run(folder.path, project, run_id)
        relations = run_relations(view, details, stop, forks, syncs)
        place = "" if reader.key_id else folder.run_folder(view)  # a server's folders are nobody's concern
        return json_response(run_detail(view, details, files, n_lines, place, relations))

    path = f"{PREFIX}/projects/{{project}}/runs/{{run_id}}/series"

    @routes.add("GET", path, Action.READ, **documented(SeriesPoints))
    def series(
        project: str, run_id: str, key: str, format: Literal["json", "csv"] = "json", writer: str | None = None
    ) -> Response:
        found = folder.series(project, run_id, key, writer)
        if format == "csv":
            headers = {"Content-Disposition": 'attachment; filename="series.csv"', "Cache-Control": "no-store"}
            return Response(_as_csv(key, found), headers=headers, media_type="text/csv; charset=utf-8")
        return json_response(_as_points(key, found))

    chart_options = documented(None, body=ChartRequest)

    @routes.add("POST", f"{PREFIX}/projects/{{project}}/chart", Action.READ, **chart_options)
    async def chart(project: str, request: Request) -> Response:
        wanted = _chart_decoder.decode(await read_body(request))
        is_json = "application/json" in request.headers.get("accept", "")
        return await run_in_threadpool(_draw, folder, project, wanted, is_json)

    @routes.add("GET", f"{PREFIX}/events", Action.READ, per_project=True, **documented(None))
    async def events(request: Request, after: str | None = None) -> Response:
        number = _notice_number(request.headers.get("last-event-id") or after)
        sees = partial(authorize, principal_of(request), Action.READ)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = feed.stream(number, sees, partial(is_still_known, request))
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")


def _draw(folder: LocalFolder, project: str, wanted: ChartRequest, is_json: bool) -> Response:
    found = draw(folder, project, wanted)
    headers = {"Cache-Control": "no-store"}
    if is_json:
        return Response(encode_json(found), headers=headers, media_type="application/json")
    return Response(encode_binary(found), headers=headers, media_type="application/octet-stream")


def _notice_number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise UsageError("Last-Event-ID", repr(text)[:100], "the id of an event", "leave it out to begin now")
    return int(text)


def _as_points(key: str, series: Series) -> SeriesPoints:
    seconds = (series.wall_time_ns / 1e9).tolist()
    is_plain = series.values.dtype != object and bool(np.isfinite(series.values).all())
    values = series.values.tolist()
    return SeriesPoints(key, series.steps.tolist(), seconds, values if is_plain else json_number(values))


def _as_csv(key: str, series: Series) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", "wall_time_s", as_cell(key)])
    points = zip(series.steps.tolist(), series.wall_time_ns.tolist(), series.values.tolist(), strict=True)
    writer.writerows([step, seconds_text(ns), as_cell(value)] for step, ns, value in points)
    return text.getvalue()

"""The routes of the HTTP API, version 1."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tracker_core.errors import UsageError
from tracker_core.version import __version__

from .access import Access, RouteTable
from .api_schema import documented
from .chart import ChartRequest, draw
from .chart_wire import encode_binary, encode_json
from .csv_cells import as_cell, seconds_text
from .events import ChangeFeed
from .folder import LocalFolder
from .http_errors import TooLargeError, json_response
from .http_models import (
    Health,
    MetricList,
    ProjectList,
    RunDetail,
    RunList,
    SeriesPoints,
    metric_rows,
    project_rows,
    run_detail,
    run_row,
)
from .run_search import search_page
from .run_view import RunView, json_number
from .series import Series

PREFIX = "/api/v1"
MAX_BODY_BYTES = 1 << 20

_chart_decoder = msgspec.json.Decoder(ChartRequest)


class RunRows:
    """Rows of runs as encoded JSON, kept until the run changes: a list of 2,000 runs is asked for twice a second."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[RunView, msgspec.Raw]] = {}

    def encoded(self, view: RunView) -> msgspec.Raw:
        """Return the run's row."""
        known = self._rows.get((view.project, view.id))
        if known is not None and known[0] is view:
            return known[1]
        row = msgspec.Raw(msgspec.json.encode(run_row(view)))
        self._rows[view.project, view.id] = (view, row)
        return row


def add_api_routes(routes: RouteTable, folder: LocalFolder, feed: ChangeFeed) -> None:
    """Declare the API's routes."""
    rows = RunRows()

    @routes.add("GET", f"{PREFIX}/health", Access.PUBLIC, **documented(Health))
    async def health() -> Response:
        return json_response(Health("ok", __version__))

    @routes.add("GET", f"{PREFIX}/projects", Access.SIGNED_IN, **documented(ProjectList))
    def projects() -> Response:
        return json_response(ProjectList(project_rows(folder.runs())))

    @routes.add("GET", f"{PREFIX}/projects/{{project}}/runs", Access.SIGNED_IN, **documented(RunList))
    def runs(
        project: str,
        filter: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Response:
        views = folder.runs(project)
        if filter is None and sort is None and limit is None and cursor is None:
            return json_response({"runs": [rows.encoded(view) for view in views]})

        def environment_of(view: RunView) -> dict[str, Any]:
            return folder.details(view.project, view.id).environment

        page = search_page(views, filter, sort, limit, cursor, environment_of)
        found = [rows.encoded(view) for view in page.runs]
        return json_response({"runs": found, "n_matching": page.n_matching, "next_cursor": page.next_cursor})

    @routes.add("GET", f"{PREFIX}/projects/{{project}}/metrics", Access.SIGNED_IN, **documented(MetricList))
    def metrics(project: str) -> Response:
        return json_response(MetricList(metric_rows(folder.runs(project))))

    @routes.add("GET", f"{PREFIX}/projects/{{project}}/runs/{{run_id}}", Access.SIGNED_IN, **documented(RunDetail))
    def run(project: str, run_id: str, writer: str | None = None) -> Response:
        view, details = folder.run(project, run_id), folder.details(project, run_id, writer)
        files, n_lines = folder.files(project, run_id), folder.console(project, run_id).n_lines()
        return json_response(run_detail(view, details, files, n_lines, folder.run_folder(view)))

    path = f"{PREFIX}/projects/{{project}}/runs/{{run_id}}/series"

    @routes.add("GET", path, Access.SIGNED_IN, **documented(SeriesPoints))
    def series(
        project: str, run_id: str, key: str, format: Literal["json", "csv"] = "json", writer: str | None = None
    ) -> Response:
        found = folder.series(project, run_id, key, writer)
        if format == "csv":
            headers = {"Content-Disposition": 'attachment; filename="series.csv"', "Cache-Control": "no-store"}
            return Response(_as_csv(key, found), headers=headers, media_type="text/csv; charset=utf-8")
        return json_response(_as_points(key, found))

    chart_options = documented(None, body=ChartRequest)

    @routes.add("POST", f"{PREFIX}/projects/{{project}}/chart", Access.SIGNED_IN, **chart_options)
    async def chart(project: str, request: Request) -> Response:
        wanted = _chart_decoder.decode(await _body(request))
        is_json = "application/json" in request.headers.get("accept", "")
        return await run_in_threadpool(_draw, folder, project, wanted, is_json)

    @routes.add("GET", f"{PREFIX}/events", Access.SIGNED_IN, **documented(None))
    async def events(request: Request, after: str | None = None) -> Response:
        number = _notice_number(request.headers.get("last-event-id") or after)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(feed.stream(number), headers=headers, media_type="text/event-stream")


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


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(MAX_BODY_BYTES)
    return bytes(body)


def _as_points(key: str, series: Series) -> SeriesPoints:
    seconds = (series.wall_time_ns / 1e9).tolist()
    return SeriesPoints(key, series.steps.tolist(), seconds, json_number(series.values.tolist()))


def _as_csv(key: str, series: Series) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", "wall_time_s", as_cell(key)])
    points = zip(series.steps.tolist(), series.wall_time_ns.tolist(), series.values.tolist(), strict=True)
    writer.writerows([step, seconds_text(ns), as_cell(value)] for step, ns, value in points)
    return text.getvalue()

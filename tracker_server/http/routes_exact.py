"""The routes that runs are read by from other programs of ours: msgpack that loses nothing, in bounded memory.

They answer what `RunSource` asks; `remote_runs` is who asks. docs/api.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

import msgspec
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tracker_core.errors import NotFoundError

from ..ingest.kept_files import open_kept
from ..query.found_runs import Archived
from ..query.local_runs import LocalRuns
from ..query.run_console import ConsoleWindow
from ..query.run_source import RunQuery
from ..remote.exact_wire import (
    MAX_LINES,
    ConsoleHead,
    FindRequest,
    GroupsRequest,
    PageEnd,
    RowsRequest,
    part_frames,
    row_frames,
    series_frames,
    value_frame,
)
from ..runs.filter_syntax import SearchError, parse_path
from ..runs.run_search import MAX_LIMIT, Page, checked_place
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .exact_reply import HEADERS, FreshFolder, decoded, reply, value_reply
from .http_body import read_body
from .routes_run import SearchText, check_one_line, pieces_of

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FRAME_LINES = 1000
_MAX_NUMBER = 1 << 53
_MAX_MATCHES = 100_000
_MAX_PATHS = 20
_MAX_TIME_S = 1e12
_OPTIONS = documented(None)

_find_decoder = msgspec.msgpack.Decoder(FindRequest)
_groups_decoder = msgspec.msgpack.Decoder(GroupsRequest)
_rows_decoder = msgspec.msgpack.Decoder(RowsRequest)

Number = Annotated[int, Query(ge=0, le=_MAX_NUMBER)]


def add_exact_routes(routes: RouteTable, fresh: FreshFolder, prefix: str) -> None:
    """Declare the routes that read."""
    exact = f"{prefix}/exact"
    _add_of_all(routes, fresh, exact)
    _add_searches(routes, fresh, exact)
    run_path = f"{exact}/projects/{{project}}/runs/{{run_id}}"
    _add_of_run(routes, fresh, run_path)
    _add_points(routes, fresh, run_path)
    _add_console(routes, fresh, run_path)
    _add_files(routes, fresh, run_path)


def _add_of_all(routes: RouteTable, fresh: FreshFolder, exact: str) -> None:
    folder = fresh.folder

    @routes.add("GET", f"{exact}/projects", Action.READ, per_project=True, **_OPTIONS)
    def projects(request: Request) -> Response:
        only = principal_of(request).project
        return value_reply(folder, lambda: [name for name in fresh.look().projects() if only in (None, name)])

    @routes.add("GET", f"{exact}/runs/{{run_id}}", Action.READ, per_project=True, **_OPTIONS)
    def runs_of_id(run_id: str, request: Request) -> Response:
        only = principal_of(request).project

        def work() -> Iterator[bytes]:
            found = fresh.look().find_runs(run_id)
            return (value_frame(view) for view in found if only in (None, view.project))

        return reply(folder, work)


def _add_searches(routes: RouteTable, fresh: FreshFolder, exact: str) -> None:
    async def find(project: str | None, request: Request) -> Response:
        wanted = decoded(_find_decoder, await read_body(request))
        return await run_in_threadpool(reply, fresh.folder, lambda: _found(fresh, project, wanted))

    async def group(project: str | None, request: Request) -> Response:
        wanted = decoded(_groups_decoder, await read_body(request))
        return await run_in_threadpool(value_reply, fresh.folder, lambda: _groups(fresh, project, wanted))

    @routes.add("POST", f"{exact}/find", Action.READ, per_project=True, **_OPTIONS)
    async def find_in_all(request: Request) -> Response:
        return await find(principal_of(request).project, request)

    @routes.add("POST", f"{exact}/projects/{{project}}/find", Action.READ, **_OPTIONS)
    async def find_in_project(project: str, request: Request) -> Response:
        return await find(project, request)

    @routes.add("POST", f"{exact}/groups", Action.READ, per_project=True, **_OPTIONS)
    async def groups_of_all(request: Request) -> Response:
        return await group(principal_of(request).project, request)

    @routes.add("POST", f"{exact}/projects/{{project}}/groups", Action.READ, **_OPTIONS)
    async def groups_of_project(project: str, request: Request) -> Response:
        return await group(project, request)


def _found(fresh: FreshFolder, project: str | None, wanted: FindRequest) -> Iterator[bytes]:
    if not 1 <= wanted.size <= MAX_LIMIT:
        raise SearchError("size", str(wanted.size), f"1 to {MAX_LIMIT}", "ask for the rest behind the page")
    query = _query(wanted.filters, wanted.order, wanted.now_s)
    after = None if wanted.after is None else checked_place(wanted.after)
    page = LocalRuns(fresh.look()).find(project, _archived(wanted.archived), query, after, wanted.size)
    return _page_frames(page)


def _page_frames(page: Page) -> Iterator[bytes]:
    for view in page.runs:
        yield value_frame((view, None))
    yield value_frame((None, PageEnd(page.n_matching, page.next_place, page.next_cursor)))


def _groups(fresh: FreshFolder, project: str | None, wanted: GroupsRequest) -> Any:
    if max(len(wanted.by), len(wanted.values)) > _MAX_PATHS or (wanted.limit is not None and wanted.limit < 0):
        got = f"{len(wanted.by)} and {len(wanted.values)} keys, limit {wanted.limit}"
        raise SearchError("groups", got, f"at most {_MAX_PATHS} of each", "ask for less at once")
    by, values = ([parse_path(text) for text in texts] for texts in (wanted.by, wanted.values))
    query = _query(wanted.filters, None, wanted.now_s)
    return LocalRuns(fresh.look()).groups(project, _archived(wanted.archived), query, by, values, wanted.limit)


def _query(filters: str | dict[str, Any] | None, order: str | None, now_s: float) -> RunQuery:
    if not 0 <= now_s < _MAX_TIME_S:
        raise SearchError("now_s", repr(now_s)[:50], "seconds since 1970", "send the time of the search")
    query = RunQuery(filters, order, now_s)
    if query.tree() is None:
        raise SearchError("filters", "conditions that the filter language has no like for", "others", "see docs/api.md")
    return query


def _archived(value: bool | str) -> Archived:
    return "only" if value == "only" else value is True


def _add_of_run(routes: RouteTable, fresh: FreshFolder, path: str) -> None:
    folder = fresh.folder

    @routes.add("GET", path, Action.READ, **_OPTIONS)
    def run(project: str, run_id: str) -> Response:
        return value_reply(folder, lambda: fresh.look().run(project, run_id))

    @routes.add("GET", f"{path}/details", Action.READ, **_OPTIONS)
    def details(project: str, run_id: str, writer: str | None = None) -> Response:
        return value_reply(folder, lambda: fresh.look().details(project, run_id, writer))

    @routes.add("GET", f"{path}/archived", Action.READ, **_OPTIONS)
    def archived(project: str, run_id: str) -> Response:
        return value_reply(folder, lambda: LocalRuns(folder).is_archived(project, run_id))

    @routes.add("GET", f"{path}/files", Action.READ, **_OPTIONS)
    def files(project: str, run_id: str) -> Response:
        return value_reply(folder, lambda: fresh.look().files(project, run_id))


def _add_points(routes: RouteTable, fresh: FreshFolder, path: str) -> None:
    folder = fresh.folder

    @routes.add("GET", f"{path}/series", Action.READ, **_OPTIONS)
    def series(project: str, run_id: str, key: str, writer: str | None = None) -> Response:
        return reply(folder, lambda: series_frames(fresh.look().series(project, run_id, key, writer)))

    @routes.add("POST", f"{path}/rows", Action.READ, **_OPTIONS)
    async def rows(project: str, run_id: str, request: Request) -> Response:
        wanted = decoded(_rows_decoder, await read_body(request))

        def work() -> Iterator[bytes]:
            found = fresh.look().rows(project, run_id, wanted.keys, wanted.writer, wanted.is_system)
            return row_frames(found)

        return await run_in_threadpool(reply, folder, work)

    @routes.add("GET", f"{path}/parts", Action.READ, **_OPTIONS)
    def parts(project: str, run_id: str, is_system: bool = False, from_journals: bool = False) -> Response:
        return reply(folder, lambda: part_frames(fresh.look().parts(project, run_id, is_system, from_journals)))


def _add_console(routes: RouteTable, fresh: FreshFolder, path: str) -> None:
    folder = fresh.folder

    @routes.add("GET", f"{path}/console", Action.READ, **_OPTIONS)
    def console(
        project: str,
        run_id: str,
        first: Number = 0,
        limit: Annotated[int, Query(ge=0, le=MAX_LINES)] = MAX_LINES,
        last: Annotated[int | None, Query(ge=0, le=_MAX_NUMBER)] = None,
        writer: str | None = None,
    ) -> Response:
        def work() -> Iterator[bytes]:
            output = fresh.look().console(project, run_id, writer)
            begin = first if last is None else max(0, output.n_lines() - last)
            return _window_frames(output.window(begin, limit))

        return reply(folder, work)

    @routes.add("GET", f"{path}/console/search", Action.READ, **_OPTIONS)
    def search(
        project: str,
        run_id: str,
        query: SearchText,
        limit: Annotated[int, Query(ge=0, le=_MAX_MATCHES)],
        writer: str | None = None,
    ) -> Response:
        check_one_line(query)
        return value_reply(folder, lambda: fresh.look().console(project, run_id, writer).search(query, limit))


def _window_frames(window: ConsoleWindow) -> Iterator[bytes]:
    sessions = {session: place for place, session in enumerate(dict.fromkeys(row.session for row in window.lines))}
    yield value_frame(ConsoleHead(window.n_lines, window.first, list(sessions)))
    for start in range(0, len(window.lines), _FRAME_LINES):
        part = window.lines[start : start + _FRAME_LINES]
        yield value_frame([(r.number, r.wall_time_ns, r.stream, r.text, sessions[r.session]) for r in part])


def _add_files(routes: RouteTable, fresh: FreshFolder, path: str) -> None:
    folder = fresh.folder

    @routes.add("GET", f"{path}/files/{{digest}}", Action.READ, **_OPTIONS)
    def file(project: str, run_id: str, digest: str, offset: Number = 0) -> Response:
        opened: list[BinaryIO] = []

        def work() -> list[bytes]:
            if not _DIGEST.fullmatch(digest):
                raise NotFoundError(f"run {project}/{run_id} keeps no file with the digest {digest[:80]!r}")
            known = fresh.look()
            opened.append(open_kept(known.run_folder(known.run(project, run_id)), digest))
            return []

        refused = reply(folder, work)
        if not opened:
            return refused
        size_bytes = opened[0].seek(0, 2)
        opened[0].seek(min(offset, size_bytes))
        headers = {**HEADERS, "Content-Length": str(max(0, size_bytes - offset))}
        return StreamingResponse(pieces_of(opened[0]), headers=headers, media_type="application/octet-stream")

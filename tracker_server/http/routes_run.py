"""The routes of what was recorded of one run besides its metrics: its output and its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, BinaryIO

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from tracker_core.errors import NotFoundError, UsageError

from ..ingest.kept_files import open_kept
from ..query.console_log import without_ansi
from ..query.folder import LocalFolder
from ..query.run_console import RunConsole
from .access import Action, RouteTable
from .api_schema import documented
from .file_reply import attachment_headers
from .http_errors import json_response
from .http_models import ConsolePage, ConsoleSearch, console_page, console_search

MAX_LINES = 10_000
_MAX_NUMBER = 1 << 53
_READ_BYTES = 1 << 20
_SNIFFED_BYTES = 64 << 10

Number = Annotated[int, Query(ge=0, le=_MAX_NUMBER)]
Limit = Annotated[int, Query(ge=1, le=MAX_LINES)]
SearchText = Annotated[str, Query(min_length=1, max_length=1000)]


def add_run_routes(routes: RouteTable, folder: LocalFolder, prefix: str) -> None:
    """Declare the routes below one run's address."""
    run = f"{prefix}/projects/{{project}}/runs/{{run_id}}"

    @routes.add("GET", f"{run}/console", Action.READ, **documented(ConsolePage))
    def console(
        project: str,
        run_id: str,
        first: Number = 0,
        limit: Limit = 500,
        last: Annotated[int | None, Query(ge=1, le=MAX_LINES)] = None,
        writer: str | None = None,
    ) -> Response:
        output = folder.console(project, run_id, writer)
        window = output.window(first, limit) if last is None else output.last(last)
        return json_response(console_page(window, folder.run(project, run_id).n_console_left_out))

    @routes.add("GET", f"{run}/console/search", Action.READ, **documented(ConsoleSearch))
    def search(
        project: str, run_id: str, query: SearchText, limit: Limit = 1000, writer: str | None = None
    ) -> Response:
        check_one_line(query)
        return json_response(console_search(folder.console(project, run_id, writer).search(query, limit)))

    @routes.add("GET", f"{run}/console.txt", Action.READ, **documented(None))
    def console_text(project: str, run_id: str, ansi: bool = False, writer: str | None = None) -> Response:
        output = folder.console(project, run_id, writer)
        return StreamingResponse(
            _text_of(output, ansi), headers=attachment_headers(f"{run_id}.log"), media_type="text/plain; charset=utf-8"
        )

    @routes.add("GET", f"{run}/files/{{path:path}}", Action.READ, **documented(None))
    def file(project: str, run_id: str, path: str, inline: bool = False) -> Response:
        found = next((file for file in folder.files(project, run_id) if file.path == path), None)
        if found is None:
            raise NotFoundError(f"run {project}/{run_id} keeps no file {path[:200]!r}; see the run's files")
        content = open_kept(folder.run_folder(folder.run(project, run_id)), found.digest)
        return _file_reply(content, path, inline)


def check_one_line(query: str) -> None:
    """Raise UsageError for a text that no line can hold."""
    if "\n" in query or "\r" in query:
        raise UsageError("query", "more than one line", "text of one line", "search for a part of it")


def _text_of(output: RunConsole, with_ansi: bool) -> Iterator[bytes]:
    lines: list[str] = []
    for row in output.lines():
        lines.append(f"{row.text if with_ansi else without_ansi(row.text)}\n")
        if len(lines) == 1000:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def _file_reply(content: BinaryIO, path: str, inline: bool) -> Response:
    """Return a file to be stored; shown only where that is asked for and it is text."""
    size_bytes = content.seek(0, 2)
    content.seek(0)
    is_shown = inline and _is_text(content.read(_SNIFFED_BYTES))
    content.seek(0)
    headers = attachment_headers(path.rpartition("/")[2], "inline" if is_shown else "attachment")
    headers["Content-Length"] = str(size_bytes)
    media_type = "text/plain; charset=utf-8" if is_shown else "application/octet-stream"
    return StreamingResponse(pieces_of(content), headers=headers, media_type=media_type)


def pieces_of(content: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of an open file, and close it."""
    with closing(content):
        while piece := content.read(_READ_BYTES):
            yield piece


def _is_text(beginning: bytes) -> bool:
    if b"\0" in beginning:
        return False
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        return error.start > len(beginning) - 4 and len(beginning) == _SNIFFED_BYTES  # a character was cut in two
    return True

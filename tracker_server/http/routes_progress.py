"""The routes by which a process on another machine goes on with a run, or begins with its history.

`tracker_core/remote/run_progress.py` asks them. Replies are msgpack, and a journal.
"""

from __future__ import annotations

import tempfile
from typing import Annotated, BinaryIO, cast

import msgspec
from fastapi import Query
from starlette.responses import Response, StreamingResponse

from tracker_core.errors import NotFoundError
from tracker_core.forking import Branch
from tracker_core.remote.run_progress import Progress
from tracker_core.sync.wire import CONTENT_TYPE

from ..query.run_progress import progress_of, write_history
from .access import Action, RouteTable
from .api_schema import documented
from .exact_reply import HEADERS, FreshFolder, reply
from .routes_run import pieces_of

_MOST = (1 << 63) - 1
_OPTIONS = documented(None)

Whole = Annotated[int, Query(ge=0, le=_MOST)]


def add_progress_routes(routes: RouteTable, fresh: FreshFolder, prefix: str) -> None:
    """Declare the routes."""
    path = f"{prefix}/projects/{{project}}/runs/{{run_id}}"

    @routes.add("GET", f"{path}/progress", Action.READ, **_OPTIONS)
    def progress(project: str, run_id: str, step: Annotated[int | None, Query(ge=0, le=_MOST)] = None) -> Response:
        def work() -> list[bytes]:
            try:
                found.append(progress_of(fresh.look(), project, run_id, step))
            except NotFoundError:
                found.append(Progress())
            return []

        found: list[Progress] = []
        refused = reply(fresh.folder, work)
        if not found:
            return refused
        return Response(msgspec.msgpack.encode(found[0]), headers=HEADERS, media_type=CONTENT_TYPE)

    @routes.add("GET", f"{path}/history", Action.READ, **_OPTIONS)
    def history(project: str, run_id: str, step: Whole, below: Whole = 1 << 31, began_ns: Whole = 1 << 62) -> Response:
        made: list[BinaryIO] = []

        def work() -> list[bytes]:
            file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  the reply closes it
            try:
                write_history(fresh.look(), Branch(project, run_id, step), below, began_ns, file)
            except BaseException:
                file.close()
                raise
            made.append(file)
            return []

        refused = reply(fresh.folder, work)
        if not made:
            return refused
        headers = {**HEADERS, "Content-Length": str(made[0].seek(0, 2))}
        made[0].seek(0)
        return StreamingResponse(pieces_of(made[0]), headers=headers, media_type="application/octet-stream")

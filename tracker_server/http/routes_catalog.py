"""The routes that delete, archive and stop runs. The gate refuses what another site's page asks for, as ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tracker_core.settings import load_settings

from ..catalog.decisions import By, RunKey, Tombstone
from ..catalog.run_files import size_on_disk
from ..catalog.run_removal import archive_runs, delete_runs, unarchive_runs, undelete_runs
from ..catalog.stop_orders import stop_runs, withdraw_stops
from ..catalog.trash_keeper import DAY_S
from ..query.folder import LocalFolder
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .events import ChangeFeed
from .http_body import read_body
from .http_errors import json_response

_MAX_SIZES = 500


class RunChoice(msgspec.Struct):
    """Ids of runs of a project, and why they are chosen. `force`: also delete those that are still being written."""

    runs: list[str]
    why: str = ""
    force: bool = False


class StopChoice(msgspec.Struct):
    """Ids of runs of a project that are to stop, and why. `withdraw`: take that back where it is not done yet."""

    runs: list[str]
    why: str = ""
    withdraw: bool = False


class RunsChanged(msgspec.Struct):
    """Of how many runs something changed; the others were so already."""

    changed: int


class TrashRow(msgspec.Struct):
    """A deleted run. `size_bytes` is that of its files, null far down a long list; `removed_s` when it goes for good,
    null where that is not done by itself."""

    id: str
    project: str
    name: str
    state: str
    deleted_s: float
    deleted_by: str
    why: str
    size_bytes: int | None
    removed_s: float | None


class TrashList(msgspec.Struct):
    runs: list[TrashRow]


_decoder = msgspec.json.Decoder(RunChoice)
_stop_decoder = msgspec.json.Decoder(StopChoice)
Act = Callable[[LocalFolder, Sequence[RunKey], By], list[RunKey]]


def add_catalog_routes(routes: RouteTable, folder: LocalFolder, feed: ChangeFeed, prefix: str) -> None:
    """Declare the routes below one project's address."""
    project_path = f"{prefix}/projects/{{project}}"
    options = documented(RunsChanged, body=RunChoice)

    async def decide(project: str, request: Request, wanted: RunChoice | StopChoice, act: Act) -> Response:
        keys = [(project, run_id) for run_id in wanted.runs]
        by = By(principal_of(request).name, time.time_ns(), wanted.why[:2000].replace("\0", ""))

        def work() -> list[RunKey]:
            done = act(folder, keys, by)
            # The page is told before it is answered, and not only at the next look at the folder.
            feed.publish(folder.refresh())
            return done

        return json_response(RunsChanged(len(await run_in_threadpool(work))))

    async def change(project: str, request: Request, act: Act | None = None) -> Response:
        wanted = _decoder.decode(await read_body(request))
        return await decide(project, request, wanted, act or partial(delete_runs, force=wanted.force))

    @routes.add("POST", f"{project_path}/runs/stop", Action.CHANGE, **documented(RunsChanged, body=StopChoice))
    async def stop(project: str, request: Request) -> Response:
        wanted = _stop_decoder.decode(await read_body(request))
        return await decide(project, request, wanted, withdraw_stops if wanted.withdraw else stop_runs)

    @routes.add("POST", f"{project_path}/runs/delete", Action.CHANGE, **options)
    async def delete(project: str, request: Request) -> Response:
        return await change(project, request)

    @routes.add("POST", f"{project_path}/runs/undelete", Action.CHANGE, **options)
    async def undelete(project: str, request: Request) -> Response:
        return await change(project, request, undelete_runs)

    @routes.add("POST", f"{project_path}/runs/archive", Action.CHANGE, **options)
    async def archive(project: str, request: Request) -> Response:
        return await change(project, request, archive_runs)

    @routes.add("POST", f"{project_path}/runs/unarchive", Action.CHANGE, **options)
    async def unarchive(project: str, request: Request) -> Response:
        return await change(project, request, unarchive_runs)

    @routes.add("GET", f"{project_path}/trash", Action.READ, **documented(TrashList))
    def trash(project: str) -> Response:
        folder.catalog.refresh()
        found = [run for run in folder.catalog.decisions.in_trash() if run.project == project]
        return json_response(TrashList(_trash_rows(folder, found)))


def _trash_rows(folder: LocalFolder, runs: Sequence[Tombstone]) -> list[TrashRow]:
    kept_s = load_settings().trash_days * DAY_S
    return [
        TrashRow(
            run.run_id,
            run.project,
            run.name,
            run.state,
            run.by.at_ns / 1e9,
            run.by.who,
            run.by.why,
            size_on_disk(folder.path, run) if place < _MAX_SIZES else None,
            run.by.at_ns / 1e9 + kept_s if kept_s else None,
        )
        for place, run in enumerate(runs)
    ]

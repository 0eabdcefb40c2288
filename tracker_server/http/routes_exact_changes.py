"""The routes that runs are archived, deleted and brought back by from other programs of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tracker_core.errors import UsageError
from tracker_core.settings import load_settings

from ..catalog.decisions import By, RunKey
from ..catalog.run_removal import archive_runs, delete_runs, empty_trash, unarchive_runs, undelete_runs
from ..catalog.stop_orders import standing_order, stop_runs, withdraw_stops
from ..query.folder import LocalFolder
from ..query.local_runs import LocalRuns
from ..remote.exact_wire import ChangeRequest, EmptyRequest, TrashReply, WireBuried
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .exact_reply import FreshFolder, decoded, value_reply
from .http_body import read_body

_OPTIONS = documented(None)
_MAX_WHY = 2000
_MAX_AGE_S = 1e10
Act = Callable[[LocalFolder, Sequence[RunKey], By, bool], list[RunKey]]
_ACTS: dict[str, Act] = {
    "delete": delete_runs,
    "undelete": lambda folder, keys, by, _: undelete_runs(folder, keys, by),
    "archive": lambda folder, keys, by, _: archive_runs(folder, keys, by),
    "unarchive": lambda folder, keys, by, _: unarchive_runs(folder, keys, by),
    "stop": lambda folder, keys, by, _: stop_runs(folder, keys, by),
    "withdraw_stop": lambda folder, keys, by, _: withdraw_stops(folder, keys, by),
}

_change_decoder = msgspec.msgpack.Decoder(ChangeRequest)
_empty_decoder = msgspec.msgpack.Decoder(EmptyRequest)


def add_exact_changes(routes: RouteTable, fresh: FreshFolder, prefix: str) -> None:
    """Declare the routes that change."""
    project_path = f"{prefix}/exact/projects/{{project}}"
    for name, act in _ACTS.items():
        routes.add("POST", f"{project_path}/{name}", Action.CHANGE, **_OPTIONS)(_changing(fresh, act))

    @routes.add("GET", f"{project_path}/runs/{{run_id}}/stop_order", Action.READ, **_OPTIONS)
    def stop_order(project: str, run_id: str) -> Response:
        return value_reply(fresh.folder, lambda: standing_order(fresh.folder, fresh.look().run(project, run_id)))

    _add_trash(routes, fresh, prefix)
    _add_emptying(routes, fresh, project_path)


def _changing(fresh: FreshFolder, act: Act) -> Callable[[str, Request], object]:
    async def change(project: str, request: Request) -> Response:
        wanted = decoded(_change_decoder, await read_body(request))
        keys, by = [(project, run_id) for run_id in wanted.runs], _by(request, wanted.why)

        def work() -> list[str]:
            done = act(fresh.look(), keys, by, wanted.force)
            fresh.tell()
            return [run_id for _, run_id in done]

        return await run_in_threadpool(value_reply, fresh.folder, work)

    return change


def _by(request: Request, why: str) -> By:
    return By(principal_of(request).name[:200], time.time_ns(), why[:_MAX_WHY].replace("\0", ""))


def _add_trash(routes: RouteTable, fresh: FreshFolder, prefix: str) -> None:
    runs = LocalRuns(fresh.folder)

    def trash_of(project: str | None, with_sizes: bool) -> Response:
        def work() -> TrashReply:
            found = [
                WireBuried(run.project, run.run_id, run.name, run.state, run.by, run.size_bytes)
                for run in runs.trash(project, with_sizes)
            ]
            return TrashReply(found, load_settings().trash_days)

        return value_reply(fresh.folder, work)

    @routes.add("GET", f"{prefix}/exact/trash", Action.READ, per_project=True, **_OPTIONS)
    def trash_of_all(request: Request, with_sizes: bool = False) -> Response:
        return trash_of(principal_of(request).project, with_sizes)

    @routes.add("GET", f"{prefix}/exact/projects/{{project}}/trash", Action.READ, **_OPTIONS)
    def trash_of_project(project: str, with_sizes: bool = False) -> Response:
        return trash_of(project, with_sizes)


def _add_emptying(routes: RouteTable, fresh: FreshFolder, project_path: str) -> None:
    # There is no way back from this: it takes an admin, lest a key on a training machine can remove a project.
    @routes.add("POST", f"{project_path}/trash/empty", Action.ADMIN, **_OPTIONS)
    async def empty(project: str, request: Request) -> Response:
        wanted = decoded(_empty_decoder, await read_body(request))
        by = _by(request, wanted.why)
        if not 0 <= wanted.older_than_s <= _MAX_AGE_S:
            raise UsageError("older_than_s", repr(wanted.older_than_s)[:50], f"0 to {_MAX_AGE_S:g}", "send seconds")

        def work() -> object:
            fresh.folder.catalog.refresh()
            buried = [run.key for run in fresh.folder.catalog.decisions.in_trash() if run.project == project]
            only = {key for key in buried if wanted.only is None or key[1] in wanted.only}
            emptied = empty_trash(fresh.folder, by, wanted.older_than_s, only)
            fresh.tell()
            return emptied

        return await run_in_threadpool(value_reply, fresh.folder, work)

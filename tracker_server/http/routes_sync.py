"""The routes by which senders bring runs, in the words of `tracker_core.sync.wire`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tracker_core.errors import UsageError
from tracker_core.sync.wire import (
    CONTENT_TYPE,
    MAX_FILE_PART_BYTES,
    MAX_NAMES,
    MAX_REQUEST_BYTES,
    PROTOCOL,
    PROTOCOL_HEADER,
    BlocksReply,
    BlocksRequest,
    FilesReply,
    FilesRequest,
    Hello,
    JournalName,
    Order,
    StateReply,
    StateRequest,
)
from tracker_core.version import __version__

from ..ingest.block_sink import SinkFullError
from ..ingest.posted_files import FileTooLargeError, PostedFiles, RunDeletedError
from ..ingest.posted_journals import PostedJournals, Taken
from .access import Action, RouteTable, principal_of, require
from .authorize import Principal, authorize
from .http_errors import error_response
from .request_limits import (
    BodyBudget,
    BusyError,
    UnsupportedBodyError,
    announced_bytes,
    check_body_type,
    decompressed,
    read_bounded,
)

_FILE_TYPE = "application/octet-stream"
_MAX_OFFSET = 1 << 53
_HIDDEN: dict[str, Any] = {"response_model": None, "include_in_schema": False}
# What is decompressed is held besides what came.
_HELD_TIMES = 2

T = TypeVar("T")
Orders = Callable[[Sequence[JournalName]], list[Order]]
Offset = Annotated[int, Query(ge=0, le=_MAX_OFFSET)]


@dataclass(frozen=True, slots=True)
class SyncService:
    """What the routes need.

    Attributes:
        server_id: what tells this server, and all processes of it, from others.
        journals, files: take what is sent.
        orders: returns what the runs of these journals are asked to do.
        on_taken: called after each request with blocks, within its thread, with how many seconds it took to keep them.
        executor: threads of its own, so that no chart has to be drawn before blocks are taken.
        budget: bounds all bodies together.
    """

    server_id: str
    journals: PostedJournals
    files: PostedFiles
    orders: Orders
    on_taken: Callable[[Taken, float], None]
    executor: ThreadPoolExecutor
    budget: BodyBudget


def add_sync_routes(routes: RouteTable, service: SyncService, prefix: str) -> None:
    """Declare the routes below `prefix`."""
    sync = f"{prefix}/sync"
    options: dict[str, Any] = {"per_project": True, **_HIDDEN}

    @routes.add("POST", f"{sync}/hello", Action.READ, **options)
    async def hello(request: Request) -> Response:  # in no thread: those may all be waiting for the folder
        who = principal_of(request)
        scope = "" if who.scope is None else who.scope.value
        return packed(Hello(service.server_id, __version__, PROTOCOL, who.name, scope, who.project, MAX_REQUEST_BYTES))

    @routes.add("POST", f"{sync}/state", Action.WRITE, **options)
    async def state(request: Request) -> Response:
        return await _answer(service, request, StateRequest, _state)

    @routes.add("POST", f"{sync}/blocks", Action.WRITE, **options)
    async def blocks(request: Request) -> Response:
        return await _answer(service, request, BlocksRequest, _blocks)

    @routes.add("POST", f"{sync}/missing", Action.WRITE, **options)
    async def missing(request: Request) -> Response:
        return await _answer(service, request, FilesRequest, _missing)

    @routes.add("PUT", f"{sync}/files/{{project}}/{{run}}/{{digest}}", Action.WRITE, **_HIDDEN)
    async def put_file(
        request: Request, project: str, run: str, digest: str, offset: Offset = 0, size: Offset | None = None
    ) -> Response:
        def put(body: bytes, encoding: str) -> Response:
            data = decompressed(body, encoding, MAX_FILE_PART_BYTES)
            return packed(service.files.put(project, run, digest, offset, data, size))

        return await _with_body(service, request, _FILE_TYPE, MAX_FILE_PART_BYTES, put)


def packed(value: object) -> Response:
    """Return a reply of these routes."""
    headers = {"Cache-Control": "no-store", PROTOCOL_HEADER: str(PROTOCOL)}
    return Response(msgspec.msgpack.encode(value), headers=headers, media_type=CONTENT_TYPE)


async def _answer(
    service: SyncService, request: Request, kind: type[T], answer: Callable[[SyncService, Principal, T], object]
) -> Response:
    who = principal_of(request)

    def work(body: bytes, encoding: str) -> Response:
        wanted = msgspec.msgpack.decode(decompressed(body, encoding, MAX_REQUEST_BYTES), type=kind)
        return packed(answer(service, who, wanted))

    return await _with_body(service, request, CONTENT_TYPE, MAX_REQUEST_BYTES, work)


async def _with_body(
    service: SyncService, request: Request, content_type: str, max_bytes: int, work: Callable[[bytes, str], Response]
) -> Response:
    """Read a body within bounds and have a thread work on it; answer what can go wrong with that."""
    where = f"{request.method} {request.url.path}"[:300]
    try:
        encoding = check_body_type(request, content_type)
        n_bytes = announced_bytes(request, max_bytes)
        with service.budget.held(_HELD_TIMES * n_bytes):
            body = await read_bounded(request, max_bytes)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(service.executor, partial(_worked, work, body, encoding, where))
    except UnsupportedBodyError as error:
        return error_response(415, where, "a body of another type or encoding", str(error), "see docs/sync.md")
    except BusyError:
        reply = error_response(503, where, "too much at once", "fewer requests", "send it again a little later")
        reply.headers["Retry-After"] = "1"
        return reply
    except ClientDisconnect:
        return error_response(400, where, "a body that broke off", "all of it", "send it again")


def _worked(work: Callable[[bytes, str], Response], body: bytes, encoding: str, where: str) -> Response:
    try:
        return work(body, encoding)
    except (msgspec.ValidationError, UsageError):
        raise
    except (msgspec.DecodeError, ValueError) as error:
        return error_response(400, where, str(error)[:300], "msgpack, as it is or in a zstd frame", "see docs/sync.md")
    except SinkFullError as error:
        reply = error_response(503, where, str(error)[:500], "room for it", "free space on the server; senders wait")
        reply.headers["Retry-After"] = "10"
        return reply
    except FileTooLargeError as error:
        remedy = "raise TRACKER_FILE_MAX_MIB of the server"
        return error_response(413, where, "a larger file", f"at most {error} bytes", remedy)
    except RunDeletedError:
        return error_response(410, where, "a deleted run", "a run that is there", "undelete it, or send nothing more")


def _state(service: SyncService, who: Principal, wanted: StateRequest) -> StateReply:
    _check_count(len(wanted.journals))
    return StateReply(service.journals.state(wanted.journals, partial(authorize, who, Action.WRITE)))


def _blocks(service: SyncService, who: Principal, wanted: BlocksRequest) -> BlocksReply:
    _check_count(len({part.journal for part in wanted.parts}))
    _check_count(len(wanted.running))
    began_s = time.monotonic()
    taken = service.journals.take(wanted.parts, partial(authorize, who, Action.WRITE))
    service.on_taken(taken, time.monotonic() - began_s)
    running = [journal for journal in wanted.running if authorize(who, Action.WRITE, journal.project)]
    return BlocksReply(taken.acks, service.orders(running) if running else [])


def _missing(service: SyncService, who: Principal, wanted: FilesRequest) -> FilesReply:
    _check_count(len(wanted.digests))
    require(who, Action.WRITE, wanted.project)
    return FilesReply(service.files.missing(wanted.project, wanted.run, wanted.digests))


def _check_count(n_names: int) -> None:
    if n_names > MAX_NAMES:
        raise msgspec.ValidationError(f"{n_names} names at once; at most {MAX_NAMES} are taken")

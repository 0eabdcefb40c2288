"""The routes by which other programs of ours send, read and change artifacts and the registry; docs/api.md lists them.

Each is a method of `ArtifactSource` (`remote/artifact_wire.py`). They name no project in their path: what a caller may
do with each project `PermittedArtifacts` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import anyio
import msgspec
import zstandard
from anyio import CapacityLimiter
from fastapi import Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tracker_core.artifacts.manifest import Manifest
from tracker_core.errors import UsageError

from ..query.folder import LocalFolder
from ..remote.artifact_wire import (
    ARTIFACTS,
    CALLS,
    MANIFEST_PIECE_BYTES,
    MAX_CALL_BYTES,
    MAX_CHUNKS,
    MAX_COMMIT_BYTES,
    MAX_ITEMS,
    MAX_PUT_BYTES,
    PIECE_HEAD,
    Call,
    pieces_in,
)
from ..remote.exact_wire import BYTES, frame, value_frame
from .access import Action, RouteTable
from .api_schema import documented
from .exact_reply import decoded, reply
from .http_errors import error_response
from .permitted_artifacts import PermittedArtifacts
from .request_limits import BodyBudget, BusyError, announced_bytes, read_bounded
from .served_artifacts import ServedArtifacts

_READING = (
    "projects types collections collection versions version resolve manifest read usage of_run users lineage "
    "models model linked resolve_linked audit"
).split()
_WRITING = "begin_upload missing commit end_upload add_uses".split()
_CHANGING = "edit delete delete_collection describe set_retention link unlink set_model_aliases".split()
# What concerns a model as a whole: all projects.
_CHANGING_ALL = "set_card delete_model".split()

_MAX_RAW_MANIFEST_BYTES = 512 << 20
# What the entries and chunks of a manifest take of memory, as a multiple of its bytes.
_DECODED_TIMES = 4
_MAX_NODES = 20_000
_MAX_INT = (1 << 63) - 1
# Bodies of artifacts are counted by themselves, so that they never keep rows out.
_BUFFERED_MAX_BYTES = 512 << 20
_N_THREADS = 8
_BODY_BYTES = MAX_PUT_BYTES + MAX_CHUNKS * PIECE_HEAD.size
_OPTIONS = documented(None)

Ask = Callable[[PermittedArtifacts, bytes], Iterable[bytes]]


def add_artifacts_exact(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    """Declare the routes below `prefix`."""
    service = _Service(folder, artifacts)
    path = f"{prefix}/exact{ARTIFACTS}"
    for action, names in ((Action.READ, _READING), (Action.WRITE, _WRITING), (Action.CHANGE, _CHANGING)):
        for name in names:
            routes.add("POST", f"{path}/{name}", action, per_project=True, **_OPTIONS)(_endpoint(service, CALLS[name]))
    for name in _CHANGING_ALL:
        routes.add("POST", f"{path}/{name}", Action.CHANGE, **_OPTIONS)(_endpoint(service, CALLS[name]))

    @routes.add("POST", f"{path}/put", Action.WRITE, per_project=True, **_OPTIONS)
    async def put(request: Request, lease: Annotated[str, Query(max_length=100)]) -> Response:
        def ask(source: PermittedArtifacts, body: bytes) -> list[bytes]:
            source.put(lease, pieces_in(body))
            return _value(None)

        return await service.answered(request, _BODY_BYTES, ask)


class _Service:
    """Reads bodies within bounds and answers in threads of its own, so that no chart waits for uploads."""

    def __init__(self, folder: LocalFolder, artifacts: ServedArtifacts) -> None:
        self._folder = folder
        self._artifacts = artifacts
        self._budget = BodyBudget(_BUFFERED_MAX_BYTES)
        self._limiter: CapacityLimiter | None = None

    async def answered(
        self,
        request: Request,
        max_bytes: int,
        ask: Ask,
        more_bytes: Callable[[bytes], int] | None = None,
    ) -> Response:
        """Answer a request; `more_bytes` says how much memory working on a body takes besides."""
        where = f"{request.method} {request.url.path}"[:300]
        try:
            with self._budget.held(announced_bytes(request, max_bytes)):
                body = await read_bounded(request, max_bytes)
                with self._budget.held(more_bytes(body) if more_bytes else 0):
                    work = partial(self._worked, request, ask, body, where)
                    return await anyio.to_thread.run_sync(work, limiter=self._threads())
        except BusyError:
            return _later(where, "too much at once", "fewer requests", "send it again a little later", "1")
        except ClientDisconnect:
            return error_response(400, where, "a body that broke off", "all of it", "send it again")

    def _threads(self) -> CapacityLimiter:
        if self._limiter is None:  # it belongs to the event loop that serves
            self._limiter = CapacityLimiter(_N_THREADS)
        return self._limiter

    def _worked(self, request: Request, ask: Ask, body: bytes, where: str) -> Response:
        try:
            return reply(self._folder, lambda: ask(self._artifacts.of(request), body))
        except OSError as error:
            remedy = "free space on the server, or see its log; clients wait"
            return _later(where, f"{error.strerror or type(error).__name__}"[:200], "room for it", remedy, "10")


def _later(where: str, got: str, expected: str, remedy: str, seconds: str) -> Response:
    answer = error_response(503, where, got, expected, remedy)
    answer.headers["Retry-After"] = seconds
    return answer


def _endpoint(service: _Service, call: Call) -> Callable[[Request], Any]:
    decoder = msgspec.msgpack.Decoder(call.request)
    is_commit = call.name == "commit"
    answer: Callable[[Any], Iterable[bytes]] = _ANSWERS.get(call.name, _value)

    async def endpoint(request: Request) -> Response:
        def ask(source: PermittedArtifacts, body: bytes) -> Iterable[bytes]:
            wanted = decoded(decoder, body)
            arguments = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
            _check(arguments)
            return answer(getattr(source, call.name)(**arguments))

        max_bytes = MAX_COMMIT_BYTES if is_commit else MAX_CALL_BYTES
        return await service.answered(request, max_bytes, ask, _manifest_bytes if is_commit else None)

    return endpoint


def _value(found: object) -> list[bytes]:
    return [value_frame(found)]


def _manifest_frames(manifest: Manifest) -> Iterator[bytes]:
    content = memoryview(manifest.encode())
    del manifest  # which is many times as large, while a client may take long
    for start in range(0, len(content), MANIFEST_PIECE_BYTES):
        yield frame(BYTES, content[start : start + MANIFEST_PIECE_BYTES])


def _chunk_frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for content in chunks:
        yield frame(BYTES, content)


_ANSWERS: dict[str, Callable[[Any], Iterable[bytes]]] = {"manifest": _manifest_frames, "read": _chunk_frames}


# -- what may be asked for


def _manifest_bytes(body: bytes) -> int:
    """Return what the manifest of a commit takes of memory; refuses what is no manifest, or becomes too long.

    Never more than there is: the largest are worked on alone.
    """
    try:
        manifest = msgspec.msgpack.decode(body, type=_ManifestOf).new.manifest
        n_bytes = zstandard.frame_content_size(manifest)
    except (msgspec.MsgspecError, zstandard.ZstdError, RecursionError):
        return 0  # it is refused when it is looked at
    if not 0 <= n_bytes <= _MAX_RAW_MANIFEST_BYTES:
        got = "a manifest of unknown length" if n_bytes < 0 else f"a manifest of {n_bytes} bytes"
        raise UsageError("commit", got, f"at most {_MAX_RAW_MANIFEST_BYTES} bytes", "log several artifacts")
    return min(_DECODED_TIMES * n_bytes, _BUFFERED_MAX_BYTES - MAX_COMMIT_BYTES)


class _Manifest(msgspec.Struct):
    manifest: bytes


class _ManifestOf(msgspec.Struct):
    new: _Manifest


def _check(arguments: Mapping[str, Any]) -> None:
    """Refuse numbers and text that no database takes, and more at once than any client asks for."""
    for name, value in arguments.items():
        _check_value(name, value)
    _check_size(arguments, "size", MAX_ITEMS)
    _check_size(arguments, "max_nodes", _MAX_NODES)
    for name, most in (("chunks", MAX_CHUNKS), ("uses", MAX_ITEMS), ("uids", MAX_ITEMS)):
        if len(arguments.get(name, ())) > most:
            raise UsageError(name, f"{len(arguments[name])} at once", f"at most {most}", "ask for less at once")


def _check_size(arguments: Mapping[str, Any], name: str, most: int) -> None:
    if not 1 <= arguments.get(name, 1) <= most:
        raise UsageError(name, str(arguments[name])[:50], f"1 to {most}", "ask for less at once")


def _check_value(name: str, value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise UsageError(name, "text with a zero character", "text without", "leave it out")
    elif isinstance(value, int):
        if not -_MAX_INT <= value <= _MAX_INT:
            raise UsageError(name, str(value), "a number of 64 bits", "send a smaller one")
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            _check_value(name, one)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:  # metadata is a dict, which becomes JSON
            _check_value(field, getattr(value, field))

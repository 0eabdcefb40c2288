"""The runs of a server as a `RunSource`: every method asks the server, so that each sees what is there now."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import msgspec

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.control import StopOrder
from tracker_core.errors import NotFoundError, UsageError
from tracker_core.paths import check_project, check_run_id
from tracker_core.remote.connection import READ_TIMEOUT_S, FaultReply, Reply, ServerConnection
from tracker_core.remote.server_errors import ServerVersionError

from ..catalog.decisions import RunKey
from ..catalog.run_removal import Emptied
from ..ingest.kept_files import KeptFile
from ..query.found_runs import Archived
from ..query.row_parts import RowPart
from ..query.row_reader import Row
from ..query.run_media import MediaPage, MediaQuery
from ..query.run_source import BuriedRun, RunQuery
from ..query.series import Series
from ..runs.filter_tree import Path, format_path
from ..runs.run_alerts import AlertPage, AlertQuery
from ..runs.run_details import MediaKeyView, RunDetails
from ..runs.run_groups import RunGroup
from ..runs.run_search import MAX_LIMIT, Page, Place
from ..runs.run_view import RunView
from .exact_wire import (
    ChangeRequest,
    EmptyRequest,
    FaultFrame,
    FindRequest,
    Frames,
    GroupsRequest,
    PageEnd,
    RowsRequest,
    TrashReply,
    WireError,
    encode,
    next_value,
    read_frames,
    read_parts,
    read_rows,
    read_series,
)
from .faults import error_of
from .remote_console import RemoteConsole
from .remote_file import RemoteFile

T = TypeVar("T")
_BUFFER_BYTES = 1 << 20
_EXACT = "/exact"


class RemoteRuns:
    """Reads and changes the runs of a server; `RunSource` says what each method does. Thread-safe.

    Args:
        connection: to the server.

    Raises, in every method:
        ServerError: the server is away, does not know the key, or is none.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._trash_days: float | None = None

    @property
    def place(self) -> str:
        return self._connection.address

    @property
    def artifacts(self) -> ArtifactSource:
        from .remote_artifacts import RemoteArtifacts

        return RemoteArtifacts(self._connection)

    @property
    def trash_days(self) -> float | None:
        return self._trash_days

    def refresh(self) -> None:
        """Do nothing: the server looks whenever it is asked."""

    def close(self) -> None:
        self._connection.close()

    def projects(self) -> list[str]:
        return self.value(list[str], "GET", "/projects")

    def find(self, project: str | None, archived: Archived, query: RunQuery, after: Place | None, size: int) -> Page:
        filters = dict(query.filters) if isinstance(query.filters, Mapping) else query.filters
        path = self._project(project, "/find")
        found: list[RunView] = []
        n_matching: int | None = None
        while True:
            n = min(size - len(found), MAX_LIMIT)
            wanted = FindRequest(filters, query.order, query.now_s, archived, after, n)
            views, end = self._ask("POST", path, _read_page, body=encode(wanted))
            found += views
            n_matching = end.n_matching if n_matching is None else n_matching
            after = end.next_place
            if after is None or len(found) >= size or not views:
                return Page(found, n_matching, after, end.next_cursor)

    def groups(
        self,
        project: str | None,
        archived: Archived,
        query: RunQuery,
        by: Sequence[Path],
        values: Sequence[Path],
        limit: int | None,
    ) -> tuple[list[RunGroup], int]:
        if isinstance(query.filters, Mapping):
            raise TypeError("groups take a filter in the filter language")
        paths = [format_path(path) for path in by], [format_path(path) for path in values]
        wanted = GroupsRequest(query.filters, query.now_s, archived, *paths, limit)
        path = self._project(project, "/groups")
        return self.value(tuple[list[RunGroup], int], "POST", path, body=encode(wanted))

    def run(self, project: str, run_id: str) -> RunView:
        return self.value(RunView, "GET", self._run(project, run_id))

    def find_runs(self, run_id: str) -> list[RunView]:
        try:
            check_run_id(run_id)
        except UsageError:
            return []
        return self._ask("GET", f"/runs/{run_id}", lambda frames: [_view_decoder.decode(one) for _, one in frames])

    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails:
        return self.value(RunDetails, "GET", self._run(project, run_id, "/details"), {"writer": writer})

    def series(self, project: str, run_id: str, key: str, writer: str | None = None) -> Series:
        params = {"key": key, "writer": writer}
        return self._ask("GET", self._run(project, run_id, "/series"), read_series, params)

    def rows(
        self,
        project: str,
        run_id: str,
        keys: Sequence[str] | None = None,
        writer: str | None = None,
        is_system: bool = False,
    ) -> Iterator[Row]:
        wanted = RowsRequest(None if keys is None else list(keys), writer, is_system)
        path = self._run(project, run_id, "/rows")
        return self._stream("POST", path, read_rows, body=encode(wanted))

    def parts(
        self, project: str, run_id: str, is_system: bool = False, from_journals: bool = False
    ) -> Iterator[RowPart]:
        params = {"is_system": is_system, "from_journals": from_journals}
        return self._stream("GET", self._run(project, run_id, "/parts"), read_parts, params)

    def console(self, project: str, run_id: str, writer: str | None = None) -> RemoteConsole:
        path = self._run(project, run_id, "/console")
        return RemoteConsole(lambda below, read, params: self._ask("GET", path + below, read, params), writer)

    def files(self, project: str, run_id: str) -> list[KeptFile]:
        return self.value(list[KeptFile], "GET", self._run(project, run_id, "/files"))

    def media_keys(self, project: str, run_id: str, writer: str | None = None) -> list[MediaKeyView]:
        path = self._run(project, run_id, "/media")
        return self.value(list[MediaKeyView], "GET", path, {"writer": writer})

    def media(self, project: str, run_id: str, query: MediaQuery) -> MediaPage:
        path = self._run(project, run_id, "/media/values")
        return self.value(MediaPage, "POST", path, body=encode(query))

    def alerts(self, query: AlertQuery, first: int, limit: int) -> AlertPage:
        path = self._project(query.project, "/alerts")
        return self.value(AlertPage, "POST", path, body=encode((query, first, limit)))

    def open_file(self, project: str, run_id: str, digest: str) -> BinaryIO:
        path = _EXACT + self._run(project, run_id, f"/files/{quote(digest, safe='')}")

        def open_at(offset: int) -> Reply:
            return self._told(lambda: self._connection.open("GET", path, {"offset": offset}))

        return io.BufferedReader(RemoteFile(open_at), _BUFFER_BYTES)

    def is_archived(self, project: str, run_id: str) -> bool:
        return self.value(bool, "GET", self._run(project, run_id, "/archived"))

    def delete(self, keys: Sequence[RunKey], why: str, force: bool = False) -> list[RunKey]:
        return self._change("delete", keys, why, force)

    def undelete(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return self._change("undelete", keys, why)

    def archive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return self._change("archive", keys, why)

    def unarchive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return self._change("unarchive", keys, why)

    def stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return self._change("stop", keys, why)

    def withdraw_stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return self._change("withdraw_stop", keys, why)

    def stop_order(self, project: str, run_id: str) -> StopOrder | None:
        kind: Any = StopOrder | None
        found: StopOrder | None = self.value(kind, "GET", self._run(project, run_id, "/stop_order"))
        return found

    def trash(self, project: str | None = None, with_sizes: bool = False) -> list[BuriedRun]:
        path = self._project(project, "/trash")
        found = self.value(TrashReply, "GET", path, {"with_sizes": with_sizes})
        self._trash_days = found.trash_days
        return [BuriedRun(run.project, run.run_id, run.name, run.state, run.by, run.size_bytes) for run in found.runs]

    def empty_trash(self, older_than_s: float = 0.0, only: Collection[RunKey] | None = None, why: str = "") -> Emptied:
        done = Emptied([], 0, [])
        for project in sorted({run.project for run in self.trash()}):
            ids = None if only is None else [key[1] for key in only if key[0] == project]
            if ids == []:
                continue
            body = encode(EmptyRequest(older_than_s, ids, why))
            path = self._project(project, "/trash/empty")
            part = self.value(Emptied, "POST", path, body=body, may_repeat=False)
            done = Emptied(
                done.runs + [(key[0], key[1]) for key in part.runs],
                done.n_bytes + part.n_bytes,
                done.troubles + part.troubles,
            )
        return done

    def value(
        self,
        kind: type[T],
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        may_repeat: bool = True,
    ) -> T:
        """Return the one value of a reply, of this type."""

        def read(frames: Frames) -> T:
            found = msgspec.msgpack.decode(next_value(frames), type=kind)
            for _ in frames:
                raise WireError("more than one value")
            return found

        return self._ask(method, path, read, params, body, may_repeat)

    def _change(self, name: str, keys: Sequence[RunKey], why: str, force: bool = False) -> list[RunKey]:
        done: set[RunKey] = set()
        for project in dict.fromkeys(project for project, _ in keys):
            ids = list(dict.fromkeys(run_id for of, run_id in keys if of == project))
            path = self._project(project, f"/{name}")
            body = encode(ChangeRequest(ids, why, force))
            done |= {(project, run_id) for run_id in self.value(list[str], "POST", path, body=body, may_repeat=False)}
        return [key for key in dict.fromkeys(keys) if key in done]

    def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[Frames], T],
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        may_repeat: bool = True,
    ) -> T:
        def read_reply(reply: Reply) -> T:
            with self._checking():
                return read(read_frames(reply.read_exactly))

        given = _given(params)
        return self._told(
            lambda: self._connection.ask(method, _EXACT + path, read_reply, given, body, may_repeat=may_repeat)
        )

    def _stream(
        self,
        method: str,
        path: str,
        read: Callable[[Frames], Iterator[T]],
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
    ) -> Iterator[T]:
        """Yield what comes. Only the beginning is asked for again: what was yielded cannot be taken back."""
        reply = self._told(lambda: self._connection.open(method, _EXACT + path, _given(params), body))
        with reply, self._checking():
            yield from read(read_frames(reply.read_exactly))

    def _told(self, ask: Callable[[], T]) -> T:
        """Return what `ask` does; raises what the server says is wrong."""
        try:
            return ask()
        except FaultReply as reply:
            raise error_of(reply.body, self.place) from None

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Raise what the server says in the middle of a reply, or that it says what is not known."""
        try:
            yield
        except FaultFrame as fault:
            raise error_of(fault.content, self.place) from None
        except (WireError, msgspec.MsgspecError, RecursionError) as error:
            got = f"a reply in a form that is not known: {str(error)[:200]}"
            remedy = "install the same version on both sides; `tracker --version` shows this one"
            raise ServerVersionError(self.place, got, "a known form", remedy) from error

    def _project(self, project: str | None, below: str) -> str:
        return below if project is None else f"/projects/{quote(project, safe='')}{below}"

    def _run(self, project: str, run_id: str, below: str = "") -> str:
        """Return the path of a run. What cannot be the name of one is not asked for: it could be another address."""
        try:
            check_project(project)
            check_run_id(run_id)
        except UsageError:
            text = f"{self.place} has no run {project}/{run_id}; `tracker runs` lists what is there"
            raise NotFoundError(text) from None
        return self._project(project, f"/runs/{run_id}{below}")


_view_decoder = msgspec.msgpack.Decoder(RunView)
_page_decoder = msgspec.msgpack.Decoder(tuple[RunView | None, PageEnd | None])


def _read_page(frames: Frames) -> tuple[list[RunView], PageEnd]:
    views: list[RunView] = []
    for _, content in frames:
        view, end = _page_decoder.decode(content)
        if end is not None:
            for _ in frames:
                raise WireError("more behind the end of a page")
            return views, end
        if view is not None:
            views.append(view)
    raise WireError("a page without an end")


def _given(params: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the parameters that are given, truth values as the server reads them."""
    if params is None:
        return None
    texts = {name: str(value) for name, value in params.items() if value is not None}
    return {name: text.lower() if isinstance(params[name], bool) else text for name, text in texts.items()}


def open_server(base_url: str, api_key: str | None, timeout_s: float | None = None) -> RemoteRuns:
    """Return the runs of a server that may be silent for so long; nothing is asked yet."""
    return RemoteRuns(ServerConnection(base_url, api_key, read_timeout_s=timeout_s or READ_TIMEOUT_S))

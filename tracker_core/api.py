"""`Api`: read runs back, from a folder with no server running, or from a server."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from .api_run import ApiRun
from .api_runs import Runs
from .api_trash import TrashedRun
from .artifacts.api_artifacts import ArtifactQueries
from .errors import NotFoundError, UsageError
from .filters import matches
from .paths import find_folder
from .settings import load_settings

if TYPE_CHECKING:
    from tracker_server.query.run_source import RunQuery, RunSource
    from tracker_server.runs.run_view import RunView

# Of runs that are all looked at, so many are brought at once.
_PAGE_RUNS = 500

__all__ = ["Api", "ApiRun", "Runs", "TrashedRun"]


class Api(ArtifactQueries):
    """Reads the runs and artifacts of a tracker folder, or of a server; safe while runs are being written.

    Each call sees what is there now. Both give the same values and raise the same errors; docs/api.md. With
    `TRACKER_DATABASE_URL` set the store of a folder is that database, as for `tracker ui`.

    Args:
        dir: the tracker folder.
        base_url: the address of a server. Default, without `dir`: `TRACKER_BASE_URL` or the server of `tracker login`,
            else the folder that `init` would write to.
        api_key: a key for that server. Default: `TRACKER_API_KEY` or the one of `tracker login`.
        timeout: for how long the server may be silent, in seconds. Default: 60.

    Raises:
        UsageError: the address is none, or both a folder and a server are named.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._source = _source(None if dir is None else os.fspath(dir), base_url, api_key, timeout)

    @classmethod
    def of(cls, source: RunSource) -> Api:
        """Return the Api of a source of runs that is open already."""
        api = cls.__new__(cls)
        api._source = source
        return api

    @property
    def source(self) -> RunSource:
        """What answers: the folder or the server."""
        return self._source

    @property
    def place(self) -> str:
        """The path of the tracker folder, or the address of the server."""
        return self._source.place

    @property
    def dir(self) -> str | None:
        """The tracker folder, absolute; None where the runs are a server's."""
        return None if "://" in self.place else self.place

    def projects(self) -> list[str]:
        """Return the names of all projects."""
        self._source.refresh()
        return self._source.projects()

    def runs(
        self,
        project: str | None = None,
        filters: str | Mapping[str, Any] | None = None,
        order: str | None = None,
        archived: bool | Literal["only"] = False,
        per_page: int = 50,
    ) -> Runs:
        """Return runs, newest first. Deleted ones are never among them; see `trash`.

        Args:
            project: a project's name; None for all projects.
            filters: a text such as 'config.lr < 1e-3 and "baseline" in tags' (docs/filters.md), or Mongo-style
                conditions, see `tracker_core.filters.matches`.
            order: a field or key such as "created", 'summary["val/loss"].min:desc' or "-summary.val/loss"; with
                ":desc" behind it or "-" before it in descending order. Runs without a value come last.
            archived: True returns archived runs too, "only" these alone.
            per_page: how many runs are read at first; the others are read when they are asked for.

        Raises:
            NotFoundError: there is no such project.
            UsageError: a filter is wrong, or the order names no field.
        """
        from tracker_server.query.run_source import RunQuery

        _check_filters(filters)
        _check_page(archived, per_page)
        query = RunQuery(filters, order, time.time())
        is_of_language = query.tree() is not None
        query.search()  # raises what is wrong with it before anything is asked for
        self._source.refresh()
        name = None if project is None else project.removeprefix("local/")
        if name is not None and name not in (known := self._source.projects()):
            raise NotFoundError(f"project {name!r} is not in {self.place}; it has {known}")
        if not is_of_language:
            return self._runs_of_dict(name, query, archived)
        return self._pages(name, query, archived, per_page)

    def _pages(self, project: str | None, query: RunQuery, archived: bool | Literal["only"], per_page: int) -> Runs:
        def fetch(after: Any, size: int) -> tuple[list[ApiRun], Any, int]:
            page = self._source.find(project, archived, query, after, size)
            return [ApiRun(self._source, view) for view in page.runs], page.next_place, page.n_matching

        return Runs(fetch, per_page)

    def _runs_of_dict(self, project: str | None, query: RunQuery, archived: bool | Literal["only"]) -> Runs:
        """Return what a dict matches that has no like in the filter language: every run is looked at."""
        wanted: Any = query.filters
        every = self._pages(project, dataclasses.replace(query, filters=None), archived, _PAGE_RUNS)
        runs = [run for run in every if matches(run, wanted)]
        return Runs(lambda after, size: (runs, None, len(runs)), len(runs))

    def run(self, path: str) -> ApiRun:
        """Return one run by "project/id", or by its id alone where only one project has it.

        Raises:
            NotFoundError: there is no such run.
            UsageError: the id is in more than one project.
        """
        self._source.refresh()
        parts = path.strip("/").removeprefix("local/").split("/")
        found = self._found(parts)
        if len(found) > 1:
            projects = sorted(view.project for view in found)
            got = f"{path!r}, which is in {', '.join(projects)}"
            raise UsageError("run()", got, "one run", f"write '{projects[0]}/{path}'")
        if not found:
            raise NotFoundError(f"run {path!r} is not in {self.place}; list what is there with: tracker runs")
        return ApiRun(self._source, found[0])

    def _found(self, parts: list[str]) -> list[RunView]:
        if len(parts) == 1:
            return self._source.find_runs(parts[0])
        try:
            return [self._source.run(*parts)] if len(parts) == 2 else []
        except NotFoundError:
            return []

    def trash(self, project: str | None = None) -> list[TrashedRun]:
        """Return the deleted runs that can be brought back, of a project or of all, the latest deleted first."""
        return [TrashedRun(self._source, run) for run in self._source.trash(project)]

    def close(self) -> None:
        """Let go of the folder, or of the connection to the server."""
        self._source.close()


def _source(dir: str | None, base_url: str | None, api_key: str | None, timeout_s: float | None) -> RunSource:
    """Return where the runs are: the folder named, the server named, the server of the settings, else the folder."""
    from .remote.server_address import key_for, server_address

    settings = load_settings()
    if dir is not None and base_url is not None:
        raise UsageError("Api()", "both dir and base_url", "one of the two", "leave one of them out")
    address = None if dir is not None else base_url or settings.base_url
    if address is None:
        from tracker_server.query.local_runs import LocalRuns
        from tracker_server.query.open_folder import open_folder

        return LocalRuns(open_folder(find_folder(dir if dir is not None else settings.dir), settings.database_url))
    from tracker_server.remote.remote_runs import open_server

    address = server_address(address, "Api(base_url=)" if base_url else "TRACKER_BASE_URL")
    if timeout_s is not None and not 0 < timeout_s < float("inf"):
        raise UsageError("Api(timeout=)", repr(timeout_s), "seconds above 0", "leave it out for 60")
    return open_server(address, api_key or key_for(address, settings), timeout_s)


def _check_page(archived: bool | Literal["only"], per_page: int) -> None:
    if archived not in (True, False, "only"):
        raise UsageError("runs(archived=)", repr(archived)[:100], 'True, False or "only"', "choose one of these")
    if not isinstance(per_page, int) or per_page < 1:
        raise UsageError("runs(per_page=)", repr(per_page)[:100], "a number from 1 on", "leave it out for 50")


def _check_filters(filters: str | Mapping[str, Any] | None) -> None:
    if filters is not None and not isinstance(filters, (str, Mapping)):
        got = f"{filters!r}"[:100] + f" of type {type(filters).__name__}"
        raise UsageError("runs(filters=)", got, "a text or a dict", "write for example 'state == \"finished\"'")

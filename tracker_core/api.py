"""`Api`: read runs back, from a folder, with or without a server running."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from .api_run import ApiRun
from .api_runs import Runs
from .api_trash import TrashedRun
from .errors import NotFoundError, UsageError
from .filters import matches
from .paths import find_folder
from .settings import load_settings

if TYPE_CHECKING:
    from tracker_server.runs.filter_tree import Filter
    from tracker_server.runs.run_search import Order
    from tracker_server.runs.run_view import RunView

__all__ = ["Api", "ApiRun", "Runs", "TrashedRun"]


class Api:
    """Reads the runs of a tracker folder; safe while runs are being written. Each call sees what is there now.

    With `TRACKER_DATABASE_URL` set the store is that database, as for `tracker ui`.

    Args:
        dir: the tracker folder. Default: the one that `init` would write to.
    """

    def __init__(self, dir: str | os.PathLike[str] | None = None) -> None:
        from tracker_server.query.open_folder import open_folder

        settings = load_settings()
        explicit = os.fspath(dir) if dir is not None else settings.dir
        self._folder = open_folder(find_folder(explicit), settings.database_url)

    @property
    def dir(self) -> str:
        """The tracker folder, absolute."""
        return str(self._folder.path)

    def projects(self) -> list[str]:
        """Return the names of all projects."""
        self._folder.refresh()
        return self._folder.projects()

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
        from tracker_server.runs.filter_mongo import order_of

        wanted, order_by = _tree(filters), order_of(order)
        _check_page(archived, per_page)
        self._folder.refresh()
        name = None if project is None else project.removeprefix("local/")
        if name is not None and name not in self._folder.projects():
            raise NotFoundError(f"project {name!r} is not in {self.dir}; it has {self._folder.projects()}")
        if isinstance(wanted, Mapping):
            return self._runs_of_dict(name, wanted, order_by, archived)
        return self._pages(name, wanted, order_by, archived, per_page)

    def _pages(
        self, project: str | None, tree: Filter, order: Order, archived: bool | Literal["only"], per_page: int
    ) -> Runs:
        from tracker_server.query.run_queries import find_part
        from tracker_server.runs.run_search import Search

        search = Search(tree, order, "", time.time())

        def fetch(after: Any, size: int) -> tuple[list[ApiRun], Any, int]:
            page = find_part(self._folder, project, archived, search, after, size)
            return [ApiRun(self._folder, view) for view in page.runs], page.next_place, page.n_matching

        return Runs(fetch, per_page)

    def _runs_of_dict(
        self, project: str | None, wanted: Mapping[str, Any], order: Order, archived: bool | Literal["only"]
    ) -> Runs:
        """Return what a dict matches that has no like in the filter language: every run is looked at."""
        from tracker_server.runs.filter_tree import EVERY_RUN
        from tracker_server.runs.run_search import matching_runs

        views = self._in_archive(self._folder.runs(project), archived)
        matching = [view for view in views if matches(ApiRun(self._folder, view), wanted)]
        ordered = matching_runs(matching, EVERY_RUN, order, self._environment)
        runs = [ApiRun(self._folder, view) for view in ordered]
        return Runs(lambda after, size: (runs, None, len(runs)), len(runs))

    def run(self, path: str) -> ApiRun:
        """Return one run by "project/id", or by its id alone where only one project has it.

        Raises:
            NotFoundError: there is no such run.
            UsageError: the id is in more than one project.
        """
        self._folder.refresh()
        parts = path.strip("/").removeprefix("local/").split("/")
        if len(parts) == 2 and self._folder.has_run(*parts):
            return ApiRun(self._folder, self._folder.run(*parts))
        found = [view for view in self._folder.runs() if view.id == parts[-1]] if len(parts) == 1 else []
        if len(found) > 1:
            projects = sorted(view.project for view in found)
            got = f"{path!r}, which is in {', '.join(projects)}"
            raise UsageError("run()", got, "one run", f"write '{projects[0]}/{path}'")
        if not found:
            raise NotFoundError(f"run {path!r} is not in {self.dir}; list what is there with: tracker runs")
        return ApiRun(self._folder, found[0])

    def trash(self, project: str | None = None) -> list[TrashedRun]:
        """Return the deleted runs that can be brought back, of a project or of all, the latest deleted first."""
        self._folder.catalog.refresh()
        found = self._folder.catalog.decisions.in_trash()
        return [TrashedRun(self._folder, run) for run in found if project in (None, run.project)]

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    def _in_archive(self, views: list[RunView], archived: bool | Literal["only"]) -> list[RunView]:
        if archived is True:
            return views
        known = self._folder.catalog.decisions.archived
        return [view for view in views if ((view.project, view.id) in known) == (archived == "only")]

    def _environment(self, view: RunView) -> Mapping[str, Any]:
        return self._folder.details(view.project, view.id).environment


def _check_page(archived: bool | Literal["only"], per_page: int) -> None:
    if archived not in (True, False, "only"):
        raise UsageError("runs(archived=)", repr(archived)[:100], 'True, False or "only"', "choose one of these")
    if not isinstance(per_page, int) or per_page < 1:
        raise UsageError("runs(per_page=)", repr(per_page)[:100], "a number from 1 on", "leave it out for 50")


def _tree(filters: str | Mapping[str, Any] | None) -> Filter | Mapping[str, Any]:
    """Return a filter as a tree, or as it is where only `matches` can answer it."""
    from tracker_server.runs.filter_mongo import tree_of_mongo
    from tracker_server.runs.filter_syntax import parse_filter

    if isinstance(filters, str):
        return parse_filter(filters)
    if filters is not None and not isinstance(filters, Mapping):
        got = f"{filters!r}"[:100] + f" of type {type(filters).__name__}"
        raise UsageError("runs(filters=)", got, "a text or a dict", "write for example 'state == \"finished\"'")
    tree = tree_of_mongo(filters or {})
    return (filters or {}) if tree is None else tree

"""`Api`: read runs back, from a folder, with or without a server running."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .api_run import ApiRun
from .errors import NotFoundError, UsageError
from .filters import matches
from .paths import find_folder
from .settings import load_settings

if TYPE_CHECKING:
    from tracker_server.filter_tree import Filter
    from tracker_server.run_view import RunView

__all__ = ["Api", "ApiRun"]


class Api:
    """Reads the runs of a tracker folder; safe while runs are being written. Each call sees what is there now.

    Args:
        dir: the tracker folder. Default: the one that `init` would write to.
    """

    def __init__(self, dir: str | os.PathLike[str] | None = None) -> None:
        from tracker_server.folder import LocalFolder

        explicit = os.fspath(dir) if dir is not None else load_settings().dir
        self._folder = LocalFolder(find_folder(explicit))
        self._settings = load_settings()

    @property
    def dir(self) -> str:
        """The tracker folder, absolute."""
        return str(self._folder.path)

    def projects(self) -> list[str]:
        """Return the names of all projects."""
        self._folder.refresh()
        return self._folder.projects()

    def runs(
        self, project: str | None = None, filters: str | Mapping[str, Any] | None = None, order: str | None = None
    ) -> list[ApiRun]:
        """Return runs, newest first.

        Args:
            project: a project's name; None for all projects.
            filters: a text such as 'config.lr < 1e-3 and "baseline" in tags' (docs/filters.md), or Mongo-style
                conditions, see `tracker_core.filters.matches`.
            order: a field or key such as "created", 'summary["val/loss"].min:desc' or "-summary.val/loss"; with
                ":desc" behind it or "-" before it in descending order. Runs without a value come last.

        Raises:
            NotFoundError: there is no such project.
            UsageError: a filter is wrong, or the order names no field.
        """
        from tracker_server.filter_mongo import order_of
        from tracker_server.filter_tree import EVERY_RUN
        from tracker_server.run_search import matching_runs

        wanted, order_by = _tree(filters), order_of(order)
        self._folder.refresh()
        name = None if project is None else project.removeprefix("local/")
        if name is not None and name not in self._folder.projects():
            raise NotFoundError(f"project {name!r} is not in {self.dir}; it has {self._folder.projects()}")
        views = self._folder.runs(name)
        if isinstance(wanted, Mapping):
            views = [view for view in views if matches(ApiRun(self._folder, view), wanted)]
            wanted = EVERY_RUN
        found = matching_runs(views, wanted, order_by, self._environment)
        return [ApiRun(self._folder, view) for view in found]

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

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    def _environment(self, view: RunView) -> Mapping[str, Any]:
        return self._folder.details(view.project, view.id).environment


def _tree(filters: str | Mapping[str, Any] | None) -> Filter | Mapping[str, Any]:
    """Return a filter as a tree, or as it is where only `matches` can answer it."""
    from tracker_server.filter_mongo import tree_of_mongo
    from tracker_server.filter_syntax import parse_filter

    if isinstance(filters, str):
        return parse_filter(filters)
    if filters is not None and not isinstance(filters, Mapping):
        got = f"{filters!r}"[:100] + f" of type {type(filters).__name__}"
        raise UsageError("runs(filters=)", got, "a text or a dict", "write for example 'state == \"finished\"'")
    tree = tree_of_mongo(filters or {})
    return (filters or {}) if tree is None else tree

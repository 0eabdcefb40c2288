"""`Api`: read runs back, from a folder, with or without a server running."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .api_run import ApiRun
from .errors import NotFoundError, UsageError
from .filters import matches, sort_key
from .paths import find_folder
from .settings import load_settings

if TYPE_CHECKING:
    pass

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
        self, project: str | None = None, filters: Mapping[str, Any] | None = None, order: str | None = None
    ) -> list[ApiRun]:
        """Return runs, newest first.

        Args:
            project: a project's name; None for all projects.
            filters: Mongo-style conditions, see `tracker_core.filters.matches`.
            order: a field such as "created_at" or "summary.val/loss", with "-" before it for descending order.

        Raises:
            NotFoundError: there is no such project.
            UsageError: a filter or the order names no field.
        """
        self._folder.refresh()
        name = None if project is None else project.removeprefix("local/")
        if name is not None and name not in self._folder.projects():
            raise NotFoundError(f"project {name!r} is not in {self.dir}; it has {self._folder.projects()}")
        runs = [ApiRun(self._folder, view) for view in self._folder.runs(name)]
        runs = [run for run in runs if matches(run, filters or {})]
        if order is None:
            return sorted(runs, key=lambda run: -run.created_ns)
        field = order.lstrip("+-")
        runs.sort(key=lambda run: sort_key(run, field))
        if order.startswith("-"):
            with_value = [run for run in runs if sort_key(run, field)[0] < 2]
            runs = with_value[::-1] + runs[len(with_value) :]
        return runs

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

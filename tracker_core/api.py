"""`Api`: read runs back, from a folder, with or without a server running."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import NotFoundError, UsageError
from .filters import matches, sort_key
from .paths import find_folder
from .settings import load_settings

if TYPE_CHECKING:
    from tracker_server.folder import LocalFolder
    from tracker_server.run_view import MetricView, RunView
    from tracker_server.series import Series


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


class ApiRun:
    """One run, as of when it was asked for; `refresh()` looks again."""

    def __init__(self, folder: LocalFolder, view: RunView) -> None:
        self._folder = folder
        self._view = view

    def __repr__(self) -> str:
        return f"<run {self.path} {self.name!r} {self.state}>"

    @property
    def view(self) -> RunView:
        """Everything that is known of the run but its rows."""
        return self._view

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def project(self) -> str:
        return self._view.project

    @property
    def entity(self) -> str:
        return self._view.entity

    @property
    def path(self) -> str:
        return f"{self.project}/{self.id}"

    @property
    def state(self) -> str:
        """running, finished, failed or crashed."""
        return self._view.state

    @property
    def config(self) -> dict[str, Any]:
        return self._view.config

    @property
    def summary(self) -> dict[str, Any]:
        return self._view.summary

    @property
    def tags(self) -> list[str]:
        return self._view.tags

    @property
    def group(self) -> str:
        return self._view.group

    @property
    def job_type(self) -> str:
        return self._view.job_type

    @property
    def notes(self) -> str:
        return self._view.notes

    @property
    def host(self) -> str:
        return self._view.host

    @property
    def created_ns(self) -> int:
        """Start of the run, nanoseconds since the Unix epoch."""
        return self._view.created_ns

    @property
    def ended_ns(self) -> int | None:
        """End of the run, or None while it is running."""
        return self._view.ended_ns

    @property
    def duration_s(self) -> float:
        return self._view.duration_s

    def refresh(self) -> ApiRun:
        """Look at the run again."""
        self._folder.refresh()
        self._view = self._folder.run(self.project, self.id)
        return self

    def keys(self) -> list[str]:
        """Return the names of the run's metrics, sorted."""
        return sorted(self._view.metrics)

    def metric(self, key: str) -> MetricView:
        """Return the aggregates and definition of a metric. Raises NotFoundError where the run never logged it."""
        try:
            return self._view.metrics[key]
        except KeyError:
            raise NotFoundError(f"metric {key!r} is not in run {self.path}; it has {self.keys()[:50]}") from None

    def series(self, key: str, writer: str = "main") -> Series:
        """Return all points of one metric, in the order logged.

        Args:
            key: the metric.
            writer: whose points: "main", another writer's name, or "*" for all.

        Returns:
            `steps` int64[n], `wall_time_ns` int64[n], `values` int64[n] or float64[n] (object[n] where text or None
            was logged).

        Raises:
            NotFoundError: the run never logged it.
        """
        self._folder.refresh()
        series = self._folder.series(self.project, self.id, key, writer)
        if not len(series):
            raise NotFoundError(f"metric {key!r} is not in run {self.path}; it has {self.keys()[:50]}")
        return series

    def history(self, keys: Sequence[str] | None = None, pandas: bool = False) -> Any:
        """Return all rows, those of equal step merged, ordered by step. Nothing is sampled.

        Args:
            keys: metrics wanted; a row without any of them is left out. None for all.
            pandas: return a DataFrame instead of a list of dicts.

        Returns:
            One dict per step with "_step", "_timestamp" (seconds since the Unix epoch, of the step's last row) and
            the values; of values logged twice at a step the later one.
        """
        merged: dict[int, dict[str, Any]] = {}
        for row in self.scan_history(keys):
            merged.setdefault(row["_step"], {}).update(row)
        rows = [merged[step] for step in sorted(merged)]
        if not pandas:
            return rows
        import pandas as pd

        return pd.DataFrame(rows)

    def scan_history(self, keys: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every row as logged, one dict per row, with "_step" and "_timestamp"."""
        self._folder.refresh()
        for row in self._folder.rows(self.project, self.id, keys):
            yield {"_step": row.step, "_timestamp": row.wall_time_ns / 1e9, **row.values}

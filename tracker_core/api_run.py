"""One run as `Api` gives it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .api_files import ApiFile
from .artifacts.api_run_artifacts import RunArtifactQueries
from .errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from tracker_server.query.run_console import ConsoleRow
    from tracker_server.query.run_source import RunSource
    from tracker_server.query.series import Series
    from tracker_server.runs.run_details import AlertView, RunDetails, WriterView
    from tracker_server.runs.run_view import MetricView, RunView

    from .control import StopOrder
    from .records import RunError


class ApiRun(RunArtifactQueries):
    """One run, as of when it was asked for; `refresh()` looks again."""

    def __init__(self, source: RunSource, view: RunView) -> None:
        self._source = source
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
        """running, finished, failed, killed, preempted or crashed."""
        return self._view.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process, where that is known."""
        return self._view.exit_code

    @property
    def signal(self) -> str:
        """The signal that ended the process, such as "SIGTERM", or ""."""
        return self._view.signal

    @property
    def stopped_by(self) -> str:
        """Who asked for the end of the run, and why, such as "ann: loss is NaN"; "" where nobody did."""
        return self._view.stopped_by

    @property
    def forked_from(self) -> str:
        """Where the history of the run begins, as "project/run?_step=N"; of itself after a rewind, "" for nowhere."""
        return self._view.forked_from

    @property
    def forks(self) -> list[ApiRun]:
        """The runs whose history begins with this one's, archived ones too, newest first."""
        from tracker_server.query.lineage import forks_query, is_fork_of

        self._source.refresh()
        found: list[RunView] = []
        place = None
        while True:
            page = self._source.find(None, True, forks_query(self.project, self.id), place, 1000)
            found += page.runs
            place = page.next_place
            if place is None:
                break
        return [ApiRun(self._source, view) for view in found if is_fork_of(view, self.project, self.id)]

    @property
    def writers(self) -> list[WriterView]:
        """How each process of the run fares: `writer`, `host`, `node`, `state`, `last_seen_ns`, `n_rows`, ..."""
        return self._details().writers

    @property
    def error(self) -> RunError | None:
        """The exception that ended the run, with `type`, `message` and `traceback`, or None."""
        return self._view.error

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

    @property
    def environment(self) -> dict[str, Any]:
        """What was run, on what: command, git, packages, machine, GPUs. docs/capture.md lists the keys."""
        return self._details().environment

    @property
    def metadata(self) -> dict[str, Any]:
        """The same as `environment`."""
        return self.environment

    @property
    def command(self) -> str:
        """The command line, without secrets, as one would type it; "" where it was not recorded."""
        words = self.environment.get("command")
        return shlex.join(map(str, words)) if isinstance(words, list) else ""

    @property
    def system_metrics(self) -> dict[str, float | int]:
        """The latest value of each system metric."""
        return {key: metric.stats.last for key, metric in self._details().system.items()}

    def system_keys(self, writer: str | None = None) -> list[str]:
        """Return the names of the system metrics, sorted; of `writer`, or of whose are shown by default."""
        return sorted(self._source.details(self.project, self.id, writer).system)

    def refresh(self) -> ApiRun:
        """Look at the run again."""
        self._source.refresh()
        self._view = self._source.run(self.project, self.id)
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

    def series(self, key: str, writer: str | None = None) -> Series:
        """Return all points of one metric, in the order logged.

        Args:
            key: the metric; system metrics begin with "system/".
            writer: whose points: "main", another writer's name, or "*" for all. Default: "main"; of system metrics
                those that `tracker run` recorded, if it did.

        Returns:
            `steps` int64[n], `wall_time_ns` int64[n], `values` int64[n] or float64[n] (object[n] where text or None
            was logged).

        Raises:
            NotFoundError: the run never logged it.
        """
        self._source.refresh()
        return self._source.series(self.project, self.id, key, writer)

    def history(
        self,
        keys: Sequence[str] | None = None,
        pandas: bool = False,
        stream: Literal["default", "system"] = "default",
    ) -> Any:
        """Return all rows, those of equal step merged, ordered by step. Nothing is sampled.

        Args:
            keys: metrics wanted; a row without any of them is left out. None for all.
            pandas: return a DataFrame instead of a list of dicts.
            stream: "default" for what was logged; "system" for samples of the machine, one row each, by time.

        Returns:
            One dict per step with "_step", "_timestamp" (seconds since the Unix epoch, of the step's last row) and
            the values; of values logged twice at a step the later one.

        Raises:
            UsageError: the stream is none of these.
        """
        if stream not in ("default", "system"):
            raise UsageError("history(stream=)", repr(stream)[:200], '"default" or "system"', "choose one of the two")
        merged: dict[int | float, dict[str, Any]] = {}
        place = "_step" if stream == "default" else "_timestamp"
        for row in self.scan_history(keys, stream):
            merged.setdefault(row[place], {}).update(row)
        rows = [merged[step] for step in sorted(merged)]
        if not pandas:
            return rows
        import pandas as pd

        return pd.DataFrame(rows)

    def scan_history(
        self, keys: Sequence[str] | None = None, stream: Literal["default", "system"] = "default"
    ) -> Iterator[dict[str, Any]]:
        """Yield every row as logged, or every sample, one dict per row, with "_step" and "_timestamp"."""
        self._source.refresh()
        for row in self._source.rows(self.project, self.id, keys, is_system=stream == "system"):
            yield {"_step": row.step, "_timestamp": row.wall_time_ns / 1e9, **row.values}

    def alerts(self) -> list[AlertView]:
        """Return what the run said that people should know, the oldest first; the last thousand."""
        self._source.refresh()
        return self._source.details(self.project, self.id).alerts

    def n_console_lines(self) -> int:
        """Return how many lines of output there are."""
        return self._source.console(self.project, self.id).n_lines()

    def console(self, first: int = 0, limit: int = 500, writer: str | None = None) -> list[ConsoleRow]:
        """Return up to `limit` lines of output, with `number`, `wall_time_ns`, `stream`, `text` and `session`.

        Args:
            first: the number of the first line; -100 begins 100 lines before the end.
            limit: at most so many lines.
            writer: whose output. Default: what `tracker run` recorded, else that of "main".

        Raises:
            NotFoundError: there is no such writer.
        """
        self._source.refresh()
        output = self._source.console(self.project, self.id, writer)
        if first < 0:
            return output.last(-first).lines[: max(0, limit)]
        return output.window(first, max(0, limit)).lines

    def logs(self, ansi: bool = False, writer: str | None = None) -> Iterator[str]:
        """Yield the text of every line of output, with `ansi` also its colours."""
        from tracker_server.query.console_log import without_ansi

        self._source.refresh()
        for line in self._source.console(self.project, self.id, writer).lines():
            yield line.text if ansi else without_ansi(line.text)

    def files(self) -> list[ApiFile]:
        """Return the files kept with the run, by name; of each what was saved last."""
        self._source.refresh()
        return [
            ApiFile(kept.path, kept.size_bytes, kept.kind, kept.digest, kept.saved_ns, self._opener(kept.digest))
            for kept in self._source.files(self.project, self.id)
        ]

    def file(self, name: str) -> ApiFile:
        """Return one file by its name. Raises NotFoundError where none of this name was kept."""
        found = {file.name: file for file in self.files()}
        if name not in found:
            raise NotFoundError(f"file {name!r} is not in run {self.path}; it has {sorted(found)[:50]}")
        return found[name]

    @property
    def archived(self) -> bool:
        """Whether the run is out of the way: lists leave it out unless told otherwise."""
        return self._source.is_archived(self.project, self.id)

    def archive(self, why: str = "") -> None:
        """Take the run out of the way. Nothing of it changes, and `Api.run` still finds it."""
        self._source.archive([(self.project, self.id)], why)

    def unarchive(self, why: str = "") -> None:
        """Take the run out of the archive."""
        self._source.unarchive([(self.project, self.id)], why)

    @property
    def stop_order(self) -> StopOrder | None:
        """What the running run was asked and has not done yet, with `by`, `why` and `at_ns`; else None."""
        return self._source.stop_order(self.project, self.id)

    def stop(self, why: str = "") -> bool:
        """Ask the run to stop: at its next `log()`, or where its framework lets it. See docs/states.md.

        Args:
            why: a reason, kept with the decision and shown.

        Returns:
            Whether it was not asked before.

        Raises:
            UsageError: it is not running.
        """
        return bool(self._source.stop([(self.project, self.id)], why))

    def withdraw_stop(self, why: str = "") -> None:
        """Take back that the run is to stop; without effect where its process has been told already.

        Raises:
            UsageError: it is not running any more.
            NotFoundError: nobody asked it to stop.
        """
        self._source.withdraw_stop([(self.project, self.id)], why)

    def delete(self, delete_artifacts: bool = False, *, force: bool = False, why: str = "") -> None:
        """Put the run into the trash: it is seen nowhere any more, and `undelete` brings it back.

        Args:
            delete_artifacts: accepted for scripts that were written for wandb.
            force: also while it is being written. What its process goes on writing is not shown either.
            why: a reason, kept with the decision.

        Raises:
            UsageError: it is being written, and `force` is not set.
            NotFoundError: it was removed.
        """
        self._source.delete([(self.project, self.id)], why, force)

    def undelete(self, why: str = "") -> None:
        """Bring the run back from the trash. Raises NotFoundError where it is not in it any more."""
        self._source.undelete([(self.project, self.id)], why)

    def _details(self) -> RunDetails:
        return self._source.details(self.project, self.id)

    def _opener(self, digest: str) -> Callable[[], BinaryIO]:
        return lambda: self._source.open_file(self.project, self.id, digest)

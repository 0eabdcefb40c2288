"""A run: what a training script talks to. Validates, aggregates, and hands every row to the journal at once."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Mapping
from time import time_ns
from types import TracebackType
from typing import Any

from . import current, ending, records, signals
from .artifacts.run_calls import ArtifactCalls
from .config_record import ConfigRecord
from .describe import describe_error
from .earlier_sessions import read_stats
from .errors import UsageError
from .journal_format import Kind
from .journal_writer import JournalWriter
from .mappings import Config, Summary
from .metrics import MetricRules, MetricStats, logged_summary, new_definition
from .recorders import Recorders
from .rows import RowPlan, ensure_plan, plan_row
from .run_identity import RunIdentity
from .run_keeping import RunKeeping
from .sessions import new_session, open_writer
from .settings import Settings
from .values import check_step, flatten_row, has_rich, not_a_row, to_row_value

_MAX_RECORD_BYTES = 16 << 20


class Run(RunIdentity, RunKeeping, ArtifactCalls):
    """One run of a training script. Made by `tracker_core.init`, not directly. Methods are thread-safe.

    `log` returns when the row is with the operating system: a kill of the process loses nothing that was logged.
    No method raises because of disk trouble.
    """

    def __init__(
        self,
        session: records.Session,
        folder: str,
        settings: Settings,
        config: dict[str, Any],
        first_step: int = 0,
    ) -> None:
        self._session = session
        self._folder = folder
        self._settings = settings
        self._writer_pid = os.getpid()
        self._fork_lock = threading.RLock()
        self._writer = open_writer(session, folder, settings)
        self._stops = self._watch_stops()
        self._step = self._starting_step = first_step
        self._n_rows = 0
        self._is_finished = False
        self._plans: dict[tuple[Any, ...], RowPlan] = {}
        self._rules = MetricRules()
        self._stats: dict[str, MetricStats] = {}
        self._last: dict[str, Any] = {}
        self._system_plans: dict[tuple[str, ...], RowPlan] = {}
        self._is_preempting = self._is_ending = False
        self._waits_at_end: list[Callable[[float, bool], None]] = []
        self._noted_signal = ""
        self._recorders = Recorders(self, settings)
        self.config = Config(config, self._record_config)
        self.summary = Summary({}, self._logged_summary, self._record_summary)
        self._config_record = ConfigRecord(self._put, self._recorders.mask_config)
        self._record_nested_config_changes()

    # Logging

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Record one row. Returns when the operating system has it.

        Args:
            data: metric names to numbers, truth values, text, None, lists of these, one-element arrays or tensors of
                any framework, or dicts of these (kept as "outer/inner").
            step: the row's step, any whole number in any order. Default: one more than the last.
            commit: False keeps the automatic step where it is, so that the next row shares it. Default: True without
                `step`, False with it.

        Raises:
            UsageError: a key is not text, a value cannot be kept, or the run has finished.
            RunStopped: somebody asked the run to stop; the row is recorded. In the main thread only, and once.
        """
        try:
            values = tuple(data.values())
            plan = self._plans.get((*data, *map(type, values)))
        except (AttributeError, TypeError, RuntimeError) as error:
            raise not_a_row(data) from error
        if plan is None:
            self._log_new(data, step, commit)
            return
        if step is not None and type(step) is not int:
            step = check_step(step)
        now_ns = time_ns()
        with self._writer.lock:
            if self._is_finished:
                raise self._finished_error("log()")
            step_before = self._step
            if step is None:
                step = step_before
                if commit is not False:
                    self._step = step + 1
            elif step >= self._step:
                self._step = step + 1 if commit else step
            for layout, part in plan.parts:
                part_values = values if part is None else values[part]
                try:
                    self._writer.put_row(layout, step, now_ns, part_values)
                except (struct.error, OverflowError):
                    self._put_map(dict(zip(layout.keys, part_values, strict=True)), step, now_ns, step_before)
            self._n_rows += 1
            self._last.update(data)
            for index, stats in plan.aggregates:
                stats.add(values[index])

    def _log_new(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Log a row whose keys and types are new, or that holds something other than plain numbers."""
        self._own_writer()
        plans = self._plans  # first: an order to stop swaps the table, so that every row comes here
        row = flatten_row(data, "log()")
        if has_rich(row):
            self._log_rich(row, step, commit)
            self._stops.raise_if_due()
        elif self._stops.is_due:
            self._log_unplanned(row, step, commit)
            self._stops.raise_if_due()
        elif ensure_plan(plans, row, self._rules, self._stats):
            self.log(row, step, commit)
        else:
            self._log_unplanned(row, step, commit)

    def _log_unplanned(self, row: dict[str, Any], step: int | None, commit: bool | None) -> None:
        with self._writer.lock:
            if self._is_finished:
                raise self._finished_error("log()")
            step_before = self._step
            step = self._take_step(None if step is None else check_step(step), commit)
            if row:
                self._put_map(row, step, time_ns(), step_before)
                self._n_rows += 1
                self._last.update(row)
                self._aggregate(row)

    def _aggregate(self, row: dict[str, Any]) -> None:
        for key, value in row.items() if self._rules else ():
            if self._rules.wants_stats(key) and isinstance(value, (int, float)):
                self._stats.setdefault(key, MetricStats()).add(value)

    def _take_step(self, step: int | None, commit: bool | None) -> int:
        if step is None:
            step = self._step
            if commit is not False:
                self._step += 1
        elif step >= self._step:
            self._step = step + 1 if commit else step
        return step

    def _put_map(self, row: dict[str, Any], step: int, now_ns: int, step_before: int) -> None:
        """Write a row that is not packed; where that cannot be, the automatic step is again what it was."""
        try:
            values = {key: to_row_value(value, f"log(), key {key!r}") for key, value in row.items()}
            self._put(records.RowMap(wall_time_ns=now_ns, step=check_step(step), values=values), "log()")
        except UsageError:
            self._step = step_before
            raise

    def _put(self, record: records.Record, where: str) -> None:
        """Write a record, with an error for the user where it cannot be encoded or is too large."""
        if (size := len(records.encode(record))) > _MAX_RECORD_BYTES:
            expected = f"at most {_MAX_RECORD_BYTES >> 20} MiB in one call"
            raise UsageError(where, f"{size / (1 << 20):.1f} MiB", expected, "save it as a file, or log less at once")
        self._writer.put(record)

    # Records other than rows

    def start_recorders(self) -> None:
        """Begin to record what needs no line of code: environment, console, machine."""
        self._recorders.start()

    def wait_at_end(self, wait: Callable[[float, bool], None]) -> None:
        """Have the end of the run call `wait` with a timeout in s, and whether a signal ends the process."""
        self._waits_at_end.append(wait)

    def record(self, record: records.Record) -> None:
        """Append what a part of the tracker has to tell of this run; nothing where the run has ended here."""
        with self._writer.lock:
            if not self._is_finished and not self._is_forked_away():
                self._writer.put(record)

    def record_system(self, values: dict[str, float]) -> None:
        """Append a sample of the machine, at the step that the run has reached."""
        keys = tuple(values)
        plan = self._system_plans.get(keys) or plan_row(values, MetricRules(), {}, Kind.SYSTEM)
        if plan is None:
            return
        self._system_plans[keys] = plan
        sample = tuple(values.values())
        with self._writer.lock:
            if self._is_finished or self._is_forked_away():
                return
            for layout, part in plan.parts:
                self._writer.put_row(layout, self._step, time_ns(), sample if part is None else sample[part])

    def mark_preempting(self) -> None:
        """Say that this process is about to be stopped by its scheduler: unless it ends well, it was preempted."""
        with self._own_writer().lock:
            if self._is_finished or self._is_preempting:
                return
            self._is_preempting = True
            self._writer.put(records.State(wall_time_ns=time_ns(), state="preempting"))

    def note_signal(self, name: str) -> None:
        """Record that the process received a signal such as "SIGTERM", whatever comes of it."""
        if name != self._noted_signal:
            self._noted_signal = name
            self.record(records.State(wall_time_ns=time_ns(), state="running", signal=name))

    def note_error(self, error: BaseException) -> None:
        """Record an exception that did not end the run, such as one in a cell of a notebook."""
        described = self._recorders.mask_error(describe_error(error))
        self.record(records.State(wall_time_ns=time_ns(), state="running", error=described))

    # Definitions, config, summary

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | list[str] | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> None:
        """Say how a metric is shown and summarised.

        Args:
            name: a metric, or a glob with "*". Of several that match, the most specific holds.
            step_metric: the metric that is its x-axis.
            step_sync: accepted for scripts written for wandb; the latest value of `step_metric` is always used.
            hidden: keep it out of the charts.
            summary: aggregates for the summary, "min,max" or ["min", "max"], of min, max, mean, first, last, best;
                "none" keeps it out. Non-finite values are counted beside, not mixed in.
            goal: "minimize" or "maximize"; what "best" means.
            overwrite: forget what earlier definitions of the same name said.

        Raises:
            UsageError: an argument is none of these, or the run has finished.
        """
        definition = new_definition(name, step_metric, summary, goal, hidden, bool(overwrite))
        with self._own_writer().lock:
            if self._is_finished:
                raise self._finished_error("define_metric()")
            self._rules.add(definition)
            self._plans.clear()
            self._writer.put(definition)
            late = [key for key in self._last if key not in self._stats and self._rules.wants_stats(key)]
            if late:
                self._stats.update(read_stats(self._writer.path, late))

    def _logged_summary(self) -> dict[str, Any]:
        """Return what the summary holds for logged metrics."""
        return logged_summary(self._last, self._rules, self._stats) if self._rules else self._last

    def _record_config(self, changed: dict[str, Any], removed: list[str]) -> None:
        with self._own_writer().lock:
            if self._is_finished:
                raise self._finished_error("config")
            self._config_record.add(changed, removed)

    def _record_summary(self, changed: dict[str, Any], removed: list[str]) -> None:
        with self._own_writer().lock:
            if self._is_finished:
                raise self._finished_error("summary")
            self._put(records.Summary(wall_time_ns=time_ns(), values=changed, removed=removed), "summary")

    # The end

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: finished, or failed where `exit_code` is not 0. A second call does nothing.

        Args:
            exit_code: the exit code of the process, where it is known.
            quiet: print nothing.
        """
        self.end(ending.checked_exit_code(exit_code), None, bool(quiet))

    def end(self, exit_code: int, error: records.RunError | None, quiet: bool = False, signal: str = "") -> None:
        """End the run with what is known of the end of the process; `signal` names the one that ended it."""
        self._is_finished = self._is_finished or self._is_forked_away()
        try:
            with signals.held():
                stopped_by = self._stops.stopped_by(bool(signal or self._noted_signal))
                last = ending.conclude(exit_code, error, signal, self._noted_signal, self._is_preempting, stopped_by)
                self._end(last, quiet)
        finally:
            if self._is_finished:  # an end that an exception breaks off is left to the end of the process
                current.remove(self)
            if not current.active():
                signals.uninstall()

    def _end(self, last: records.State, quiet: bool) -> None:
        if self._is_finished:
            return
        self._finish_artifacts(bool(last.signal))
        self._recorders.stop(bool(last.signal))
        last.error = None if last.error is None else self._recorders.mask_error(last.error)
        with self._writer.lock:
            if self._is_finished or self._is_ending:  # by another thread, or by what a signal handler interrupted
                return
            self._is_ending = True
            try:
                self._record_nested_config_changes()
                last.wall_time_ns = time_ns()
                self._writer.put(last)
                self._is_finished = True
            finally:
                self._is_ending = False
        timeout_s = self._settings.finish_timeout_s
        n_lost = self._writer.close(timeout_s)
        for wait in self._waits_at_end:
            wait(timeout_s, bool(last.signal))
        self._tell_end(last, n_lost, quiet)

    def _record_nested_config_changes(self) -> None:
        """Record changes inside nested config values, which no assignment reported."""
        changed = self._config_record.unrecorded(self.config)
        if changed:
            self._record_config(changed, [])

    # Forked children

    def let_go_after_fork(self) -> None:
        """In a forked child: leave the parent's journal alone. The child opens its own at its first record."""
        self._plans = {}
        self._fork_lock = threading.RLock()  # the old one may be held by a thread that the child does not have
        self._recorders.abandon()
        self._artifacts = None
        self._waits_at_end = []
        self._writer.abandon()
        signals.let_go_after_fork()

    def _is_forked_away(self) -> bool:
        """Say whether this is a forked child that has recorded nothing of its own."""
        return self._writer_pid != os.getpid()

    def _own_writer(self) -> JournalWriter:
        """Return this process's writer; a forked child gets its own, as writer "fork-<pid>" of the same run."""
        if self._is_forked_away():
            with self._fork_lock:
                if self._is_forked_away():
                    pid = os.getpid()
                    self._session = new_session(self._session, writer=f"fork-{pid}")
                    self._writer = open_writer(self._session, self._folder, self._settings)
                    self._stops = self._watch_stops()
                    self._writer_pid = pid
        return self._writer

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.end(1, describe_error(error))

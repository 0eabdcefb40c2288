"""What the HTTP API's JSON replies hold, and how they are made from runs. Times are float seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..ingest.kept_files import KeptFile
from ..query.run_console import ConsoleMatches, ConsoleWindow
from ..runs.filter_match import MISSING, look_up
from ..runs.filter_tree import Key
from ..runs.metric_search import MetricRow
from ..runs.run_details import RunDetails
from ..runs.run_view import MetricView, RunView, flat, json_number
from .media_models import AlertRow, MediaKeyRow, alert_row, media_key_rows
from .run_relations import BranchRow, ForkRow, StopRow, SyncRow, WriterRow


class Health(msgspec.Struct):
    """The server is up."""

    status: str
    version: str


class ProjectRow(msgspec.Struct):
    """One project: how many runs it has, in which states, and when something last happened in it."""

    name: str
    n_runs: int
    states: dict[str, int]
    updated_s: float


class ProjectList(msgspec.Struct):
    projects: list[ProjectRow]


class ClockJump(msgspec.Struct):
    """The wall clock of a machine was set, or the machine slept."""

    writer: str
    at_s: float
    jumped_s: float


class RunHealth(msgspec.Struct, kw_only=True):
    """How well a run is recorded.

    n_dropped rows could not be kept, n_damaged places of its journals cannot be read, n_unknown records are of a
    newer version, n_console_left_out lines of output went over the bound. While suspended, rows waited in memory.
    """

    n_dropped: int
    n_damaged: int
    is_suspended: bool
    n_suspensions: int
    suspended_s: float
    n_clock_jumps: int
    clock_jumps: list[ClockJump]
    n_console_left_out: int
    n_unknown: int


class RunRow(msgspec.Struct, kw_only=True):
    """One run in a list. Config and summary are flat, nested keys joined by dots."""

    id: str
    name: str
    project: str
    state: str
    created_s: float
    ended_s: float | None
    updated_s: float
    duration_s: float
    exit_code: int | None
    signal: str
    stopped_by: str
    is_preempting: bool
    group: str
    job_type: str
    tags: list[str]
    notes: str
    host: str
    n_rows: int
    n_alerts: int
    config: dict[str, Any]
    summary: dict[str, Any]
    attempt: int
    health: RunHealth


class RunList(msgspec.Struct):
    """Runs of a project; of a search one page, with how many match in all and where the next page begins."""

    runs: list[RunRow]
    n_matching: int | msgspec.UnsetType = msgspec.UNSET
    next_cursor: str | msgspec.UnsetType | None = msgspec.UNSET


class MetricList(msgspec.Struct):
    """The first metrics of a project that match, by name, and how many there are in all."""

    metrics: list[MetricRow]
    n_metrics: int


class RunMetric(msgspec.Struct):
    """A metric of one run; numbers that JSON does not have are "NaN", "Infinity" and "-Infinity"."""

    key: str
    n_points: int
    first: float | int | str
    last: float | int | str
    min: float | int | str
    max: float | int | str
    mean: float | int | str
    n_nonfinite: int
    step_metric: str | None
    goal: str | None


class RunFailure(msgspec.Struct):
    """The exception that ended the run."""

    type: str
    message: str
    traceback: str


class SessionRow(msgspec.Struct):
    """One process that wrote to the run; `inherited` is none, but the history that the run began with."""

    session: str
    writer: str
    attempt: int
    host: str
    pid: int
    started_s: float
    ended_s: float | None
    n_rows: int
    inherited: bool


class DamageRow(msgspec.Struct):
    """Where a journal holds no intact record."""

    journal: str
    offset: int
    reason: str
    n_lost: int | None


class SignalRow(msgspec.Struct):
    """A signal that a process of the run received and lived on after."""

    name: str
    writer: str
    at_s: float


class FileRow(msgspec.Struct):
    """A file kept with the run, as last saved; GET .../files/{path} has its bytes."""

    path: str
    size_bytes: int
    kind: str
    digest: str
    saved_s: float


class ConsoleState(msgspec.Struct):
    """How much output there is, of the writer that is shown; `writers` recorded any."""

    n_lines: int
    n_left_out: int
    writer: str | None
    writers: list[str]


class RunDetail(RunRow, kw_only=True):
    """One run with everything but its points, lines of output and media; `files` leaves the files of media out."""

    config_nested: dict[str, Any]
    summary_nested: dict[str, Any]
    metrics: list[RunMetric]
    system_metrics: list[RunMetric]
    system_writers: list[str]
    environment: dict[str, Any]
    files: list[FileRow]
    media: list[MediaKeyRow]
    alerts: list[AlertRow]
    console: ConsoleState
    error: RunFailure | None
    signals: list[SignalRow]
    sessions: list[SessionRow]
    damage: list[DamageRow]
    folder: str
    stop: StopRow | None
    syncs: list[SyncRow]
    writers: list[WriterRow]
    forked_from: BranchRow | None
    forks: list[ForkRow]


class ConsoleRowModel(msgspec.Struct):
    """A line of output. `stream` is 1 for stdout, 2 for stderr; `text` may hold ANSI colours."""

    number: int
    time_s: float
    stream: int
    text: str
    session: str


class ConsolePage(msgspec.Struct):
    """Lines that follow one another; `n_lines` there are in all, from 0 on, over all sessions of the attempt."""

    n_lines: int
    first: int
    n_left_out: int
    lines: list[ConsoleRowModel]


class ConsoleMatch(msgspec.Struct):
    """A line that holds the text searched for."""

    number: int
    text: str


class ConsoleSearch(msgspec.Struct):
    """The first of all `n_matches` lines; `is_complete` where these are all."""

    n_matches: int
    is_complete: bool
    matches: list[ConsoleMatch]


class SeriesPoints(msgspec.Struct):
    """Every point of a metric."""

    key: str
    steps: list[int]
    wall_time_s: list[float]
    values: list[Any]


def run_row(view: RunView, columns: Sequence[Key] | None = None) -> RunRow:
    """Return a run as lists show it; with `columns`, config and summary hold only these."""
    if columns is None:
        return RunRow(**_row_fields(view))
    shown: dict[str, dict[str, Any]] = {"config": {}, "summary": {}}
    for column in columns:
        if column.root in shown:
            shown[column.root] |= _column(view, column)
    return RunRow(**(_row_fields(msgspec.structs.replace(view, config={}, summary={})) | shown))


def _column(view: RunView, column: Key) -> dict[str, Any]:
    key = column.key if column.aggregate is None else f"{column.key}.{column.aggregate}"
    metric = view.metrics.get(column.key)
    if column.aggregate is not None and metric is not None:
        return {key: json_number(getattr(metric.stats, column.aggregate))}
    value = look_up(view.config if column.root == "config" else view.summary, key)
    return {} if value is MISSING else flat({key: value})


def run_detail(
    view: RunView, details: RunDetails, files: list[KeptFile], n_lines: int, folder: str, relations: Mapping[str, Any]
) -> RunDetail:
    """Return a run as its own page shows it.

    Args:
        view, details, files: the run.
        n_lines: how many lines of output there are, of the writer that is shown.
        folder: the run's.
        relations: what `run_relations` returns.
    """
    error = view.error
    return RunDetail(
        **_row_fields(view),
        config_nested=json_number(view.config),
        summary_nested=json_number(view.summary),
        metrics=[_run_metric(metric) for metric in view.metrics.values()],
        error=RunFailure(error.type, error.message, error.traceback) if error else None,
        system_metrics=[_run_metric(metric) for metric in details.system.values()],
        system_writers=details.system_writers,
        environment=json_number(details.environment),
        files=[FileRow(file.path, file.size_bytes, file.kind, file.digest, file.saved_ns / 1e9) for file in files],
        media=media_key_rows(details.media),
        alerts=[alert_row(view.project, view.id, view.name, alert) for alert in details.alerts],
        console=ConsoleState(n_lines, view.n_console_left_out, details.console_writer, details.console_writers),
        signals=[SignalRow(signal.name, signal.writer, signal.at_ns / 1e9) for signal in view.signals],
        sessions=[
            SessionRow(
                session.session,
                session.writer,
                session.attempt,
                session.host,
                session.pid,
                session.created_ns / 1e9,
                _seconds(session.ended_ns),
                session.n_rows,
                session.inherited,
            )
            for session in view.sessions
        ],
        damage=[DamageRow(damage.journal, damage.offset, damage.reason, damage.n_lost) for damage in view.damage],
        folder=folder,
        **relations,
    )


def console_page(window: ConsoleWindow, n_left_out: int) -> ConsolePage:
    """Return a window of output."""
    lines = [
        ConsoleRowModel(line.number, line.wall_time_ns / 1e9, line.stream, line.text, line.session)
        for line in window.lines
    ]
    return ConsolePage(window.n_lines, window.first, n_left_out, lines)


def console_search(found: ConsoleMatches) -> ConsoleSearch:
    """Return what a search found."""
    matches = [ConsoleMatch(number, text) for number, text in found.matches]
    return ConsoleSearch(found.n_matches, len(matches) == found.n_matches, matches)


def _row_fields(view: RunView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "project": view.project,
        "state": view.state,
        "created_s": view.created_ns / 1e9,
        "ended_s": _seconds(view.ended_ns),
        "updated_s": view.updated_ns / 1e9,
        "duration_s": view.duration_s,
        "exit_code": view.exit_code,
        "signal": view.signal,
        "stopped_by": view.stopped_by,
        "is_preempting": view.is_preempting,
        "group": view.group,
        "job_type": view.job_type,
        "tags": view.tags,
        "notes": view.notes,
        "host": view.host,
        "n_rows": view.n_rows,
        "n_alerts": view.n_alerts,
        "config": flat(view.config),
        "summary": flat(view.summary),
        "attempt": view.attempt,
        "health": _health(view),
    }


def _health(view: RunView) -> RunHealth:
    return RunHealth(
        n_dropped=view.n_dropped,
        n_damaged=view.n_damaged,
        is_suspended=view.is_suspended,
        n_suspensions=view.n_suspensions,
        suspended_s=view.suspended_ns / 1e9,
        n_clock_jumps=view.n_clock_jumps,
        clock_jumps=[ClockJump(jump.writer, jump.at_ns / 1e9, jump.jumped_ns / 1e9) for jump in view.clock_jumps],
        n_console_left_out=view.n_console_left_out,
        n_unknown=view.n_unknown,
    )


def _run_metric(metric: MetricView) -> RunMetric:
    stats = metric.stats
    return RunMetric(
        metric.key,
        metric.n_points,
        json_number(stats.first),
        json_number(stats.last),
        json_number(stats.min),
        json_number(stats.max),
        json_number(stats.mean),
        stats.n_nonfinite,
        metric.step_metric,
        metric.goal,
    )


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9

"""What the HTTP API's JSON replies hold, and how they are made from runs. Times are float seconds since 1970."""

from __future__ import annotations

from typing import Any

import msgspec

from .run_view import MetricView, RunView, flat, json_number


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


class RunHealth(msgspec.Struct):
    """What a run lost: rows that could not be kept, damaged places, rows waiting in memory at the moment."""

    n_dropped: int
    n_damaged: int
    is_suspended: bool


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
    group: str
    job_type: str
    tags: list[str]
    notes: str
    host: str
    n_rows: int
    config: dict[str, Any]
    summary: dict[str, Any]
    attempt: int
    health: RunHealth


class RunList(msgspec.Struct):
    runs: list[RunRow]


class MetricRow(msgspec.Struct):
    """A metric that runs of a project have in common."""

    key: str
    n_runs: int
    n_points: int
    step_metric: str | None
    goal: str | None
    hidden: bool


class MetricList(msgspec.Struct):
    metrics: list[MetricRow]


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
    """One process that wrote to the run."""

    session: str
    writer: str
    attempt: int
    host: str
    pid: int
    started_s: float
    ended_s: float | None
    n_rows: int


class DamageRow(msgspec.Struct):
    """Where a journal holds no intact record."""

    journal: str
    offset: int
    reason: str
    n_lost: int | None


class RunDetail(RunRow, kw_only=True):
    """One run with everything but its points."""

    config_nested: dict[str, Any]
    summary_nested: dict[str, Any]
    metrics: list[RunMetric]
    error: RunFailure | None
    exit_code: int | None
    sessions: list[SessionRow]
    damage: list[DamageRow]
    folder: str


class SeriesPoints(msgspec.Struct):
    """Every point of a metric."""

    key: str
    steps: list[int]
    wall_time_s: list[float]
    values: list[Any]


def run_row(view: RunView) -> RunRow:
    """Return a run as lists show it."""
    return RunRow(**_row_fields(view))


def run_detail(view: RunView, folder: str) -> RunDetail:
    """Return a run as its own page shows it."""
    error = view.error
    return RunDetail(
        **_row_fields(view),
        config_nested=json_number(view.config),
        summary_nested=json_number(view.summary),
        metrics=[_run_metric(metric) for metric in view.metrics.values()],
        error=RunFailure(error.type, error.message, error.traceback) if error else None,
        exit_code=view.exit_code,
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
            )
            for session in view.sessions
        ],
        damage=[DamageRow(damage.journal, damage.offset, damage.reason, damage.n_lost) for damage in view.damage],
        folder=folder,
    )


def project_rows(views: list[RunView]) -> list[ProjectRow]:
    """Return the projects of these runs, newest activity first."""
    rows: dict[str, ProjectRow] = {}
    for view in views:
        row = rows.setdefault(view.project, ProjectRow(view.project, 0, {}, 0.0))
        row.n_runs += 1
        row.states[view.state] = row.states.get(view.state, 0) + 1
        row.updated_s = max(row.updated_s, view.updated_ns / 1e9)
    return sorted(rows.values(), key=lambda row: (-row.updated_s, row.name))


def metric_rows(views: list[RunView]) -> list[MetricRow]:
    """Return the metrics of these runs, newest first; a definition of a newer run goes before that of an older."""
    rows: dict[str, MetricRow] = {}
    for view in views:
        for key, metric in view.metrics.items():
            row = rows.get(key)
            if row is None:
                row = rows[key] = MetricRow(key, 0, 0, metric.step_metric, metric.goal, metric.hidden)
            row.n_runs += 1
            row.n_points += metric.n_points
            row.step_metric = row.step_metric or metric.step_metric
            row.goal = row.goal or metric.goal
    return [rows[key] for key in sorted(rows)]


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
        "group": view.group,
        "job_type": view.job_type,
        "tags": view.tags,
        "notes": view.notes,
        "host": view.host,
        "n_rows": view.n_rows,
        "config": flat(view.config),
        "summary": flat(view.summary),
        "attempt": view.attempt,
        "health": RunHealth(view.n_dropped, view.n_damaged, view.is_suspended),
    }


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

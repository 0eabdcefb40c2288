"""How runs are told as text and as JSON on the command line."""

from __future__ import annotations

import datetime
import math
import sys
from typing import Any

import msgspec

from tracker_core.api import ApiRun

from ..http.http_models import run_row
from ..runs.run_view import json_number
from .terminal_text import printable

STATE_STYLES = {
    "running": "blue",
    "finished": "green",
    "failed": "red",
    "killed": "red",
    "preempted": "yellow",
    "crashed": "red",
}
STATE_MARKS = {"running": "●", "finished": "✓", "failed": "✕", "killed": "◌", "preempted": "◐", "crashed": "✕"}


def run_as_dict(run: ApiRun, with_metrics: bool = False) -> dict[str, Any]:
    """Return a run as plain data for JSON; times in nanoseconds since the Unix epoch."""
    view = run.view
    found = {
        "id": run.id,
        "project": run.project,
        "name": run.name,
        "state": run.state,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "stopped_by": run.stopped_by,
        "created_ns": run.created_ns,
        "ended_ns": run.ended_ns,
        "duration_s": run.duration_s,
        "group": run.group,
        "job_type": run.job_type,
        "tags": run.tags,
        "notes": run.notes,
        "host": run.host,
        "attempt": view.attempt,
        "n_rows": view.n_rows,
        "n_dropped": view.n_dropped,
        "config": json_number(run.config),
        "summary": json_number(run.summary),
    }
    if with_metrics:
        metrics = {key: {"n_points": m.n_points, **msgspec.to_builtins(m.stats)} for key, m in view.metrics.items()}
        found["metrics"] = json_number(metrics)
        found["error"] = msgspec.to_builtins(view.error)
        found["damage"] = msgspec.to_builtins(view.damage)
        found["environment"] = json_number(run.environment)
        found["system_metrics"] = json_number(run.system_metrics)
        found["files"] = [{"name": file.name, "size": file.size, "kind": file.kind} for file in run.files()]
        found["n_console_lines"] = run.n_console_lines()
        found["health"] = msgspec.to_builtins(run_row(view).health)
    return found


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def short(value: Any, n_chars: int = 32) -> str:
    """Return a value as a table shows it, at most so long."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else str(value)
    text = printable(str(value))
    return text if len(text) <= n_chars else text[: n_chars - 1] + "…"


def when(time_ns: int) -> str:
    """Return a time as people of this time zone read it."""
    return datetime.datetime.fromtimestamp(time_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")


def duration(duration_s: float) -> str:
    """Return a duration as people read it."""
    seconds = round(duration_s)
    if seconds < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"

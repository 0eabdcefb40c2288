"""`tracker runs`, and how runs are told as text and as JSON."""

from __future__ import annotations

import argparse
import datetime
import math
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.api import Api, ApiRun

from .http_models import run_row
from .run_view import flat, json_number
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
_MAX_COLUMNS = 6


def list_runs(args: argparse.Namespace) -> int:
    """Print a table of the runs that are asked for, newest first unless told otherwise."""
    runs = Api(args.dir).runs(args.project, args.filter, args.sort)
    shown = runs[: args.limit] if args.limit > 0 else runs
    if args.json:
        print_json([run_as_dict(run) for run in shown])
        return 0
    console = Console()
    if not shown and args.filter:
        console.print("No runs match.")
        return 0
    if not shown:
        console.print("No runs yet. Log one with tracker_core.init(project=...).log({'loss': 0.1}).")
        return 0
    console.print(_runs_table(shown))
    if len(shown) < len(runs):
        console.print(
            f"[dim]{len(runs) - len(shown)} {'more' if args.sort else 'older'} runs; show them with --limit 0[/dim]"
        )
    return 0


def _runs_table(runs: list[ApiRun]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "run", "name", "started", "took"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "took" else "left")
    config_keys = _telling_keys([flat(run.config) for run in runs], must_differ=True)
    summary_keys = _telling_keys([flat(run.summary) for run in runs], must_differ=False)
    for key in (*config_keys, *summary_keys):
        table.add_column(escape(printable(key)), justify="right", overflow="fold")
    for run in runs:
        config, summary = flat(run.config), flat(run.summary)
        style = STATE_STYLES.get(run.state, "")
        values = [*(config.get(key) for key in config_keys), *(summary.get(key) for key in summary_keys)]
        table.add_row(
            f"[{style}]{STATE_MARKS.get(run.state, '?')}[/{style}]",
            escape(printable(run.path)),
            escape(printable(run.name)),
            when(run.created_ns),
            duration(run.duration_s),
            *(escape(short(value)) for value in values),
        )
    return table


def _telling_keys(rows: list[dict[str, Any]], must_differ: bool) -> list[str]:
    """Return the few keys most runs have, for config only those whose values differ."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    if must_differ and len(rows) > 1:
        counts = {key: n for key, n in counts.items() if len({repr(row.get(key)) for row in rows}) > 1}
    return sorted(counts, key=lambda key: (-counts[key], len(key)))[: _MAX_COLUMNS // 2]


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

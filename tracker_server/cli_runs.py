"""`tracker runs` and `tracker show`."""

from __future__ import annotations

import argparse
import datetime
import math
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from tracker_core.api import Api, ApiRun

from .run_view import flat, json_number

STATE_STYLES = {"running": "blue", "finished": "green", "failed": "red", "crashed": "red"}
STATE_MARKS = {"running": "●", "finished": "✓", "failed": "✕", "crashed": "✕"}
_MAX_COLUMNS = 6


def list_runs(args: argparse.Namespace) -> int:
    """Print a table of runs, newest first."""
    runs = Api(args.dir).runs(args.project)
    shown = runs[: args.limit] if args.limit > 0 else runs
    if args.json:
        print_json([run_as_dict(run) for run in shown])
        return 0
    console = Console()
    if not shown:
        console.print("No runs yet. Log one with tracker_core.init(project=...).log({'loss': 0.1}).")
        return 0
    console.print(_runs_table(shown))
    if len(shown) < len(runs):
        console.print(f"[dim]{len(runs) - len(shown)} older runs; show them with --limit 0[/dim]")
    return 0


def _runs_table(runs: list[ApiRun]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "run", "name", "started", "took"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "took" else "left")
    config_keys = _telling_keys([flat(run.config) for run in runs], must_differ=True)
    summary_keys = _telling_keys([flat(run.summary) for run in runs], must_differ=False)
    for key in (*config_keys, *summary_keys):
        table.add_column(escape(key), justify="right", overflow="fold")
    for run in runs:
        config, summary = flat(run.config), flat(run.summary)
        style = STATE_STYLES.get(run.state, "")
        values = [*(config.get(key) for key in config_keys), *(summary.get(key) for key in summary_keys)]
        table.add_row(
            f"[{style}]{STATE_MARKS.get(run.state, '?')}[/{style}]",
            escape(run.path),
            escape(run.name),
            _when(run.created_ns),
            _duration(run.duration_s),
            *(escape(_short(value)) for value in values),
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


def show_run(args: argparse.Namespace) -> int:
    """Print everything about one run but its rows."""
    run = Api(args.dir).run(args.path)
    if args.json:
        print_json(run_as_dict(run, with_metrics=True))
        return 0
    console = Console()
    style = STATE_STYLES.get(run.state, "")
    console.print(
        f"[bold]{escape(run.name)}[/bold]  {escape(run.path)}  "
        f"[{style}]{STATE_MARKS.get(run.state, '?')} {run.state}[/{style}]"
    )
    console.print(f"[dim]{_facts(run)}[/dim]")
    for title, values in (("config", flat(run.config)), ("summary", flat(run.summary))):
        if values:
            console.print(_pairs(title, values))
    if metrics := run.keys():
        console.print(_metrics_table(run, metrics))
    _show_trouble(console, run)
    return 0


def _facts(run: ApiRun) -> str:
    facts = [f"started {_when(run.created_ns)}", f"took {_duration(run.duration_s)}", f"{run.view.n_rows} rows"]
    facts += [f"on {run.host}"] if run.host else []
    facts += [f"tags {', '.join(run.tags)}"] if run.tags else []
    facts += [f"attempt {run.view.attempt}"] if run.view.attempt > 1 else []
    return escape(" · ".join(facts))


def _pairs(title: str, values: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=True, header_style="bold", pad_edge=False)
    table.add_column(title, style="cyan")
    table.add_column("", overflow="fold")
    for key, value in sorted(values.items()):
        table.add_row(escape(key), escape(_short(value, 120)))
    return table


def _metrics_table(run: ApiRun, keys: list[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", style="cyan")
    for heading in ("points", "first", "last", "min", "max", "mean", "not finite"):
        table.add_column(heading, justify="right")
    for key in keys:
        metric = run.metric(key)
        stats = metric.stats
        numbers = [_short(value) for value in (stats.first, stats.last, stats.min, stats.max, stats.mean)]
        table.add_row(escape(key), str(metric.n_points), *numbers, str(stats.n_nonfinite or ""))
    return table


def _show_trouble(console: Console, run: ApiRun) -> None:
    view = run.view
    if view.error is not None:
        text = view.error.traceback or f"{view.error.type}: {view.error.message}"
        console.print(Panel(escape(text.rstrip()), title="failed with", border_style="red"))
    if view.n_dropped:
        console.print(f"[red]{view.n_dropped} rows found no place in memory or on disk and were dropped[/red]")
    for damage in view.damage:
        lost = "an unknown number of" if damage.n_lost is None else str(damage.n_lost)
        console.print(
            f"[red]{escape(damage.journal)}, byte {damage.offset}: {escape(damage.reason)}; {lost} records[/red]"
        )


def run_as_dict(run: ApiRun, with_metrics: bool = False) -> dict[str, Any]:
    """Return a run as plain data for JSON; times in nanoseconds since the Unix epoch."""
    view = run.view
    found = {
        "id": run.id,
        "project": run.project,
        "name": run.name,
        "state": run.state,
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
        found["exit_code"] = view.exit_code
        found["damage"] = msgspec.to_builtins(view.damage)
    return found


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _short(value: Any, n_chars: int = 32) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else str(value)
    text = str(value)
    return text if len(text) <= n_chars else text[: n_chars - 1] + "…"


def _when(time_ns: int) -> str:
    return datetime.datetime.fromtimestamp(time_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")


def _duration(duration_s: float) -> str:
    seconds = round(duration_s)
    if seconds < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"

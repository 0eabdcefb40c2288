"""`tracker show`: everything about one run but its rows, samples and output."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from tracker_core.api import ApiRun

from ..runs.run_view import flat
from .cli_runs import STATE_MARKS, STATE_STYLES, duration, print_json, run_as_dict, short, when
from .cli_system import with_unit
from .terminal_text import printable
from .where import add_where, open_api


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker show` to its parser."""
    parser.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def show_run(args: argparse.Namespace) -> int:
    """Print everything about one run but its rows."""
    run = open_api(args).run(args.path)
    if args.json:
        print_json(run_as_dict(run, with_metrics=True))
        return 0
    console = Console()
    style = STATE_STYLES.get(run.state, "")
    console.print(
        f"[bold]{_safe(run.name)}[/bold]  {_safe(run.path)}  "
        f"[{style}]{STATE_MARKS.get(run.state, '?')} {run.state}{_safe(_ending(run))}[/{style}]"
    )
    console.print(f"[dim]{_facts(run)}[/dim]")
    for title, values in (("environment", dict(_environment(run))), ("config", flat(run.config))):
        if values:
            console.print(_pairs(title, values, is_sorted=title == "config"))
    if summary := flat(run.summary):
        console.print(_pairs("summary", summary))
    if metrics := run.keys():
        console.print(_metrics_table(run, metrics))
    _show_trouble(console, run)
    return 0


def _safe(text: str) -> str:
    return escape(printable(text))


def _ending(run: ApiRun) -> str:
    """Return how the run ended, or what it was told meanwhile."""
    details = [f"stopped by {run.stopped_by}"] if run.stopped_by else []
    if run.state == "running" and (order := run.stop_order) is not None:
        details.append(f"asked to stop by {order.stopped_by}")
    details += [f"by {run.signal}"] if run.signal else []
    details += [f"exit code {run.exit_code}"] if run.exit_code else []
    details += ["expects to be stopped"] if run.view.is_preempting else []
    signals = sorted({signal.name for signal in run.view.signals})
    details += [f"received {', '.join(signals)}"] if signals and not run.signal else []
    return f" ({', '.join(details)})" if details else ""


def _facts(run: ApiRun) -> str:
    facts = [f"started {when(run.created_ns)}", f"took {duration(run.duration_s)}", f"{run.view.n_rows} rows"]
    facts += [f"on {run.host}"] if run.host else []
    facts += [f"tags {', '.join(run.tags)}"] if run.tags else []
    facts += [f"attempt {run.view.attempt}"] if run.view.attempt > 1 else []
    facts += [f"history of {run.forked_from}"] if run.forked_from else []
    facts += [_processes(run)] if len(run.writers) > 1 else []
    n_lines, n_files, n_samples = run.n_console_lines(), len(run.files()), len(run.system_keys())
    facts += [f"{n_lines} lines of output (tracker logs)"] if n_lines else []
    facts += [f"{n_files} files (tracker files)"] if n_files else []
    facts += [f"{n_samples} system metrics (tracker system)"] if n_samples else []
    return _safe(" · ".join(facts))


def _processes(run: ApiRun) -> str:
    """Return how many processes write to the run, and which of them fare otherwise than it does."""
    others = [f"{writer.writer} {writer.state}" for writer in run.writers if writer.state != run.state]
    shown = f": {', '.join(others[:5])}" if others else ""
    return f"{len(run.writers)} processes{shown}{', ...' if len(others) > 5 else ''}"


def _environment(run: ApiRun) -> Iterator[tuple[str, str]]:
    """Yield what was run, and on what; a journal may hold anything under these names."""
    environment = run.environment
    if run.command:
        yield "command", run.command
    if git := _section(environment, "git"):
        changed = " with uncommitted changes" if git.get("is_dirty") else ""
        where = [str(git[name]) for name in ("branch", "remote") if git.get(name)]
        yield "git", f"{str(git.get('commit', ''))[:12]}{changed}{', '.join(['', *where])}"
    python, system = _section(environment, "python"), _section(environment, "os")
    if python:
        yield "python", str(python.get("version", ""))
    machine = [str(system[name]) for name in ("distribution", "name", "machine") if system.get(name)]
    cpu = _section(environment, "cpu")
    machine += [f"{cpu.get('model', 'CPU')}, {cpu.get('n_threads', '?')} threads"] if cpu else []
    memory = environment.get("memory_bytes")
    machine += [f"{with_unit('_bytes', memory)} memory"] if isinstance(memory, (int, float)) else []
    if machine:
        yield "machine", " · ".join(machine)
    gpus = environment.get("gpus")
    for gpu in gpus if isinstance(gpus, list) else []:
        if isinstance(gpu, dict):
            yield f"gpu{gpu.get('index', '')}", str(gpu.get("name", ""))
    if frameworks := _section(environment, "frameworks"):
        yield "frameworks", ", ".join(f"{name} {version}" for name, version in frameworks.items())


def _section(environment: dict[str, Any], name: str) -> dict[str, Any]:
    found = environment.get(name)
    return found if isinstance(found, dict) else {}


def _pairs(title: str, values: dict[str, Any], is_sorted: bool = True) -> Table:
    table = Table(box=None, show_header=True, header_style="bold", pad_edge=False)
    table.add_column(title, style="cyan")
    table.add_column("", overflow="fold")
    for key, value in sorted(values.items()) if is_sorted else values.items():
        table.add_row(_safe(key), escape(short(value, 120 if is_sorted else 1000)))
    return table


def _metrics_table(run: ApiRun, keys: list[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", style="cyan")
    for heading in ("points", "first", "last", "min", "max", "mean", "not finite"):
        table.add_column(heading, justify="right")
    for key in keys:
        metric = run.metric(key)
        stats = metric.stats
        numbers = [short(value) for value in (stats.first, stats.last, stats.min, stats.max, stats.mean)]
        table.add_row(_safe(key), str(metric.n_points), *numbers, str(stats.n_nonfinite or ""))
    return table


def _show_trouble(console: Console, run: ApiRun) -> None:
    view = run.view
    if view.error is not None:
        text = view.error.traceback or f"{view.error.type}: {view.error.message}"
        shown = "\n".join(_safe(line) for line in text.rstrip().split("\n"))
        console.print(Panel(shown, title="failed with", border_style="red"))
    for line in _losses(run):
        console.print(f"[red]{_safe(line)}[/red]")
    for jump in view.clock_jumps:
        console.print(f"[yellow]the clock of {_safe(jump.writer)} moved by {jump.jumped_ns / 1e9:+.1f} s[/yellow]")


def _losses(run: ApiRun) -> Iterator[str]:
    view = run.view
    if view.n_dropped:
        yield f"{view.n_dropped} rows found no place in memory or on disk and were dropped"
    if view.n_suspensions:
        yield f"rows waited in memory {view.n_suspensions} times, {duration(view.suspended_ns / 1e9)} in all"
    if view.n_console_left_out:
        yield f"{view.n_console_left_out} lines of output went over the bound and were left out"
    if view.n_unknown:
        yield f"{view.n_unknown} records are of a kind that this version does not know"
    for damage in view.damage:
        lost = "an unknown number of" if damage.n_lost is None else str(damage.n_lost)
        yield f"{damage.journal}, byte {damage.offset}: {damage.reason}; {lost} records"

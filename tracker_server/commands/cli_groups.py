"""`tracker runs --group-by`: groups of runs, with mean and standard deviation of their values."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..query.found_runs import Archived
from ..query.run_source import RunQuery, RunSource
from ..runs.filter_syntax import parse_path
from ..runs.filter_tree import Path, format_path
from ..runs.run_groups import RunGroup, Statistics
from ..runs.run_view import json_number
from .cli_runs import print_json, short
from .terminal_text import printable


def list_groups(args: argparse.Namespace, source: RunSource, archived: Archived) -> int:
    """Print the groups of the runs that are asked for."""
    by = [parse_path(text, "group-by") for text in args.group_by]
    values = [parse_path(text, "values") for text in args.values]
    query = RunQuery(args.filter, None, time.time())
    query.tree()  # raises what is wrong with it before anything is asked for
    limit = args.limit if args.limit > 0 else None
    shown, n_groups = source.groups(args.project, archived, query, by, values, limit)
    if args.json:
        print_json([_as_dict(group, values) for group in shown])
        return 0
    console = Console()
    console.print(_table(shown, by, values) if shown else f"No runs match in {escape(source.place)}.")
    if len(shown) < n_groups:
        console.print(f"[dim]{n_groups - len(shown)} more groups; show them with --limit 0[/dim]")
    return 0


def _as_dict(group: RunGroup, values: Sequence[Path]) -> dict[str, object]:
    found = {format_path(path): json_number(asdict(one)) for path, one in zip(values, group.values, strict=True)}
    return {"key": json_number(group.key), "n_runs": group.n_runs, "n_running": group.n_running, "values": found}


def _table(groups: Sequence[RunGroup], by: Sequence[Path], values: Sequence[Path]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for path in by:
        table.add_column(escape(printable(format_path(path))))
    for heading in ("runs", "running", *map(format_path, values)):
        table.add_column(escape(printable(heading)), justify="right")
    for group in groups:
        key = [escape(short(value)) if value is not None else "[dim]none[/dim]" for value in group.key]
        table.add_row(*key, str(group.n_runs), str(group.n_running or ""), *map(_told, group.values))
    return table


def _told(found: Statistics) -> str:
    if found.mean is None:
        return ""
    return f"{found.mean:.5g}" if found.std is None else f"{found.mean:.5g} ± {found.std:.2g}"

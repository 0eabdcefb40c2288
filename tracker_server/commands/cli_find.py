"""`tracker runs`: find runs, page by page, or groups of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.api_run import ApiRun
from tracker_core.errors import NotFoundError

from ..http.http_models import run_row
from ..query.found_runs import Archived
from ..query.run_source import RunQuery, RunSource
from ..runs.filter_match import Reader, is_value, reader_of
from ..runs.filter_syntax import parse_paths
from ..runs.filter_tree import Key, Path, format_path
from ..runs.run_search import MAX_LIMIT, Page, place_of_cursor
from ..runs.run_view import RunView, flat
from .cli_groups import list_groups
from .cli_runs import STATE_MARKS, STATE_STYLES, duration, print_json, run_as_dict, short, when
from .terminal_text import printable
from .where import add_where, open_api

_MAX_COLUMNS = 6
_MAX_ASKED = 50
_ARCHIVED: dict[str, Archived] = {"false": False, "true": True, "only": "only"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker runs` to its parser."""
    parser.add_argument("project", nargs="?", help="only the runs of this project")
    parser.add_argument("--filter", metavar="EXPR", help="only these, such as 'config.lr < 1e-3 and \"base\" in tags'")
    parser.add_argument("--sort", metavar="KEY[:asc|desc]", help="such as summary.loss.min (default created:desc)")
    parser.add_argument(
        "--archived", choices=("false", "true", "only"), default="false", help="archived runs too, or only"
    )
    parser.add_argument("--limit", type=int, default=50, help="at most so many (default 50; 0: all)")
    parser.add_argument("--all", dest="limit", action="store_const", const=0, help="the same as --limit 0")
    parser.add_argument("--cursor", metavar="TEXT", help="go on where a list of the same filter and sort ended")
    columns_help = "show these, such as 'config.lr,summary.loss.min', in place of a choice of ours"
    parser.add_argument("--columns", metavar="KEY,KEY", help=columns_help)
    groups = parser.add_argument_group("groups of runs in place of runs")
    groups.add_argument("--group-by", metavar="KEY", action="append", help="runs with the same value are one group")
    values_help = "mean ± standard deviation of each group, with --group-by; may be given again"
    groups.add_argument("--values", metavar="KEY", action="append", default=[], help=values_help)
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="print JSON; with --cursor an object with next_cursor")


def list_runs(args: argparse.Namespace) -> int:
    """Print a table of the runs that are asked for, newest first unless told otherwise, or of groups of them."""
    source = _source(args)
    if args.group_by:
        return list_groups(args, source, _ARCHIVED[args.archived])
    columns = None if args.columns is None else parse_paths(args.columns, "columns", _MAX_ASKED)
    page = _page(args, source)
    if args.json:
        _print_page(args, source, page, columns)
        return 0
    console = Console()
    if not page.runs and args.filter:
        console.print(f"No runs match in {escape(source.place)}.", soft_wrap=True, highlight=False)
        return 0
    if not page.runs:
        console.print(f"No runs yet in {escape(source.place)}.", soft_wrap=True, highlight=False)
        console.print("Log one with tracker_core.init(project=...).log({'loss': 0.1}).")
        return 0
    readers = _chosen(page.runs) if columns is None else _asked(columns, source)
    console.print(_runs_table(page.runs, readers))
    if page.next_cursor is not None:
        n_left, order = page.n_matching - len(page.runs), "more" if args.sort else "older"
        n_text = f"{n_left} {order} runs" if args.cursor is None else "More runs"
        console.print(f"[dim]{n_text}; show them with --limit 0, or the next with --cursor {page.next_cursor}[/dim]")
    return 0


def _source(args: argparse.Namespace) -> RunSource:
    source = open_api(args).source
    source.refresh()
    projects = source.projects()
    args.project = args.project and args.project.removeprefix("local/")
    if args.project is not None and args.project not in projects:
        raise NotFoundError(f"project {args.project!r} is not in {source.place}; it has {projects}")
    return source


def _page(args: argparse.Namespace, source: RunSource) -> Page:
    """Return the runs that are asked for; more than a page of them at once are read page by page."""
    query, archived = RunQuery(args.filter, args.sort, time.time()), _ARCHIVED[args.archived]
    after = place_of_cursor(args.cursor, query.search().name) if args.cursor else None
    n_left = args.limit if args.limit > 0 else sys.maxsize
    page = source.find(args.project, archived, query, after, min(n_left, MAX_LIMIT))
    runs = page.runs
    while page.next_place is not None and len(runs) < n_left:
        page = source.find(args.project, archived, query, page.next_place, min(n_left - len(runs), MAX_LIMIT))
        runs = [*runs, *page.runs]
    return Page(runs, page.n_matching, page.next_place, page.next_cursor)


def _print_page(args: argparse.Namespace, source: RunSource, page: Page, columns: list[Path] | None) -> None:
    keys = None if columns is None else [path for path in columns if isinstance(path, Key)]
    runs = [_as_dict(source, view, keys) for view in page.runs]
    if args.cursor is None:
        print_json(runs)
    else:
        print_json({"runs": runs, "n_matching": page.n_matching, "next_cursor": page.next_cursor})


def _as_dict(source: RunSource, view: RunView, columns: list[Key] | None) -> dict[str, Any]:
    found = run_as_dict(ApiRun(source, view))
    if columns is None:
        return found
    row = run_row(view, columns)
    return found | {"config": row.config, "summary": row.summary}


def _chosen(views: Sequence[RunView]) -> list[tuple[str, Reader]]:
    """Return headings and values of the few columns that tell most."""
    config_keys = _telling_keys([flat(view.config) for view in views], must_differ=True)
    summary_keys = _telling_keys([flat(view.summary) for view in views], must_differ=False)
    of_config = [(key, partial(_value_of_config, key=key)) for key in config_keys]
    return [*of_config, *((key, partial(_value_of_summary, key=key)) for key in summary_keys)]


def _value_of_config(view: RunView, key: str) -> Any:
    return flat(view.config).get(key)


def _value_of_summary(view: RunView, key: str) -> Any:
    return flat(view.summary).get(key)


def _asked(columns: Sequence[Path], source: RunSource) -> list[tuple[str, Reader]]:
    """Return headings and values of the columns that are asked for."""

    def environment_of(view: RunView) -> dict[str, Any]:
        return source.details(view.project, view.id).environment

    return [(format_path(path), reader_of(path, environment_of)) for path in columns]


def _runs_table(views: Sequence[RunView], columns: Sequence[tuple[str, Reader]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "run", "name", "started", "took"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "took" else "left")
    for heading, _ in columns:
        table.add_column(escape(printable(heading)), justify="right", overflow="fold")
    for view in views:
        style = STATE_STYLES.get(view.state, "")
        values = [read(view) for _, read in columns]
        table.add_row(
            f"[{style}]{STATE_MARKS.get(view.state, '?')}[/{style}]",
            escape(printable(f"{view.project}/{view.id}")),
            escape(printable(view.name)),
            when(view.created_ns),
            duration(view.duration_s),
            *(escape(short(value)) if is_value(value) else "" for value in values),
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

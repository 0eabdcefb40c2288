"""`tracker export`: a run's rows, points, samples or output as a file for other programs; or a whole project."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import BinaryIO

from tracker_core.errors import NotFoundError, UsageError

from ..export.export_formats import FORMATS, write
from ..export.export_tables import WHATS, ExportTable, table_of
from ..export.export_target import target_of
from ..export.project_export import TABLES, chosen_runs, export_project
from ..query.run_source import RunQuery
from .where import add_where, open_api

_TELL_AFTER_S = 1.0
_TELL_INTERVAL_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker export` to its parser."""
    parser.add_argument("path", metavar="RUN", nargs="?", help="project/id, or the id alone")
    add_where(parser)
    parser.add_argument("--format", choices=FORMATS, default="csv", help="(default: %(default)s)")
    parser.add_argument(
        "--output", metavar="FILE", default="-", help="where to; - is the standard output (the default)"
    )
    what_help = "a row per step, per logged value, per sample of the machine or per line of output"
    parser.add_argument("--what", choices=WHATS, default="history", help=f"{what_help} (default: %(default)s)")
    parser.add_argument("--keys", nargs="+", metavar="KEY", help="only these metrics")
    project = parser.add_argument_group("a whole project")
    parquet_help = "write a data set of Parquet files for --project there, instead of one RUN"
    project.add_argument("--parquet", metavar="DIR_OR_URL", help=parquet_help)
    project.add_argument("--project", metavar="NAME", help="the project")
    project.add_argument("--filter", metavar="EXPR", help="only these of its runs, such as 'state == \"finished\"'")
    project.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, help="(default: all of them)")
    project.add_argument("--overwrite", action="store_true", help="replace an export that is there already")


def export(args: argparse.Namespace) -> int:
    """Write a run to a file or the standard output, or a project to a data set."""
    if args.parquet is not None:
        return _export_project(args)
    if args.path is None:
        raise UsageError("RUN", "none", "project/id", "name a run, or a whole project with --parquet and --project")
    if args.keys and args.what == "console":
        raise UsageError("--keys", "metrics of the output", "no --keys with --what console", "leave one of them out")
    if args.output == "-" and args.format == "parquet" and sys.stdout.isatty():
        raise UsageError("--output", "a terminal", "a file for Parquet", "add for example --output run.parquet")
    table = table_of(open_api(args).run(args.path), args.what, args.keys)
    if args.output == "-":
        _write(table, args, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return 0
    # Whole or not at all: a reader must not take a part of the rows for all of them.
    temporary = f"{args.output}.{os.getpid()}.part"
    try:
        with open(temporary, "xb") as target:
            n_rows = _write(table, args, target)
        os.replace(temporary, args.output)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    sys.stderr.write(f"tracker: {n_rows:,} rows in {args.output}\n")
    return 0


def _export_project(args: argparse.Namespace) -> int:
    if args.path is not None or args.project is None:
        raise UsageError(
            "--parquet", "no --project" if args.path is None else "a RUN", "a project", "add --project NAME"
        )
    source = open_api(args).source
    source.refresh()
    project = args.project.removeprefix("local/")
    query = RunQuery(args.filter, None, time.time())
    n_runs = source.find(project, True, query, None, 1).n_matching
    if not n_runs and project not in (known := source.projects()):
        raise NotFoundError(f"project {project!r} is not in {source.place}; it has {known}")
    progress = _Progress(n_runs, "runs")
    done = export_project(
        source,
        project,
        chosen_runs(source, project, args.filter),
        target_of(args.parquet),
        filter=args.filter or "",
        tables=args.tables,
        overwrite=args.overwrite,
        told=progress.tell,
    )
    progress.end()
    kept = f", {done.n_runs_kept:,} of them by an earlier call" if done.n_runs_kept else ""
    rows = ", ".join(f"{n:,} of {table}" for table, n in done.n_rows.items())
    sys.stderr.write(f"tracker: {done.n_runs:,} runs in {args.parquet}{kept}; rows: {rows}\n")
    return 0


def _write(table: ExportTable, args: argparse.Namespace, target: BinaryIO) -> int:
    progress = _Progress(table.n_rows)
    n_rows = write(table, args.format, target, progress.tell)
    progress.end()
    return n_rows


class _Progress:
    """Tells on a terminal how far a long export is."""

    def __init__(self, n_rows: int | None, unit: str = "rows") -> None:
        self._of = ("" if n_rows is None else f" of {n_rows:,}") + f" {unit}"
        self._next_s = time.monotonic() + _TELL_AFTER_S
        self._has_told = False

    def tell(self, n_rows: int) -> None:
        """Say how many rows are written, now and then."""
        if sys.stderr.isatty() and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _TELL_INTERVAL_S
            sys.stderr.write(f"\r\x1b[Ktracker: {n_rows:,}{self._of}")
            sys.stderr.flush()
            self._has_told = True

    def end(self) -> None:
        """Take away what was told."""
        if self._has_told:
            sys.stderr.write("\r\x1b[K")

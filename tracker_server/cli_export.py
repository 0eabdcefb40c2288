"""`tracker export`: a run's rows, points, samples or output as a file for other programs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import BinaryIO

from tracker_core.api import Api
from tracker_core.errors import UsageError

from .export_formats import FORMATS, write
from .export_tables import WHATS, ExportTable, table_of

_TELL_AFTER_S = 1.0
_TELL_INTERVAL_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker export` to its parser."""
    parser.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="(default: %(default)s)")
    parser.add_argument(
        "--output", metavar="FILE", default="-", help="where to; - is the standard output (the default)"
    )
    what_help = "a row per step, per logged value, per sample of the machine or per line of output"
    parser.add_argument("--what", choices=WHATS, default="history", help=f"{what_help} (default: %(default)s)")
    parser.add_argument("--keys", nargs="+", metavar="KEY", help="only these metrics")


def export(args: argparse.Namespace) -> int:
    """Write a run to a file or the standard output."""
    if args.keys and args.what == "console":
        raise UsageError("--keys", "metrics of the output", "no --keys with --what console", "leave one of them out")
    if args.output == "-" and args.format == "parquet" and sys.stdout.isatty():
        raise UsageError("--output", "a terminal", "a file for Parquet", "add for example --output run.parquet")
    table = table_of(Api(args.dir).run(args.path), args.what, args.keys)
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


def _write(table: ExportTable, args: argparse.Namespace, target: BinaryIO) -> int:
    progress = _Progress(table.n_rows)
    n_rows = write(table, args.format, target, progress.tell)
    progress.end()
    return n_rows


class _Progress:
    """Tells on a terminal how far a long export is."""

    def __init__(self, n_rows: int | None) -> None:
        self._of = "" if n_rows is None else f" of {n_rows:,}"
        self._next_s = time.monotonic() + _TELL_AFTER_S
        self._has_told = False

    def tell(self, n_rows: int) -> None:
        """Say how many rows are written, now and then."""
        if sys.stderr.isatty() and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _TELL_INTERVAL_S
            sys.stderr.write(f"\r\x1b[Ktracker: {n_rows:,}{self._of} rows")
            sys.stderr.flush()
            self._has_told = True

    def end(self) -> None:
        """Take away what was told."""
        if self._has_told:
            sys.stderr.write("\r\x1b[K")

"""`tracker logs`: the output of a run, whole, searched, or followed while it runs."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator

from tracker_core.api import ApiRun
from tracker_core.errors import UsageError
from tracker_core.remote.server_errors import ServerAwayError

from ..query.run_console import ConsoleRow
from .terminal_text import coloured, printable
from .where import add_where, open_api

_POLL_S = 0.5
_PAGE_LINES = 5000
_STDERR = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker logs` to its parser."""
    parser.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    add_where(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is printed until the run ends")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")
    parser.add_argument("--search", metavar="TEXT", help="only lines that hold TEXT, in upper or lower case")
    parser.add_argument("--timestamps", action="store_true", help="begin each line with its time")
    parser.add_argument("--stderr", action="store_true", help="only what was printed to stderr")
    parser.add_argument("--writer", help="whose output (default: that of `tracker run`, else of the main process)")
    parser.add_argument("--no-color", dest="color", action="store_false", help="without colours")


def logs(args: argparse.Namespace) -> int:
    """Print the output of a run."""
    if args.lines is not None and args.lines < 1:
        raise UsageError("--lines", str(args.lines), "1 or more", "leave it out for all lines")
    run = open_api(args).run(args.path)
    show = _printer(args)
    first = 0
    if args.lines is not None:
        first = _first_of_last(run, args)
    if args.follow:
        _follow(run, args, first, show)
        return 0
    n_shown = 0
    for row in _rows(run, args.writer, first):
        if _is_wanted(row, args):
            show(row)
            n_shown += 1
    n_left_out = run.view.n_console_left_out
    if n_left_out:
        sys.stderr.write(f"tracker: {n_left_out} lines were not recorded; console_max_mib sets the bound\n")
    elif not n_shown and not args.search:
        sys.stderr.write(f"tracker: no output of {run.path} is recorded\n")
    return 0


def _rows(run: ApiRun, writer: str | None, first: int = 0) -> Iterator[ConsoleRow]:
    while page := run.console(first, _PAGE_LINES, writer):
        yield from page
        first += len(page)


def _first_of_last(run: ApiRun, args: argparse.Namespace) -> int:
    """Return the number of the line from which on the last ones that are wanted follow."""
    if not (args.search or args.stderr):
        last = run.console(-args.lines, 1, args.writer)
        return last[0].number if last else 0
    numbers = [row.number for row in _rows(run, args.writer) if _is_wanted(row, args)]
    return numbers[-args.lines :][0] if numbers else 0


def _is_wanted(row: ConsoleRow, args: argparse.Namespace) -> bool:
    if args.stderr and row.stream != _STDERR:
        return False
    return not args.search or args.search.lower() in printable(row.text).lower()


def _printer(args: argparse.Namespace) -> Callable[[ConsoleRow], None]:
    is_coloured = args.color and sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def show(row: ConsoleRow) -> None:
        sys.stdout.write(f"{_line(row, args.timestamps, is_coloured)}\n")

    return show


def _line(row: ConsoleRow, with_time: bool, is_coloured: bool) -> str:
    text = coloured(row.text) if is_coloured else printable(row.text)
    return f"{_time(row.wall_time_ns)} {text}" if with_time else text


def _time(wall_time_ns: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(wall_time_ns // 10**9)
    except (OverflowError, OSError, ValueError):
        return f"{wall_time_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{wall_time_ns // 10**6 % 1000:03d}"


def _follow(run: ApiRun, args: argparse.Namespace, first: int, show: Callable[[ConsoleRow], None]) -> None:
    """Print lines as they come, until the run has ended.

    The last line may still change, as a progress bar does: a terminal shows it for the time being; a file or pipe gets
    it once it has rested for one look, and again where it changes after that.
    """
    shown: tuple[int, str] | None = None
    before: tuple[int, str] | None = None
    while True:
        is_over, rows = _look(run, args, first)
        last = rows[-1] if rows else None
        for row in rows[:-1]:
            if _is_wanted(row, args) and shown != (row.number, row.text):
                _clear_draft()
                show(row)
        if last is not None:
            first, place = last.number, (last.number, last.text)
            is_due = is_over or (place == before and not sys.stdout.isatty())
            if is_due and shown != place and _is_wanted(last, args):
                _clear_draft()
                show(last)
                shown = place
            elif not is_due and _is_wanted(last, args):
                _draft(last, args)
            before = place
        sys.stdout.flush()
        if is_over:
            return
        time.sleep(_POLL_S)


def _look(run: ApiRun, args: argparse.Namespace, first: int) -> tuple[bool, list[ConsoleRow]]:
    """Return whether the run has ended, and its lines from `first` on; waits for a server that is away meanwhile."""
    is_told = False
    while True:
        try:
            is_over = run.refresh().state != "running"
            return is_over, list(_rows(run, args.writer, first))
        except ServerAwayError as error:
            if not is_told:
                sys.stderr.write(f"tracker: {error} Trying again until it is back.\n")
            is_told = True
            time.sleep(_POLL_S)


def _draft(row: ConsoleRow, args: argparse.Namespace) -> None:
    """Show the line that is still being written, over what was shown there before."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write(f"\r\x1b[K{_line(row, args.timestamps, False)[:width]}")


def _clear_draft() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\r\x1b[K")

"""`tracker files`: the files kept with a run."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .cli_runs import print_json, when
from .cli_system import with_unit
from .terminal_text import printable
from .where import add_where, open_api


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker files` to its parser."""
    parser.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    add_where(parser)
    parser.add_argument(
        "--get", metavar="NAME", help="copy this file, or every file of a folder named with / at its end"
    )
    parser.add_argument("--to", metavar="FOLDER", default=".", help="where to copy it to (default: here)")
    parser.add_argument("--replace", action="store_true", help="replace files that are there already")
    parser.add_argument("--json", action="store_true", help="print JSON")


def files(args: argparse.Namespace) -> int:
    """List the files of a run, or copy some of them."""
    run = open_api(args).run(args.path)
    if args.get is not None:
        wanted = [file for file in run.files() if args.get.endswith("/") and file.name.startswith(args.get)]
        for file in wanted or [run.file(args.get)]:
            sys.stdout.write(f"{printable(file.download(args.to, args.replace))}\n")
        return 0
    found = run.files()
    if args.json:
        names = ("name", "size", "kind", "digest", "saved_ns")
        print_json([{name: getattr(file, name) for name in names} for file in found])
        return 0
    console = Console()
    if not found:
        console.print(f"No files are kept with {escape(run.path)}.", highlight=False)
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("file", style="cyan", overflow="fold")
    for heading in ("kind", "size", "saved"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
    for file in found:
        table.add_row(
            escape(printable(file.name)),
            escape(printable(file.kind)),
            with_unit("_bytes", file.size),
            when(file.saved_ns),
        )
    console.print(table)
    return 0

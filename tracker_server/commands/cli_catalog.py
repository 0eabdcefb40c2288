"""`tracker delete`, `undelete`, `archive`, `unarchive` and `tracker trash`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.errors import NotFoundError, UsageError

from ..catalog.decisions import RunKey
from ..catalog.run_removal import Emptied
from ..query.run_source import BuriedRun, RunSource
from .cli_runs import print_json, when
from .cli_system import with_unit
from .durations import seconds
from .terminal_text import printable
from .where import add_where, open_api

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_delete(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker delete`."""
    _add_runs(parser)
    parser.add_argument("--force", action="store_true", help="also runs that are still being written")
    parser.add_argument("--now", action="store_true", help="remove them from the trash too: there is no way back")
    _add_asking(parser)


def add_change(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker undelete`, `archive` and `unarchive`."""
    _add_runs(parser)


def add_trash(commands: Parsers) -> None:
    """Add `tracker trash` with its actions."""
    trash = commands.add_parser("trash", help="list deleted runs, or remove them for good")
    actions = trash.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list deleted runs", description="List deleted runs.")
    listing.set_defaults(run=trash_list)
    listing.add_argument("--json", action="store_true", help="print JSON")
    empty = actions.add_parser("empty", help="remove deleted runs", description="Remove deleted runs for good.")
    empty.set_defaults(run=trash_empty)
    empty.add_argument(
        "--older-than", metavar="TIME", default="0s", help="only those deleted so long ago, as 30d or 12h"
    )
    _add_asking(empty)
    for parser in (listing, empty):
        add_where(parser)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="RUN", nargs="+", help="project/id, or the id alone")
    parser.add_argument("--why", metavar="TEXT", default="", help="a reason, kept with the decision")
    add_where(parser)


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def delete(args: argparse.Namespace) -> int:
    """Put runs into the trash; with --now remove them."""
    source = _source(args)
    keys = [_shown_key(source, path) for path in args.paths]
    if args.dry_run:
        _say(f"Would delete {_named(keys)}.")
        return 0
    if args.now:
        _ask(args, f"Remove {_named(keys)} for good?")
    done = source.delete(keys, args.why, args.force)
    if args.now:
        code = _tell(source.empty_trash(only=keys, why=args.why))
    else:
        code = 0
        _say(f"Deleted {_named(done)}. {_undo(done)}")
    source.close()
    return code


def undelete(args: argparse.Namespace) -> int:
    """Bring runs back from the trash."""
    source = _source(args)
    keys = [_buried_key(source, path) for path in args.paths]
    _say(f"Brought back {_named(source.undelete(keys, args.why))}.")
    return 0


def archive(args: argparse.Namespace) -> int:
    """Take runs out of the way: lists leave them out unless told otherwise."""
    source = _source(args)
    keys = [_shown_key(source, path) for path in args.paths]
    _say(f"Archived {_named(source.archive(keys, args.why))}.")
    return 0


def unarchive(args: argparse.Namespace) -> int:
    """Take runs out of the archive."""
    source = _source(args)
    keys = [_shown_key(source, path) for path in args.paths]
    _say(f"Took {_named(source.unarchive(keys, args.why))} out of the archive.")
    return 0


def trash_list(args: argparse.Namespace) -> int:
    """List what is in the trash, the latest deleted first."""
    source = _source(args)
    found = source.trash(with_sizes=True)
    if args.json:
        print_json([_as_dict(run) for run in found])
        return 0
    console = Console()
    if not found:
        console.print(f"The trash of {escape(source.place)} is empty.", soft_wrap=True, highlight=False)
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("run", "name", "state", "deleted", "by", "size", "why"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=heading != "why")
    for run in found:
        size = with_unit("_bytes", run.size_bytes or 0)
        cells = ("/".join(run.key), run.name, run.state, when(run.by.at_ns), run.by.who, size, run.by.why)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    console.print(table)
    days = source.trash_days
    until = f"removed after {days:g} days where a dashboard is running" if days else "kept until the trash is emptied"
    console.print(f"[dim]{until}; bring one back with: tracker undelete RUN[/dim]")
    return 0


def trash_empty(args: argparse.Namespace) -> int:
    """Remove what is in the trash for good."""
    older_than_s = seconds(args.older_than, "--older-than")
    source = _source(args)
    latest_ns = time.time_ns() - int(older_than_s * 1e9)
    due = [run for run in source.trash(with_sizes=args.dry_run) if run.by.at_ns <= latest_ns]
    if args.dry_run:
        size = with_unit("_bytes", sum(run.size_bytes or 0 for run in due))
        _say(f"Would remove {_named([run.key for run in due])}, {size}.")
        return 0
    if due:
        _ask(args, f"Remove {_named([run.key for run in due])} for good?")
    code = _tell(source.empty_trash(older_than_s))
    source.close()
    return code


def _source(args: argparse.Namespace) -> RunSource:
    source = open_api(args).source
    source.refresh()
    return source


def _shown_key(source: RunSource, path: str) -> RunKey:
    """Return project and id of a run that is not deleted."""
    parts = _parts(path)
    if len(parts) == 2:
        view = source.run(*parts)
        return view.project, view.id
    found = [(view.project, view.id) for view in source.find_runs(parts[0])]
    return _only(found, path, f"run {path!r} is not in {source.place}; `tracker runs` lists what is there")


def _buried_key(source: RunSource, path: str) -> RunKey:
    """Return project and id of a run that is in the trash."""
    parts = _parts(path)
    keys = dict.fromkeys(run.key for run in source.trash())
    found = [key for key in keys if key[-len(parts) :] == tuple(parts)]
    text = f"run {path!r} is not in the trash of {source.place}; `tracker trash list` lists what is"
    return _only(found, path, text)


def _parts(path: str) -> list[str]:
    parts = path.strip("/").removeprefix("local/").split("/")
    if len(parts) > 2:
        raise UsageError("RUN", repr(path)[:200], "project/id, or the id alone", "see `tracker runs`")
    return parts


def _only(found: Sequence[RunKey], path: str, missing: str) -> RunKey:
    if not found:
        raise NotFoundError(missing)
    if len(found) > 1:
        projects = sorted(project for project, _ in found)
        raise UsageError(
            "RUN", f"{path!r}, which is in {', '.join(projects)}", "one run", f"write {projects[0]}/{path}"
        )
    return found[0]


def _named(keys: Sequence[RunKey]) -> str:
    if not keys:
        return "no run: nothing had to be changed"
    shown = ", ".join(printable("/".join(key)) for key in keys[:5])
    return f"{shown} and {len(keys) - 5} more" if len(keys) > 5 else shown


def _undo(keys: Sequence[RunKey]) -> str:
    names = " ".join(printable("/".join(key)) for key in keys[:5])
    return f"Bring back with: tracker undelete {names}" if keys and len(keys) <= 5 else ""


def _ask(args: argparse.Namespace, question: str) -> None:
    """Ask; raises UsageError where nobody can answer, SystemExit where the answer is no."""
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("--yes", "no terminal to ask at", "a confirmation", "add --yes to remove without being asked")
    sys.stdout.write(f"{question} There is no way back. [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SystemExit(1)


def _tell(emptied: Emptied) -> int:
    size = with_unit("_bytes", emptied.n_bytes)
    _say(f"Removed {_named(emptied.runs)}; {size} given back.")
    for trouble in emptied.troubles:
        sys.stderr.write(f"tracker: {printable(trouble)}\n")
    return 1 if emptied.troubles else 0


def _as_dict(run: BuriedRun) -> dict[str, object]:
    return {
        "id": run.run_id,
        "project": run.project,
        "name": run.name,
        "state": run.state,
        "deleted_ns": run.by.at_ns,
        "deleted_by": run.by.who,
        "why": run.by.why,
        "size_bytes": run.size_bytes,
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

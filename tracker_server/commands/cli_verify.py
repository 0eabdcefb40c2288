"""`tracker artifact verify` and `usage`: whether all bytes are there and whole, and what takes how much of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.errors import NotFoundError

from .cli_gc import add_store, open_store
from .cli_retention import add_retention
from .cli_runs import print_json
from .cli_system import with_unit
from .registry_arguments import Parsers, with_exit_codes
from .terminal_text import printable
from .where import open_api

if TYPE_CHECKING:
    from ..blobs.rebuild_chunks import Rebuilt
    from ..blobs.verify_packs import Verification

_SHOWN = 20
_VERIFY = "Check that all bytes of all versions are there and whole, on the machine that keeps them."


def add_upkeep(actions: Parsers) -> None:
    """Add these, and `retention`, to the actions of `tracker artifact`."""
    add_retention(actions)
    check = actions.add_parser("verify", help="check that all bytes are there and whole", description=_VERIFY)
    check.set_defaults(run=with_exit_codes(verify))
    check.add_argument("projects", metavar="PROJECT", nargs="*", help="only these (default: all)")
    add_store(check)
    check.add_argument("--quick", action="store_true", help="look only whether packs are there in their size")
    repair_help = "forget chunks that cannot be read: logging the same bytes again then mends the versions"
    check.add_argument("--repair", action="store_true", help=repair_help)
    rebuild_help = "first make the tables of chunks anew from the packs, as after a lost or older catalog"
    check.add_argument("--rebuild", action="store_true", help=rebuild_help)
    used = actions.add_parser("usage", help="show what artifacts take", description="Show what artifacts take.")
    used.set_defaults(run=with_exit_codes(usage))
    used.add_argument("project", metavar="PROJECT", nargs="?", help="each artifact of it (default: all projects)")
    add_store(used)
    used.add_argument("--server", metavar="URL", help="ask a server, for its projects")
    for parser in (check, used):
        parser.add_argument("--json", action="store_true", help="print JSON")


def verify(args: argparse.Namespace) -> int:
    """Check the bytes of all versions in a store; return 1 where some cannot be read."""
    from ..blobs import verify_packs
    from ..blobs.rebuild_chunks import rebuild_chunks

    artifacts = open_store(args)
    _check_projects(args.projects, artifacts.projects(), artifacts.place)
    rebuilt = rebuild_chunks(artifacts.store, artifacts.database) if args.rebuild else None
    with Progress(
        TextColumn("Reading packs"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, visible=not args.json)
        found = verify_packs.verify(
            artifacts.store,
            artifacts.database,
            args.projects or None,
            is_deep=not args.quick,
            say=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if args.repair and found.bad_chunks:
        verify_packs.repair(artifacts.database, found)
    artifacts.close()
    if args.json:
        print_json({"rebuilt": msgspec.to_builtins(rebuilt), **msgspec.to_builtins(found)})
    else:
        _print_rebuilt(rebuilt)
        _print_verification(found)
    return int(bool(found.bad_chunks or found.bad_versions or found.bad_packs))


def _print_rebuilt(rebuilt: Rebuilt | None) -> None:
    if rebuilt is not None:
        added = f"{rebuilt.n_added} packs and {rebuilt.n_chunks} chunks that no row told of"
        _say(f"Looked at {rebuilt.n_packs} packs: found {added}; {rebuilt.n_gone} packs are gone.")
        for trouble in rebuilt.troubles:
            _say(trouble)


def _check_projects(wanted: Sequence[str], known: Sequence[str], place: str) -> None:
    for project in wanted:
        if project not in known:
            raise NotFoundError(f"project {project!r} has no artifacts in {place}; there are: {', '.join(known)}")


def _print_verification(found: Verification) -> None:
    how = "read and compared" if found.is_deep else "looked for"
    size = with_unit("_bytes", found.size_bytes)
    _say(
        f"{found.n_chunks:,} chunks in {found.n_packs:,} packs, {size}, {how}: {len(found.bad_chunks)} cannot be read."
    )
    for text in found.bad_packs[:_SHOWN]:
        _say(text)
    for one in found.bad_versions[:_SHOWN]:
        files = ", ".join(one.files[:3]) + (", ..." if one.n_files > 3 else "")
        _say(f"{one.project}/{one.name}:{one.version} misses bytes of {one.n_files} files: {files}")
    if len(found.bad_versions) > _SHOWN:
        _say(f"and {len(found.bad_versions) - _SHOWN} more versions; --json lists all")
    if found.n_repaired:
        _say(f"{found.n_repaired} chunks are forgotten: log the same files again to have the versions whole.")
    elif found.bad_chunks:
        _say("Put a backup of the packs back, or forget these chunks with --repair and log the same files again.")


def usage(args: argparse.Namespace) -> int:
    """Print what artifacts take."""
    from ..artifacts.usage import artifact_usage

    if args.server:
        return _print_projects(args, open_api(args).source.artifacts)
    artifacts = open_store(args)
    if not args.project:
        return _print_projects(args, artifacts)
    _check_projects([args.project], artifacts.projects(), artifacts.place)
    columns = ("name", "type", "n_versions", "logical_bytes", "stored_bytes", "own_bytes")
    headings = ("artifact", "type", "versions", "as logged", "stored", "its own")
    found = artifact_usage(artifacts.database, args.project)
    artifacts.close()
    return _print_usage(args, columns, headings, found, artifacts.place)


def _print_projects(args: argparse.Namespace, artifacts: ArtifactSource) -> int:
    columns = ("project", "n_artifacts", "n_versions", "logical_bytes", "stored_bytes", "n_chunks")
    headings = ("project", "artifacts", "versions", "as logged", "stored", "chunks")
    found, place = artifacts.usage(args.project), artifacts.place
    artifacts.close()
    return _print_usage(args, columns, headings, found, place)


def _print_usage(
    args: argparse.Namespace, columns: Sequence[str], headings: Sequence[str], found: Sequence[object], place: str
) -> int:
    if args.json:
        print_json([msgspec.to_builtins(one) for one in found])
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("artifact", "type", "project") else "right")
    for one in found:
        table.add_row(*(_cell(column, getattr(one, column)) for column in columns))
    Console().print(table if found else escape(f"No artifacts in {place}."), highlight=False)
    return 0


def _cell(column: str, value: object) -> str:
    if column.endswith("_bytes") and isinstance(value, int):
        return with_unit("_bytes", value)
    return escape(printable(f"{value:,}" if isinstance(value, int) else str(value)))


def _say(text: str) -> None:
    sys.stdout.write(f"{printable(text)}\n")

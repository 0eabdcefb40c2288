"""`tracker gc`: let versions go that no rule keeps, and give back the room of what nothing needs."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.paths import find_folder
from tracker_core.settings import load_settings

from .cli_runs import print_json
from .cli_system import with_unit
from .durations import seconds
from .terminal_text import printable

if TYPE_CHECKING:
    from ..artifacts.local_artifacts import LocalArtifacts
    from ..blobs.gc_report import GcReport
    from ..query.folder import LocalFolder

_DONE = {
    "condemn": "condemned",
    "rewrite": "written anew",
    "remove": "removed",
    "wait": "waiting",
    "unknown": "left",
}
_WOULD = {
    "condemn": "would be condemned",
    "rewrite": "would be written anew",
    "remove": "would be removed",
    "wait": "waiting",
    "unknown": "would be left",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker gc`."""
    add_store(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and why")
    grace_help = "how long what is condemned stays for those that read it, as 1h or 7d (default %(default)s)"
    parser.add_argument("--grace", metavar="TIME", default="1h", help=grace_help)
    unknown_help = "also remove packs that the catalog knows nothing of, as after a lost catalog"
    parser.add_argument("--unknown", action="store_true", help=unknown_help)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a folder with its store, as on the machine of a server."""
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--database-url", metavar="URL", help="the database (default: TRACKER_DATABASE_URL)")
    parser.add_argument("--blobs-url", metavar="URL", help="where bytes are kept (default: TRACKER_BLOBS_URL)")


def open_store(args: argparse.Namespace) -> LocalArtifacts:
    """Return the artifacts of the store that the arguments name."""
    from ..artifacts.local_artifacts import open_artifacts

    settings = load_settings()
    place = find_folder(args.dir or settings.dir)
    database_url = args.database_url or settings.database_url
    return open_artifacts(place, database_url, args.blobs_url or settings.blobs_url)


def runs_of(args: argparse.Namespace) -> Callable[[], LocalFolder]:
    """Return what opens the runs of that store."""

    def opened() -> LocalFolder:
        from ..query.open_folder import open_folder

        settings = load_settings()
        place = find_folder(args.dir or settings.dir)
        folder = open_folder(place, args.database_url or settings.database_url, is_writer=False)
        folder.refresh()
        return folder

    return opened


def gc(args: argparse.Namespace) -> int:
    """Collect, and say what went; return 1 where something could not be done."""
    from ..artifacts.garbage import check_grace, collect_garbage
    from ..blobs.collect import Options
    from ..catalog.decisions import by_me

    grace_s = check_grace(seconds(args.grace, "--grace"))
    options = Options(grace_s=grace_s, is_dry_run=args.dry_run, takes_unknown=args.unknown)
    artifacts = open_store(args)
    try:
        report = collect_garbage(artifacts, runs_of(args), by_me("tracker gc"), options)
    finally:
        artifacts.close()
    if args.json:
        print_json(msgspec.to_builtins(report))
    else:
        _print(report)
    for trouble in report.troubles:
        sys.stderr.write(f"tracker: {printable(trouble)}\n")
    return int(bool(report.troubles))


def _print(report: GcReport) -> None:
    console = Console()
    words = _WOULD if report.is_dry_run else _DONE
    if report.dropped:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("version", "size", "would go" if report.is_dry_run else "gone", "why"):
            table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=heading == "size")
        for one in report.dropped:
            name = f"{one.project}/{one.name}:{one.version}"
            table.add_row(escape(printable(name)), with_unit("_bytes", one.size_bytes), "✕", escape(printable(one.why)))
        console.print(table)
    for line in _lines(report, words):
        console.print(escape(printable(line)), soft_wrap=True, highlight=False)


def _lines(report: GcReport, words: dict[str, str]) -> Iterator[str]:
    would = "would go" if report.is_dry_run else "gone"
    if report.dropped:
        size = with_unit("_bytes", sum(one.size_bytes for one in report.dropped))
        yield f"{_n(len(report.dropped), 'version')} {would} by rules of artifacts, {size} if nothing is shared."
    kinds = Counter((one.project, one.what, one.why) for one in report.packs)
    for project, what, why in sorted(kinds):
        packs = [one for one in report.packs if (one.project, one.what, one.why) == (project, what, why)]
        size = with_unit("_bytes", sum(one.size_bytes for one in packs))
        yield f"{project}: {_n(len(packs), 'pack')} {words[what]}, {size}: {why}."
    if report.n_expired_leases:
        yield f"{_n(report.n_expired_leases, 'upload')} had not been gone on with for a day."
    if report.n_strays:
        yield f"{_n(report.n_strays, 'file')} of uploads that were broken off {would}."
    kept, freed = with_unit("_bytes", report.kept_bytes), with_unit("_bytes", report.freed_bytes)
    given = "would be given back" if report.is_dry_run else "given back"
    yield f"{_n(report.n_kept_packs, 'pack')} kept as before, {kept}; {freed} {given}."
    if report.waiting_bytes:
        size = with_unit("_bytes", report.waiting_bytes)
        yield f"{size} more are given back by a later `tracker gc`, when nobody can be reading them (--grace)."


def _n(n: int, word: str) -> str:
    return f"{n} {word}{'s' if n != 1 else ''}"

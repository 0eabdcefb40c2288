"""`tracker registry`: look at registered models and their audit; `cli_registry_changes` changes them.

Exit codes: 0 done, 1 a gate is not met or the audit is not whole, 2 wrong use, 3 not found.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import AuditEntry, LinkedVersion, RegisteredModel
from tracker_core.errors import NotFoundError, UsageError

from ..artifacts.registry_audit import ChainCheck
from ..query.run_source import RunSource
from ..runs.run_view import flat, json_number
from .cli_registry_changes import add_changes
from .cli_runs import print_json, short, when
from .cli_system import with_unit
from .registry_arguments import (
    NOT_MET,
    Parsers,
    add_action,
    artifact_named,
    linked_as_dict,
    model_and_which,
    model_of,
    open_registry,
    open_runs,
    plain,
    say,
)
from .terminal_text import printable

_PAGE = 1000
_MAX_SHOWN = 50
_WIDE_CHARS = 5000


def add_registry(commands: Parsers) -> None:
    """Add `tracker registry` with its actions."""
    registry = commands.add_parser(
        "registry",
        help="look at registered models, and promote versions",
        description="Registered models, which link versions of artifacts.",
        epilog="Exit codes: 0 done, 1 a gate is not met or the audit is not whole, 2 wrong use, 3 not found.",
    )
    actions = registry.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = add_action(actions, "list", "list registered models", list_models)
    listing.add_argument("--search", metavar="TEXT", default="", help="only those with this in their name")
    show = add_action(actions, "show", "show a registered model, or one version of it", show_model)
    show.add_argument("name", metavar="NAME[:VERSION]", help="a model; behind it v3 or an alias")
    add_changes(actions)
    audit = add_action(actions, "audit", "print every change, oldest first", show_audit)
    audit.add_argument("name", metavar="NAME", nargs="?", help="only of this model")
    audit.add_argument("--after", metavar="NUMBER", type=int, default=0, help="only changes of higher numbers")
    audit.add_argument("--export", metavar="FILE", help="write them to a file, one JSON object a line; - is stdout")
    verify = add_action(actions, "verify", "check that no change was altered or left out", verify_audit)
    verify.add_argument("--file", metavar="FILE", help="check an exported audit in place of the registry's")
    verify.add_argument("--head", metavar="HASH", help="a hash noted earlier, which must be among the changes")


def list_models(args: argparse.Namespace) -> int:
    """List registered models, the last changed first."""
    source = open_registry(args)
    found = source.models(args.search)
    if args.json:
        print_json([plain(model) for model in found])
        return 0
    if not found:
        say(f"No registered models in {source.place}.")
        return 0
    rows = [(model.name, model.type, str(model.n_versions), _aliases(model), when(model.updated_ns)) for model in found]
    _print_table(("model", "type", "versions", "aliases", "changed"), rows, right=("versions",))
    return 0


def show_model(args: argparse.Namespace) -> int:
    """Show a model with its versions, or one of them."""
    name, which = model_and_which(args.name)
    runs = open_runs(args)
    source = runs.artifacts
    if which:
        return _show_version(args, source.resolve_linked(name, which), runs)
    model, linked = source.model(name), source.linked(name)
    if args.json:
        print_json({**plain(model), "versions": [linked_as_dict(one) for one in linked]})
        return 0
    say(f"{model.name}: {model.type}, {model.n_versions} versions, made {when(model.created_ns)} by {model.created_by}")
    if model.card.strip():
        say(f"card: {short(model.card.strip().splitlines()[0], 100)}")
    rows = [
        (
            f"v{one.number}",
            ", ".join(one.aliases),
            artifact_named(one.version),
            _run_of(one),
            with_unit("_bytes", one.version.size_bytes),
            f"{when(one.linked_ns)} by {one.linked_by}",
            one.why,
        )
        for one in linked
    ]
    _print_table(("version", "aliases", "artifact", "run", "size", "linked", "why"), rows, right=("size",))
    return 0


def _show_version(args: argparse.Namespace, one: LinkedVersion, runs: RunSource) -> int:
    summary = _summary(runs, one)
    if args.json:
        print_json({**linked_as_dict(one), "run_summary": summary})
        return 0
    version = one.version
    say(f"{one.model}:v{one.number} is {artifact_named(version)}, a {version.type}")
    facts = {
        "aliases": ", ".join(one.aliases),
        "linked": f"{when(one.linked_ns)} by {one.linked_by}",
        "why": one.why,
        "run": _run_of(one),
        "files": f"{version.n_files:,}, {with_unit('_bytes', version.size_bytes)}",
        "digest": version.digest,
        "uid": version.uid,
        "tags": ", ".join(version.tags),
        "description": version.description,
        "metadata": msgspec.json.encode(plain(version.metadata)).decode() if version.metadata else "",
    }
    for name, value in facts.items():
        if value:
            say(f"  {name}: {value}")
    for name, value in list((summary or {}).items())[:_MAX_SHOWN]:
        say(f"  summary {name}: {short(value, 100)}")
    return 0


def _summary(runs: RunSource, one: LinkedVersion) -> dict[str, Any] | None:
    """Return the summary of the run that logged a version, under dotted keys; None where there is none."""
    of = one.version.logged_by
    if of is None:
        return None
    runs.refresh()
    try:
        view = runs.run(of.project, of.run)
    except NotFoundError:
        return None
    return {key: json_number(value) for key, value in flat(view.summary).items()}


def show_audit(args: argparse.Namespace) -> int:
    """Print or export the changes."""
    name = model_of(args.name) if args.name else None
    source = open_registry(args)
    entries = _all_entries(source, name, args.after)
    if args.export:
        return _export(args.export, entries)
    if args.json:
        print_json([msgspec.to_builtins(entry) for entry in entries])
        return 0
    rows = [(str(e.number), when(e.at_ns), e.who, _what(e), e.why, e.hash[:12]) for e in entries]
    if not rows:
        say(f"No changes of the registry of {source.place}.")
        return 0
    _print_table(("number", "when", "who", "what", "why", "hash"), rows, right=("number",))
    return 0


def verify_audit(args: argparse.Namespace) -> int:
    """Check the chain of hashes; return 1 where it is not whole."""
    check, is_head_seen = ChainCheck(), not args.head
    place = args.file or ""
    if not args.file:
        source = open_registry(args)
        place = source.place
    entries = _read_export(args.file) if args.file else _all_entries(source, None, 0)
    for entry in entries:
        check.add([entry])
        is_head_seen = is_head_seen or entry.hash == args.head
    troubles = list(check.troubles)
    if not is_head_seen:
        troubles.append(f"no change has the hash {args.head}: changes are missing at the end, or all were made anew")
    if args.json:
        result = {"place": place, "n_entries": check.n_entries, "head": check.head, "troubles": troubles}
        print_json({**result, "is_whole": not troubles})
    else:
        for trouble in troubles:
            sys.stderr.write(f"tracker: {printable(trouble)}\n")
        state = "NOT whole" if troubles else "whole"
        say(f"The audit of {place} is {state}: {check.n_entries} changes, head {check.head}")
    return NOT_MET if troubles else 0


def _all_entries(source: ArtifactSource, name: str | None, after: int) -> Iterator[AuditEntry]:
    while entries := source.audit(name, after, _PAGE):
        yield from entries
        after = entries[-1].number


def _export(path: str, entries: Iterator[AuditEntry]) -> int:
    lines = (msgspec.json.encode(entry) + b"\n" for entry in entries)
    if path == "-":
        sys.stdout.buffer.writelines(lines)
        return 0
    temporary = f"{path}.part"
    with open(temporary, "wb") as file:
        file.writelines(lines)
    os.replace(temporary, path)
    return 0


def _read_export(path: str) -> Iterator[AuditEntry]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield msgspec.json.decode(line, type=AuditEntry)
            except msgspec.MsgspecError as error:
                remedy = "export it with: tracker registry audit --export FILE"
                raise UsageError(f"{path}, line {number}", str(error), "an entry of the audit", remedy) from None


def _what(entry: AuditEntry) -> str:
    """Return a change in words."""
    at = "" if entry.version is None else f":v{entry.version}"
    words: dict[str, Any] = entry.detail
    if entry.action == "set alias":
        before = "" if words.get("from") is None else f" (was v{words['from']})"
        return f"{words.get('alias')} -> {entry.model}{at}{before}"
    rest = words.get("alias") or words.get("artifact") or words.get("type") or ""
    return f"{entry.action} {entry.model}{at}" + (f": {rest}" if rest else "")


def _aliases(model: RegisteredModel) -> str:
    return ", ".join(f"{alias} v{number}" for alias, number in sorted(model.aliases.items()))


def _run_of(one: LinkedVersion) -> str:
    run = one.version.logged_by
    return f"{run.project}/{run.run}" if run else ""


def _print_table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[str, ...] = ()) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading != "why")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    # A log of continuous integration is no terminal: nothing is cut there.
    Console(width=None if sys.stdout.isatty() else _WIDE_CHARS).print(table)

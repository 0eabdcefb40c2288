"""What the commands of `tracker registry` share: where to look, how models are named, exit codes, how they are told."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from tracker_core.artifacts.names import parse_path
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import REGISTRY, LinkedVersion, VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from ..query.run_source import RunSource
from ..runs.run_view import json_number
from .terminal_text import printable
from .where import add_where, open_api

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command: TypeAlias = Callable[[argparse.Namespace], int]
NOT_MET = 1
NOT_FOUND = 3


def add_action(actions: Parsers, name: str, help: str, run: Command) -> argparse.ArgumentParser:
    """Add an action with what all of them take."""
    text = f"{help[:1].upper()}{help[1:]}."
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help, description=text)
    parser.set_defaults(run=with_exit_codes(run))
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_where(parser)
    return parser


def add_deciding(parser: argparse.ArgumentParser) -> None:
    """Add what actions take that change something."""
    parser.add_argument("--why", metavar="TEXT", default="", help="a reason, kept in the audit")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def with_exit_codes(run: Command) -> Command:
    """Return a command that exits with 3 where something is not found."""

    @functools.wraps(run)
    def called(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except NotFoundError as error:
            sys.stderr.write(f"tracker: {printable(str(error))}\n")
            return NOT_FOUND

    return called


def open_runs(args: argparse.Namespace) -> RunSource:
    """Return the runs of the place that the arguments name."""
    return open_api(args).source


def open_registry(args: argparse.Namespace) -> ArtifactSource:
    """Return the artifacts of the place that the arguments name."""
    return open_runs(args).artifacts


def model_of(text: str) -> str:
    """Return the name of a registered model that is named alone; raises UsageError otherwise."""
    name, which = model_and_which(text)
    if which:
        raise UsageError("NAME", f"{text!a:.200}", "a registered model without a version", f"write {name}")
    return name


def model_and_which(text: str) -> tuple[str, str]:
    """Return the name of a registered model and what follows its colon, "" for nothing; raises UsageError."""
    path = parse_path(text if "/" in text else f"{REGISTRY}/{text}", "NAME")
    if not path.is_registered:
        raise UsageError("NAME", f"{text!a:.200}", f"a registered model, as NAME or {REGISTRY}/NAME", "leave out the /")
    return path.name, path.which if ":" in text else ""


def artifact_named(version: VersionInfo) -> str:
    """Return what a version of an artifact is called."""
    return f"{version.project}/{version.name}:{version.version}"


def plain(value: Any) -> Any:
    """Return structs as JSON can hold them."""
    return json_number(msgspec.to_builtins(value))


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{printable(text)}\n")


def linked_as_dict(linked: LinkedVersion) -> dict[str, Any]:
    """Return a version of a registered model for JSON, with the names that people use."""
    return {"version_name": f"v{linked.number}", "artifact": artifact_named(linked.version), **plain(linked)}

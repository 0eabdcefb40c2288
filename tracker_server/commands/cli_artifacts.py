"""`tracker artifact`: list, show, fetch and put artifacts; `cli_artifact_changes` changes them.

Exit codes: 0 done, 1 something found wrong, 2 wrong use, 3 not found.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.api import Api
from tracker_core.artifacts.artifact import Artifact
from tracker_core.artifacts.names import parse_path
from tracker_core.artifacts.wire import VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from .cli_artifact_changes import add_changes
from .cli_runs import print_json, when
from .cli_system import with_unit
from .cli_verify import add_upkeep
from .registry_arguments import Parsers, add_action, artifact_named, plain, say
from .terminal_text import printable
from .where import open_api

_NAME_HELP = "[PROJECT/]NAME, behind it :v3, :alias or :digest (default: the latest)"


def add_artifact(commands: Parsers) -> None:
    """Add `tracker artifact` with its actions."""
    artifact = commands.add_parser(
        "artifact",
        help="list, show, fetch, put and change artifacts",
        description="Artifacts: versioned sets of files that runs log and use.",
        epilog="Exit codes: 0 done, 1 something found wrong, 2 wrong use, 3 not found.",
    )
    actions = artifact.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = add_action(actions, "list", "list artifacts, or the versions of one", list_artifacts)
    listing.add_argument("name", metavar="PROJECT or PROJECT/NAME", nargs="?", help="default: all artifacts")
    listing.add_argument("--type", metavar="TYPE", help="only artifacts of this type")
    show = add_action(actions, "show", "show a version, its files and where it came from", show_version)
    show.add_argument("name", metavar="NAME", help=_NAME_HELP)
    show.add_argument("--files", metavar="N", type=int, default=20, help="list so many files (default %(default)s)")
    get = add_action(actions, "get", "download the files of a version", get_files)
    get.add_argument("name", metavar="NAME", help=_NAME_HELP)
    get.add_argument("--to", metavar="FOLDER", help="where to (default: artifacts/NAME:vN)")
    get.add_argument("--prefix", metavar="TEXT", help="only files whose names begin with it")
    get.add_argument("--exactly", action="store_true", help="remove other files from that folder")
    get.add_argument("--allow-missing-references", action="store_true", help="go on where a reference is gone")
    compare = add_action(actions, "compare", "compare a folder with a version; 1 where it differs", compare_folder)
    compare.add_argument("name", metavar="NAME", help=_NAME_HELP)
    compare.add_argument("folder", metavar="FOLDER", help="the folder")
    add_changes(actions)
    add_upkeep(actions)


def list_artifacts(args: argparse.Namespace) -> int:
    """List artifacts, or the versions of one."""
    api = open_api(args)
    if args.name and "/" in args.name.strip("/"):
        return _list_versions(args, api)
    found = api.artifact_collections(args.name.strip("/") if args.name else None, args.type)
    if args.json:
        print_json([plain(one.info) for one in found])
        return 0
    if not found:
        say(f"No artifacts in {api.place}.")
        return 0
    rows = [
        (
            f"{one.project}/{one.name}",
            one.type,
            str(len(one)),
            ", ".join(one.aliases),
            with_unit("_bytes", one.info.size_bytes),
            when(one.info.updated_ns),
        )
        for one in found
    ]
    _print_table(("artifact", "type", "versions", "aliases", "size", "changed"), rows, right=("versions", "size"))
    return 0


def _list_versions(args: argparse.Namespace, api: Api) -> int:
    infos = [version._logged("list") for version in api.artifact_collection(args.type, args.name).versions()]
    if args.json:
        print_json([_as_dict(info) for info in infos])
        return 0
    rows = [
        (
            info.version,
            ", ".join(info.aliases),
            f"{info.n_files:,}",
            with_unit("_bytes", info.size_bytes),
            when(info.created_ns),
            _run_of(info),
            info.description,
        )
        for info in infos
    ]
    headings = ("version", "aliases", "files", "size", "logged", "run", "description")
    _print_table(headings, rows, right=("files", "size"))
    return 0


def show_version(args: argparse.Namespace) -> int:
    """Show a version."""
    artifact = open_api(args).artifact(_named(args.name))
    info = artifact._logged("show")
    entries = list(artifact._loaded_manifest())
    if args.json:
        files = [
            {
                "path": one.path,
                "size_bytes": one.size_bytes,
                "digest": one.digest.hex(),
                "reference": one.reference,
                "checksum": one.checksum,
            }
            for one in entries
        ]
        print_json({**_as_dict(info), "files": files})
        return 0
    say(f"{artifact_named(info)}, a {info.type}")
    for name, value in _facts(artifact, info).items():
        if value:
            say(f"  {name}: {value}")
    shown = entries[: max(0, args.files)]
    rows = [(one.path, _size(one.size_bytes), one.reference or one.digest.hex()[:12]) for one in shown]
    if rows:
        _print_table(("file", "size", "content"), rows, right=("size",))
    if len(entries) > len(shown):
        say(f"and {len(entries) - len(shown):,} more; --files {len(entries)} lists all")
    return 0


def get_files(args: argparse.Namespace) -> int:
    """Download the files of a version."""
    artifact = open_api(args).artifact(_named(args.name))
    if args.exactly and args.prefix:
        raise UsageError("--exactly", "--prefix too", "one of the two", "leave one of them out")
    folder = artifact.checkout(args.to) if args.exactly else None
    folder = folder or artifact.download(args.to, args.allow_missing_references, path_prefix=args.prefix)
    if args.json:
        print_json({"folder": folder, **_as_dict(artifact._logged("get"))})
    else:
        say(folder)
    return 0


def compare_folder(args: argparse.Namespace) -> int:
    """Compare a folder with a version; return 1 where it differs."""
    artifact = open_api(args).artifact(_named(args.name))
    if not os.path.isdir(args.folder):
        raise NotFoundError(f"there is no folder {args.folder!r}")
    try:
        artifact.verify(args.folder)
    except UsageError as error:
        if args.json:
            print_json({"is_same": False, "got": error.got})
        else:
            say(f"differs: {error.got}")
        return 1
    if args.json:
        print_json({"is_same": True})
    else:
        say(f"{args.folder} holds {artifact.qualified_name}, file by file.")
    return 0


def _named(text: str) -> str:
    parse_path(text, "NAME")
    return text


def _facts(artifact: Artifact, info: VersionInfo) -> dict[str, Any]:
    import msgspec

    used = artifact._place.source.users(info.uid) if artifact._place is not None else []
    users = dict.fromkeys(f"{use.run.project}/{use.run.run}" for use in used if not use.is_output)
    return {
        "aliases": ", ".join(info.aliases),
        "tags": ", ".join(info.tags),
        "logged": f"{when(info.created_ns)}" + (f" by {info.created_by}" if info.created_by else ""),
        "run": _run_of(info),
        "used by": ", ".join(list(users)[:10]) + (f" and {len(users) - 10} more" if len(users) > 10 else ""),
        "registered as": ", ".join(f"{model}:v{number}" for model, number in info.registered_as),
        "size": f"{info.n_files:,} file{'s'[: info.n_files != 1]}, {with_unit('_bytes', info.size_bytes)}",
        "expires": "" if info.expires_ns is None else when(info.expires_ns),
        "digest": info.digest,
        "uid": info.uid,
        "description": info.description,
        "metadata": msgspec.json.encode(plain(info.metadata)).decode() if info.metadata else "",
    }


def _as_dict(info: VersionInfo) -> dict[str, Any]:
    return {"version": info.version, **plain(info)}


def _run_of(info: VersionInfo) -> str:
    return "" if info.logged_by is None else f"{info.logged_by.project}/{info.logged_by.run}"


def _size(size_bytes: int) -> str:
    return "" if size_bytes < 0 else with_unit("_bytes", size_bytes)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    Console().print(table)

"""`tracker artifact put`, `alias`, `tag`, `describe` and `delete`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from tracker_core.artifacts.artifact import Artifact
from tracker_core.artifacts.commit import commit
from tracker_core.artifacts.names import check_alias, check_aliases, check_tags, parse_collection
from tracker_core.artifacts.path_drafts import drafted
from tracker_core.artifacts.wire import VersionEdit
from tracker_core.errors import UsageError
from tracker_core.paths import check_project
from tracker_core.settings import load_settings

from .cli_runs import print_json
from .registry_arguments import Parsers, add_action, artifact_named, plain, say
from .where import open_api

_ONE_HELP = "[PROJECT/]NAME:VERSION, with v3, an alias or a digest as version"


def add_changes(actions: Parsers) -> None:
    """Add the actions that change something."""
    put = add_action(actions, "put", "make a version of a file or folder", put_files)
    put.add_argument("path", metavar="PATH", help="a file, a folder, or the address of a reference")
    put.add_argument("--name", metavar="[PROJECT/]NAME", help="name of the artifact (default: that of the file)")
    put.add_argument("--type", metavar="TYPE", default="unspecified", help="type of the artifact")
    put.add_argument("--alias", metavar="ALIAS", action="append", default=[], help="an alias that moves to it")
    put.add_argument("--tag", metavar="TAG", action="append", default=[], help="a label of the version")
    put.add_argument("--description", metavar="TEXT", default="", help="free text")
    put.add_argument("--metadata", metavar="JSON", help="a JSON object, or @FILE with one")
    alias = add_action(actions, "alias", "move aliases to a version, or take them off it", change_aliases)
    alias.add_argument("name", metavar="NAME", help=_ONE_HELP)
    alias.add_argument("--add", metavar="ALIAS", action="append", default=[], help="an alias that moves to it")
    alias.add_argument("--remove", metavar="ALIAS", action="append", default=[], help="an alias to take off it")
    edit = add_action(actions, "edit", "change description, tags or metadata of a version", change_version)
    edit.add_argument("name", metavar="NAME", help=_ONE_HELP)
    edit.add_argument("--description", metavar="TEXT", help="the new description")
    edit.add_argument("--tag", metavar="TAG", action="append", help="the new tags, each with a --tag of its own")
    edit.add_argument("--metadata", metavar="JSON", help="the new metadata: a JSON object, or @FILE with one")
    delete = add_action(actions, "delete", "delete versions; their bytes go with `tracker gc`", delete_versions)
    delete.add_argument("names", metavar="NAME", nargs="+", help=_ONE_HELP)
    delete.add_argument("--delete-aliases", action="store_true", help="also versions that have aliases")
    delete.add_argument("--dry-run", action="store_true", help="only say what would be done")
    for parser in (alias, edit, delete):
        parser.add_argument("--why", metavar="TEXT", default="", help="a reason, kept with the decision")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def put_files(args: argparse.Namespace) -> int:
    """Make a version of a file or folder, without a run."""
    api = open_api(args)
    name = parse_collection(args.name, "--name") if args.name else None
    project = check_project(name.project if name and name.project else load_settings().project, "--name")
    artifact = drafted(args.path, name.name if name else None, args.type, project, "", "PATH")
    artifact.description = args.description
    artifact.metadata = _metadata(args.metadata)
    artifact.tags = args.tag
    info = commit(artifact, api._place(), project, check_aliases(args.alias, "--alias"))
    if args.json:
        print_json({"version": info.version, **plain(info)})
    else:
        say(artifact_named(info))
    return 0


def change_aliases(args: argparse.Namespace) -> int:
    """Move aliases to a version, or take them off it."""
    if not args.add and not args.remove:
        raise UsageError("tracker artifact alias", "neither --add nor --remove", "one of them", "add --add best")
    add = [check_alias(alias, "--add") for alias in args.add]
    edit = VersionEdit(add_aliases=add, remove_aliases=[check_alias(alias, "--remove") for alias in args.remove])
    return _edit(args, edit)


def change_version(args: argparse.Namespace) -> int:
    """Change the description, tags or metadata of a version."""
    edit = VersionEdit(
        description=args.description,
        tags=None if args.tag is None else check_tags(args.tag, "--tag"),
        metadata=None if args.metadata is None else _metadata(args.metadata),
    )
    if edit == VersionEdit():
        raise UsageError("tracker artifact edit", "nothing to change", "a change", "add --description TEXT")
    return _edit(args, edit)


def delete_versions(args: argparse.Namespace) -> int:
    """Delete versions, all or none of one place."""
    api = open_api(args)
    found: dict[str, str] = {}
    for name in args.names:
        if ":" not in name:
            remedy = f"write {name}:v0, or {name}:latest --delete-aliases"
            raise UsageError("NAME", f"{name!a:.200} without a version", "a version", remedy)
        info = _source_version(api.artifact(name))
        found[info.uid] = artifact_named(info)
    if args.dry_run:
        say(f"Would delete {', '.join(found.values())}.")
        return 0
    _ask(args, f"Delete {', '.join(found.values())}?")
    api.source.artifacts.delete(list(found), args.why, args.delete_aliases)
    if args.json:
        print_json(list(found.values()))
    else:
        say(f"Deleted {', '.join(found.values())}; `tracker gc` gives back what nothing needs any more.")
    return 0


def _edit(args: argparse.Namespace, edit: VersionEdit) -> int:
    api = open_api(args)
    info = api.source.artifacts.edit(_source_version(api.artifact(args.name)).uid, edit, args.why)
    if args.json:
        print_json({"version": info.version, **plain(info)})
    else:
        say(f"{artifact_named(info)}: aliases {', '.join(info.aliases) or 'none'}")
    return 0


def _source_version(artifact: Artifact) -> Any:
    """Return a version of an artifact; raises UsageError for one that was named by its registered model."""
    if artifact.is_link:
        remedy = f"write {artifact.source_qualified_name}, or use `tracker registry`"
        raise UsageError("NAME", f"{artifact.qualified_name!r}, of the registry", "a version of an artifact", remedy)
    return artifact._logged("NAME")


def _metadata(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text.startswith("@"):
        with open(os.path.expanduser(text[1:]), encoding="utf-8") as file:
            text = file.read()
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("--metadata", f"{text!a:.200} ({error})", "a JSON object", "write '{\"rows\": 10}'") from None
    if not isinstance(values, dict):
        raise UsageError("--metadata", f"{text!a:.200}", "a JSON object", "write '{\"rows\": 10}'")
    return values


def _ask(args: argparse.Namespace, question: str) -> None:
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("--yes", "no terminal to ask at", "a confirmation", "add --yes to delete without being asked")
    sys.stdout.write(f"{question} There is no way back. [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SystemExit(1)

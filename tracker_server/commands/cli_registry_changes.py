"""`tracker registry link|unlink|promote|alias|card|delete`."""

from __future__ import annotations

import argparse
import sys

from tracker_core.artifacts.names import check_aliases, parse_path
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import LinkedVersion, RunRef, VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from ..artifacts.promotion import Gate, Promotion, promote
from .cli_runs import print_json
from .registry_arguments import (
    NOT_MET,
    Parsers,
    add_action,
    add_deciding,
    artifact_named,
    linked_as_dict,
    model_and_which,
    model_of,
    open_registry,
    open_runs,
    plain,
    say,
)


def add_changes(actions: Parsers) -> None:
    """Add the actions."""
    linking = add_action(actions, "link", "put a version of an artifact into a registered model", link)
    linking.add_argument("name", metavar="NAME", help="the model; it is made where there is none")
    linking.add_argument("version", metavar="PROJECT/ARTIFACT:VERSION", help="the version: v3, an alias or a digest")
    linking.add_argument("--alias", metavar="ALIAS", action="append", default=[], help="may be given several times")
    add_deciding(linking)
    unlinking = add_action(actions, "unlink", "take a version out of a registered model", unlink)
    unlinking.add_argument("name", metavar="NAME:VERSION", help="v3 of the model, or an alias")
    add_deciding(unlinking)
    _add_promote(actions)
    aliasing = add_action(actions, "alias", "move aliases to a version, or take them off", change_aliases)
    aliasing.add_argument("name", metavar="NAME:VERSION", help="v3 of the model, or an alias")
    aliasing.add_argument("--add", metavar="ALIAS", action="append", default=[], help="may be given several times")
    aliasing.add_argument("--remove", metavar="ALIAS", action="append", default=[], help="may be given several times")
    add_deciding(aliasing)
    card = add_action(actions, "card", "print the card of a registered model, or change it", model_card)
    card.add_argument("name", metavar="NAME", help="the model")
    card.add_argument("--set", metavar="FILE", help="take it from this markdown file; - is stdin")
    add_deciding(card)
    deleting = add_action(actions, "delete", "delete a registered model; what it links stays", delete)
    deleting.add_argument("name", metavar="NAME", help="the model")
    deleting.add_argument("--yes", action="store_true", help="do not ask")
    add_deciding(deleting)


def _add_promote(actions: Parsers) -> None:
    parser = add_action(actions, "promote", "move an alias to a version whose run is good enough", promote_version)
    parser.add_argument("name", metavar="NAME", help="the model")
    from_help = "the version: an alias, or v3 (default %(default)s)"
    parser.add_argument("--from", dest="from_", metavar="VERSION", default="candidate", help=from_help)
    parser.add_argument("--to", metavar="ALIAS", default="production", help="the alias (default %(default)s)")
    require_help = "a filter that the run must match, such as 'summary[\"val/accuracy\"] >= 0.92'; several: all of them"
    parser.add_argument("--require", metavar="FILTER", action="append", default=[], help=require_help)
    run_help = "whose values count: a run that used the version (default: the run that logged it)"
    parser.add_argument("--run", dest="run_path", metavar="PROJECT/ID", help=run_help)
    parser.add_argument("--move", action="store_true", help="take the alias --from off the version")
    add_deciding(parser)


def link(args: argparse.Namespace) -> int:
    """Link a version."""
    name, aliases = model_of(args.name), check_aliases(args.alias, "--alias")
    source = open_registry(args)
    version = _artifact(source, args.version)
    if args.dry_run:
        _require_type(source, name, version)
        return _tell_dry(args, f"Would link {artifact_named(version)} to {name}{_with(aliases)}.")
    linked = source.link(name, version.uid, aliases, args.why)
    return _tell_linked(args, linked, f"{artifact_named(version)} is {name}:v{linked.number}{_with(linked.aliases)}.")


def unlink(args: argparse.Namespace) -> int:
    """Unlink a version."""
    source, linked = _found(args)
    text = f"{linked.model}:v{linked.number}, which is {artifact_named(linked.version)}{_with(linked.aliases)}"
    if args.dry_run:
        return _tell_dry(args, f"Would unlink {text}.")
    source.unlink(linked.model, linked.number, args.why)
    return _tell_linked(args, linked, f"Unlinked {text}.")


def promote_version(args: argparse.Namespace) -> int:
    """Promote a version; return 1 where a gate is not met."""
    name = model_of(args.name)
    runs = open_runs(args)
    runs.refresh()
    done = promote(
        runs.artifacts,
        runs,
        name,
        args.from_,
        args.to,
        args.require,
        args.why,
        _run_ref(args.run_path),
        args.move,
        args.dry_run,
    )
    if args.json:
        print_json({**plain(done), "is_dry_run": args.dry_run})
    else:
        _tell_promotion(done, args.dry_run)
    return 0 if done.is_met else NOT_MET


def change_aliases(args: argparse.Namespace) -> int:
    """Move aliases, and take others off."""
    added, removed = check_aliases(args.add, "--add"), check_aliases(args.remove, "--remove")
    if not added and not removed:
        remedy = "name aliases with --add or --remove"
        raise UsageError("tracker registry alias", "neither --add nor --remove", "what to change", remedy)
    source, linked = _found(args)
    absent = [alias for alias in removed if alias not in linked.aliases]
    if absent:
        raise NotFoundError(f"{linked.model}:v{linked.number} has no alias {absent[0]!r}{_with(linked.aliases)}")
    if args.dry_run:
        parts = [f"set {', '.join(added)}"] * bool(added) + [f"remove {', '.join(removed)}"] * bool(removed)
        return _tell_dry(args, f"Would {' and '.join(parts)} at {linked.model}:v{linked.number}.")
    linked = source.set_model_aliases(linked.model, linked.number, added, removed, args.why)
    return _tell_linked(
        args, linked, f"{linked.model}:v{linked.number} is {artifact_named(linked.version)}{_with(linked.aliases)}."
    )


def model_card(args: argparse.Namespace) -> int:
    """Print or change a card."""
    name = model_of(args.name)
    source = open_registry(args)
    model = source.model(name)
    if args.set is not None:
        text = _read_text(args.set)
        if args.dry_run:
            return _tell_dry(args, f"Would change the card of {name} from {len(model.card)} to {len(text)} characters.")
        model = source.set_card(name, text, args.why)
    if args.json:
        print_json({"name": model.name, "card": model.card})
    elif args.set is None:
        sys.stdout.write(model.card if model.card.endswith("\n") or not model.card else f"{model.card}\n")
    else:
        say(f"The card of {name} has {len(model.card)} characters.")
    return 0


def delete(args: argparse.Namespace) -> int:
    """Delete a registered model."""
    name = model_of(args.name)
    source = open_registry(args)
    model = source.model(name)
    if args.dry_run:
        return _tell_dry(args, f"Would delete {name}, which links {model.n_versions} versions.")
    if not args.yes:
        raise UsageError("--yes", "no confirmation", "one", "add --yes; the versions that it links stay, the audit too")
    source.delete_model(name, args.why)
    if args.json:
        print_json({"deleted": name})
    else:
        say(f"Deleted {name}. The versions that it linked stay.")
    return 0


def _artifact(source: ArtifactSource, text: str) -> VersionInfo:
    path = parse_path(text, "PROJECT/ARTIFACT:VERSION")
    if path.is_registered:
        return source.resolve_linked(path.name, path.which).version
    if path.project is None:
        remedy = f"write PROJECT/{text}"
        raise UsageError("PROJECT/ARTIFACT:VERSION", f"{text!a:.200}", "a project before the name", remedy)
    return source.resolve(path.project, path.name, path.which)


def _require_type(source: ArtifactSource, name: str, version: VersionInfo) -> None:
    """Raise what linking would raise."""
    try:
        model = source.model(name)
    except NotFoundError:
        return
    if model.type != version.type:
        got, expected = f"an artifact of type {version.type!r}", f"one of type {model.type!r}, as those in it"
        raise UsageError(f"registered model {name!r}", got, expected, "link it to another name")


def _found(args: argparse.Namespace) -> tuple[ArtifactSource, LinkedVersion]:
    name, which = model_and_which(args.name)
    if not which:
        raise UsageError("NAME:VERSION", repr(args.name)[:200], "a version", f"write {name}:v3 or {name}:production")
    source = open_registry(args)
    return source, source.resolve_linked(name, which)


def _run_ref(path: str | None) -> RunRef | None:
    if path is None:
        return None
    parts = path.strip("/").removeprefix("local/").split("/")
    if len(parts) != 2 or not all(parts):
        raise UsageError("--run", f"{path!a:.200}", "PROJECT/ID", "see `tracker runs`")
    return RunRef(*parts)


def _read_text(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode()
        with open(path, "rb") as file:
            return file.read().decode()
    except UnicodeDecodeError:
        raise UsageError("--set", f"{path!a:.200}, which is not UTF-8", "a markdown file", "save it as UTF-8") from None


def _tell_linked(args: argparse.Namespace, linked: LinkedVersion, text: str) -> int:
    if args.json:
        print_json(linked_as_dict(linked))
    else:
        say(text)
    return 0


def _tell_dry(args: argparse.Namespace, text: str) -> int:
    if args.json:
        print_json({"is_dry_run": True, "would": text})
    else:
        say(text)
    return 0


def _tell_promotion(done: Promotion, is_dry_run: bool) -> None:
    for gate in done.gates:
        say(f"{'✓' if gate.is_met else '✕'} {gate.requirement}  ({_values(gate)})")
    version = f"{done.model}:v{done.number} ({done.artifact})"
    before = f"; it was at v{done.replaced}" if done.replaced is not None else ""
    if not done.is_met:
        say(f"{version} is not promoted to {done.to}: a gate is not met.")
    elif is_dry_run:
        say(f"Would promote {version} to {done.to}{before}.")
    else:
        say(f"{version} is promoted to {done.to}{before}.")


def _values(gate: Gate) -> str:
    return gate.reason or ", ".join(f"{name} = {value}" for name, value in gate.values.items()) or "no values"


def _with(aliases: list[str]) -> str:
    return f", with {', '.join(aliases)}" if aliases else ""

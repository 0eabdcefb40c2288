"""`tracker artifact retention`: which versions of an artifact are kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec

from tracker_core.artifacts.names import parse_collection
from tracker_core.artifacts.wire import Best, Retention
from tracker_core.errors import UsageError
from tracker_core.settings import load_settings

from .cli_runs import print_json
from .durations import seconds
from .registry_arguments import Parsers, add_action, plain, say
from .where import open_api

_DAY_S = 86_400


def add_retention(actions: Parsers) -> None:
    """Add it to the actions of `tracker artifact`."""
    parser = add_action(actions, "retention", "show or change which versions of an artifact are kept", retention)
    parser.add_argument("name", metavar="[PROJECT/]NAME", help="the artifact")
    parser.add_argument("--keep-last", metavar="N", type=int, help="keep the newest N")
    parser.add_argument("--keep-best", metavar="N", type=int, help="keep the N whose runs are best by --metric")
    parser.add_argument("--metric", metavar="KEY", help="a summary value of the runs, such as val/loss")
    parser.add_argument("--goal", choices=["minimize", "maximize"], default="minimize", help="(default %(default)s)")
    parser.add_argument("--ttl", metavar="TIME", help="keep what is younger, as 30d")
    parser.add_argument("--protect", metavar="ALIAS", action="append", help="keep what has this alias, always")
    parser.add_argument("--clear", action="store_true", help="first take all rules off: everything is kept")


def retention(args: argparse.Namespace) -> int:
    """Show the rules of an artifact; with options change those that they name, and leave the others."""
    path = parse_collection(args.name, "NAME")
    source = open_api(args).source.artifacts
    project = path.project or load_settings().project
    info = source.collection(project, path.name)
    changed = _changed(args, Retention() if args.clear else info.retention)
    if changed != info.retention:
        info = source.set_retention(project, path.name, changed)
    if args.json:
        print_json(plain(info.retention))
        return 0
    say(f"{project}/{path.name} keeps {'; '.join(_told(info.retention)) or 'everything'}.")
    if _has_rule(info.retention):
        say("See what that lets go with: tracker gc --dry-run")
    return 0


def _changed(args: argparse.Namespace, rules: Retention) -> Retention:
    if (args.keep_best is None) != (args.metric is None):
        raise UsageError("--keep-best", "without --metric, or that alone", "both", "add the other one")
    if args.keep_last is not None:
        rules = msgspec.structs.replace(rules, keep_last=args.keep_last)
    if args.keep_best is not None:
        rules = msgspec.structs.replace(rules, keep_best=Best(args.metric, args.keep_best, args.goal))
    if args.ttl is not None:
        rules = msgspec.structs.replace(rules, ttl_days=seconds(args.ttl, "--ttl") / _DAY_S)
    if args.protect is not None:
        rules = msgspec.structs.replace(rules, protected_aliases=(*rules.protected_aliases, *args.protect))
    return rules


def _told(rules: Retention) -> Iterator[str]:
    if rules.keep_last is not None:
        yield f"the newest {rules.keep_last}"
    if (best := rules.keep_best) is not None:
        yield f"the best {best.n} by {best.metric} ({best.goal})"
    if rules.ttl_days is not None:
        yield f"what is younger than {rules.ttl_days:g} days"
    if _has_rule(rules):
        if rules.protected_aliases:
            yield f"what has one of the aliases {', '.join(rules.protected_aliases)}"
        yield "what the registry links"
    elif rules.protected_aliases:
        yield f"everything; versions with the aliases {', '.join(rules.protected_aliases)} cannot be deleted"


def _has_rule(rules: Retention) -> bool:
    return rules.keep_last is not None or rules.keep_best is not None or rules.ttl_days is not None

"""`tracker run -- COMMAND ...`."""

from __future__ import annotations

import argparse
import os

from tracker_core.errors import UsageError
from tracker_core.settings import Settings, env_name, load_settings, merge_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker run` to its parser."""
    parser.add_argument("--project", help='project of the run (default: TRACKER_PROJECT, else "uncategorized")')
    parser.add_argument("--name", help="name shown for the run")
    parser.add_argument("--group", help="group of runs that belong together")
    parser.add_argument("--tags", help="tags, separated by commas")
    parser.add_argument("--id", help="id of the run; one used before is a new attempt of that run")
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--no-console", dest="console", action="store_false", help="do not record what is printed")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="the command to run")


def run_command(args: argparse.Namespace) -> int:
    """Run a command as a run; return its exit code.

    Raises:
        UsageError: there is no command, or a setting is not what it must be.
    """
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("tracker run", "no command", "one behind --", "tracker run -- python train.py")
    from ..launch.launcher import launch_command

    return launch_command(command, _settings(args))


def _settings(args: argparse.Namespace) -> Settings:
    environ = dict(os.environ)
    if environ.pop(env_name("launcher"), None):
        environ.pop(env_name("run_id"), None)  # of the `tracker run` around this one, which is another run
    given = {
        "project": args.project,
        "name": args.name,
        "group": args.group,
        "tags": args.tags,
        "run_id": args.id,
        "dir": args.dir,
        "console": None if args.console else "off",
    }
    return merge_settings(load_settings(environ=environ), given)

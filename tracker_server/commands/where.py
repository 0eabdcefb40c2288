"""Where a command looks for runs: a folder or a server."""

from __future__ import annotations

import argparse

from tracker_core.api import Api
from tracker_core.errors import UsageError


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name it."""
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    server_help = "look there in place of a folder (default without --dir: TRACKER_BASE_URL, or that of tracker login)"
    parser.add_argument("--server", metavar="URL", help=server_help)


def open_api(args: argparse.Namespace) -> Api:
    """Return the runs of the place that the arguments name; raises UsageError where these name two."""
    if args.dir is not None and args.server is not None:
        raise UsageError("--server", "--dir too", "one of the two", "leave one of them out")
    return Api(args.dir, args.server)

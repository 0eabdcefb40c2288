"""`tracker stop`: ask running runs to stop."""

from __future__ import annotations

import argparse
import sys
import time

from tracker_core.api import ApiRun
from tracker_core.errors import UsageError

from .terminal_text import printable
from .where import add_where, open_api

_LOOK_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker stop`."""
    parser.add_argument("paths", metavar="RUN", nargs="+", help="project/id, or the id alone")
    parser.add_argument("--why", metavar="TEXT", default="", help="a reason, kept with the decision and shown")
    parser.add_argument("--withdraw", action="store_true", help="take it back, where the run has not stopped yet")
    parser.add_argument("--wait", metavar="SECONDS", type=float, help="wait so long until they have ended")
    add_where(parser)


def stop(args: argparse.Namespace) -> int:
    """Ask runs to stop; with --wait return 1 where one goes on all the same."""
    if args.wait is not None and not args.wait >= 0:
        raise UsageError("--wait", repr(args.wait), "a number of seconds from 0 on", "write --wait 60")
    api = open_api(args)
    runs = [api.run(path) for path in args.paths]
    for run in runs:
        if args.withdraw:
            run.withdraw_stop(args.why)
            _say(f"Withdrawn: run {run.path} goes on, unless it had been told already.")
        else:
            is_new = run.stop(args.why)
            _say(f"Run {run.path} is asked to stop{'' if is_new else ', as it was before'}.")
    if args.withdraw:
        return 0
    if args.wait is None:
        _say("Each stops at its next log(), or where its framework lets it. Take it back with: tracker stop --withdraw")
        return 0
    return _wait(runs, args.wait)


def _wait(runs: list[ApiRun], timeout_s: float) -> int:
    deadline_s = time.monotonic() + timeout_s
    going = list(runs)
    while going:
        for run in list(going):
            if run.refresh().state != "running":
                how = f"stopped by {run.stopped_by}" if run.stopped_by else run.state
                _say(f"Run {run.path} ended: {how}.")
                going.remove(run)
        if going and time.monotonic() >= deadline_s:
            for run in going:
                sys.stderr.write(f"tracker: run {printable(run.path)} is still running after {timeout_s:g} s\n")
            return 1
        if going:
            time.sleep(_LOOK_S)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()

"""The command `tracker`."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence

from tracker_core.paths import find_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tracker")
    commands = parser.add_subparsers(dest="command", required=True)
    ui = commands.add_parser("ui", help="serve the dashboard")
    ui.add_argument("--dir", default=None, help="the tracker folder; default: the nearest .tracker")
    ui.add_argument("--host", default="127.0.0.1")
    ui.add_argument("--port", type=int, default=7007)
    ui.add_argument("--no-browser", action="store_true")
    options = parser.parse_args(arguments)
    return _serve(options)


def _serve(options: argparse.Namespace) -> int:
    from .ui_server import serve

    def announce(url: str) -> None:
        sys.stdout.write(f"dashboard: {url}\nstop with Ctrl-C\n")
        sys.stdout.flush()
        if not options.no_browser:
            webbrowser.open(url)

    serve(find_folder(options.dir), options.host, options.port, announce)
    return 0


if __name__ == "__main__":
    sys.exit(main())

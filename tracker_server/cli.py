"""The command `tracker`: parse arguments, call one function, turn errors into one clear line."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Callable, Sequence

from tracker_core.errors import TrackerError
from tracker_core.paths import find_folder
from tracker_core.settings import load_settings
from tracker_core.version import __version__

from . import cli_journal, cli_runs

Commands = argparse._SubParsersAction  # argparse has no public name for it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for a damaged journal, 2 for an error."""
    try:
        args = _parser().parse_args(arguments)
        code: int = args.run(args)
        return code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (TrackerError, OSError) as error:
        sys.stderr.write(f"tracker: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _ui(args: argparse.Namespace) -> int:
    from .ui_server import serve

    folder = find_folder(args.dir or load_settings().dir)

    def announce(url: str) -> None:
        sys.stdout.write(f"Dashboard for {folder}:\n\n    {url}\n\nStop it with Ctrl-C.\n")
        sys.stdout.flush()
        if args.browser:
            webbrowser.open(url)

    serve(folder, host=args.host, port=args.port, on_ready=announce)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tracker", description="Look at the runs of a tracker folder.")
    parser.add_argument("--version", action="version", version=f"tracker {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_ui(commands)
    runs = _command(commands, "runs", "list the runs", cli_runs.list_runs)
    runs.add_argument("project", nargs="?", help="only the runs of this project")
    runs.add_argument("--limit", type=int, default=50, help="at most so many, newest first (default 50; 0: all)")
    _add_output(runs)
    show = _command(commands, "show", "show one run", cli_runs.show_run)
    show.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    _add_output(show)
    _add_journal(commands)
    return parser


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, help: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[:1].upper() + help[1:] + "."
    )
    parser.set_defaults(run=run)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_ui(commands: Commands[argparse.ArgumentParser]) -> None:
    settings = load_settings()
    ui = _command(commands, "ui", "serve the dashboard for a tracker folder", _ui)
    ui.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    ui.add_argument("--host", default=settings.ui_host, help="address to listen at (default %(default)s)")
    port_help = "port to try first; a taken one moves on (default %(default)s)"
    ui.add_argument("--port", type=int, default=settings.ui_port, help=port_help)
    ui.add_argument("--no-browser", dest="browser", action="store_false", help="do not open a browser")


def _add_journal(commands: Commands[argparse.ArgumentParser]) -> None:
    journal = commands.add_parser("journal", help="look into the journals of a run")
    actions = journal.add_subparsers(title="actions", required=True, metavar="ACTION")
    target_help = "a .journal file, a run's folder, or project/id"
    cat = _command(actions, "cat", "print the records of a journal, one a line", cli_journal.cat)
    cat.add_argument("target", metavar="JOURNAL", help=target_help)
    _add_output(cat)
    verify = _command(actions, "verify", "check every block and record of a journal", cli_journal.verify)
    verify.add_argument("target", metavar="JOURNAL", nargs="?", help=f"{target_help} (default: all in the folder)")
    _add_output(verify)


if __name__ == "__main__":
    sys.exit(main())

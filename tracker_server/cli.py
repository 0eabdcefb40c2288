"""The command `tracker`: parse arguments, call one function, turn errors into one clear line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tracker_core.errors import TrackerError
from tracker_core.paths import find_folder
from tracker_core.settings import load_settings
from tracker_core.version import __version__

# argparse has no public name for it, and no parameter outside of annotations.
Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_PACKAGE = __package__ or "tracker_server"
_CHANGES = {
    "delete": "put runs into the trash",
    "undelete": "bring runs back from the trash",
    "archive": "take runs out of the way",
    "unarchive": "show archived runs again",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for something found wrong, 2 for an error, that of a command run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        args = _parser(given[:1]).parse_args(given)
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
    from .http.ui_server import serve

    folder = find_folder(args.dir or load_settings().dir)
    database_url = args.database_url or load_settings().database_url

    def announce(url: str) -> None:
        sys.stdout.write(f"Dashboard for {folder}:\n\n    {url}\n\nStop it with Ctrl-C.\n")
        sys.stdout.flush()
        if args.browser:
            webbrowser.open(url)

    serve(folder, args.host, args.port, announce, database_url)
    return 0


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser. Only what the command in `given` needs is imported, so that help and errors come at once."""
    parser = argparse.ArgumentParser(prog="tracker", description="Record commands as runs, and look at runs.")
    parser.add_argument("--version", action="version", version=f"tracker {__version__}")
    commands: Parsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    chosen = given[0] if given else ""
    _add_later(commands, chosen, "run", "run any command as a run", "cli_launch", "run_command")
    _add_ui(commands)
    _add_later(commands, chosen, "server", "take runs from training machines, and show them", "cli_server", "server")
    _add_later(commands, chosen, "runs", "list the runs", "cli_find", "list_runs")
    _add_later(commands, chosen, "show", "show one run", "cli_show", "show_run")
    _add_later(commands, chosen, "logs", "print what a run printed", "cli_console", "logs")
    _add_later(commands, chosen, "system", "show how the machine and its GPUs fared", "cli_system", "system")
    _add_later(commands, chosen, "files", "list or copy the files kept with a run", "cli_files", "files")
    _add_later(commands, chosen, "export", "write a run or a project as files for others", "cli_export", "export")
    _add_later(commands, chosen, "stop", "ask running runs to stop", "cli_stop", "stop")
    for name, help in _CHANGES.items():
        adding = "add_delete" if name == "delete" else "add_change"
        _add_later(commands, chosen, name, help, "cli_catalog", name, adding)
    _add_own(commands, chosen, "trash", "list deleted runs, or remove them for good", "cli_catalog", "add_trash")
    _add_later(
        commands, chosen, "login", "keep the key for a server, where runs then go", "cli_login", "login", "add_login"
    )
    _add_later(commands, chosen, "logout", "forget the key for a server", "cli_login", "logout", "add_logout")
    _add_own(commands, chosen, "keys", "make, list and revoke the keys of a server", "cli_keys", "add_keys")
    _add_later(commands, chosen, "sync", "send runs to a server: what offline and killed runs left", "cli_sync", "sync")
    _add_own(
        commands, chosen, "artifact", "list, show, fetch, put and change artifacts", "cli_artifacts", "add_artifact"
    )
    _add_own(
        commands, chosen, "registry", "look at registered models, and promote versions", "cli_registry", "add_registry"
    )
    _add_own(commands, chosen, "autoload", "let scripts that cannot be edited log here", "cli_autoload", "add_autoload")
    _add_later(
        commands, chosen, "gc", "remove versions that no rule keeps, and bytes that nothing needs", "cli_gc", "gc"
    )
    _add_later(commands, chosen, "cache", "show or clean what was fetched from servers", "cli_cache", "cache")
    _add_own(commands, chosen, "db", "look after the store: migrate, back up, restore, rebuild", "cli_db", "add_db")
    _add_own(commands, chosen, "doctor", "look for what could be wrong here, with remedies", "cli_doctor", "add_doctor")
    _add_journal(commands)
    return parser


def _later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Return a function of a module of this package that is imported when it is called."""

    def run(args: argparse.Namespace) -> int:
        code: int = getattr(importlib.import_module(f"{_PACKAGE}.commands.{module}"), function)(args)
        return code

    return run


def _add_later(
    commands: Parsers, chosen: str, name: str, help: str, module: str, function: str, adding: str = "add_arguments"
) -> None:
    """Add a command whose module adds its arguments, with its function `adding`."""
    parser = _command(commands, name, help, _later(module, function))
    if name == chosen:
        getattr(importlib.import_module(f"{_PACKAGE}.commands.{module}"), adding)(parser)


def _add_own(commands: Parsers, chosen: str, name: str, help: str, module: str, function: str) -> None:
    """Add a command whose module adds it itself."""
    if name == chosen:
        getattr(importlib.import_module(f"{_PACKAGE}.commands.{module}"), function)(commands)
    else:
        _command(commands, name, help, _later(module, function))


def _command(
    commands: Parsers, name: str, help: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[:1].upper() + help[1:] + "."
    )
    parser.set_defaults(run=run)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_ui(commands: Parsers) -> None:
    settings = load_settings()
    ui = _command(commands, "ui", "serve the dashboard for a tracker folder", _ui)
    ui.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    ui.add_argument("--host", default=settings.ui_host, help="address to listen at (default %(default)s)")
    port_help = "port to try first; a taken one moves on (default %(default)s)"
    ui.add_argument("--port", type=int, default=settings.ui_port, help=port_help)
    url_help = "PostgreSQL database to hold the store (default: TRACKER_DATABASE_URL, else files of the folder)"
    ui.add_argument("--database-url", metavar="URL", help=url_help)
    ui.add_argument("--no-browser", dest="browser", action="store_false", help="do not open a browser")


def _add_journal(commands: Parsers) -> None:
    journal = commands.add_parser("journal", help="look into the journals of a run")
    actions = journal.add_subparsers(title="actions", required=True, metavar="ACTION")
    target_help = "a .journal file, a run's folder, or project/id"
    cat = _command(actions, "cat", "print the records of a journal, one a line", _later("cli_journal", "cat"))
    cat.add_argument("target", metavar="JOURNAL", help=target_help)
    _add_output(cat)
    verify = _command(actions, "verify", "check every block and record of a journal", _later("cli_journal", "verify"))
    verify.add_argument("target", metavar="JOURNAL", nargs="?", help=f"{target_help} (default: all in the folder)")
    _add_output(verify)


if __name__ == "__main__":
    sys.exit(main())

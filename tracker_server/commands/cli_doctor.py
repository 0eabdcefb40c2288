"""`tracker doctor`: look for what could be wrong here, and say what to do about it."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.errors import TrackerError, UsageError
from tracker_core.paths import find_folder
from tracker_core.servers_file import CONFIG_VARIABLE
from tracker_core.settings import ENV_PREFIX, Settings, env_name, load_settings
from tracker_core.version import __version__

from ..doctor import doctor_install
from ..doctor.doctor_artifacts import check_artifacts
from ..doctor.doctor_database import check_database
from ..doctor.doctor_finding import Finding, fault, ok, warning
from ..doctor.doctor_folder import check_folder
from ..doctor.doctor_sync import check_sync
from .cli_runs import print_json

_MARKS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "fault": "[red]✕[/red]"}
_TIMEOUT_S = 3.0


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of `tracker`."""
    help = "look for what could be wrong here, with remedies"
    parser = commands.add_parser("doctor", help=help, description=f"{help[:1].upper()}{help[1:]}.")
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=doctor)


def doctor(args: argparse.Namespace) -> int:
    """Print what every check found; return 1 where there is a fault."""
    found: list[Finding] = []
    console = Console(stderr=args.json, highlight=False)
    with console.status("Looking") if console.is_terminal else _Silent():
        found += examine(args.dir)
    if args.json:
        print_json({"version": __version__, "findings": msgspec.to_builtins(found)})
    else:
        _print(Console(highlight=False), found)
    return int(any(finding.level == "fault" for finding in found))


class _Silent:
    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def examine(explicit_dir: str | None = None, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Run every check; one that cannot be run is a finding itself.

    Args:
        explicit_dir: the tracker folder; None finds it as a run would.
        environ: where settings are read from. Default: this process's environment.
    """
    environ = os.environ if environ is None else environ
    malformed = dict(_malformed(environ))
    settings = load_settings(None, {name: value for name, value in environ.items() if name not in malformed})
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("python", doctor_install.check_python),
        ("frameworks", doctor_install.check_frameworks),
        ("import", doctor_install.check_import_time),
        ("settings", lambda: check_settings(environ)),
        ("folder", lambda: check_folder(explicit_dir, settings.dir)),
        ("database", lambda: check_database(settings.database_url)),
        ("artifacts", lambda: check_artifacts(find_folder(explicit_dir or settings.dir), settings)),
        ("gpu", doctor_install.check_gpus),
        ("git", doctor_install.check_git),
        ("dashboard", lambda: check_dashboard(find_folder(explicit_dir or settings.dir))),
        ("server", lambda: check_server(settings)),
        ("sync", lambda: check_sync(find_folder(explicit_dir or settings.dir))),
        ("autoload", doctor_install.check_autoload),
    ]
    for topic, check in checks:
        try:
            yield from check()
        except (OSError, ValueError, RuntimeError, TrackerError) as error:
            yield warning(topic, f"could not be checked: {error}", "report this, please")


def check_settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the variables that begin with TRACKER_."""
    malformed = dict(_malformed(environ))
    known = [*map(env_name, Settings.__struct_fields__), CONFIG_VARIABLE]
    given = sorted(name for name in environ if name.startswith(ENV_PREFIX))
    for name in given:
        if name in malformed:
            error = malformed[name]
            got = "not readable" if name == env_name("api_key") else error.got
            yield fault("settings", f"{name} is {got}, expected {error.expected}", error.remedy)
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else "remove it; docs/settings.md lists the known ones"
            yield warning("settings", f"{name} is no setting", remedy)
    right = [name for name in given if name in known and name not in malformed]
    yield ok("settings", f"set by the environment: {', '.join(right)}" if right else "none set by the environment")


def _malformed(environ: Mapping[str, str]) -> Iterator[tuple[str, UsageError]]:
    """Yield the variables whose value cannot be read."""
    for name, value in environ.items():
        if name.startswith(ENV_PREFIX):
            try:
                load_settings(None, {name: value})
            except UsageError as error:
                yield name, error


def check_dashboard(folder: str) -> Iterator[Finding]:
    """Say whether a `tracker ui` of this folder runs, and answers."""
    try:
        with open(os.path.join(folder, "ui.json"), encoding="utf-8") as file:
            found = json.load(file)
        port, pid = int(found["port"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        yield ok("dashboard", "not running; start it with: tracker ui")
        return
    address = f"http://127.0.0.1:{port}"
    problem = _ask(f"{address}/api/v1/health", by_proxy=False)
    if not problem:
        yield ok("dashboard", f"running at {address} (process {pid})")
    elif _is_alive(pid):
        text = f"process {pid} should serve {address}, but: {problem}"
        yield warning("dashboard", text, "it may listen on another address; else stop it and start `tracker ui` again")
    else:
        yield ok("dashboard", "not running any more; start it with: tracker ui")


def _is_alive(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid))


def check_server(settings: Settings) -> Iterator[Finding]:
    """Say whether the server that runs are sent to answers."""
    if not settings.base_url:
        if settings.mode == "online":
            yield fault("server", "TRACKER_MODE is online, but no server is named", "log in: tracker login")
        else:
            yield ok("server", "none named; runs stay in the folder")
        return
    address = settings.base_url.rstrip("/")
    problem = _ask(f"{address}/api/v1/health")
    if problem:
        remedy = "check TRACKER_BASE_URL, the network and proxies; runs stay in the folder, whole"
        problem = problem.replace(address, _shown(address))
        yield fault("server", f"{_shown(address)} does not answer: {problem}", remedy)
    elif not settings.api_key:
        yield warning("server", f"{_shown(address)} answers, but there is no key for it", "log in: tracker login")
    else:
        yield ok("server", f"{_shown(address)} answers")


def _ask(url: str, by_proxy: bool = True) -> str:
    """Return what is wrong with a server's answer to the question for its health; "" for a good one."""
    import requests

    session = requests.Session()
    session.trust_env = by_proxy
    try:
        answer = session.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
    except requests.ConnectTimeout:
        return f"no connection within {_TIMEOUT_S:g} s"
    except requests.Timeout:
        return f"no answer within {_TIMEOUT_S:g} s"
    except (requests.RequestException, ValueError) as error:
        return _reason(error)
    if answer.status_code != 200:
        return f"it answers {answer.status_code} {answer.reason}"
    try:
        is_tracker = answer.json().get("status") == "ok"
    except (ValueError, AttributeError):
        is_tracker = False
    return "" if is_tracker else "something answers that is no tracker, such as a proxy's page"


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a chain of errors, which says most in the fewest words."""
    while error.__context__ is not None:
        error = error.__context__
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{type(error).__name__}: {reason}"[:300]


def _shown(address: str) -> str:
    """Return an address without a user and password in it."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _print(console: Console, found: list[Finding]) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    topic = ""
    for finding in found:
        shown_topic = "" if finding.topic == topic else finding.topic
        topic = finding.topic
        table.add_row(_MARKS[finding.level], shown_topic, escape(finding.text))
        if finding.remedy:
            table.add_row("", "", f"[dim]→[/dim] {escape(finding.remedy)}")
    console.print(table)
    n_faults = sum(finding.level == "fault" for finding in found)
    n_warnings = sum(finding.level == "warning" for finding in found)
    if n_faults or n_warnings:
        console.print(f"\n{n_faults} to mend (✕), {n_warnings} to know about (!)")
    else:
        console.print("\nEverything is in order.")
    sys.stdout.flush()

"""`tracker autoload on|off|status`: let every Python of this environment register the tracker with frameworks."""

from __future__ import annotations

import argparse
import glob
import os
import py_compile
import site
import sys
import sysconfig
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rich.console import Console
from rich.markup import escape

from tracker_core.errors import TrackerError, UsageError

from .cli_runs import print_json

MODULE = "_tracker_autoload.py"
# Silent where the module was removed and this file left: a .pth that fails is reported at every start of Python.
PTH = "_tracker_autoload.pth"
_PTH_LINE = 'import sys; exec("try:\\n import _tracker_autoload\\nexcept ImportError: pass")\n'


@dataclass(frozen=True, slots=True)
class AutoloadState:
    """What there is of autoload in this environment.

    Attributes:
        is_on: both files are where Python reads them.
        is_current: they are those of this version.
        files: the paths of those that are there.
    """

    is_on: bool
    is_current: bool
    files: tuple[str, ...]


def add_autoload(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of `tracker`."""
    help = 'let scripts that do not import tracker_core use report_to="tracker"'
    parser = commands.add_parser("autoload", help=help, description=f"{help[:1].upper()}{help[1:]}.")
    parser.add_argument("action", choices=("on", "off", "status"), nargs="?", default="status")
    parser.add_argument("--json", action="store_true", help="print the status as JSON")
    parser.set_defaults(run=autoload)


def autoload(args: argparse.Namespace) -> int:
    """Turn autoload on or off, or say which it is."""
    console = Console(soft_wrap=True, highlight=False)
    if args.action == "on":
        _print_on(console, switch_on())
    elif args.action == "off":
        removed = switch_off()
        console.print("autoload is off" + ("; removed" if removed else ": there was nothing to remove"))
        for path in removed:
            console.print(f"  {escape(path)}")
    else:
        _print_state(console, autoload_state(), args.json)
    return 0


def _print_on(console: Console, written: list[str]) -> None:
    console.print(f"autoload is on for {escape(sys.prefix)}; wrote")
    for path in written:
        console.print(f"  {escape(path)}")
    console.print(
        'From now on report_to="tracker" works in scripts that do not import tracker_core. Nothing is recorded that a '
        "script does not ask for.\nUndo it with `tracker autoload off`, or delete these files; pip does not know them."
    )


def _print_state(console: Console, state: AutoloadState, as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {"is_on": state.is_on, "is_current": state.is_current, "files": list(state.files)}
        print_json(found)
        return
    if state.is_on:
        version = "" if state.is_current else ", written by another version; renew it with `tracker autoload on`"
        console.print(f"autoload is on{version}")
    elif state.files:
        console.print("autoload is off, but a file of it is left; remove it with `tracker autoload off`")
    else:
        console.print("autoload is off")
    for path in state.files:
        console.print(f"  {escape(path)}")


def switch_on() -> list[str]:
    """Write the module, its bytecode and the .pth file; return their paths.

    Raises:
        UsageError: no folder from which this Python loads packages can be written.
    """
    content = _module_text()
    reasons = []
    for folder in _folders():
        paths = [os.path.join(folder, name) for name in (MODULE, PTH)]
        try:
            os.makedirs(folder, exist_ok=True)
            _write(paths[0], content)  # first: Python may start at any time
            compiled = _compile(paths[0])
            _write(paths[1], _PTH_LINE)
        except OSError as error:
            _remove(paths, may_fail=True)
            reasons.append(f"{folder} ({error.strerror})")
            continue
        return [paths[0], *compiled, paths[1]]
    got = "no site-packages folder that can be written: " + ", ".join(reasons)
    remedy = (
        "use a virtual environment, add `import tracker_core` to the script, or start it with `tracker run -- COMMAND`"
    )
    raise UsageError("tracker autoload on", got, "one that this user may write", remedy)


def switch_off() -> list[str]:
    """Remove the files; return the paths of those that were there.

    Raises:
        TrackerError: one cannot be removed.
    """
    paths = []
    for folder in _folders():
        paths += [os.path.join(folder, PTH), os.path.join(folder, MODULE)]
        paths += glob.glob(os.path.join(glob.escape(folder), "__pycache__", MODULE.removesuffix("py") + "*.pyc"))
    return _remove(paths, may_fail=False)


def autoload_state() -> AutoloadState:
    """Return what there is."""
    found: list[str] = []
    is_on = is_current = False
    for folder in _folders():
        module, pth = (os.path.join(folder, name) for name in (MODULE, PTH))
        present = [path for path in (module, pth) if os.path.exists(path)]
        found += present
        if len(present) == 2 and not is_on:
            is_on = True
            is_current = _read(module) == _module_text() and _read(pth) == _PTH_LINE
    return AutoloadState(is_on, is_current, tuple(found))


def _folders() -> list[str]:
    """Return the folders whose .pth files this Python reads, the environment's own first."""
    folders = [sysconfig.get_path("purelib")]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return list(dict.fromkeys(os.path.abspath(folder) for folder in folders))


def _module_text() -> str:
    return files("tracker_core.autoload").joinpath(MODULE).read_text(encoding="utf-8")


def _compile(path: str) -> list[str]:
    """Write the module's bytecode: where PYTHONDONTWRITEBYTECODE is set, every start would compile it, for 1 ms."""
    compiled = py_compile.compile(path)
    return [compiled] if compiled else []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    """Write a file so that it is there wholly or not at all."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        _remove([temporary], may_fail=True)
        raise


def _remove(paths: list[str], may_fail: bool) -> list[str]:
    removed = []
    for path in paths:
        try:
            os.unlink(path)
            removed.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            if not may_fail:
                raise TrackerError(f"{path} cannot be removed ({error.strerror}). Remedy: delete it by hand") from error
    return removed

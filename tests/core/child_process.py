"""Run Python scripts in processes of their own, to be killed, to fork, to fill a disk."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def environment(**changes: str) -> dict[str, str]:
    paths = [str(REPOSITORY), str(Path(__file__).parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TRACKER_QUIET": "1", **changes}


def start(script: str, *arguments: object, prefix: tuple[str, ...] = (), **environ: str) -> subprocess.Popen[str]:
    """Start a script; `prefix` is a command that runs the one behind it, such as strace."""
    command = [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def run(
    script: str, *arguments: object, prefix: tuple[str, ...] = (), timeout_s: float = 60, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, whatever its exit status."""
    process = start(script, *arguments, prefix=prefix, **environ)
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"the script did not end within {timeout_s} s\n{stdout}\n{stderr}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run_well(script: str, *arguments: object, prefix: tuple[str, ...] = (), **environ: str) -> str:
    """Run a script that must succeed; return what it printed."""
    done = run(script, *arguments, prefix=prefix, **environ)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def mount_prefix() -> tuple[str, ...]:
    """Return a command prefix under which a script may mount file systems that vanish with it; skip where none may."""
    for options in (["-m"], ["-Urm"]):
        prefix = ("unshare", *options, "--propagation", "private")
        if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return prefix
    return missing("the right to mount a file system (root, or user namespaces)")


def strace_prefix(*injections: str) -> tuple[str, ...]:
    """Return a command prefix that makes system calls fail; skip where strace is not to be had."""
    if not _can_trace():
        return missing("strace and the right to trace, which make chosen system calls fail")
    traced = ",".join(dict.fromkeys(injection.split(":", 1)[0] for injection in injections))
    options = [word for injection in injections for word in ("-e", f"inject={injection}")]
    return ("strace", "-f", "-qqq", "-o", os.devnull, "-e", f"trace={traced}", *options)


@functools.cache
def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qqq", "-o", os.devnull, "true"], capture_output=True).returncode == 0


def missing(what: str) -> tuple[str, ...]:
    """Skip the test; in continuous integration, where it must not go unnoticed, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"continuous integration must have {what}")
    pytest.skip(f"this machine lacks {what}")

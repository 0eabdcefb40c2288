"""`tracker run` where the run is asked to stop: the command is told as by a scheduler, and its end is named."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tracker_core.api import Api

from .test_launcher import PYTHON, folder, last_state, own_surroundings, start

__all__ = ["folder", "own_surroundings"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the command is ended at once there")


def stop_when_ready(process: subprocess.Popen[bytes], folder: Path) -> tuple[int, bytes]:
    """Ask for a stop as soon as the command says that it is ready; return the exit status and its errors."""
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        (run,) = Api(folder).runs()
        run.stop("loss is NaN")
        errors = process.communicate(timeout=60)[1]
        return process.returncode, errors
    finally:
        process.terminate()  # passed on to the command, where the test did not come to its end


def test_a_command_that_logs_nothing_itself_is_terminated(folder: Path) -> None:
    code, _ = stop_when_ready(start("sh", "-c", "echo ready; sleep 600 & wait"), folder)
    state = last_state(folder)
    assert code == -signal.SIGTERM
    assert (state.state, state.signal) == ("killed", "SIGTERM") and state.stopped_by.endswith(": loss is NaN")


def test_a_command_that_ends_well_when_terminated_was_stopped_all_the_same(folder: Path) -> None:
    code, _ = stop_when_ready(start("sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 600 & wait"), folder)
    state = last_state(folder)
    assert (code, state.state, state.exit_code, state.signal) == (0, "killed", 0, "") and state.stopped_by


def test_a_command_that_ignores_it_is_killed_after_the_grace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_STOP_GRACE_S", "0.2")
    code, errors = stop_when_ready(
        start("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done"), folder
    )
    state = last_state(folder)
    assert code == -signal.SIGKILL and b"did not end within 0.2 s" in errors
    assert (state.state, state.signal) == ("killed", "SIGKILL") and state.stopped_by


def test_a_command_that_logs_to_the_run_is_told_by_log_first(folder: Path) -> None:
    script = """
import tracker_core
run = tracker_core.init()
run.log({"x": 0.0})
print("ready", flush=True)
try:
    while True: run.log({"x": 1.0})
except tracker_core.RunStopped:
    run.log({"saved": 1.0})
    raise
"""
    code, errors = stop_when_ready(start(PYTHON, "-c", script), folder)
    (run,) = Api(folder).runs()
    assert code == 1 and b"RunStopped" in errors
    assert (run.state, run.exit_code, run.signal) == ("killed", 1, "") and run.stopped_by.endswith(": loss is NaN")
    assert run.summary["saved"] == 1.0

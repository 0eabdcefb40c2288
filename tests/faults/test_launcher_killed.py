"""`tracker run` is killed: the command that it launched trains on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import child_process
import pytest
from comparison import compare, python_path
from training import Ledger, wait_until

from tracker_core.api import Api

LAUNCH = """
import sys
from tracker_core.settings import load_settings
from tracker_server.launch.launcher import launch_command
sys.exit(launch_command(sys.argv[1:], load_settings()))
"""
COMMAND = """
import json, pathlib, sys, training
arguments = json.loads(sys.argv[1])
stop = pathlib.Path(arguments.pop("stop"))
training.train(**arguments, wait_for=stop)
"""


@pytest.mark.fault("F11")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_command_trains_on_when_its_launcher_is_killed(folder: Path, tmp_path: Path, number: int) -> None:
    ledger, stop = Ledger(tmp_path / "ledger"), tmp_path / "stop"
    arguments = {"folder": str(folder), "ledger_path": str(tmp_path / "ledger"), "n_rows": 200, "id": None}
    script = [sys.executable, "-c", COMMAND, json.dumps({**arguments, "stop": str(stop)})]
    environ = child_process.environment(**python_path(), TRACKER_DIR=str(folder))
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCH, *script], env=environ, stderr=subprocess.PIPE)
    wait_until(lambda: ledger.n_returned() >= 100 or launcher.poll() is not None)
    launcher.send_signal(number)
    _, stderr = launcher.communicate(timeout=30)
    assert launcher.returncode == -number, stderr
    stop.touch()
    wait_until(lambda: Api(dir=folder).runs()[0].state != "running")
    kept = compare(folder, ledger, api=False)
    assert kept.numbers[0] == list(range(200))
    assert kept.n_damaged == 0
    assert {session.writer for session in kept.sessions} == {"main", "launcher"}
    (run,) = Api(dir=folder).runs()
    assert list(run.series("n").values) == list(range(200))
    assert run.state == "finished"

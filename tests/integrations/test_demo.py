"""`make demo`, with few steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
N_RUNS = 7


def demo(tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, DEMO, "--quick", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "160", **environment},
    )


def check_what_it_left(recorded: Any, tmp_path: Path, output: str) -> None:
    assert [path.name for path in tmp_path.iterdir()] == [".tracker"]
    assert f"Trained {N_RUNS} models" in output
    assert "arning" not in output
    runs = recorded.runs("digits")
    assert [run.state for run in runs] == ["finished"] * N_RUNS
    for run in runs:
        assert run.name in output
        assert "train/loss" in run.summary
    candidate = recorded.api().registered_model("digits").version("candidate")
    trained = candidate.logged_by()
    assert [one.type for one in trained.used_artifacts()] == ["dataset"]
    assert {"predictions", "results", "confusion", "roc"} <= trained.summary.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="ends the demo by SIGINT")
def test_it_says_the_address_first_and_serves_until_ctrl_c(recorded: Any, tmp_path: Path) -> None:
    process = demo(tmp_path)
    assert process.stdout is not None
    address = next(line for line in process.stdout if line.strip()).split()[-1]
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(address).status_code == 200
        output = ""
        while "Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        base = address.partition("/login")[0]
        deadline_s = time.monotonic() + 10  # the server looks about once a second
        while len(browser.get(f"{base}/api/v1/projects/digits/runs").json()["runs"]) < N_RUNS:
            assert time.monotonic() < deadline_s, "the dashboard does not show every run"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert ".venv/bin/tracker ui" in output + rest
    check_what_it_left(recorded, tmp_path, output)


@pytest.mark.long
def test_without_a_server_it_ends_with_a_summary(recorded: Any, tmp_path: Path) -> None:
    output, _ = (process := demo(tmp_path, SERVE="0")).communicate(timeout=120)
    assert process.returncode == 0, output
    assert "http" not in output
    check_what_it_left(recorded, tmp_path, output)

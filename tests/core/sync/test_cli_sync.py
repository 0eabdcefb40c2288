"""`tracker sync`: what offline and killed runs left, and what it says and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import child_process
import pytest
from written import Written, keep_file

from tracker_server.cli import main
from tracker_server.http.server import TrackerServer

Wait = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path) -> str:
    return tmp_path.name[-60:]


@pytest.fixture(autouse=True)
def logged_in(
    folder: Path, module_server: TrackerServer, module_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRACKER_BASE_URL", module_server.base_url)
    monkeypatch.setenv("TRACKER_API_KEY", module_key)


def test_everything_is_sent_and_said(
    folder: Path, project: str, module_server: TrackerServer, capsys: pytest.CaptureFixture[str]
) -> None:
    journals = [Written(folder, f"r{number}", project).rows(100).end() for number in range(3)]
    keep_file(journals[0], b"kept")
    assert main(["sync"]) == 0
    assert f"everything is at {module_server.base_url}: 3 runs" in capsys.readouterr().out
    for journal in journals:
        assert journal.at(module_server.folder.path).read_bytes() == journal.data
    assert main(["sync"]) == 0
    assert "3 runs, 0 bytes sent now" in capsys.readouterr().out


def test_a_folder_and_runs_may_be_named(
    folder: Path, project: str, module_server: TrackerServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "project" / ".tracker"
    journals = [Written(elsewhere, f"r{number}", project).rows(5).end() for number in range(3)]
    assert main(["sync", str(tmp_path / "project"), "r1", f"{project}/r2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(run["run"], run["state"]) for run in said["runs"]] == [(f"{project}/r{n}", "sent") for n in (1, 2)]
    assert [journal.at(module_server.folder.path).exists() for journal in journals] == [False, True, True]
    assert main(["sync", str(elsewhere), "nosuch"]) == 2
    assert "no run 'nosuch'" in capsys.readouterr().err
    assert main(["sync", "./nosuch"]) == 2
    assert "tracker folder" in capsys.readouterr().err


def test_a_dry_run_sends_nothing_and_says_what_there_is_to_send(
    folder: Path, project: str, module_server: TrackerServer, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, other = (Written(folder, run, project).rows(10).end() for run in ("sent", "other"))
    assert main(["sync", f"{project}/sent"]) == 0
    capsys.readouterr()
    assert main(["sync", "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert f"{project}/other: {len(other.data)} bytes to send" in out and "1 of 2 runs" in out
    assert not other.at(module_server.folder.path).exists() and sent.at(module_server.folder.path).exists()


def test_a_run_that_cannot_be_sent_is_said_and_the_others_are_sent(
    folder: Path,
    project: str,
    module_server: TrackerServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tracker_server.catalog.decisions import by_me

    key, _ = module_server.keys.create(f"cli {project}", "write", project, by_me("a test"))
    monkeypatch.setenv("TRACKER_API_KEY", key)
    good, bad = Written(folder, "good", project).rows(10), Written(folder, "bad", f"{project}2").rows(10)
    assert main(["sync", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    states = {run["run"]: run["state"] for run in said["runs"]}
    assert states == {f"{project}/good": "sent", f"{project}2/bad": "not sent"}
    assert good.at(module_server.folder.path).exists() and not bad.at(module_server.folder.path).exists()


def test_a_run_may_be_written_meanwhile(folder: Path, project: str, module_server: TrackerServer) -> None:
    journal = Written(folder, project=project).rows(10)
    assert main(["sync"]) == 0
    journal.rows(5)
    assert main(["sync"]) == 0
    assert journal.at(module_server.folder.path).read_bytes() == journal.data


def test_a_refused_key_and_no_server_are_told_apart(
    folder: Path, project: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Written(folder, project=project).rows(10)
    monkeypatch.setenv("TRACKER_API_KEY", "tk_wrong")
    assert main(["sync"]) == 1
    assert "refuses the key (401)" in capsys.readouterr().out
    monkeypatch.delenv("TRACKER_BASE_URL")
    assert main(["sync"]) == 2
    assert "got no server" in capsys.readouterr().err


def test_watching_sends_what_comes_until_ctrl_c(
    folder: Path, project: str, module_server: TrackerServer, wait_until: Wait
) -> None:
    journal = Written(folder, project=project).rows(10)
    copy = journal.at(module_server.folder.path)
    command = [sys.executable, "-m", "tracker_server.cli", "sync", "--watch"]
    process = subprocess.Popen(
        command, env=child_process.environment(TRACKER_DIR=str(folder)), stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: copy.exists() and copy.read_bytes() == journal.data, 60)
        journal.rows(10)
        wait_until(lambda: copy.read_bytes() == journal.data, 60)
        late = Written(folder, "late", project).rows(10)
        wait_until(lambda: late.at(module_server.folder.path).exists(), 60)
    finally:
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and ": 2 runs" in out

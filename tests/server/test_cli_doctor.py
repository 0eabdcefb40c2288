"""`tracker doctor`: what it finds on a real folder, server and environment."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tracker_core import paths
from tracker_server.commands.cli_doctor import check_dashboard, check_server, check_settings, examine
from tracker_server.doctor import doctor_folder
from tracker_server.doctor.doctor_finding import Finding
from tracker_server.doctor.doctor_folder import check_folder, file_system_of
from tracker_server.doctor.doctor_install import check_gpus, check_python, number_of
from tracker_server.http.ui_server import UiServer
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_lock import try_store_lock

from .conftest import Journal

CLI = """
import argparse, sys
from tracker_server.commands.cli_doctor import add_doctor
parser = argparse.ArgumentParser()
add_doctor(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""


@pytest.fixture(autouse=True)
def no_fallback_runs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))


def command(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    repository = str(Path(__file__).resolve().parents[2])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
    return subprocess.run(
        [sys.executable, "-c", CLI, "doctor", *arguments],
        env={**kept, "PYTHONPATH": repository, "COLUMNS": "200", **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def worst(findings: Iterator[Finding], topic: str = "") -> list[Finding]:
    """Return the findings that are not ok."""
    return [found for found in findings if found.level != "ok" and topic in ("", found.topic)]


def test_a_healthy_place_has_no_fault_and_every_remedy_is_where_it_is_needed(tmp_path: Path) -> None:
    done = command("--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    topics = {finding["topic"] for finding in report["findings"]}
    assert topics >= {"python", "packages", "frameworks", "import", "settings", "folder", "disk", "gpu", "git",
                      "dashboard", "server", "autoload"}  # fmt: skip
    for finding in report["findings"]:
        assert bool(finding["remedy"]) == (finding["level"] != "ok")
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind


def test_the_printed_report_marks_faults_and_ends_with_1(tmp_path: Path) -> None:
    environ = {"TRACKER_FSYNC_INTERVAL_S": "soon", "TRACKER_PROJEKT": "x", "TRACKER_PROJECT": "[red]p[/red]"}
    done = command(cwd=tmp_path, **environ)
    assert done.returncode == 1
    assert "✕" in done.stdout and "✓" in done.stdout
    assert "TRACKER_FSYNC_INTERVAL_S is 'soon', expected a value of type float" in done.stdout
    assert "→ the default is 1.0" in done.stdout
    assert "TRACKER_PROJEKT is no setting" in done.stdout and "→ did you mean TRACKER_PROJECT?" in done.stdout
    assert "1 to mend" in done.stdout
    assert "Traceback" not in done.stderr


def test_settings_that_are_right_are_named_without_their_values() -> None:
    (found,) = check_settings({"TRACKER_API_KEY": "hunter22", "TRACKER_QUIET": "1", "PATH": "x"})
    assert found.level == "ok" and "TRACKER_API_KEY, TRACKER_QUIET" in found.text
    assert "hunter22" not in str(list(check_settings({"TRACKER_API_KEY": "hunter22\udc80"})))


@pytest.mark.parametrize("value", ["bad", "sometimes"])
def test_a_setting_out_of_its_choices_is_a_fault(value: str) -> None:
    found = worst(check_settings({"TRACKER_MODE": value}))
    assert [finding.level for finding in found] == ["fault"]


def test_the_folder_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(explicit: str | None, setting: str | None) -> str:
        return next(check_folder(explicit, setting)).text

    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "deep")
    assert first("x", "y").endswith("deep/x: named with --dir")
    assert first(None, "y").endswith("deep/y: named by TRACKER_DIR")
    assert "made by the first run" in first(None, None)
    (tmp_path / "project" / ".tracker").mkdir()
    assert first(None, None) == f"{tmp_path}/project/.tracker: the nearest .tracker above the working directory"
    monkeypatch.chdir(tmp_path / "project")
    assert "the one of the working directory" in first(None, None)


def test_runs_and_journals_are_counted(tracker_dir: Path) -> None:
    Journal(tracker_dir, "a").end()
    Journal(tracker_dir, "a", writer="rank1").end()
    Journal(tracker_dir, "b")
    texts = [finding.text for finding in check_folder(str(tracker_dir), None)]
    assert "2 runs, 3 journals" in texts
    assert "all journals are intact" in texts
    assert worst(check_folder(str(tracker_dir), None), "runs") == []


def test_damaged_journals_are_named(tracker_dir: Path) -> None:
    for run in ("a", "b"):
        journal = Journal(tracker_dir, run)
        for step in range(100):
            journal.row(step, loss=1.0)
        journal.end()
    content = bytearray(Path(journal.path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(journal.path).write_bytes(content)
    os.utime(journal.path, (1_700_000_000, 1_700_000_000))  # else its end may be on its way
    (found,) = worst(check_folder(str(tracker_dir), None), "runs")
    assert found.level == "fault" and found.text == f"1 damaged journals: {journal.name}"
    assert "tracker journal verify" in found.remedy


def test_the_check_of_journals_ends_in_time_and_says_how_far_it_came(
    tracker_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_folder, "_CHECK_S", -1.0)
    Journal(tracker_dir, "a").end()
    texts = [finding.text for finding in check_folder(str(tracker_dir), None)]
    assert "the newest 0 of 1 journals are intact" in texts


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".tracker"
    folder.mkdir()
    (folder / "runs").mkdir()
    if os.getuid() == 0:  # whom permissions do not stop: a name that is taken does
        (folder / "runs" / f".doctor-{os.getpid()}").mkdir()
        expected = os.strerror(errno.EEXIST)
    else:
        (folder / "runs").chmod(0o555)
        expected = os.strerror(errno.EACCES)
    (found,) = worst(check_folder(str(folder), None), "folder")
    (folder / "runs").chmod(0o755)
    assert found.level == "fault" and expected in found.text and "TRACKER_DIR" in found.remedy


def test_a_file_where_the_folder_should_be_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / ".tracker"):
        (found,) = worst(check_folder(str(path), None))
        assert found.level == "fault" and "is a file" in found.text


def test_little_space_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_folder, "_LITTLE_BYTES", 1 << 60)
    assert worst(check_folder(str(tmp_path), None), "disk")[0].level == "warning"
    monkeypatch.setattr(doctor_folder, "_LEAST_BYTES", 1 << 60)
    assert worst(check_folder(str(tmp_path), None), "disk")[0].level == "fault"


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="needs Linux")
def test_file_systems_are_known_by_their_type() -> None:
    assert file_system_of("/proc/self") == "proc"
    with open("/proc/self/mounts") as file:
        points = {line.split()[1]: line.split()[2] for line in file}
    assert file_system_of("/") == points["/"]


def test_the_index_is_described(tracker_dir: Path) -> None:
    assert "not made yet" in _index_text(tracker_dir)
    journal = Journal(tracker_dir)
    for step in range(1000):
        journal.row(step, loss=1.0)
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.close()
    assert "with 1 journals" in _index_text(tracker_dir)
    (tracker_dir / "index.sqlite").write_bytes(b"no database" * 1000)
    assert worst(check_folder(str(tracker_dir), None), "index") or "of another version" in _index_text(tracker_dir)


def _index_text(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return " ".join(found.text for found in check_folder(str(folder), None) if found.topic == "index")


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="needs Linux")
def test_who_writes_the_index_is_named(tracker_dir: Path) -> None:
    Journal(tracker_dir).end()
    with try_store_lock(str(tracker_dir / "store.lock")) as is_held:
        assert is_held
        assert f"being written by process {os.getpid()} (" in _index_text(tracker_dir)
    assert "being written" not in _index_text(tracker_dir)


def test_runs_forgotten_in_the_fallback_folder_are_told(tracker_dir: Path) -> None:
    Journal(Path(paths.fallback_folder()), "a").end()
    (found,) = worst(check_folder(str(tracker_dir), None), "runs")
    assert found.level == "warning" and found.text.startswith(f"1 runs are in {paths.fallback_folder()}")


def test_journals_from_the_future_are_told(tracker_dir: Path) -> None:
    journal = Journal(tracker_dir)
    journal.end()
    future_s = os.stat(journal.path).st_mtime + 1_000
    os.utime(journal.path, (future_s, future_s))
    (found,) = worst(check_folder(str(tracker_dir), None), "clock")
    assert "in the future" in found.text


# Servers


def test_a_running_dashboard_answers(server: UiServer, tracker_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not for this machine
    (found,) = check_dashboard(str(tracker_dir))
    assert (found.level, found.text) == ("ok", f"running at {server.base_url} (process {os.getpid()})")


def test_a_dashboard_that_is_gone_or_hangs(tracker_dir: Path) -> None:
    tracker_dir.mkdir()
    assert next(check_dashboard(str(tracker_dir))).text.startswith("not running;")
    (tracker_dir / "ui.json").write_text("{")
    assert next(check_dashboard(str(tracker_dir))).text.startswith("not running;")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (tracker_dir / "ui.json").write_text(json.dumps({"token": "t", "port": port, "pid": os.getpid()}))
        (found,) = check_dashboard(str(tracker_dir))
        assert found.level == "warning" and "no answer within 3 s" in found.text
    (tracker_dir / "ui.json").write_text(json.dumps({"token": "t", "port": port, "pid": 2**22 + 1}))
    assert next(check_dashboard(str(tracker_dir))).text.startswith("not running any more")


def server_finding(address: str, **environ: str) -> Finding:
    from tracker_core.settings import load_settings

    (found,) = check_server(load_settings(None, {"TRACKER_BASE_URL": address, **environ}))
    return found


def test_a_tracker_server_that_answers(server: UiServer) -> None:
    assert server_finding(server.base_url).level == "warning"  # without a key
    assert server_finding(server.base_url + "/", TRACKER_API_KEY="key").level == "ok"


def test_servers_that_do_not_answer_as_they_should() -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if "portal" in self.path else 503)
            self.end_headers()
            self.wfile.write(b"<html>Please sign in</html>")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        address = f"http://user:hunter22@127.0.0.1:{page.server_port}"
        portal, unavailable = server_finding(f"{address}/portal"), server_finding(address)
        page.shutdown()
    assert "something answers that is no tracker" in portal.text
    assert "it answers 503" in unavailable.text
    closed = server_finding(address)
    assert "refused" in closed.text.lower()
    for found in (portal, unavailable, closed, server_finding("ftp://user:hunter22@host")):
        assert found.level == "fault" and "hunter22" not in found.text and found.remedy


def test_online_without_a_server_is_a_fault() -> None:
    from tracker_core.settings import load_settings

    (found,) = check_server(load_settings(None, {"TRACKER_MODE": "online"}))
    assert found.level == "fault"


# What is installed


def test_python_and_its_packages_are_named() -> None:
    found = list(check_python())
    assert sys.executable in found[0].text
    assert any("msgspec" in finding.text for finding in found if finding.topic == "packages")


@pytest.mark.parametrize(("version", "numbers"), [("2.6.6", (2, 6, 6)), ("5.0.0rc1", (5, 0, 0)), ("dev", ())])
def test_versions_are_compared_by_their_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert number_of(version) == numbers


def test_gpus_or_the_reason_why_there_are_none() -> None:
    found = list(check_gpus())
    assert found and all(finding.topic == "gpu" for finding in found)


def test_every_check_runs_in_one_process(tmp_path: Path) -> None:
    topics = [finding.topic for finding in examine(str(tmp_path / ".tracker"), {})]
    assert topics[0] == "python" and topics[-1] == "autoload"

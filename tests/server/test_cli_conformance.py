"""The commands print the same of a folder and of a server, and write the same files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from tracker_server.cli import main
from tracker_server.http.ui_server import UiServer, run_in_background

from .conftest import Journal


@dataclass(frozen=True)
class Said:
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Both:
    """A folder with runs, and a server of it."""

    folder: Path
    server: UiServer

    def here(self, *arguments: str) -> Said:
        return self._said(*arguments, "--dir", str(self.folder))

    def there(self, *arguments: str) -> Said:
        return self._said(*arguments, "--server", self.server.base_url)

    def _said(self, *arguments: str) -> Said:
        stdout, stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
            patch.setenv("COLUMNS", "200")
            patch.setenv("TRACKER_API_KEY", self.server.auth.token)
            try:
                code = main(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        stdout.flush()
        texts = stdout.buffer.getvalue().decode(), stderr.getvalue()
        return Said(code, *(t.replace(str(self.folder), "PLACE").replace(self.server.base_url, "PLACE") for t in texts))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("cli") / ".tracker"
    for number in range(5):
        journal = Journal(folder, run=f"r{number}", project="p" if number else "q", name=f"run {number}")
        journal.config(lr=number / 10, kind="a" if number % 2 else "b")
        journal.environment(command=["python", "train.py"], gpus=[{"index": 0, "name": "H200"}])
        for step in range(20):
            journal.row(step, loss=step / (number + 1), count=step, text=f"t{step}")
            journal.system(step, cpu_percent=float(step))
        journal.lines("first", "\x1b[31mred\x1b[0m ü", "last", first=0)
        journal.file("out/a.txt", b"content")
        journal.file("b.bin", bytes(range(256)) * 5000)
        journal.end("failed" if number == 3 else "finished", exit_code=int(number == 3))
    server = run_in_background(folder)
    yield Both(folder, server)
    server.close()


READS = """
    runs | runs p | runs --json | runs p --filter config.lr>0.15 --sort config.lr:desc --json | runs nowhere
    runs --limit 2
    runs --filter config.lr>>1 | runs --columns environment.command,summary.loss.min | runs --filter id=="none"
    runs --group-by config.kind --values summary.loss | runs --group-by config.kind --json | runs --cursor x
    runs --archived only
    show r1 | show p/r3 | show r1 --json | show nothing | show q/r1
    logs r1 | logs r1 -n 1 | logs r1 --search RED --timestamps | logs r1 --follow | logs r1 --writer rank9
    logs r1 -n 0
    system r1 | system r1 --json | files r1 | files r1 --json
    export r1 | export r1 --format json --what points | export r1 --what system --keys system/cpu_percent
    export r1 --what console --format json | export r1 --keys nothing
    trash list | trash list --json | trash empty --dry-run | delete p/r1 --dry-run | undelete p/r1 | archive nothing
    stop p/r1
"""
COMMANDS = [command.split() for line in READS.strip().splitlines() for command in line.split("|")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_the_same_of_a_server(both: Both, command: list[str]) -> None:
    here, there = both.here(*command), both.there(*command)
    assert there == here
    assert here.stdout or here.stderr


def test_files_are_copied_alike(both: Both, tmp_path: Path) -> None:
    assert both.here("files", "r1", "--get", "b.bin", "--to", str(tmp_path / "here")).code == 0
    assert both.there("files", "r1", "--get", "b.bin", "--to", str(tmp_path / "there")).code == 0
    assert (tmp_path / "there" / "b.bin").read_bytes() == (tmp_path / "here" / "b.bin").read_bytes()


def test_an_export_writes_the_same_files(both: Both, tmp_path: Path) -> None:
    for format in ("csv", "json", "parquet"):
        for said, name in ((both.here, "here"), (both.there, "there")):
            out = str(tmp_path / f"{name}.{format}")
            assert said("export", "r1", "--format", format, "--output", out).code == 0
        assert (tmp_path / f"there.{format}").read_bytes() == (tmp_path / f"here.{format}").read_bytes()
    for said, name in ((both.here, "here"), (both.there, "there")):
        assert said("export", "--parquet", str(tmp_path / name), "--project", "p").code == 0
    files = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.parquet")}
    assert len(files) == 13
    for file in files:
        assert (tmp_path / "there" / file).read_bytes() == (tmp_path / "here" / file).read_bytes(), file


def test_runs_are_changed_on_the_server(both: Both) -> None:
    assert both.there("archive", "r2", "--why", "old").stdout == "Archived p/r2.\n"
    assert [run["id"] for run in json.loads(both.here("runs", "p", "--archived", "only", "--json").stdout)] == ["r2"]
    assert "out of the archive" in both.there("unarchive", "r2").stdout
    assert both.there("delete", "p/r2", "r4").stdout.startswith("Deleted p/r2, p/r4. Bring back with")
    assert {run["id"] for run in json.loads(both.here("trash", "list", "--json").stdout)} == {"r4", "r2"}
    assert both.there("undelete", "r2", "r4").stdout == "Brought back p/r2, p/r4.\n"
    assert "Removed p/r4" in both.there("delete", "p/r4", "--now", "--yes").stdout
    assert "'r4' is not in" in both.here("show", "r4").stderr


def test_output_is_followed_while_the_server_is_started_again(tmp_path: Path, wait_until) -> None:
    journal = Journal(tmp_path / ".tracker")
    journal.lines("before", first=0)
    first = run_in_background(tmp_path / ".tracker")
    command = [sys.executable, "-m", "tracker_server.cli", "logs", "a", "--follow", "--server", first.base_url]
    environ = {**os.environ, "TRACKER_API_KEY": first.auth.token}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    assert child.stdout is not None and child.stderr is not None
    assert child.stdout.readline() == "before\n"
    first.close()
    assert "Trying again" in child.stderr.readline()
    second = run_in_background(tmp_path / ".tracker", port=first.port)
    try:
        assert second.port == first.port
        journal.lines("after", first=1)
        journal.end()
        assert child.communicate(timeout=60)[0] == "after\n" and child.returncode == 0
    finally:
        child.kill()
        second.close()


def test_a_folder_and_a_server_at_once_are_refused(both: Both) -> None:
    said = both.here("runs", "--server", both.server.base_url)
    assert said.code == 2 and "leave one of them out" in said.stderr


def test_the_server_of_the_environment_is_used_where_no_folder_is_named(
    both: Both, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRACKER_BASE_URL", both.server.base_url)
    assert both._said("runs", "q").stdout == both.here("runs", "q").stdout
    monkeypatch.setenv("TRACKER_DIR", str(tmp_path / "empty"))
    assert both._said("runs", "q").stdout == both.here("runs", "q").stdout
    assert "No runs yet in" in both._said("runs", "--dir", os.fspath(tmp_path / "empty")).stdout

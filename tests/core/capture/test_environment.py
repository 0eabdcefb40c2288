"""Everything about a run is recorded part by part, and a part that fails costs only itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tracker_core.capture import environment, machine
from tracker_core.capture.environment import capture
from tracker_core.capture.masking import Masker
from tracker_core.files import FileKeeper
from tracker_core.records import Environment, File, Record, encode
from tracker_core.settings import Settings

from .repository import make_repository


class Captured:
    """A capture and what it recorded."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.records: list[Record] = []
        self.folder = folder / "runs" / "p" / "r"
        keeper = FileKeeper(str(self.folder), self.put)
        self.capture = capture(self.put, keeper, Settings(**settings), Masker(os.environ))

    def put(self, record: Record) -> None:
        encode(record)  # as the journal does
        self.records.append(record)

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for record in self.records:
            if isinstance(record, Environment):
                found.update(record.values)
        return found

    @property
    def files(self) -> dict[str, str]:
        files = [record for record in self.records if isinstance(record, File)]
        return {file.path: file.kind for file in files}


def test_command_machine_packages_and_repository_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("changed\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(root / "b.txt"), raising=False)
    captured = Captured(tmp_path / ".tracker")
    values = captured.values
    expected = {"command", "program", "cwd", "user", "host", "python", "os", "cpu", "memory_bytes", "packages", "git"}
    assert expected <= values.keys() and "problems" not in values
    assert (values["program"], values["cwd"], values["git"]["is_dirty"]) == ("b.txt", str(root), True)
    assert captured.files == {"code/b.txt": "code", "diff.patch": "diff"}


def test_the_cheapest_is_recorded_first(tmp_path: Path) -> None:
    captured = Captured(tmp_path / ".tracker")
    first = next(record for record in captured.records if isinstance(record, Environment))
    assert "command" in first.values


def test_without_git_nothing_of_the_repository_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("changed\n")
    monkeypatch.chdir(root)
    for settings in ({"capture_git": False}, {"diff_max_mib": 0}):
        captured = Captured(tmp_path / ".tracker", **settings)
        assert "diff.patch" not in captured.files
        assert ("git" in captured.values) == ("diff_max_mib" in settings)


def test_save_code_keeps_the_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r", **{"src/model.py": "x = 1\n"})
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(root / "src/model.py"), raising=False)
    assert "code/src/model.py" in Captured(tmp_path / ".tracker", save_code=True).files


def test_a_part_that_fails_is_named_and_the_others_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("no processor, api_key='abcdef'")

    monkeypatch.setattr(machine, "cpu", fail)
    values = Captured(tmp_path / ".tracker").values
    assert values["problems"] == {"cpu": "RuntimeError: no processor, api_key='***'"}
    assert "packages" in values and "cpu" not in values


def test_a_deleted_working_folder_and_odd_bytes_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "orig_argv", ["python", "caf\udce9.py"])
    monkeypatch.setenv("OMP_PLACES", "\udcff")
    values = Captured(tmp_path / ".tracker").values
    assert values["command"] == ["python", "caf?.py"] and "cwd" not in values
    assert values["variables"]["OMP_PLACES"] == "?"


def test_a_disk_that_cannot_be_written_costs_only_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("changed\n")
    monkeypatch.chdir(root)
    (tmp_path / "file").touch()
    captured = Captured(tmp_path / "file")
    assert captured.files == {} and {"git", "packages"} <= captured.values.keys()
    assert capsys.readouterr().err.count("is not kept with the run") == 1


def test_variables_are_those_of_the_list_and_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CUDA_VISIBLE_DEVICES": "1,0", "TRACKER_API_KEY": "abcdef", "MY_OTHER": "x"}.items():
        monkeypatch.setenv(name, value)
    variables = Captured(tmp_path / ".tracker").values["variables"]
    assert variables["CUDA_VISIBLE_DEVICES"] == "1,0" and variables["TRACKER_API_KEY"] == "***"
    assert "MY_OTHER" not in variables


def test_the_end_records_only_what_has_come_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captured = Captured(tmp_path / ".tracker")
    n_records = len(captured.records)
    captured.capture.finish()
    assert len(captured.records) == n_records
    monkeypatch.setattr(environment.packages, "imported_frameworks", lambda: {"torch": "2.0"})
    captured.capture.finish()
    assert captured.records[n_records:] == [
        Environment(wall_time_ns=captured.records[-1].wall_time_ns, values={"frameworks": {"torch": "2.0"}})
    ]


def test_the_whole_takes_little_processor_time(tmp_path: Path) -> None:
    Captured(tmp_path / "first")
    began_s = time.thread_time()
    Captured(tmp_path / "second")
    assert time.thread_time() - began_s < 0.3

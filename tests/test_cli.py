"""The command `tracker`, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracker_core as tracker

TRACKER = [sys.executable, "-m", "tracker_server.cli"]


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "COLUMNS": "200", "TRACKER_DIR": str(folder)}
    return subprocess.run([*TRACKER, *arguments], capture_output=True, text=True, env=environ, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / ".tracker"
    for lr in (0.1, 0.01):
        with tracker.init(
            project="digits", id=f"lr-{lr}", dir=path, config={"lr": lr}, settings={"quiet": True}
        ) as run:
            for step in range(20):
                run.log({"loss": 1 / (step + 1), "note": "late"} if step == 19 else {"loss": 1 / (step + 1)})
    with (
        pytest.raises(ZeroDivisionError),
        tracker.init(project="other", id="bad", dir=path, settings={"quiet": True}) as run,
    ):
        run.log({"[red]x[/red]": float("nan")})
        1 / 0  # noqa: B018
    return path


def test_runs_lists_what_is_there_newest_first(folder: Path) -> None:
    result = command("runs", folder=folder)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["other/bad", "digits/lr-0.01", "digits/lr-0.1"]
    assert "✕" in lines[1] and "✓" in lines[2]


def test_runs_as_json_holds_config_and_summary(folder: Path) -> None:
    runs = json.loads(command("runs", "digits", "--json", folder=folder).stdout)
    assert [(run["id"], run["config"]) for run in runs] == [("lr-0.01", {"lr": 0.01}), ("lr-0.1", {"lr": 0.1})]
    assert runs[0]["summary"] == {"loss": 0.05, "note": "late"}
    assert runs[0]["state"] == "finished"


def test_runs_keeps_to_its_limit_and_says_so(folder: Path) -> None:
    result = command("runs", "--limit", "1", folder=folder)
    assert "other/bad" in result.stdout and "digits" not in result.stdout
    assert "2 older runs" in result.stdout


def test_show_prints_metrics_and_the_error_of_a_failed_run(folder: Path) -> None:
    result = command("show", "other/bad", folder=folder)
    assert result.returncode == 0, result.stderr
    assert "ZeroDivisionError" in result.stdout and "[red]x[/red]" in result.stdout
    assert "lr-0.1" in command("show", "lr-0.1", folder=folder).stdout


def test_show_as_json_has_every_metric_with_its_aggregates(folder: Path) -> None:
    run = json.loads(command("show", "digits/lr-0.1", "--json", folder=folder).stdout)
    assert run["metrics"]["loss"]["n_points"] == 20
    assert run["metrics"]["loss"]["min"] == 0.05


def test_an_unknown_run_is_one_clear_line_and_exit_code_2(folder: Path) -> None:
    result = command("show", "digits/nothing", folder=folder)
    assert result.returncode == 2
    assert result.stderr.startswith("tracker: run 'digits/nothing' is not in ")
    assert "Traceback" not in result.stderr


def test_an_empty_folder_shows_how_to_begin(tmp_path: Path) -> None:
    result = command("runs", folder=tmp_path)
    assert result.returncode == 0
    assert "tracker_core.init" in result.stdout


def test_journal_cat_prints_every_record_in_order(folder: Path) -> None:
    lines = [
        json.loads(line) for line in command("journal", "cat", "lr-0.1", "--json", folder=folder).stdout.splitlines()
    ]
    assert [line["sequence"] for line in lines] == sorted(line["sequence"] for line in lines)
    rows = [line for line in lines if line["kind"] in ("ROW", "ROW_MAP")]
    assert [row["step"] for row in rows] == list(range(20))
    assert lines[0]["kind"] == "SESSION" and lines[-1]["kind"] == "STATE"


def test_journal_verify_passes_intact_files_and_fails_damaged_ones(folder: Path, tmp_path: Path) -> None:
    assert command("journal", "verify", folder=folder).returncode == 0
    journal = next((folder / "runs" / "digits" / "lr-0.1").glob("*.journal"))
    damaged = tmp_path / "damaged.journal"
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    result = command("journal", "verify", str(damaged), folder=folder)
    assert result.returncode == 1
    assert "hold no whole record" in result.stdout

"""`tracker logs`, `system`, `files`, `export` and `show` of one run, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tracker_core.records import Clock, State
from tracker_server.cli import main
from tracker_server.commands.terminal_text import coloured, printable
from tracker_server.runs.sparkline import sparkline

from .conftest import T0_NS, Journal

TRACKER = [sys.executable, "-m", "tracker_server.cli"]
ENVIRON = {**os.environ, "COLUMNS": "200"}


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, folder: Path) -> Result:
    """Run the command in this process: starting Python forty times takes half a minute."""
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setenv("TRACKER_DIR", str(folder))
        patch.setenv("COLUMNS", "200")
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
    stdout.flush()
    return Result(code, stdout.buffer.getvalue().decode(), stderr.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / ".tracker"
    journal = Journal(path, name="first")
    journal.environment(
        command=["python", "train.py", "--lr", "0.1 x"],
        git={"commit": "0123456789abcdef", "branch": "main", "is_dirty": True},
        python={"version": "3.11.7"},
        gpus=[{"index": 0, "name": "NVIDIA H200"}],
        memory_bytes=1 << 34,
    )
    for step in range(5):
        journal.row(step, loss=1 / (step + 1), note="=1+1" if step == 2 else "fine")
        journal.system(
            step, cpu_percent=20.0 * step, **{"gpu0/power_w": 100.0, "gpu0/memory_used_bytes": 3.0 * (1 << 30)}
        )
        journal.lines(f"\x1b[32mstep\x1b[0m {step}", first=2 * step)
        journal.lines(f"warn {step}\x1b]0;evil\x07", first=2 * step + 1, stream=2)
    journal.row(2, loss=0.5)
    journal.file("src/train.py", b"print()\n", kind="code")
    journal.file("src/model.py", b"pass\n", kind="code")
    journal.put(Clock(wall_time_ns=T0_NS, jumped_ns=5_000_000_000))
    journal.put(State(wall_time_ns=T0_NS, state="running", signal="SIGUSR1"))
    journal.end("killed", signal="SIGKILL", exit_code=137)
    return path


# -- logs


def test_logs_prints_every_line_without_what_a_terminal_would_obey(folder):
    result = command("logs", "p/a", folder=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"{word} {i}" for i in range(5) for word in ("step", "warn")]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--lines", "2"], ["step 4", "warn 4"]),
        (["-n", "99"], [f"{word} {i}" for i in range(5) for word in ("step", "warn")]),
        (["--stderr", "--lines", "2"], ["warn 3", "warn 4"]),
        (["--search", "STEP", "--no-color"], [f"step {i}" for i in range(5)]),
        (["--search", "step 3"], ["step 3"]),
        (["--search", "nothing", "-n", "3"], []),
        (["--timestamps", "--lines", "1"], [f"{datetime.fromtimestamp(1_700_000_000):%Y-%m-%d %H:%M:%S}.020 warn 4"]),
        (["--writer", "main", "-n", "1"], ["warn 4"]),
        (["--follow", "-n", "1"], ["warn 4"]),
    ],
)
def test_logs_takes_what_is_wanted(folder, options, expected):
    assert command("logs", "a", *options, folder=folder).stdout.splitlines() == expected


@pytest.mark.parametrize("options", [["--lines", "0"], ["--writer", "rank9"]])
def test_logs_that_cannot_be_told_are_one_clear_line(folder, options):
    result = command("logs", "a", *options, folder=folder)
    assert result.returncode == 2 and result.stderr.startswith("tracker: ") and len(result.stderr.splitlines()) == 1


def test_logs_says_what_is_missing(tmp_path):
    Journal(tmp_path).row(0, loss=1.0)
    assert "no output" in command("logs", "a", folder=tmp_path).stderr
    Journal(tmp_path, run="b").lines("x", first=0, n_left_out=7)
    assert "7 lines were not recorded" in command("logs", "b", folder=tmp_path).stderr


def test_logs_follows_a_run_until_it_ends(tmp_path):
    journal = Journal(tmp_path)
    journal.lines("begin", first=0)
    environ = {**ENVIRON, "TRACKER_DIR": str(tmp_path), "TRACKER_HEARTBEAT_TIMEOUT_S": "600"}
    arguments = [*TRACKER, "logs", "a", "--follow"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        journal.lines(" 10%", first=1)
        journal.lines("100%", "after", first=1)
        assert process.stdout.readline() == "100%\n"
        assert process.stdout.readline() == "after\n"
        journal.lines("last", first=3)
        journal.end()
        assert process.stdout.read() == "last\n"
    assert process.returncode == 0


def test_text_for_a_terminal_keeps_at_most_its_colours():
    hostile = "a\x1b[31mred\x1b]52;c;ZXZpbA==\x07\x1b[2J\x08\r\x9b5n\u202eb"
    assert printable(hostile) == "ared5nb"
    assert coloured(hostile) == "a\x1b[31mred5nb\x1b[0m" and coloured("plain\t") == "plain\t"


# -- system


def test_system_shows_machine_and_gpus_with_units(folder):
    result = command("system", "p/a", folder=folder)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["cpu_percent", "80", "%", "40", "%", "80", "%", "▁▃▅▆█"] in lines
    assert ["memory_used_bytes", *["3.0", "GiB"] * 3, "▁▁▁▁▁"] in lines
    assert ["gpu0", "NVIDIA", "H200"] in lines


def test_system_as_json(folder):
    found = json.loads(command("system", "p/a", "--json", folder=folder).stdout)
    assert found["system/gpu0/power_w"] == {"n_samples": 5, "last": 100.0, "mean": 100.0, "min": 100.0, "max": 100.0}


def test_a_run_without_samples_says_so(tmp_path):
    Journal(tmp_path).row(0, loss=1.0)
    assert "No samples" in command("system", "a", folder=tmp_path).stdout


def test_a_sparkline_shows_gaps_and_levels():
    times = np.array([0, 1, 2, 9], np.int64)
    assert sparkline(times, np.array([0.0, 1.0, np.nan, 3.0]), 10) == "▁ █"
    assert sparkline(times, np.full(4, np.nan)) == "" and sparkline(times[:1], np.array([5.0])) == "▁"


# -- files


def test_files_lists_and_copies(folder, tmp_path):
    listed = command("files", "p/a", folder=folder).stdout
    assert "src/train.py" in listed and "code" in listed and "8 B" in listed
    names = [file["name"] for file in json.loads(command("files", "a", "--json", folder=folder).stdout)]
    assert names == ["src/model.py", "src/train.py"]
    result = command("files", "a", "--get", "src/train.py", "--to", str(tmp_path), folder=folder)
    assert result.stdout.strip() == str(tmp_path / "src" / "train.py")
    assert (tmp_path / "src" / "train.py").read_bytes() == b"print()\n"
    again = command("files", "a", "--get", "src/", "--to", str(tmp_path), folder=folder)
    assert (tmp_path / "src" / "model.py").exists()
    assert again.returncode == 2 and "exists" in again.stderr and "replace" in again.stderr
    assert command("files", "a", "--get", "src/", "--to", str(tmp_path), "--replace", folder=folder).returncode == 0
    assert "is not in run" in command("files", "a", "--get", "../x", folder=folder).stderr


def test_a_copy_that_is_not_what_was_saved_is_refused(tmp_path):
    journal = Journal(tmp_path / ".tracker")
    digest = journal.file("a.txt", b"true")
    (tmp_path / ".tracker" / "runs" / "p" / "a" / "files" / digest).write_bytes(b"fals")
    result = command("files", "a", "--get", "a.txt", "--to", str(tmp_path), folder=tmp_path / ".tracker")
    assert result.returncode == 2 and "damaged or changed" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tracker"]


# -- export


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def test_export_writes_a_row_per_step_with_the_latest_values(folder):
    rows = rows_of(command("export", "p/a", folder=folder).stdout)
    assert rows[0] == ["_step", "_timestamp", "loss", "note"]
    assert [(row[0], row[2], row[3]) for row in rows[1:4]] == [
        ("0", "1.0", "fine"),
        ("1", "0.5", "fine"),
        ("2", "0.5", "'=1+1"),
    ]
    assert rows[1][1] == "1700000000.001000000" and len(rows) == 6
    assert rows_of(command("export", "p/a", "--keys", "loss", folder=folder).stdout)[0] == [
        "_step",
        "_timestamp",
        "loss",
    ]


@pytest.mark.parametrize(
    ("what", "n_rows", "first"),
    [
        ("history", 5, {"_step": 0, "_timestamp": 1700000000.001, "loss": 1.0, "note": "fine"}),
        ("points", 11, {"key": "loss", "step": 0, "wall_time": 1700000000.001, "value": 1.0}),
        ("console", 10, {"number": 0, "time": 1700000000.003, "stream": "stdout", "text": "step 0"}),
        (
            "system",
            5,
            {
                "_step": 0,
                "_timestamp": 1700000000.002,
                "system/cpu_percent": 0.0,
                "system/gpu0/memory_used_bytes": 3.0 * (1 << 30),
                "system/gpu0/power_w": 100.0,
            },
        ),
    ],
)
def test_export_as_json_and_parquet_hold_the_same(folder, tmp_path, what, n_rows, first):
    rows = json.loads(command("export", "a", "--format", "json", "--what", what, folder=folder).stdout)
    assert len(rows) == n_rows and rows[0] == first
    from pyarrow import parquet

    target = tmp_path / "run.parquet"
    result = command("export", "a", "--format", "parquet", "--what", what, "--output", str(target), folder=folder)
    assert result.returncode == 0 and f"{n_rows} rows" in result.stderr, result.stderr
    table = parquet.read_table(target)
    assert table.num_rows == n_rows and table.schema.names == list(first)
    assert [path.name for path in tmp_path.iterdir()] == ["run.parquet"]


def test_export_keeps_numbers_exactly(tmp_path):
    journal = Journal(tmp_path)
    values = [0.1, float("nan"), float("-inf"), 1e-320]
    for step, value in enumerate(values):
        journal.row(step, x=value, n=2**62 + step)
    journal.row(9, n=1)
    found = rows_of(command("export", "a", folder=tmp_path).stdout)[1:]
    columns = rows_of(command("export", "a", folder=tmp_path).stdout)[0]
    x, n = columns.index("x"), columns.index("n")
    assert np.array_equal([float(row[x]) for row in found[:4]], values, equal_nan=True)
    assert [int(row[n]) for row in found] == [2**62, 2**62 + 1, 2**62 + 2, 2**62 + 3, 1] and found[4][x] == ""


def test_export_names_what_is_missing(folder, tmp_path):
    unknown = command("export", "a", "--keys", "absent", folder=folder)
    assert unknown.returncode == 2 and "absent" in unknown.stderr
    both = command("export", "a", "--what", "console", "--keys", "loss", folder=folder)
    assert both.returncode == 2 and "--keys" in both.stderr
    (tmp_path / "pyarrow.py").write_text("raise ImportError('not here')")
    environ = {**ENVIRON, "TRACKER_DIR": str(folder), "PYTHONPATH": str(tmp_path)}
    arguments = [*TRACKER, "export", "a", "--format", "parquet", "--output", str(tmp_path / "x.parquet")]
    result = subprocess.run(arguments, capture_output=True, text=True, env=environ, check=False)
    assert result.returncode == 2 and "pip install pyarrow" in result.stderr
    assert not list(tmp_path.glob("x.parquet*"))


def test_an_empty_run_exports_as_no_rows(tmp_path):
    Journal(tmp_path)
    assert rows_of(command("export", "a", folder=tmp_path).stdout) == [["_step", "_timestamp"]]
    assert json.loads(command("export", "a", "--format", "json", folder=tmp_path).stdout) == []


# -- show and help


def test_show_tells_command_git_machine_state_and_health(folder):
    text = command("show", "p/a", folder=folder).stdout
    for part in (
        "◌ killed (by SIGKILL, exit code 137)",
        "python train.py --lr '0.1 x'",
        "0123456789ab with uncommitted changes, main",
        "16.0 GiB memory",
        "NVIDIA H200",
        "10 lines of output",
        "the clock of main moved by +5.0 s",
    ):
        assert part in text, part
    found = json.loads(command("show", "p/a", "--json", folder=folder).stdout)
    assert found["environment"]["git"]["branch"] == "main" and found["signal"] == "SIGKILL"
    assert found["system_metrics"]["system/cpu_percent"] == 80.0 and found["health"]["n_clock_jumps"] == 1


def test_show_survives_an_environment_of_any_shape(tmp_path):
    journal = Journal(tmp_path)
    journal.environment(command="x\x1b[2J", git=[1], python=3, gpus={"a": 1}, cpu=None, memory_bytes="much", os="?")
    result = command("show", "a", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout


def test_every_command_explains_itself(folder):
    overview = command("--help", folder=folder).stdout
    for name in ("run", "ui", "runs", "show", "logs", "system", "files", "export", "autoload", "doctor", "journal"):
        assert f"\n    {name} " in overview
        result = command(name, "--help", folder=folder)
        assert result.returncode == 0 and result.stdout.startswith(f"usage: tracker {name}"), result.stderr


def test_help_imports_nothing_heavy(folder):
    code = "import sys; from tracker_server.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print({'numpy', 'sqlalchemy', 'fastapi', 'rich'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("set()\n")

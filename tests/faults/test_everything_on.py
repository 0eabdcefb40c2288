"""Faults while a run records everything: what it prints, the machine, what was run, files. Training notices nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import child_process
import pytest
from comparison import compare, python_path, run_to_its_end, start
from training import Ledger, wait_until

from tracker_core.journal_format import Kind
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Console, Environment

LONGEST_LOG_S = 1.5  # the machine may be busy; what is slow on purpose takes 2 s
EVERYTHING = {
    "TRACKER_CONSOLE": "wrap",
    "TRACKER_SYSTEM_INTERVAL_S": "0.05",
    "TRACKER_CAPTURE_ENVIRONMENT": "true",
    "TRACKER_SAVE_CODE": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def train_with_everything(tmp_path: Path, n_rows: int = 300, **options: Any) -> str:
    """Run a training that prints and records all there is; check that it ended well; return what it said."""
    weights = tmp_path / "weights.txt"
    weights.write_text("1 2 3")
    options = {"environ": EVERYTHING, "is_talking": True, "pause_s": 0.01, "save": str(weights), **options}
    done = run_to_its_end(tmp_path / ".tracker", tmp_path / "ledger", n_rows, **options)
    assert done.returncode == 0, done.stderr
    assert Ledger(tmp_path / "ledger").n_returned() == n_rows
    assert [line for line in done.stdout.splitlines() if line.startswith("row ")] == [
        f"row {first}" for first in range(0, n_rows, 10)
    ]
    return done.stderr


def recorded(folder: Path) -> tuple[list[str], int, dict[str, Any]]:
    """Return the console lines, the number of samples of the machine, and the environment that a run recorded."""
    (path,) = folder.rglob("*.journal")
    batch = JournalReader(str(path)).read()
    lines: dict[int, str] = {}
    environment: dict[str, Any] = {}
    for _, record in batch.records:
        if isinstance(record, Console):
            lines.update((line.number, line.text) for line in record.lines)
        elif isinstance(record, Environment):
            environment.update(record.values)
    n_samples = sum(len(group.sequences) for group in batch.row_groups if group.kind == Kind.SYSTEM)
    return [lines[number] for number in sorted(lines)], n_samples, environment


def test_everything_is_recorded_where_nothing_goes_wrong(folder: Path, tmp_path: Path) -> None:
    stderr = train_with_everything(tmp_path)
    assert "cannot be recorded" not in stderr
    assert compare(folder, Ledger(tmp_path / "ledger")).numbers[0] == list(range(300))
    lines, n_samples, environment = recorded(folder)
    assert [line for line in lines if line.startswith("row ")] == [f"row {first}" for first in range(0, 300, 10)]
    assert n_samples > 0
    assert environment["command"]


@pytest.mark.fault("F1")
def test_kill_with_everything_on_loses_no_row(folder: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    process = start(folder, tmp_path / "ledger", 10_000_000, environ=EVERYTHING, is_talking=True, pause_s=0.001)
    wait_until(lambda: ledger.n_returned() > 1000 or process.poll() is not None)
    process.kill()
    _, stderr = process.communicate()
    assert stderr.count("warning") == 0, stderr
    kept = compare(folder, ledger)
    assert kept.n_lost == kept.n_damaged == 0
    lines, n_samples, _ = recorded(folder)
    assert n_samples > 0
    rows = [int(line.split()[1]) for line in lines if line.startswith("row ")]
    assert rows == list(range(0, 10 * len(rows), 10)), "an exact prefix of what was printed"


@pytest.mark.fault("F2")
@pytest.mark.parametrize("number", [40, 80])
def test_kill_at_a_write_with_everything_on_loses_no_row(folder: Path, tmp_path: Path, number: int) -> None:
    prefix = child_process.strace_prefix(f"write:signal=SIGKILL:when={number}")
    run_to_its_end(folder, tmp_path / "ledger", 300, prefix=prefix, environ=EVERYTHING, is_talking=True, pause_s=0.01)
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.n_lost == kept.n_damaged == 0


FULL = """
import os, pathlib, subprocess, sys, tracker_core
from training import RUN_ID, Ledger, log_rows
place, ledger = pathlib.Path(sys.argv[1]), Ledger(pathlib.Path(sys.argv[2]))
folder = place / "small"
folder.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
run = tracker_core.init(dir=folder, id=RUN_ID)
log_rows(run, ledger, 0, 0, 200)
with open(folder / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        pass
(place / "weights.txt").write_text("x" * 100_000)
for first in range(200, 600, 20):
    print(f"row {first}", "p" * 500)
    log_rows(run, ledger, 0, first, first + 20)
    run.save(str(place / "weights.txt"), policy="live")
    run.log_code(str(place))
(folder / "ballast").unlink()
run.finish()
subprocess.run(["cp", "-r", folder, place / "out"], check=True)
"""


@pytest.mark.fault("F16")
def test_full_disk_with_everything_on_costs_no_row(tmp_path: Path) -> None:
    prefix = child_process.mount_prefix()
    done = child_process.run(FULL, tmp_path, tmp_path / "ledger", prefix=prefix, **python_path(), **EVERYTHING)
    assert done.returncode == 0, done.stderr
    ledger = Ledger(tmp_path / "ledger")
    kept = compare(tmp_path / "out", ledger)
    assert kept.numbers[0] == list(range(600))
    assert kept.causes
    assert ledger.longest_s() < LONGEST_LOG_S
    lines, n_samples, _ = recorded(tmp_path / "out")
    assert n_samples > 0
    assert len([line for line in lines if line.startswith("row ")]) == 20


@pytest.mark.parametrize(
    "injections",
    [
        pytest.param(["openat:error=EMFILE:when=700+3"], marks=pytest.mark.fault("F20")),
        pytest.param(["rename:error=EIO", "link:error=EIO"], marks=pytest.mark.fault("F17")),
        pytest.param(["fsync:error=EIO", "fdatasync:error=EIO"], marks=pytest.mark.fault("F17")),
        pytest.param(["clone3:error=EAGAIN", "clone:error=EAGAIN"], marks=pytest.mark.fault("F11")),
        pytest.param(["fsync:delay_enter=2000000", "fdatasync:delay_enter=2000000"], marks=pytest.mark.fault("F22")),
    ],
    ids=["few-descriptors", "rename", "flush", "no-threads", "slow-flush"],
)  # fmt: skip
def test_failing_calls_with_everything_on_cost_no_row(tmp_path: Path, injections: list[str]) -> None:
    train_with_everything(tmp_path, prefix=child_process.strace_prefix(*injections))
    ledger = Ledger(tmp_path / "ledger")
    assert compare(tmp_path, ledger).numbers[0] == list(range(300))
    assert ledger.longest_s() < LONGEST_LOG_S

"""A process killed at chosen system calls and in chosen ways: every row whose `log()` had returned is there."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import child_process
import pytest
from comparison import Kept, compare, python_path, run_to_its_end, start
from training import Ledger, wait_until

N_ROWS = 30
# What the life of a run calls: its journal, its folders and probe, a flush, a file that is saved.
CALLS = ["write", "fsync", "fdatasync", "ftruncate", "mkdir", "unlink", "rename"]


def check_kill_at(tmp_path: Path, call: str, number: int) -> bool:
    """Kill a run at its n-th system call of a kind; say whether it came so far."""
    (tmp_path / "weights.txt").write_text("1 2 3")
    done = run_to_its_end(
        tmp_path / ".tracker",
        tmp_path / "ledger",
        N_ROWS,
        save=str(tmp_path / "weights.txt"),
        fsync_interval_s=0.01,
        prefix=child_process.strace_prefix(f"{call}:signal=SIGKILL:when={number}"),
        environ={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    kept = compare(tmp_path / ".tracker", Ledger(tmp_path / "ledger"))
    check_nothing_lost(kept)
    was_killed = done.returncode == -signal.SIGKILL
    assert was_killed or done.returncode == 0, done.stderr
    if not was_killed:
        assert kept.numbers[0] == list(range(N_ROWS))
        assert kept.state is not None and kept.state.state == "finished"
    return was_killed


def check_nothing_lost(kept: Kept) -> None:
    assert kept.n_lost == kept.n_dropped == kept.n_damaged == 0
    for numbers in kept.numbers.values():
        assert numbers == list(range(len(numbers)))


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("write", 4), ("write", 12), ("write", 33), ("fsync", 1), ("fdatasync", 1), ("ftruncate", 1), ("mkdir", 1),
        ("mkdir", 4), ("unlink", 1), ("rename", 1),
    ],
)  # fmt: skip
def test_kill_at_a_system_call_loses_no_row(tmp_path: Path, call: str, number: int) -> None:
    assert check_kill_at(tmp_path, call, number)


@pytest.mark.long
@pytest.mark.fault("F2")
@pytest.mark.parametrize("call", CALLS)
def test_kill_at_every_system_call_loses_no_row(tmp_path: Path, call: str) -> None:
    for number in itertools.count(1):
        place = tmp_path / str(number)
        place.mkdir()
        if not check_kill_at(place, call, number):
            break
    assert number > 1, f"the run made no call of {call}"


DEATHS = {
    "segmentation fault": "import ctypes\nctypes.string_at(0)",
    "abort": "os.abort()",
    "exit without a word": "os._exit(0)",
    "killed for memory": "os.kill(os.getpid(), signal.SIGKILL)",  # what the kernel sends
    "processor time used up": (
        "import resource, time\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
    ),
    "a fault of a bus": "os.kill(os.getpid(), signal.SIGBUS)",
}


@pytest.mark.fault("F5")
@pytest.mark.parametrize("way", DEATHS)
def test_death_that_runs_no_python_loses_no_row(folder: Path, tmp_path: Path, way: str) -> None:
    script = f"""
import os, pathlib, resource, signal, sys, tracker_core
from training import Ledger, log_rows
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
run = tracker_core.init(dir=sys.argv[1], id="faulty")
log_rows(run, Ledger(pathlib.Path(sys.argv[2])), 0, 0, 100)
{DEATHS[way]}
"""
    ledger = Ledger(tmp_path / "ledger")
    child_process.run(script, folder, tmp_path / "ledger", **python_path())
    kept = compare(folder, ledger)
    check_nothing_lost(kept)
    assert kept.numbers[0] == list(range(100))
    assert kept.state is None


@pytest.mark.fault("F5")
def test_running_out_of_memory_is_the_scripts_own_error_and_is_recorded(folder: Path, tmp_path: Path) -> None:
    script = """
import pathlib, resource, sys, tracker_core
from training import Ledger, log_rows
run = tracker_core.init(dir=sys.argv[1], id="faulty")
ledger = Ledger(pathlib.Path(sys.argv[2]))
log_rows(run, ledger, 0, 0, 100)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
try:
    bytearray(2 << 30)
except MemoryError:
    log_rows(run, ledger, 0, 100, 200)
bytearray(2 << 30)
"""
    ledger = Ledger(tmp_path / "ledger")
    done = child_process.run(script, folder, tmp_path / "ledger", **python_path())
    assert done.returncode == 1, done.stderr
    kept = compare(folder, ledger)
    check_nothing_lost(kept)
    assert kept.numbers[0] == list(range(200))
    assert kept.state is not None and kept.state.error is not None
    assert (kept.state.state, kept.state.error.type) == ("failed", "MemoryError")


@pytest.mark.fault("F1", "F10")
def test_kill_while_eight_threads_log_loses_no_row_of_any(folder: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    process = start(folder, tmp_path / "ledger", 1_000_000, n_threads=8)
    wait_until(lambda: min(map(ledger.n_returned, range(8))) > 50 or process.poll() is not None)
    process.kill()
    process.communicate()
    check_nothing_lost(compare(folder, ledger, n_threads=8))

"""System calls that fail, fall short, are interrupted or hang: training goes on, rows wait, and all of them arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import child_process
import pytest
from comparison import Kept, compare, run_to_its_end, start
from training import Ledger, wait_until

# A log call may wait for one write and for the scheduler of a busy machine, but not for a device to come back.
LONGEST_LOG_S = 1.5  # the machine may be busy; what is slow on purpose takes 2 s
N_ROWS = 200


def train_under(tmp_path: Path, *injections: str, n_rows: int = N_ROWS, **options: Any) -> tuple[Kept, Ledger, str]:
    """Run a training while system calls fail, check that it noticed nothing, and return what was kept."""
    settings = {"fsync_interval_s": 0.02, "pause_s": 0.005, "finish_timeout_s": 30, **options}
    environ = {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)}
    prefix = child_process.strace_prefix(*injections)
    folder, ledger = tmp_path / ".tracker", Ledger(tmp_path / "ledger")
    done = run_to_its_end(folder, tmp_path / "ledger", n_rows, prefix=prefix, environ=environ, **settings)
    assert done.returncode == 0, done.stderr
    assert ledger.n_returned() == n_rows
    assert ledger.longest_s() < LONGEST_LOG_S
    return compare(tmp_path, ledger), ledger, done.stderr


def check_all_there(kept: Kept, n_rows: int = N_ROWS) -> None:
    assert kept.numbers[0] == list(range(n_rows))
    assert kept.n_dropped == kept.n_lost_by_damage == 0
    assert kept.state is not None and kept.state.state == "finished"


@pytest.mark.parametrize(
    "injections",
    [
        pytest.param(["write:error=ENOSPC:when=20..22"], marks=pytest.mark.fault("F16")),
        pytest.param(["write:error=ENOSPC:when=9+5"], marks=pytest.mark.fault("F16")),
        pytest.param(["write:error=EDQUOT:when=30..32", "ftruncate:error=EIO:when=2+"], marks=pytest.mark.fault("F18")),
        pytest.param(["write:error=EROFS:when=15..16"], marks=pytest.mark.fault("F18")),
        pytest.param(["write:retval=5:when=20+6"], marks=pytest.mark.fault("F21")),
        pytest.param(["write:retval=1:when=30..32", "ftruncate:error=EIO:when=2+2"], marks=pytest.mark.fault("F21")),
        pytest.param(["write:error=ESTALE:when=25..27"], marks=pytest.mark.fault("F23")),
        pytest.param(
            ["write:error=ESTALE:when=25..27", "fdatasync:error=ESTALE", "ftruncate:error=ESTALE:when=2+"],
            marks=pytest.mark.fault("F23"),
        ),
    ],
    ids=[
        "full-for-a-time", "full-at-every-5th", "quota-and-no-way-back", "becomes-read-only", "short-at-every-6th",
        "short-and-no-way-back", "stale-for-a-time", "stale-all-over",
    ],
)  # fmt: skip
def test_rows_wait_for_writes_that_fail_and_arrive_once(tmp_path: Path, injections: list[str]) -> None:
    kept, _, _ = train_under(tmp_path, *injections)
    check_all_there(kept)
    assert kept.causes, "the journal says for how long rows waited"


@pytest.mark.long
@pytest.mark.fault("F16", "F17", "F18", "F20", "F21", "F23")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT", "ESTALE", "EMFILE", "EINTR", "EAGAIN", "ENOMEM"])
@pytest.mark.parametrize("call", ["write", "fsync", "fdatasync", "ftruncate", "mkdir", "unlink"])
def test_any_call_that_fails_at_any_time_loses_no_row(tmp_path: Path, call: str, error: str) -> None:
    for number in (1, 2, 3, 5, 8, 13, 21, 34):
        place = tmp_path / str(number)
        place.mkdir()
        kept, _, _ = train_under(place, f"{call}:error={error}:when={number}", n_rows=60)
        check_all_there(kept, 60)


@pytest.mark.fault("F21")
def test_interrupted_system_calls_are_made_again(tmp_path: Path) -> None:
    kept, _, stderr = train_under(tmp_path, "write:error=EINTR:when=10+3", "fdatasync:error=EINTR:when=1+2")
    check_all_there(kept)
    assert kept.causes == []
    assert stderr == ""


@pytest.mark.fault("F17", "F23")
@pytest.mark.parametrize("error", ["EIO", "ESTALE", "ENOSPC"])
def test_a_flush_that_fails_is_warned_of_once_and_costs_no_row(tmp_path: Path, error: str) -> None:
    kept, _, stderr = train_under(tmp_path, f"fdatasync:error={error}", f"fsync:error={error}")
    check_all_there(kept)
    assert stderr.count("did not confirm a flush") == 1


@pytest.mark.fault("F22")
def test_logging_does_not_wait_for_a_flush_of_two_seconds(tmp_path: Path) -> None:
    kept, ledger, stderr = train_under(tmp_path, "fdatasync:delay_enter=2000000", n_rows=400)
    check_all_there(kept, 400)
    assert kept.causes == []
    assert stderr == ""
    assert ledger.longest_s() < LONGEST_LOG_S


@pytest.mark.fault("F16")
def test_a_kill_while_rows_wait_loses_those_that_wait_and_no_other(tmp_path: Path) -> None:
    folder, ledger = tmp_path / ".tracker", Ledger(tmp_path / "ledger")
    program, *options = child_process.strace_prefix("write:error=ENOSPC:when=60+")
    prefix = (program, "-D", *options)  # so that the kill is of the training
    process = start(folder, tmp_path / "ledger", 1_000_000, prefix=prefix, environ={"PYTHONDONTWRITEBYTECODE": "1"})
    wait_until(lambda: ledger.n_returned() > 300 or process.poll() is not None)
    process.kill()
    process.communicate()
    kept = compare(folder, ledger)
    assert kept.numbers[0] == list(range(len(kept.numbers[0])))
    assert 40 < len(kept.numbers[0]) < 120  # two threads write, and their calls are counted apart
    assert kept.n_damaged == 0

"""Signals, requeued jobs, and many processes that write to one run."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import child_process
import pytest
from comparison import api_rows, compare, python_path, start
from journal_model import exact
from training import RUN_ID, Ledger, row_of, wait_until

from tracker_core.api import Api

ENDLESS = 10_000_000


def rows_of(thread: int, stop: int) -> list[dict[str, Any]]:
    return [exact(row_of(thread, n)) for n in range(stop)]


@pytest.mark.fault("F3")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_signal_that_ends_the_process_costs_no_row_and_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    ledger = Ledger(tmp_path / "ledger")
    process = start(folder, tmp_path / "ledger", ENDLESS)
    wait_until(lambda: ledger.n_returned() > 100 or process.poll() is not None)
    process.send_signal(signal.Signals[name])
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == -signal.Signals[name], stderr
    kept = compare(folder, ledger)
    assert kept.n_lost == kept.n_damaged == kept.n_dropped == 0
    assert kept.numbers[0] == list(range(len(kept.numbers[0])))
    assert kept.state is not None and (kept.state.state, kept.state.signal) == ("killed", name)


@pytest.mark.fault("F3")
def test_two_interrupts_at_once_cost_no_row(folder: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    process = start(folder, tmp_path / "ledger", ENDLESS)
    wait_until(lambda: ledger.n_returned() > 100 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    kept = compare(folder, ledger)
    assert kept.n_lost == kept.n_damaged == 0
    assert kept.state is not None and kept.state.state == "killed"


# What a SLURM job does that is to be requeued: warned, it says so and ends; its successor goes on with the same id.
JOB = """
import os, pathlib, signal, sys, tracker_core
from training import RUN_ID, Ledger, log_rows
folder, ledger, first, way = sys.argv[1], Ledger(pathlib.Path(sys.argv[2])), int(sys.argv[3]), sys.argv[4]
run = tracker_core.init(dir=folder, id=RUN_ID, resume="allow", config={"job": int(os.environ["SLURM_RESTART_COUNT"])})
assert run.step == first, f"goes on at step {run.step}, not {first}"
log_rows(run, ledger, 0, first, first + 100)
if way == "says so":
    run.mark_preempting()
    os.kill(os.getpid(), signal.SIGTERM)
elif way == "warned":
    os.kill(os.getpid(), signal.SIGUSR1)
elif way == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
"""


@pytest.mark.fault("F4")
@pytest.mark.parametrize(("way", "state"), [("says so", "preempted"), ("warned", "preempted"), ("killed", "crashed")])
def test_requeued_job_goes_on_with_its_run(folder: Path, tmp_path: Path, way: str, state: str) -> None:
    for restart in range(3):
        environ = {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": str(restart), **python_path()}
        end = way if restart < 2 else "finishes"
        done = child_process.run(JOB, folder, tmp_path / "ledger", 100 * restart, end, **environ)
        assert (done.returncode < 0) == (restart < 2), done.stderr
        run = Api(dir=folder).run(RUN_ID)
        assert run.state == (state if restart < 2 else "finished")
        assert run.config == {"job": restart}
        assert len(run.view.sessions) == restart + 1
        assert run.view.attempt == 1
        assert api_rows(folder) == rows_of(0, 100 * (restart + 1))
    steps = Api(dir=folder).run(RUN_ID).series("n").steps
    assert list(steps) == list(range(300))


@pytest.mark.fault("F8", "F9")
def test_eight_ranks_of_one_job_write_to_one_run(folder: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    n_rows = 100
    ranks = [
        start(
            folder,
            tmp_path / "ledger",
            n_rows,
            thread=rank,
            id=None,
            environ={"TRACKER_RUN_ID": RUN_ID, "RANK": str(rank), "WORLD_SIZE": "8"},
        )
        for rank in range(8)
    ]
    for process in ranks:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    kept = compare(folder, ledger, n_threads=8, api=False)
    assert kept.numbers == {rank: list(range(n_rows)) for rank in range(8)}
    assert kept.n_damaged == 0
    assert {session.attempt for session in kept.sessions} <= set(range(1, 9))
    assert len(kept.sessions) == 8


@pytest.mark.fault("F9")
@pytest.mark.parametrize("resume", [None, "allow"])
def test_processes_that_take_one_id_at_once_keep_all_their_rows_apart(
    folder: Path, tmp_path: Path, resume: str | None
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    settings = {} if resume is None else {"resume": resume}
    processes = [start(folder, tmp_path / "ledger", ENDLESS, thread=number, **settings) for number in range(3)]
    wait_until(lambda: min(map(ledger.n_returned, range(3))) > 50)
    processes[0].kill()
    for process in processes[1:]:
        process.terminate()
    for process in processes:
        process.communicate()
    kept = compare(folder, ledger, n_threads=3, api=False)
    assert kept.n_lost == kept.n_damaged == kept.n_dropped == 0
    assert all(numbers == list(range(len(numbers))) for numbers in kept.numbers.values())
    assert len({session.session for session in kept.sessions}) == 3
    shown = {row["thread"][1] for row in api_rows(folder)}
    assert shown <= {0, 1, 2}
    if resume is None and len({session.attempt for session in kept.sessions}) == 3:
        assert len(shown) == 1, "each is an attempt of its own"

"""How runs left open get their state when hooks are replaced, exits come in odd ways, or the interpreter shuts down."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core.api import Api
from tracker_core.ending import conclude
from tracker_core.journal_reader import JournalReader
from tracker_core.records import RunError, State

ROWS_ONLY = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
BEGINNING = """import atexit, os, signal, sys, threading, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="it")
run.log({"x": 1.0})
"""


@pytest.fixture(autouse=True)
def rows_only(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ROWS_ONLY.items():
        monkeypatch.setenv(name, value)


def end_with(folder: Path, script_end: str) -> tuple[State | None, subprocess.CompletedProcess[str]]:
    """Run a script that logs a row and then does what is given; return its closing state, and how it ended."""
    done = child_process.run(BEGINNING + script_end, folder)
    (path,) = folder.rglob("*.journal")
    reader = JournalReader(str(path))
    batch = reader.read()
    assert batch.damage == []
    found = [record for _, record in batch.records if isinstance(record, State)]
    assert len([state for state in found if state.state not in ("running", "preempting")]) <= 1
    return (found[-1] if reader.is_closed else None), done


ERROR = RunError(type="ValueError", message="bad")
INTERRUPT = RunError(type="KeyboardInterrupt", message="")


@pytest.mark.parametrize(
    ("known", "state", "exit_code", "signal"),
    [
        ((0, None, "", "", False), "finished", 0, ""),
        ((0, None, "", "SIGTERM", False), "finished", 0, ""),
        ((0, None, "", "SIGTERM", True), "finished", 0, ""),
        ((3, None, "", "", False), "failed", 3, ""),
        ((1, ERROR, "", "", False), "failed", 1, ""),
        ((1, INTERRUPT, "", "", False), "killed", 130, "SIGINT"),
        ((143, None, "SIGTERM", "SIGTERM", False), "killed", 143, "SIGTERM"),
        ((3, None, "", "SIGTERM", False), "killed", 3, "SIGTERM"),
        ((1, ERROR, "", "SIGTERM", False), "killed", 1, "SIGTERM"),
        ((1, ERROR, "", "SIGTERM", True), "preempted", 1, "SIGTERM"),
        ((1, None, "", "", True), "preempted", 1, ""),
        ((138, None, "SIGUSR1", "SIGUSR1", False), "killed", 138, "SIGUSR1"),
        ((1, ERROR, "", "SIGUSR1", False), "failed", 1, ""),
    ],
)
def test_what_is_known_of_the_end_decides_the_state(
    known: tuple[int, RunError | None, str, str, bool], state: str, exit_code: int, signal: str
) -> None:
    last = conclude(*known)
    assert (last.state, last.exit_code, last.signal) == (state, exit_code, signal)


def test_a_warning_signal_of_slurm_before_a_bad_end_is_a_preemption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert conclude(138, None, "SIGUSR1", "SIGUSR1", False).state == "preempted"
    assert conclude(1, None, "", "SIGUSR2", False).state == "preempted"
    assert conclude(0, None, "", "SIGUSR1", False).state == "finished"
    assert conclude(143, None, "SIGTERM", "SIGTERM", False).state == "killed", "a time limit or scancel, as likely"


@pytest.mark.parametrize(
    "hook",
    [
        "sys.excepthook = lambda *about: print('mine')",
        "del sys.excepthook",
        "import IPython.core.ultratb as u; sys.excepthook = u.FormattedTB()",
    ],
    ids=["own", "none", "ultratb"],
)
def test_an_excepthook_that_does_not_call_ours_hides_no_error(folder: Path, hook: str) -> None:
    last, done = end_with(folder, f"{hook}\nraise ValueError('bad loss')")
    assert done.returncode == 1
    assert last is not None and last.error is not None
    assert (last.state, last.exit_code, last.error.type) == ("failed", 1, "ValueError")


def test_an_exception_in_another_thread_does_not_fail_the_run(folder: Path) -> None:
    script_end = """
def work():
    raise ValueError("in a thread")
thread = threading.Thread(target=work)
thread.start(); thread.join()
"""
    last, done = end_with(folder, script_end)
    assert "in a thread" in done.stderr
    assert last is not None and (last.state, last.exit_code) == ("finished", 0)


def test_threading_hook_of_the_user_is_left_alone(folder: Path) -> None:
    script_end = """
assert threading.excepthook is threading.__excepthook__
"""
    last, done = end_with(folder, script_end)
    assert (done.returncode, last and last.state) == (0, "finished")


def test_logging_after_our_end_in_atexit_is_a_clear_error_and_no_hang(folder: Path) -> None:
    script = """
        import atexit, sys
        def late():
            run.log({"late": 1.0})
        atexit.register(late)  # registered before `init`, so it runs after the run has ended
        import tracker_core
        run = tracker_core.init("p", dir=sys.argv[1])
        run.log({"x": 1.0})
    """
    done = child_process.run(script, folder, timeout_s=30)
    assert done.returncode == 0
    assert "UsageError: log(): got a call on run" in done.stderr
    assert "finished" in done.stderr
    (path,) = folder.rglob("*.journal")
    assert len(rows_in(read_items(path))) == 1
    assert JournalReader(str(path)).read().records[-1][1].state == "finished"  # type: ignore[attr-defined]


def test_logging_from_finalizers_and_daemon_threads_at_shutdown_does_not_hang(folder: Path) -> None:
    script_end = """
class Late:
    def __del__(self):
        try:
            run.log({"late": 1.0})
        except Exception as error:
            sys.__stderr__.write(f"refused: {type(error).__name__}\\n")
late = Late()
begun = threading.Event()
def busy():
    while True:
        try:
            run.log({"busy": 1.0})
        except tracker_core.UsageError:
            pass
        begun.set()
threading.Thread(target=busy, daemon=True).start()
begun.wait()
"""
    last, done = end_with(folder, script_end)
    assert done.returncode == 0
    assert last is not None and last.state == "finished"


@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(0)", 0), ("os._exit(3)", 3), ("import ctypes; ctypes.string_at(0)", -11), ("os.abort()", -6)],
)
def test_a_sudden_end_is_seen_from_outside_at_once(folder: Path, end: str, status: int) -> None:
    last, done = end_with(folder, end)
    assert done.returncode == status
    assert last is None
    (run,) = Api(folder).runs()
    assert run.state == "crashed"


def test_a_dead_process_that_nobody_has_waited_for_is_dead(folder: Path) -> None:
    process = child_process.start(BEGINNING + "os._exit(0)", folder)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    try:
        assert [run.state for run in Api(folder).runs()] == ["crashed"]
    finally:
        process.communicate()


def test_exit_code_given_to_finish_wins_over_what_follows(folder: Path) -> None:
    last, done = end_with(folder, "run.finish(exit_code=4)\nraise ValueError")
    assert done.returncode == 1
    assert last is not None and (last.state, last.exit_code) == ("failed", 4)


def test_an_exit_that_was_caught_before_a_new_run_is_not_its_exit(folder: Path) -> None:
    script = """
        import sys, tracker_core
        first = tracker_core.init("p", dir=sys.argv[1] + "/1")
        try:
            sys.exit(4)
        except SystemExit:
            pass
        first.finish()
        tracker_core.init("p", dir=sys.argv[1] + "/2").log({"x": 1.0})
    """
    child_process.run_well(script, folder)
    (path,) = (folder / "2").rglob("*.journal")
    state = JournalReader(str(path)).read().records[-1][1]
    assert isinstance(state, State) and state.state == "finished"


def test_with_block_left_by_an_interrupt_was_killed(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tracker_core.init(dir=folder):
        raise KeyboardInterrupt
    (path,) = folder.rglob("*.journal")
    last = JournalReader(str(path)).read().records[-1][1]
    assert isinstance(last, State)
    assert (last.state, last.exit_code, last.signal) == ("killed", 130, "SIGINT")

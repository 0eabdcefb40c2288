"""How a run ends: its state, exit code and error, whatever ended the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core import UsageError
from tracker_core.journal_reader import JournalReader
from tracker_core.records import State

BEGINNING = """
import os, signal, sys, threading, tracker_core
run = tracker_core.init(dir=sys.argv[1])
run.log({"x": 1})
"""


def states(folder: Path) -> list[State]:
    (path,) = folder.rglob("*.journal")
    batch = JournalReader(str(path)).read()
    assert batch.damage == []
    return [record for _, record in batch.records if isinstance(record, State)]


def state_after(folder: Path, script_end: str) -> State | None:
    """Run a script that logs one row and then does what is given; return the state in its journal."""
    lines = (
        "import os, signal, sys, threading, tracker_core\nrun = tracker_core.init(dir=sys.argv[1])\nrun.log({'x': 1})\n"
    )
    child_process.run(lines + script_end, folder)
    found = states(folder)
    return found[-1] if found else None


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("script_end", "state", "exit_code"),
    [
        ("", "finished", 0),
        ("run.finish()", "finished", 0),
        ("run.finish(0)", "finished", 0),
        ("run.finish(exit_code=5)", "failed", 5),
        ("run.finish(exit_code=True)", "failed", 1),
        ("sys.exit()", "finished", 0),
        ("sys.exit(0)", "finished", 0),
        ("sys.exit(None)", "finished", 0),
        ("sys.exit(3)", "failed", 3),
        ("sys.exit(-1)", "failed", 255),
        ("sys.exit(2**70)", "finished", 0),
        ("sys.exit(True)", "failed", 1),
        ("sys.exit(False)", "finished", 0),
        ("sys.exit('a message')", "failed", 1),
        ("try: sys.exit(4)\nexcept SystemExit: pass\nrun2 = tracker_core.init(reinit=True)", "finished", 0),
        ("t = threading.Thread(target=sys.exit, args=(9,)); t.start(); t.join()", "finished", 0),
        (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); os.kill(os.getpid(), signal.SIGTERM)",
            "failed",
            143,
        ),
    ],
)
def test_state_follows_the_exit_of_the_process(folder: Path, script_end: str, state: str, exit_code: int) -> None:
    if "run2" in script_end:
        script_end = script_end.replace("reinit=True", f"reinit=True, dir={str(folder / 'second')!r}")
        found = state_after(folder / "first", script_end)
    else:
        found = state_after(folder, script_end)
    assert found is not None
    assert (found.state, found.exit_code) == (state, exit_code)
    assert type(found.exit_code) is int


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("script_end", "kind", "message"),
    [
        ("raise ValueError('bad loss')", "ValueError", "bad loss"),
        ("def f():\n    raise OSError(5, 'no luck')\nf()", "OSError", "no luck"),
        ("raise RuntimeError('lone \\ud800')", "RuntimeError", "lone ?"),
        ("class Mine(Exception): pass\nraise Mine('x')", "__main__.Mine", "x"),
    ],
)
def test_exception_makes_a_failed_run_with_its_traceback(
    folder: Path, script_end: str, kind: str, message: str
) -> None:
    found = state_after(folder, script_end)
    assert found is not None and found.error is not None
    assert (found.state, found.exit_code) == ("failed", 1)
    assert found.error.type == kind
    assert message in found.error.message
    assert "Traceback" in found.error.traceback
    assert kind.split(".")[-1] in found.error.traceback


@pytest.mark.fault("F5")
@pytest.mark.parametrize("script_end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"])
def test_sudden_death_leaves_no_state_but_all_rows(folder: Path, script_end: str) -> None:
    assert state_after(folder, script_end) is None
    (path,) = folder.rglob("*.journal")
    assert len(rows_in(read_items(path))) == 1


@pytest.mark.fault("F6")
def test_other_hooks_are_still_called(folder: Path) -> None:
    script = """
        import atexit, sys, tracker_core
        sys.excepthook = lambda kind, error, traceback: print("hook", error)
        atexit.register(print, "registered before init, runs last")
        run = tracker_core.init(dir=sys.argv[1])
        atexit.register(lambda: run.log({"late": 1.0}))
        atexit.register(print, "registered after init, runs first")
        raise ValueError("bad loss")
    """
    done = child_process.run(script, folder)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "hook bad loss", "registered after init, runs first", "registered before init, runs last",
    ]  # fmt: skip
    (path,) = folder.rglob("*.journal")
    assert [row[3].keys() for row in rows_in(read_items(path))] == [{"late"}]
    assert states(folder)[0].state == "failed"


@pytest.mark.fault("F6")
def test_runs_left_open_all_get_their_state(tmp_path: Path) -> None:
    """Also one that the script holds no name for any more."""
    script = """
        import gc, sys, tracker_core
        for n in range(4):
            tracker_core.init(dir=f"{sys.argv[1]}/{n}", reinit="create_new").log({"n": n})
        gc.collect()
    """
    child_process.run_well(script, tmp_path)
    assert [[s.state for s in states(tmp_path / str(n))] for n in range(4)] == [["finished"]] * 4


def test_with_block_that_raises_makes_a_failed_run(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), tracker_core.init(dir=folder) as run:
        run.log({"x": 1 / 0})
    (state,) = states(folder)
    assert state.state == "failed"
    assert state.error is not None
    assert state.error.type == "ZeroDivisionError"
    assert "test_end_of_run.py" in state.error.traceback


def test_with_block_that_ends_well_makes_a_finished_run(folder: Path) -> None:
    with tracker_core.init(dir=folder) as run:
        run.log({"x": 1.0})
    assert [state.state for state in states(folder)] == ["finished"]
    assert run.is_finished


def test_second_finish_does_nothing(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.finish()
    run.finish(exit_code=1)
    tracker_core.finish()
    assert [state.state for state in states(folder)] == ["finished"]


@pytest.mark.parametrize("exit_code", ["1", 1.5, object()])
def test_exit_code_that_is_no_whole_number_raises(folder: Path, exit_code: Any) -> None:
    run = tracker_core.init(dir=folder)
    with pytest.raises(UsageError, match="exit_code"):
        run.finish(exit_code=exit_code)
    run.finish()
    assert [state.state for state in states(folder)] == ["finished"]


def test_everything_after_finish_raises_and_says_what_to_do(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"x": 1.0})
    run.finish()

    def set_name() -> None:
        run.name = "new"

    calls = [
        lambda: run.log({"x": 2.0}),
        lambda: run.log({"new": "text"}),
        lambda: run.log({}),
        lambda: run.define_metric("x", summary="min"),
        lambda: run.config.update({"a": 1}),
        lambda: run.summary.update({"a": 1}),
        set_name,
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"finished.*Remedy: call init\(\)"):
            call()
    (path,) = folder.rglob("*.journal")
    assert len(rows_in(read_items(path))) == 1


def test_module_calls_without_a_run_raise_and_say_what_to_do() -> None:
    for call in (lambda: tracker_core.log({"x": 1}), lambda: tracker_core.config, lambda: tracker_core.summary):
        with pytest.raises(UsageError, match=r"Remedy: call init\(\) first"):
            call()
    tracker_core.finish()
    assert tracker_core.run is None


def test_runs_in_spite_of_a_closed_stderr(folder: Path) -> None:
    script = (
        "import sys, tracker_core\nsys.stderr.close()\nrun = tracker_core.init(dir=sys.argv[1])\nrun.log({'x': 1.0})"
    )
    child_process.run_well(script, folder, TRACKER_QUIET="0")
    assert [state.state for state in states(folder)] == ["finished"]
    script = (
        "import sys, tracker_core\nsys.stderr = None\nrun = tracker_core.init(dir=sys.argv[1])\nrun.log({'x': 1.0})"
    )
    child_process.run_well(script, folder / "none", TRACKER_QUIET="0")
    assert [state.state for state in states(folder / "none")] == ["finished"]

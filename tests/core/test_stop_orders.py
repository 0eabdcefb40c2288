"""Orders to stop: told to the training at a safe point, once, whatever the training does with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import child_process
import pytest

import tracker_core
from tracker_core import journal_writer
from tracker_core.api import Api
from tracker_core.control import RunStopped, StopOrder, apply_order, give_order, read_order, withdraw_order
from tracker_core.run import Run
from tracker_core.sync.wire import Order

Wait = Callable[[Callable[[], object]], None]


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the journal's thread of this process look more often than once a second."""
    monkeypatch.setattr(journal_writer, "_TICK_S", 0.0)
    monkeypatch.setenv("TRACKER_FSYNC_INTERVAL_S", "0.01")


@pytest.fixture
def wait_until(looks_often: None, wait_until: Wait) -> Wait:
    return wait_until


def begin(**arguments: Any) -> Run:
    run = tracker_core.init("p", **arguments)
    assert isinstance(run, Run)
    return run


def order_for(run: Run, why: str = "loss is NaN") -> StopOrder:
    return StopOrder([run.session_id], "ann", why, time.time_ns())


def ask(run: Run, wait_until: Wait) -> None:
    """Put an order into the run's folder, and return when the run has seen it."""
    give_order(run.dir, order_for(run))
    wait_until(lambda: run.stop_order_sessions)
    wait_until(lambda: not (run._plans and run._stops.is_due))


def states_of(run: Run) -> tuple[str, str, int | None]:
    found = Api(run.settings.dir).run(run.path)
    return found.state, found.stopped_by, found.exit_code


# In the process


def test_the_next_log_raises_once_and_its_row_is_kept(wait_until: Wait) -> None:
    run = begin()
    run.log({"x": 1.0})
    ask(run, wait_until)
    with pytest.raises(RunStopped) as caught:
        run.log({"x": 2.0})
    assert (caught.value.run, caught.value.by, caught.value.why) == (run.path, "ann", "loss is NaN")
    run.log({"x": 3.0})
    run.finish()
    assert Api().run(run.path).series("x").values.tolist() == [1.0, 2.0, 3.0]
    assert states_of(run) == ("killed", "ann: loss is NaN", 0)


def test_except_exception_around_a_step_does_not_swallow_it(wait_until: Wait) -> None:
    run = begin()
    ask(run, wait_until)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(3):
            try:
                run.log({"x": 1.0})
            except Exception:  # noqa: BLE001  what many training loops do
                pass


@pytest.mark.parametrize("row", [{"x": 1.0}, {"x": "text"}, {"x": {"y": 2}}, {}])
def test_rows_of_every_kind_raise(wait_until: Wait, row: dict[str, Any]) -> None:
    run = begin()
    run.log(row)
    ask(run, wait_until)
    with pytest.raises(RunStopped):
        run.log(row)


def test_with_a_flag_log_never_raises(wait_until: Wait) -> None:
    run = begin(settings={"on_stop": "flag"})
    assert not run.should_stop
    ask(run, wait_until)
    run.log({"x": 1.0})
    assert run.should_stop
    run.finish()
    assert states_of(run) == ("killed", "ann: loss is NaN", 0)


def test_a_loop_that_looks_at_should_stop_is_not_raised_at(wait_until: Wait) -> None:
    run = begin()
    ask(run, wait_until)
    assert run.should_stop
    run.log({"x": 1.0})


def test_a_run_that_never_came_to_see_the_order_finished(wait_until: Wait) -> None:
    run = begin(settings={"on_stop": "flag"})
    ask(run, wait_until)
    run.finish()
    assert states_of(run) == ("finished", "", 0)


def test_another_thread_logs_on_and_the_main_thread_is_raised_at(wait_until: Wait) -> None:
    run = begin()
    run.log({"x": 0.0})
    ask(run, wait_until)
    other = threading.Thread(target=lambda: [run.log({"x": float(value)}) for value in (1, 2, 3)])
    other.start()
    other.join()
    with pytest.raises(RunStopped):
        run.log({"x": 4.0})
    run.finish()
    assert Api().run(run.path).series("x").values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_is_logged_around_an_order_means_the_same(wait_until: Wait) -> None:
    run = begin()
    run.define_metric("x", summary="max")
    run.log({"x": 5.0, "n": 1 << 40, "flag": True}, commit=False)
    ask(run, wait_until)
    with pytest.raises(RunStopped):
        run.log({"x": 1.0, "n": 1 << 41, "flag": False})
    run.log({"x": 2.0, "n": 1 << 42, "flag": True})
    run.finish()
    kept = Api().run(run.path)
    assert [(row["_step"], row["x"], row["n"], row["flag"]) for row in kept.scan_history()] == [
        (0, 5.0, 1 << 40, True),
        (0, 1.0, 1 << 41, False),
        (1, 2.0, 1 << 42, True),
    ]
    assert kept.summary["x"] == {"max": 5.0}


def test_an_order_for_another_session_is_none(wait_until: Wait) -> None:
    run = begin()
    give_order(run.dir, StopOrder(["0" * 32], "ann"))
    seen = threading.Event()
    run._writer.each_second.append(seen.set)
    wait_until(seen.is_set)
    assert not run.should_stop and run.stop_order_sessions == ()


def test_a_run_that_is_gone_on_with_is_not_stopped_again(wait_until: Wait) -> None:
    run = begin(id="it")
    ask(run, wait_until)
    with pytest.raises(RunStopped):
        run.log({"x": 1.0})
    run.finish()
    again = begin(id="it", resume="allow")
    seen = threading.Event()
    again._writer.each_second.append(seen.set)
    wait_until(seen.is_set)
    again.log({"x": 2.0})
    again.finish()
    assert states_of(again) == ("finished", "", 0)


def test_an_order_that_is_withdrawn_in_time_stops_nothing(wait_until: Wait) -> None:
    run = begin()
    ask(run, wait_until)
    assert withdraw_order(run.dir)
    wait_until(lambda: not run.stop_order_sessions)
    run.log({"x": 1.0})
    run.finish()
    assert states_of(run)[0] == "finished"


def test_a_disabled_run_is_never_asked() -> None:
    run = tracker_core.init("p", mode="disabled")
    assert run.should_stop is False


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sessions": 3}', b"\xff\xfe", b'{"by": "ann"}'])
def test_a_file_that_is_no_order_is_passed_over(wait_until: Wait, content: bytes) -> None:
    run = begin()
    path = Path(run.dir, "control", "stop.json")
    path.parent.mkdir()
    path.write_bytes(content)
    seen = threading.Event()
    run._writer.each_second.append(seen.set)
    wait_until(seen.is_set)
    run.log({"x": 1.0})
    ask(run, wait_until)  # and gives way to one that is
    with pytest.raises(RunStopped):
        run.log({"x": 1.0})


def test_what_log_reads_is_in_objects_that_are_quick_to_read() -> None:
    run = begin()
    assert all(len(vars(part)) < 30 for part in (run, run._writer, run._writer._file))


# The file


def test_orders_add_up_and_one_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    first = StopOrder(["a"], "ann", "", 1)
    give_order(str(tmp_path), first)
    written = (tmp_path / "control" / "stop.json").stat().st_mtime_ns
    give_order(str(tmp_path), first)
    assert (tmp_path / "control" / "stop.json").stat().st_mtime_ns == written
    give_order(str(tmp_path), StopOrder(["b"], "bob", "late", 2))
    assert read_order(str(tmp_path)) == StopOrder(["a", "b"], "bob", "late", 2)
    assert [path.name for path in (tmp_path / "control").iterdir()] == ["stop.json"]


def test_orders_of_a_server_reach_runs_that_are_here_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "p" / "it"
    folder.mkdir(parents=True)
    order = Order("p", "it", ["a"], "stop", "ann", "why", 7)
    for stray in (("p", "../it"), ("..", "it"), ("p/x", "it"), ("p", "other"), ("", "it")):
        apply_order(str(tmp_path), Order(*stray, ["a"], "stop", "ann", "", 1))
    apply_order(str(tmp_path), Order("p", "it", ["a"], "dance", "ann", "", 1))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    apply_order(str(tmp_path), order)
    assert read_order(str(folder)) == StopOrder(["a"], "ann", "why", 7)
    apply_order(str(tmp_path), Order("p", "it", ["a"], "withdraw", "ann", "", 6))  # an order from before
    assert read_order(str(folder)) is not None
    apply_order(str(tmp_path), Order("p", "it", ["a"], "withdraw", "ann", "", 7))
    assert read_order(str(folder)) is None


# Whole processes

LOOP = """
import sys, time, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="it", settings={"on_stop": sys.argv[2]})
print("ready", flush=True)
"""


def begin_process(folder: Path, script_end: str, on_stop: str = "raise") -> Any:
    process = child_process.start(LOOP + script_end, folder, on_stop)
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


def test_a_training_that_is_asked_by_the_api_ends_as_stopped(folder: Path) -> None:
    process = begin_process(folder, "while True: run.log({'x': 1.0})")
    assert Api(folder).run("p/it").stop("loss is NaN")
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "RunStopped: run p/it is stopped by" in stderr and "loss is NaN" in stderr
    run = Api(folder).run("p/it")
    assert (run.state, run.exit_code, run.error) == ("killed", 1, None)
    assert run.stopped_by.endswith(": loss is NaN") and run.stop_order is None
    assert len(run.series("x")) > 0


def test_cleaning_up_after_a_stop_is_recorded(folder: Path) -> None:
    end = """
try:
    while True:
        run.log({"x": 1.0})
except tracker_core.RunStopped:
    run.log({"saved": 1.0})
"""
    process = begin_process(folder, end)
    Api(folder).run("p/it").stop()
    process.communicate(timeout=60)
    run = Api(folder).run("p/it")
    assert (process.returncode, run.state, run.exit_code) == (0, "killed", 0)
    assert run.summary["saved"] == 1.0 and run.stopped_by


def test_a_process_that_is_terminated_while_an_order_waits_was_stopped(folder: Path) -> None:
    process = begin_process(folder, "time.sleep(600)")
    Api(folder).run("p/it").stop("hangs")
    process.terminate()
    process.communicate(timeout=60)
    run = Api(folder).run("p/it")
    assert (run.state, run.signal) == ("killed", "SIGTERM") and run.stopped_by.endswith(": hangs")


def test_an_error_of_the_training_itself_stays_a_failure(folder: Path) -> None:
    process = begin_process(folder, "input(); raise ValueError('own')", "flag")
    Api(folder).run("p/it").stop()
    process.communicate("\n", timeout=60)
    run = Api(folder).run("p/it")
    assert run.state == "failed" and run.error is not None and run.error.type == "ValueError" and not run.stopped_by


def test_a_forked_child_is_asked_where_the_order_names_it(folder: Path) -> None:
    end = """
import os
if os.fork():
    os.wait()
else:
    while True:
        run.log({"x": 1.0})
"""
    process = begin_process(folder, end)
    deadline_s = time.monotonic() + 60
    while not (writers := [one for one in Api(folder).run("p/it").view.sessions if one.writer.startswith("fork-")]):
        assert time.monotonic() < deadline_s
    Api(folder).run("p/it").stop()
    process.communicate(timeout=60)
    run = Api(folder).run("p/it")
    assert writers and run.state == "finished"  # the parent never logged, and ended well

"""How a run stands: who decides that, and what is known of its end."""

from __future__ import annotations

import pytest

from tracker_core.records import Clock, Console, Dropped, RunError, Session, State, Suspended
from tracker_server.ingest.fold import JournalFold, decode_fold, encode_fold
from tracker_server.runs.run_view import view_run

from .test_run_view import journal


def said(state, **fields):
    return State(wall_time_ns=fields.pop("at_ns", 900), state=state, **fields)


def state_of(*journals):
    return view_run("p", "a", list(journals)).state


@pytest.mark.parametrize("state", ["finished", "failed", "killed", "preempted"])
def test_what_a_process_said_of_its_end_is_the_state(state):
    assert state_of(journal(said(state), is_alive=False)) == state


@pytest.mark.parametrize(
    ("records", "is_alive", "expected"),
    [
        ([said("preempting")], True, "running"),
        ([said("preempting")], False, "preempted"),
        ([said("preempting"), said("running", signal="SIGTERM")], False, "preempted"),
        ([said("preempting"), said("finished")], False, "finished"),
        ([said("preempting"), said("running")], False, "crashed"),
        ([said("running", signal="SIGUSR1")], False, "crashed"),
        ([said("running", signal="SIGUSR1")], True, "running"),
    ],
)
def test_who_expected_to_be_stopped_and_is_gone_was_preempted(records, is_alive, expected):
    assert state_of(journal(*records, is_alive=is_alive)) == expected


def test_that_it_expects_to_be_stopped_is_shown_while_it_runs():
    assert view_run("p", "a", [journal(said("preempting"))]).is_preempting
    assert not view_run("p", "a", [journal(said("preempting"), is_alive=False)]).is_preempting


def test_signals_survived_are_notices_and_no_end():
    view = view_run("p", "a", [journal(said("running", signal="SIGUSR1", at_ns=5), said("running", signal="SIGHUP"))])
    assert [(signal.name, signal.writer, signal.at_ns) for signal in view.signals] == [
        ("SIGUSR1", "main", 5),
        ("SIGHUP", "main", 900),
    ]
    assert (view.signal, view.exit_code, view.ended_ns) == ("", None, None)


def launcher(*records, **options):
    return journal(*records, writer="launcher", **{"counter": 0, **options})


@pytest.mark.parametrize(
    ("of_launcher", "of_main", "expected"),
    [
        ((said("finished"),), (said("failed"),), "finished"),
        ((said("killed", signal="SIGKILL", exit_code=137),), (), "killed"),
        ((said("failed", exit_code=3),), (said("finished"),), "failed"),
        ((said("killed"),), (said("preempting"),), "preempted"),
        ((said("failed"),), (said("preempted"),), "preempted"),
        ((said("finished"),), (said("preempting"),), "finished"),
    ],
)
def test_what_tracker_run_saw_of_the_end_counts(of_launcher, of_main, expected):
    both = [launcher(*of_launcher, is_alive=False), journal(*of_main, is_alive=False)]
    assert state_of(*both) == expected


@pytest.mark.parametrize(("of_main", "is_alive"), [((), False), ((said("finished"),), False), ((), True)])
def test_while_tracker_run_lives_the_run_is_running(of_main, is_alive):
    assert state_of(launcher(is_alive=True), journal(*of_main, is_alive=is_alive)) == "running"


@pytest.mark.parametrize(
    ("of_main", "is_alive", "expected"),
    [
        ((), True, "running"),
        ((), False, "crashed"),
        ((said("finished"),), False, "finished"),
        ((said("preempting"),), False, "preempted"),
    ],
)
def test_where_tracker_run_died_without_a_word_the_process_decides(of_main, is_alive, expected):
    assert state_of(launcher(is_alive=False), journal(*of_main, is_alive=is_alive)) == expected


def test_a_command_in_another_language_is_a_run_of_tracker_run_alone():
    view = view_run("p", "a", [launcher(said("failed", exit_code=2), is_alive=False, name="a.out")])
    assert (view.state, view.exit_code, view.name) == ("failed", 2, "a.out")


def test_a_session_resumed_later_without_tracker_run_decides_for_itself():
    earlier = launcher(said("failed", at_ns=150))
    assert state_of(earlier, journal(counter=1), journal(counter=2, resumed=True)) == "running"


def test_the_end_and_the_begin_are_those_of_tracker_run_and_the_error_that_of_the_process():
    error = RunError("ValueError", "bad", "Traceback ...")
    begun = launcher(said("failed", exit_code=1, at_ns=950), counter=1)
    child = journal(said("failed", exit_code=None, error=error), name="child", counter=2)
    view = view_run("p", "a", [begun, child])
    assert (view.error, view.exit_code, view.ended_ns, view.name) == (error, 1, 950, "child")
    assert view.created_ns == 100 and view.signal == ""


def test_the_launcher_of_an_earlier_attempt_says_nothing_of_a_later_one():
    assert state_of(launcher(said("failed")), journal(), journal(counter=2, attempt=2)) == "running"


def test_trouble_is_added_up_over_all_writers():
    records = (
        Suspended(wall_time_ns=1, cause="slow", began_ns=10, ended_ns=30, n_queued=1),
        Suspended(wall_time_ns=2, cause="slow", began_ns=50, ended_ns=55, n_queued=1),
        Clock(wall_time_ns=7, jumped_ns=-5),
        Console(wall_time_ns=1, n_left_out=4),
        Dropped(wall_time_ns=1, n_rows=2, first_ns=1, last_ns=2, cause="full"),
    )
    view = view_run("p", "a", [journal(*records), journal(*records, writer="rank1", counter=2)])
    assert (view.n_suspensions, view.suspended_ns, view.n_clock_jumps, view.n_dropped) == (4, 50, 4 - 2, 4)
    assert [(jump.writer, jump.at_ns, jump.jumped_ns) for jump in view.clock_jumps] == [
        ("main", 7, -5),
        ("rank1", 7, -5),
    ]
    assert view.n_console_left_out == 8


def test_endless_notices_and_sums_stay_bounded():
    fold = JournalFold()
    fold.add_record(Session(wall_time_ns=1, session="00", run="a", project="p"))
    for i in range(300):
        fold.add_record(State(wall_time_ns=i, state="running", signal=f"S{i}"))
        fold.add_record(Clock(wall_time_ns=i, jumped_ns=1 << 63))
        fold.add_record(Console(wall_time_ns=i, n_left_out=1 << 63))
        fold.add_record(Dropped(wall_time_ns=i, n_rows=1 << 63, first_ns=1, last_ns=2, cause="full"))
        fold.add_record(Suspended(wall_time_ns=i, cause="", began_ns=-(1 << 63), ended_ns=1 << 63, n_queued=1))
    back = decode_fold(encode_fold(fold))
    assert back == fold
    assert len(back.signals) == len(back.clock_jumps) == 100 and back.n_clock_jumps == 300
    assert back.signals[-1].name == "S299" and back.n_console_left_out == back.n_dropped == 1 << 62

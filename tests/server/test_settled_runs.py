"""Runs of which nothing more is expected: the index alone holds them, and readers see no difference."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.errors import NotFoundError
from tracker_core.records import State
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_lock import try_store_lock

from .conftest import Journal


def opened(folder: Path, **options) -> LocalFolder:
    """Return a folder in which a run that ended is settled at the next refresh."""
    found = LocalFolder(folder, settle_after_s=-1.0, **options)
    found.refresh()
    return found


def full(folder: LocalFolder) -> dict[tuple[str, str], set[str]]:
    """Refresh, trusting no time of the file system."""
    folder._scan._full_scan_at = 0.0
    return {(change.project, change.run): set(change.kinds) for change in folder.refresh()}


def write_run(folder: Path, run: str = "a", n_rows: int = 20, is_ended: bool = True, **session) -> Journal:
    journal = Journal(folder, run=run, **session)
    journal.config(lr=0.1, model={"depth": 3})
    for step in range(n_rows):
        journal.row(step, loss=math.sin(step), n=step)
    journal.system(cpu=50.0)
    journal.lines("first line", "second line", first=0)
    journal.summary(best=1)
    if is_ended:
        journal.end()
    return journal


def told(folder: LocalFolder, run: str = "a") -> tuple:
    view = folder.run("p", run)
    return (
        view,
        folder.details("p", run),
        list(folder.rows("p", run)),
        folder.series("p", run, "loss").values.tolist(),
        folder.series("p", run, "system/cpu").values.tolist(),
        [line.text for line in folder.console("p", run).lines()],
        folder.files("p", run),
        draw(folder, "p", ChartRequest(["a"], "loss")).lines[0].cells.mean.tolist(),
    )


def test_a_settled_run_is_told_as_it_was_before_and_is_not_in_memory(tracker_dir):
    write_run(tracker_dir)
    before = LocalFolder(tracker_dir)
    before.refresh()
    expected = told(before)
    folder = opened(tracker_dir)
    assert folder.live_runs() == []
    again = opened(tracker_dir)
    for reader in (folder, again):
        assert told(reader) == expected
        assert reader.runs() == reader.runs("p") == [expected[0]] and reader.runs("q") == []
        assert reader.projects() == ["p"] and reader.has_run("p", "a")
        assert reader.find_runs("a") == [expected[0]]
        assert reader.live_runs() == []


def test_a_running_run_stays_in_memory_until_it_ends(tracker_dir):
    journal = write_run(tracker_dir, is_ended=False)
    folder = opened(tracker_dir)
    assert [view.state for view in folder.live_runs()] == ["running"]
    journal.end()
    folder.refresh()
    assert folder.live_runs() == [] and folder.run("p", "a").state == "finished"


def test_a_run_that_ended_a_moment_ago_is_not_settled_yet(tracker_dir):
    write_run(tracker_dir)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.refresh()
    assert [view.id for view in folder.live_runs()] == ["a"]


def test_a_resumed_run_is_live_again_with_all_of_its_history(tracker_dir):
    write_run(tracker_dir)
    folder = opened(tracker_dir)
    second = Journal(tracker_dir, counter=2)
    second.row(20, loss=2.0)
    assert [change.kinds for change in folder.refresh()] == [("points", "state")]
    assert folder.run("p", "a").state == "running" and len(folder.series("p", "a", "loss")) == 21
    second.end()
    folder.refresh()
    assert folder.live_runs() == [] and folder.run("p", "a").n_rows == 21
    assert len(opened(tracker_dir).series("p", "a", "loss")) == 21


def test_what_is_written_behind_the_end_is_seen(tracker_dir):
    journal = write_run(tracker_dir, is_ended=False)
    journal.put(State(wall_time_ns=journal.now_ns, state="finished"))
    folder = opened(tracker_dir)
    assert folder.live_runs() == []
    journal.row(20, loss=5.0)
    assert full(folder)["p", "a"] >= {"points"}
    assert folder.series("p", "a", "loss").values[-1] == 5.0 and folder.run("p", "a").metrics["loss"].n_points == 21
    assert opened(tracker_dir).run("p", "a").metrics["loss"].n_points == 21


def test_a_crashed_run_is_settled_when_it_has_been_silent_for_long(tracker_dir):
    journal = write_run(tracker_dir, is_ended=False)
    for silence_s, n_live in ((600, 1), (100_000, 0)):
        os.utime(journal.path, (time.time() - silence_s,) * 2)
        folder = opened(tracker_dir, heartbeat_timeout_s=60.0)
        assert len(folder.live_runs()) == n_live
        assert folder.run("p", "a").state == "crashed" and len(folder.series("p", "a", "loss")) == 20
    journal.row(20, loss=2.0)
    assert full(folder)["p", "a"] >= {"points"}
    assert folder.run("p", "a").state == "running" and len(folder.series("p", "a", "loss")) == 21


def test_a_removed_run_is_gone_also_from_the_index(tracker_dir):
    for run in ("a", "b"):
        write_run(tracker_dir, run)
    folder = opened(tracker_dir)
    shutil.rmtree(tracker_dir / "runs" / "p" / "b")
    assert full(folder) == {("p", "b"): {"removed"}}
    for reader in (folder, opened(tracker_dir)):
        assert [view.id for view in reader.runs()] == ["a"]
        with pytest.raises(NotFoundError, match="no run p/b"):
            reader.run("p", "b")


def test_one_of_two_journals_of_a_settled_run_may_go(tracker_dir):
    write_run(tracker_dir)
    second = write_run(tracker_dir, counter=2)
    folder = opened(tracker_dir)
    assert folder.run("p", "a").n_rows == 40
    os.unlink(second.path)
    assert "state" in full(folder)["p", "a"]
    for reader in (folder, opened(tracker_dir)):
        assert reader.run("p", "a").n_rows == 20 and len(reader.series("p", "a", "loss")) == 20


def test_runs_are_found_again_where_the_index_is_lost(tracker_dir):
    for run in ("a", "b"):
        write_run(tracker_dir, run)
    folder = opened(tracker_dir)
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (tracker_dir / name).unlink(missing_ok=True)
    folder.refresh()
    assert {view.id for view in folder.runs()} == {"a", "b"} and len(folder.series("p", "a", "loss")) == 20
    folder.refresh()
    assert folder.live_runs() == []


def test_a_run_just_begun_is_found_without_a_refresh(tracker_dir):
    folder = opened(tracker_dir)
    write_run(tracker_dir, is_ended=False)
    assert folder.run("p", "a").n_rows == 20
    changes = {(change.project, change.run): set(change.kinds) for change in folder.refresh()}
    assert changes["p", "a"] >= {"new", "points"}


def test_a_run_whose_rows_were_dropped_by_another_process_is_found_again(tracker_dir):
    for run in ("a", "b"):
        write_run(tracker_dir, run)
    folder = opened(tracker_dir)
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        database.execute("DELETE FROM run WHERE run_id = 'b'")
    database.close()
    full(folder)
    assert {view.id for view in folder.runs()} == {"a", "b"}
    assert {view.id for view in opened(tracker_dir).runs()} == {"a", "b"}


def test_a_run_that_settles_again_stays_though_its_earlier_rows_could_not_be_dropped(tracker_dir):
    write_run(tracker_dir)
    folder = opened(tracker_dir)
    second = Journal(tracker_dir, counter=2)
    second.row(20, loss=2.0)
    with try_store_lock(str(tracker_dir / "store.lock")) as is_held:
        assert is_held
        folder.refresh()
    assert folder._index.settle([folder._runs.live["p", "a"].row()])
    folder._index.write([])
    assert ("p", "a") in folder._index.settled()


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["log", "end", "resume", "refresh", "full", "reopen", "elsewhere", "delete_index"]),
        st.integers(0, 2),
    ),
    min_size=4,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_no_row_is_lost_or_doubled_however_runs_end_and_go_on(tmp_path_factory, actions):
    tracker_dir = tmp_path_factory.mktemp("t") / ".tracker"
    folder = opened(tracker_dir)
    journals: dict[str, Journal | None] = {}
    values: dict[str, list[float]] = {}
    counters: dict[str, int] = {}
    for action, number in [*actions, ("full", 0)]:
        run = f"r{number}"
        if action in ("log", "resume") and journals.get(run) is None:
            counters[run] = counters.get(run, 0) + 1
            values.setdefault(run, [])
            journals[run] = Journal(tracker_dir, run=run, counter=counters[run])
        journal = journals.get(run)
        if action == "log" and journal:
            values[run].append(float(len(values[run])))
            journal.row(len(values[run]), loss=values[run][-1])
        elif action == "end" and journal:
            journal.end()
            journals[run] = None
        elif action == "refresh":
            folder.refresh()
        elif action == "full":
            full(folder)
            _check(folder, values, journals)
        elif action == "reopen":
            folder.close()
            folder = opened(tracker_dir)
        elif action == "elsewhere":
            opened(tracker_dir).close()
        elif action == "delete_index":
            for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
                (tracker_dir / name).unlink(missing_ok=True)
    folder.close()


def _check(folder: LocalFolder, values: dict[str, list[float]], journals: dict[str, Journal | None]) -> None:
    assert {view.id: view.n_rows for view in folder.runs()} == {run: len(logged) for run, logged in values.items()}
    for run, logged in values.items():
        assert folder.run("p", run).state == ("running" if journals[run] else "finished")
        if logged:
            assert folder.series("p", run, "loss").values.tolist() == logged

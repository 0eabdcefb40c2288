"""What was logged is read exactly and once, whether it is sealed, on its way, or sealed by another process."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from tracker_core.errors import NotFoundError
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_status import store_status
from tracker_server.store.store_tail import CLAIM_S

from ..conftest import T0_NS, Journal

LONG_TEXT = "x" * 9000


def losses(folder, run: str = "a") -> list[float]:
    return folder.series("p", run, "loss").values.tolist()


@pytest.mark.parametrize("is_closed", [False, True])
def test_points_come_back_exactly_as_logged(store, is_closed):
    journal = Journal(store.folder)
    steps, values = [5, 1, 1, 2**60, -3], [0.1, math.nan, -math.inf, -0.0, 1e-320]
    for step, value in zip(steps, values, strict=True):
        journal.row(step, loss=value, n=step, text="a\x00b" if step > 1 else None)
    if is_closed:
        journal.end()
    for folder in (store.seen(), store.seen()):
        series = folder.series("p", "a", "loss")
        assert series.steps.tolist() == steps
        assert series.values.view(np.int64).tolist() == np.array(values).view(np.int64).tolist()
        assert series.wall_time_ns.tolist() == [T0_NS + 1_000_000 * (index + 1) for index in range(5)]
        assert folder.series("p", "a", "n").values.tolist() == steps
        texts = ["a\x00b" if step > 1 else None for step in steps]
        assert [row.values["text"] for row in folder.rows("p", "a")] == texts
        folder.close()


def test_a_running_run_is_followed_by_one_that_seals_and_one_that_came_later(store):
    journal, written = Journal(store.folder), []
    first = store.open(seal_bytes=1)
    for part in range(6):
        for _ in range(20):
            written.append(float(len(written)))
            journal.row(len(written), loss=written[-1], text=LONG_TEXT)
        first.refresh()
        late = store.seen(seal_bytes=1)
        assert losses(first) == losses(late) == written, part
        late.close()
    journal.end()
    first.refresh()
    assert losses(first) == written and first.run("p", "a").state == "finished"
    assert [row.values["loss"] for row in first.rows("p", "a")] == written
    first.close()


def test_output_files_and_system_metrics_are_there_sealed_or_not(store):
    journal = Journal(store.folder)
    folder = store.open()
    for is_ended in (False, True):
        if not is_ended:
            journal.lines("one", "two", first=0)
            journal.lines("TWO", "three", first=1)
            journal.system(0, cpu=1.5)
            journal.file("a/b.txt", b"content")
            journal.environment(host="here", gpus=[])
        else:
            journal.end()
        folder.refresh()
        lines = folder.console("p", "a").window(0, 100).lines
        assert [line.text for line in lines] == ["one", "TWO", "three"]
        assert folder.series("p", "a", "system/cpu").values.tolist() == [1.5]
        assert [kept.path for kept in folder.files("p", "a")] == ["a/b.txt"]
        assert folder.details("p", "a").environment == {"host": "here", "gpus": []}
    folder.close()


def test_rows_behind_the_closing_record_are_not_lost(store):
    journal = Journal(store.folder)
    for step in range(500):
        journal.row(step, loss=float(step), text="y" * 300)
    state = {"wall_time_ns": journal.now_ns, "state": "finished"}
    from tracker_core.records import State

    journal.put(State(**state))
    folder = store.seen()
    assert folder.run("p", "a").state == "finished" and len(losses(folder)) == 500
    journal.row(500, loss=500.0)
    folder.refresh()
    for reader in (folder, store.seen()):
        assert losses(reader) == [float(step) for step in range(501)] and reader.run("p", "a").n_rows == 501
        assert [row.step for row in reader.rows("p", "a")] == list(range(501))
        reader.close()


def test_damaged_journals_show_their_damage_and_stop_no_other(store):
    bad, worse, good = (Journal(store.folder, run=name) for name in ("bad", "worse", "good"))
    for journal in (bad, worse, good):
        for step in range(30):
            journal.row(step, loss=float(step), text=LONG_TEXT)
        journal.end()
    with open(bad.path, "r+b") as file:
        file.seek(20_000)
        file.write(b"garbage")
    with open(worse.path, "wb") as file:
        file.write(b"no journal" * 10_000)
    folder = store.seen()
    assert len(losses(folder, "good")) == 30
    view = folder.run("p", "bad")
    assert view.n_damaged == 1 and len(losses(folder, "bad")) + view.damage[0].n_lost == 30
    assert {view.id for view in folder.runs()} == {"good", "bad", "worse"}
    folder.close()


def test_a_missing_run_and_a_missing_metric_are_named(store):
    Journal(store.folder).row(0, loss=1.0)
    folder = store.seen()
    with pytest.raises(NotFoundError, match="no run p/b"):
        folder.run("p", "b")
    with pytest.raises(NotFoundError, match="no metric 'other'"):
        folder.series("p", "a", "other")
    folder.close()


def test_a_run_whose_files_are_removed_is_gone_from_a_folder_and_stays_in_a_database(store):
    for run in ("a", "b"):
        journal = Journal(store.folder, run=run)
        journal.row(0, loss=1.0)
        journal.end()
    store.seen().close()
    shutil.rmtree(store.folder / "runs" / "p" / "b")
    for _ in range(2):
        folder = store.seen()
        assert {view.id for view in folder.runs()} == ({"a", "b"} if store.url else {"a"})
        folder.close()


CHILD = """
import sys
from tracker_server.query.open_folder import open_folder
path, url, times = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
print("ready", flush=True)
while times:
    folder = open_folder(path, url, seal_bytes=1)
    folder.refresh()
    folder.close()
    times -= 1
"""


def start(store, times: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, str(store.folder), store.url or "", str(times)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    return child


def test_processes_that_take_in_the_same_journals_at_once_lose_and_double_nothing(store):
    for run in ("a", "b", "c"):
        journal = Journal(store.folder, run=run)
        for step in range(1500):
            journal.row(step, loss=float(step), text="z" * 100)
        if run != "c":
            journal.end()
    children = [start(store, 2) for _ in range(3)]
    assert [child.wait(100) for child in children] == [0, 0, 0]
    for child in children:
        child.stdout.close()
    folder = store.seen()
    for run in ("a", "b", "c"):
        assert losses(folder, run) == [float(step) for step in range(1500)]
        assert folder.run("p", run).n_rows == 1500
    folder.close()


def kill_again_and_again(store, n_kills: int) -> None:
    generator, journal, n_rows = random.Random(1), Journal(store.folder), 0
    for _ in range(n_kills):
        children = [start(store, -1) for _ in range(2)]
        for _ in range(generator.randrange(1, 400)):
            journal.row(n_rows, loss=float(n_rows), text=LONG_TEXT)
            n_rows += 1
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()
        folder = store.seen(is_writer=False)
        assert losses(folder) == [float(step) for step in range(n_rows)]
        folder.close()
    journal.end()
    folder = store.seen()
    folder.refresh()
    assert losses(folder) == [float(step) for step in range(n_rows)]
    deadline_s = time.monotonic() + 2 * CLAIM_S
    while n_sealed(folder) != n_rows and time.monotonic() < deadline_s:  # what a killed process claimed comes free
        folder.refresh()
    assert n_sealed(folder) == n_rows
    folder.close()


def n_sealed(folder: LocalFolder) -> int:
    with folder.database.reading().transaction() as connection:
        assert connection is not None
        return store_status(connection).n_rows


def test_two_processes_killed_while_they_take_in_a_journal_leave_every_row_once(store):
    kill_again_and_again(store, 2)


@pytest.mark.long
def test_processes_killed_very_often_leave_every_row_once(store):
    kill_again_and_again(store, 25)

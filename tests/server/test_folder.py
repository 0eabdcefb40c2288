"""A tracker folder read while it is written: every row exactly once, whatever happens to the index meanwhile."""

from __future__ import annotations

import math
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.errors import NotFoundError
from tracker_core.records import RowMap, Session, State
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.http.http_models import run_row
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_schema import INDEX_VERSION

from .conftest import T0_NS, Journal

LONG_TEXT = "x" * 9000


def changes_of(folder):
    return {(change.project, change.run): set(change.kinds) for change in folder.refresh()}


def values_of(folder, key="loss", run="a"):
    return folder.series("p", run, key).values.tolist()


def delete_index(folder: Path):
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)


def test_a_folder_that_does_not_exist_yet_is_empty_and_fills(tracker_dir):
    folder = LocalFolder(tracker_dir)
    assert folder.refresh() == [] and folder.runs() == [] and folder.projects() == []
    assert not tracker_dir.exists()
    Journal(tracker_dir).row(0, loss=1.0)
    assert changes_of(folder) == {("p", "a"): {"new", "points", "state"}}
    assert values_of(folder) == [1.0]


def test_each_refresh_tells_what_changed_and_nothing_twice(tracker_dir):
    folder, journal = LocalFolder(tracker_dir), Journal(tracker_dir)
    folder.refresh()
    assert changes_of(folder) == {}
    journal.row(0, loss=1.0)
    assert changes_of(folder) == {("p", "a"): {"points"}}
    journal.config(lr=1)
    journal.summary(best=2)
    assert changes_of(folder) == {("p", "a"): {"config", "summary"}}
    journal.end()
    assert changes_of(folder) == {("p", "a"): {"state"}}
    assert changes_of(folder) == {}


def test_points_come_back_exactly_as_logged_in_the_order_logged(tracker_dir):
    journal = Journal(tracker_dir)
    steps = [5, 1, 1, 2**60, -3]
    values = [0.1, math.nan, -math.inf, -0.0, 1e-320]
    for step, value in zip(steps, values, strict=True):
        journal.row(step, loss=value, n=step, half=float(np.float32(0.1)))
    journal.row(7, codes="f", half=0.1)
    for is_sealed in (False, True):
        if is_sealed:
            journal.end()
        folder = LocalFolder(tracker_dir)
        folder.refresh()
        series = folder.series("p", "a", "loss")
        assert series.steps.tolist() == steps
        assert series.values.view(np.int64).tolist() == np.array(values).view(np.int64).tolist()
        assert series.wall_time_ns.tolist() == [T0_NS + 1_000_000 * (i + 1) for i in range(5)]
        integers = folder.series("p", "a", "n")
        assert integers.values.dtype == np.int64 and integers.values.tolist() == steps
        assert folder.series("p", "a", "half").values.tolist() == [float(np.float32(0.1))] * 6
        folder.close()


def test_a_finished_run_is_sealed_and_read_from_the_index_alone(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(100):
        journal.row(step, loss=float(step))
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.close()
    size = os.path.getsize(journal.path)
    with open(journal.path, "r+b") as file:
        file.write(b"\0" * size)
    again = LocalFolder(tracker_dir)
    again.refresh()
    assert values_of(again) == [float(step) for step in range(100)] and again.run("p", "a").state == "finished"


def test_rows_of_a_damaged_chunk_are_read_from_the_journal(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(100):
        journal.row(step, loss=math.sin(step))
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.close()
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        ((data,),) = database.execute("SELECT data FROM value_chunk").fetchall()
        damaged = data[:-1] + bytes((data[-1] ^ 1,))
        assert database.execute("UPDATE value_chunk SET data = ?", (damaged,)).rowcount == 1
    database.close()
    again = LocalFolder(tracker_dir)
    again.refresh()
    assert [row.values["loss"] for row in again.rows("p", "a")] == [math.sin(step) for step in range(100)]
    assert values_of(again) == [math.sin(step) for step in range(100)]
    again.close()


def test_rows_of_changing_keys_keep_their_order(tracker_dir):
    journal = Journal(tracker_dir)
    expected = []
    for step in range(300):
        if step % 3 == 0:
            journal.row(step, loss=float(step))
        elif step % 3 == 1:
            journal.row(step, loss=float(step), other=step)
        else:
            journal.row(step, loss=float(step), note="text")
        expected.append(float(step))
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    for is_sealed in (False, True):
        if is_sealed:
            journal.end()
            folder.refresh()
        assert values_of(folder) == expected
        assert [row.step for row in folder.rows("p", "a")] == list(range(300))
        assert [row.values["other"] for row in folder.rows("p", "a", ["other"])] == list(range(1, 300, 3))


def test_text_and_numbers_of_one_key_come_back_as_objects(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, x=1.5)
    journal.row(1, x="text")
    journal.row(2, x=None)
    journal.row(3, x=7)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert values_of(folder, "x") == [1.5, "text", None, 7]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["refresh", "seal_elsewhere", "delete_index", "reopen", "read"]), st.just(0)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_every_row_is_read_exactly_once_whatever_happens_to_the_index(tmp_path_factory, steps):
    tracker_dir = tmp_path_factory.mktemp("t") / ".tracker"
    journal, folder = Journal(tracker_dir), LocalFolder(tracker_dir, seal_bytes=1)
    written: list[float] = []
    for action, count in [*steps, ("read", 0)]:
        if action == "write":
            for _ in range(count):
                journal.row(len(written), loss=float(len(written)), text=LONG_TEXT)
                written.append(float(len(written)))
        elif action == "refresh":
            folder.refresh()
        elif action == "seal_elsewhere":
            other = LocalFolder(tracker_dir, seal_bytes=1)
            other.refresh()
            other.close()
        elif action == "delete_index":
            delete_index(tracker_dir)
        elif action == "reopen":
            folder.close()
            folder = LocalFolder(tracker_dir, seal_bytes=1)
        elif written:
            folder.refresh()
            assert values_of(folder) == written
            assert [row.values["loss"] for row in folder.rows("p", "a")] == written
            assert folder.run("p", "a").metrics["loss"].stats.sum == sum(written)
    journal.end()
    folder.refresh()
    assert (folder.run("p", "a").n_rows, folder.run("p", "a").state) == (len(written), "finished")
    folder.close()


def test_what_is_sealed_of_a_running_journal_adds_up_to_the_same_fold(tracker_dir):
    journal = Journal(tracker_dir)
    journal.config(lr=1)
    for step in range(40):
        journal.row(step, loss=float(step), text=LONG_TEXT)
    journal.config(lr=2)
    first = LocalFolder(tracker_dir)
    first.refresh()
    expected = first.run("p", "a")
    first.close()
    second = LocalFolder(tracker_dir)
    second.refresh()
    assert second.run("p", "a") == expected


def test_two_processes_sealing_at_once_lose_and_double_nothing(tracker_dir):
    for run in ("a", "b", "c"):
        journal = Journal(tracker_dir, run=run)
        for step in range(2000):
            journal.row(step, loss=float(step))
        journal.end()
    opened = f"LocalFolder({str(tracker_dir)!r})"
    code = f"from tracker_server.query.folder import LocalFolder\nf = {opened}; f.refresh(); f.close()"
    others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [other.wait(60) for other in others] == [0, 0, 0]
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    for run in ("a", "b", "c"):
        assert values_of(folder, run=run) == [float(step) for step in range(2000)]


def test_a_removed_run_disappears_also_from_the_index(tracker_dir):
    for run in ("a", "b"):
        journal = Journal(tracker_dir, run=run)
        journal.row(0, loss=1.0)
        journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    shutil.rmtree(tracker_dir / "runs" / "p" / "b")
    folder._scan._full_scan_at = 0.0
    assert changes_of(folder) == {("p", "b"): {"removed"}}
    assert [view.id for view in folder.runs()] == ["a"]
    with pytest.raises(NotFoundError, match="no run p/b"):
        folder.run("p", "b")
    journals = folder._index._reader.paths()
    assert [path.split("/")[1] for path in journals] == ["a"]


def test_a_run_removed_while_nobody_looked_disappears_from_the_index(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.close()
    shutil.rmtree(tracker_dir / "runs" / "p" / "a")
    again = LocalFolder(tracker_dir)
    again.refresh()
    assert again.runs() == [] and again._index._reader.paths() == []


def test_a_damaged_journal_shows_its_damage_and_stops_no_other(tracker_dir):
    bad, good = Journal(tracker_dir, run="bad"), Journal(tracker_dir, run="good")
    for journal in (bad, good):
        for step in range(30):
            journal.row(step, loss=float(step), text=LONG_TEXT)
        journal.end()
    with open(bad.path, "r+b") as file:
        file.seek(20_000)
        file.write(b"garbage")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert len(values_of(folder, run="good")) == 30
    view = folder.run("p", "bad")
    assert view.n_damaged == 1 and view.damage[0].n_lost > 0
    assert len(values_of(folder, run="bad")) + view.damage[0].n_lost == 30


def test_a_journal_of_other_bytes_altogether_is_a_run_with_damage(tracker_dir):
    good = Journal(tracker_dir, run="good")
    good.row(0, loss=1.0)
    path = tracker_dir / "runs" / "p" / "bad" / f"main.{'0' * 32}.journal"
    path.parent.mkdir()
    path.write_bytes(b"no journal" * 10_000)
    empty = tracker_dir / "runs" / "p" / "empty" / f"main.{'1' * 32}.journal"
    empty.parent.mkdir()
    empty.touch()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert {view.id for view in folder.runs()} == {"good", "bad", "empty"}
    assert values_of(folder, run="good") == [1.0]


def test_a_row_that_no_column_can_hold_is_damage_of_its_run_alone(tracker_dir):
    bad, good = Journal(tracker_dir, run="bad"), Journal(tracker_dir, run="good")
    bad.put(RowMap(wall_time_ns=2**64 - 1, step=2**64 - 1, values={"x": 1.0}))
    bad.row(1, loss=1.0)
    good.row(0, loss=1.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert values_of(folder, run="good") == values_of(folder, run="bad") == [1.0]
    assert folder.run("p", "bad").n_damaged == 1


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_journal_is_damage_until_it_can_be_read(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    os.chmod(journal.path, 0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert "cannot be read" in folder.run("p", "a").damage[0].reason
    os.chmod(journal.path, 0o600)
    folder.refresh()
    assert values_of(folder) == [1.0]


def test_a_folder_without_the_lock_works_from_memory(tracker_dir):
    from tracker_server.store.store_lock import try_store_lock

    journal = Journal(tracker_dir)
    for step in range(30):
        journal.row(step, loss=float(step), text=LONG_TEXT)
    journal.end()
    folder = LocalFolder(tracker_dir)
    with try_store_lock(str(tracker_dir / "store.lock")) as is_held:
        assert is_held
        folder.refresh()
        assert not (tracker_dir / "index.sqlite").exists()
        assert len(values_of(folder)) == 30
    folder.refresh()
    assert (tracker_dir / "index.sqlite").exists() and len(values_of(folder)) == 30


def test_an_index_of_garbage_is_built_anew(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.end()
    (tracker_dir / "index.sqlite").write_bytes(b"this is no database" * 1000)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert values_of(folder) == [1.0]
    folder.refresh()
    folder.close()
    again = LocalFolder(tracker_dir)
    again.refresh()
    assert values_of(again) == [1.0] and len(again._index._reader.paths()) == 1


def test_an_index_of_another_version_is_dropped_and_built_anew(tracker_dir):
    import sqlite3

    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    folder.close()
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        database.execute("UPDATE index_info SET value = '0' WHERE name = 'version'")
    again = LocalFolder(tracker_dir)
    again.refresh()
    assert values_of(again) == [1.0]
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        assert database.execute("SELECT value FROM index_info WHERE name = 'version'").fetchone() == (INDEX_VERSION,)


READ_ONLY = """
import os, sys
from pathlib import Path
from tests.server.conftest import Journal
from tracker_server.query.folder import LocalFolder
folder, missing = Path(sys.argv[1]) / ".tracker", sys.argv[2:]
journal = Journal(folder)
journal.row(0, loss=1.0)
journal.end()
for _ in range(2):
    writer = LocalFolder(folder)
    writer.refresh()
    writer.close()
Path(journal.path).write_bytes(bytes(os.path.getsize(journal.path)))
for name in missing:
    (folder / name).unlink(missing_ok=True)
for path in (folder, *folder.rglob("*")):
    path.chmod(0o555 if path.is_dir() else 0o444)
if os.getuid() == 0:
    os.setuid(65534)
before = sorted(os.listdir(folder))
reader = LocalFolder(folder)
for _ in range(2):
    reader.refresh()
    assert reader.series("p", "a", "loss").values.tolist() == [1.0]
reader.close()
assert sorted(os.listdir(folder)) == before
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("missing", [[], ["index.sqlite-wal", "index.sqlite-shm"], ["index.sqlite-shm"]])
def test_a_folder_that_we_may_only_read_is_read_from_its_index(missing):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = str(Path(__file__).parents[2])
        subprocess.run([sys.executable, "-c", READ_ONLY, folder, *missing], check=True, cwd=root)
        for path in Path(folder).rglob("*"):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_a_journal_cut_short_is_read_anew(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(10):
        journal.row(step, loss=float(step))
    size = os.path.getsize(journal.path)
    journal.row(10, loss=10.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    os.truncate(journal.path, size)
    folder.refresh()
    assert values_of(folder) == [float(step) for step in range(10)]


def test_the_setting_says_how_long_a_run_may_be_silent(tracker_dir, monkeypatch):
    journal = Journal(tracker_dir)
    an_hour_ago_s = time.time() - 3600
    os.utime(journal.path, (an_hour_ago_s, an_hour_ago_s))
    monkeypatch.setenv("TRACKER_HEARTBEAT_TIMEOUT_S", "7200")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert folder.run("p", "a").state == "running"


def test_a_silent_run_is_crashed_and_comes_back(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert folder.run("p", "a").state == "running"
    os.utime(journal.path, (time.time() - 600,) * 2)
    assert changes_of(folder) == {("p", "a"): {"state"}}
    assert folder.run("p", "a").state == "crashed"
    journal.row(1, loss=2.0)
    assert changes_of(folder) == {("p", "a"): {"points", "state"}}
    assert folder.run("p", "a").state == "running"


def test_a_resumed_run_has_all_points_of_both_sessions(tracker_dir):
    first = Journal(tracker_dir, counter=1)
    first.row(0, loss=1.0)
    first.end("failed")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    second = Journal(tracker_dir, counter=2, resumed=True)
    second.row(1, loss=2.0)
    folder._scan._full_scan_at = 0.0
    folder.refresh()
    assert values_of(folder) == [1.0, 2.0] and folder.run("p", "a").state == "running"
    assert len(folder.series("p", "a", "loss", writer="*")) == 2


def test_other_writers_are_read_by_name(tracker_dir):
    Journal(tracker_dir).row(0, loss=1.0)
    Journal(tracker_dir, writer="rank1", counter=2).row(0, loss=5.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert values_of(folder) == [1.0]
    assert folder.series("p", "a", "loss", writer="rank1").values.tolist() == [5.0]
    assert folder.series("p", "a", "loss", writer="*").values.tolist() == [1.0, 5.0]
    with pytest.raises(NotFoundError, match="no metric 'other'"):
        folder.series("p", "a", "other")


@pytest.mark.parametrize("project", ["räume & <b>", "CON", "a.b ", "%41", "..x"])
def test_project_names_survive_their_folder_names(tracker_dir, project):
    Journal(tracker_dir, project=project).row(0, loss=1.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert folder.projects() == [project]


def test_a_project_name_that_is_not_that_of_its_folder_is_not_believed(tracker_dir):
    journal = Journal(tracker_dir)
    target = tracker_dir / "runs" / "copied" / "b"
    target.mkdir(parents=True)
    shutil.copy(journal.path, target)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert sorted((view.project, view.id) for view in folder.runs()) == [("copied", "b"), ("p", "a")]


def test_files_that_are_no_journals_are_left_alone(tracker_dir):
    Journal(tracker_dir).row(0, loss=1.0)
    run = tracker_dir / "runs" / "p" / "a"
    (run / "notes.txt").write_text("x")
    (run / f"main.{'2' * 32}.journal").mkdir()
    (tracker_dir / "runs" / "p" / ".hidden").mkdir()
    (tracker_dir / "runs" / "stray").write_text("x")
    if hasattr(os, "mkfifo"):
        os.mkfifo(run / f"main.{'3' * 32}.journal")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert len(folder.runs()) == 1 and folder.run("p", "a").n_damaged == 0


def test_rows_behind_the_closing_record_are_not_lost(tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.put(State(wall_time_ns=journal.now_ns, state="finished"))
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert folder.run("p", "a").state == "finished" and len(folder._index._reader.paths()) == 1
    journal.row(1, loss=2.0)
    folder.refresh()
    for reader in (folder, LocalFolder(tracker_dir)):
        reader.refresh()
        assert values_of(reader) == [1.0, 2.0] and reader.run("p", "a").n_rows == 2
        assert [row.step for row in reader.rows("p", "a")] == [0, 1]


def test_a_sealed_journal_cut_short_is_read_anew(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(40):
        journal.row(step, loss=float(step), text=LONG_TEXT)
    size = os.path.getsize(journal.path)
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    os.truncate(journal.path, size // 2)
    for reader in (folder, LocalFolder(tracker_dir)):
        reader.refresh()
        assert 0 < len(values_of(reader)) == reader.run("p", "a").n_rows < 40


def test_a_row_of_many_thousand_metrics_is_read(tracker_dir):
    journal = Journal(tracker_dir)
    for step in range(3):
        journal.put(
            RowMap(wall_time_ns=1, step=step, values={f"m{i}": float(i + step) if i else step for i in range(5000)})
        )
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert values_of(folder, "m4999") == [4999.0, 5000.0, 5001.0] and values_of(folder, "m0") == [0, 1, 2]


def nested(depth):
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_values_nested_without_end_are_damage_of_their_run_alone(tracker_dir):
    bad, good = Journal(tracker_dir, run="bad"), Journal(tracker_dir, run="good")
    bad.config(lr=nested(400))
    bad.summary(best=nested(50))
    bad.row(0, x=nested(400))
    bad.row(1, x="text", loss=1.0)
    bad.end()
    good.row(0, loss=1.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    view = folder.run("p", "bad")
    assert view.n_damaged == 2 and view.config == {} and view.summary["best"] == nested(50)
    assert values_of(folder, run="bad") == values_of(folder, run="good") == [1.0]
    msgspec.json.encode([run_row(view) for view in folder.runs()])


def test_times_beyond_int64_stop_nothing(tracker_dir):
    journal = Journal(tracker_dir)
    journal.put(Session(wall_time_ns=2**64 - 1, session="00", run="a", project="p"))
    journal.row(0, loss=1.0)
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert len(draw(folder, "p", ChartRequest(["a"], "loss", x="relative_time")).lines) == 1


def test_two_folders_are_never_one_project(tracker_dir):
    journal = Journal(tracker_dir)
    shutil.copytree(tracker_dir / "runs" / "p", tracker_dir / "runs" / "%70")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert sorted(folder.projects()) == ["%70", "p"] and journal.name in folder.run("p", "a").journals


KILLED = """
import sys
from tracker_server.query.folder import LocalFolder
print("ready", flush=True)
while True:
    folder = LocalFolder(sys.argv[1], seal_bytes=1)
    folder.refresh()
    folder.close()
"""


@pytest.mark.long
def test_a_process_killed_while_it_seals_leaves_every_row_exactly_once(tracker_dir):
    generator = random.Random(1)
    journal = Journal(tracker_dir)
    n_rows = 0
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(tracker_dir)], stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        for _ in range(generator.randrange(1, 400)):
            journal.row(n_rows, loss=float(n_rows), text=LONG_TEXT)
            n_rows += 1
        child.kill()
        child.wait()
        child.stdout.close()
        folder = LocalFolder(tracker_dir, is_writer=False)
        folder.refresh()
        assert values_of(folder) == [float(step) for step in range(n_rows)]
        folder.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on open files")
def test_running_out_of_open_files_deletes_no_run_and_passes(tracker_dir):
    import resource

    first, second = Journal(tracker_dir, run="a"), Journal(tracker_dir, run="b")
    for journal in (first, second):
        journal.row(0, loss=1.0)
    first.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    second.row(1, loss=2.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        folder._scan._full_scan_at = 0.0
        changes = changes_of(folder)
        views = folder.runs()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert changes == {("p", "b"): {"state"}} and {view.id for view in views} == {"a", "b"}
    assert "cannot be read" in folder.run("p", "b").damage[0].reason
    assert changes_of(folder) == {("p", "b"): {"points", "state"}}
    assert values_of(folder, run="b") == [1.0, 2.0] and folder.run("p", "b").n_damaged == 0
    assert values_of(folder, run="a") == [1.0]


def test_what_is_read_again_after_another_process_sealed_is_told_as_a_change(tracker_dir):
    journal = Journal(tracker_dir)
    folder, other = (LocalFolder(tracker_dir, seal_bytes=1) for _ in range(2))
    folder.refresh()
    for step in range(30):
        journal.row(step, loss=float(step), text=LONG_TEXT)
    folder._index._is_writer = False
    folder.refresh()
    folder._index._is_writer = True
    for step in range(30, 60):
        journal.row(step, loss=float(step), text=LONG_TEXT)
    other.refresh()
    told = [changes_of(folder) for _ in range(2)]
    assert all("points" in change.get(("p", "a"), ()) for change in told)
    assert folder.run("p", "a").n_rows == 60 and values_of(folder) == [float(step) for step in range(60)]


def test_an_index_that_cannot_be_written_is_not_tried_all_the_time(tracker_dir, caplog):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.end()
    (tracker_dir / "index.sqlite").mkdir()
    folder = LocalFolder(tracker_dir)
    for _ in range(3):
        folder.refresh()
        assert values_of(folder) == [1.0]
    assert len(caplog.records) == 1 and "cannot be written" in caplog.text

"""Promise d: no call raises or waits because of the disk; rows wait in memory, and what is lost is counted and said."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import child_process
import pytest
from journal_model import SESSION, TIME_NS, items_of, read_items, rows_in

import tracker_core
from tracker_core import records
from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_reader import JournalReader
from tracker_core.journal_writer import JournalWriter

# What the scripts below share: a log loop that measures itself, and a report of what a journal holds.
PRELUDE = """
import errno, json, os, resource, sys, time, tracker_core
from pathlib import Path
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Dropped, Session, State, Suspended

def log_rows(run, steps, text=None):
    longest = 0.0
    for step in steps:
        began = time.perf_counter()
        run.log({"x": step / 2, "y": step} if text is None else {"x": step / 2, "y": step, "text": text}, step=step)
        longest = max(longest, time.perf_counter() - began)
    return longest

def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 s in vain"
        os.sched_yield()

def contents(folder):
    (path,) = Path(folder).rglob("*.journal")
    reader = JournalReader(str(path))
    batch = reader.read()
    steps = sorted((sequence, step) for group in batch.row_groups for sequence, step, _, _ in group.rows())
    steps += [(sequence, record.step) for sequence, record in batch.records if hasattr(record, "step")]
    kinds = [type(record).__name__ for _, record in batch.records]
    return {
        "steps": [step for _, step in sorted(steps)], "kinds": kinds, "is_closed": reader.is_closed,
        "n_dropped": sum(record.n_rows for _, record in batch.records if isinstance(record, Dropped)),
        "causes": [record.cause for _, record in batch.records if isinstance(record, Suspended)],
        "n_waited": [record.n_queued for _, record in batch.records if isinstance(record, Suspended)],
        "n_lost": [damage.n_lost_records for damage in batch.damage], "n_tail_bytes": reader.n_tail_bytes,
    }

def is_recovered(folder):
    return "Suspended" in contents(folder)["kinds"]
"""
# A log call may wait for one write and for the scheduler of a busy machine, but not for a disk to come back.
LONGEST_LOG_S = 1.5  # the machine may be busy; what is slow on purpose takes 2 s


def contents(folder: Path) -> dict[str, Any]:
    """Return what the one journal below a folder holds, by the same code as the scripts."""
    names: dict[str, Any] = {}
    exec(PRELUDE, names)
    result: dict[str, Any] = names["contents"](folder)
    return result


FULL_BY_LIMIT = """
folder = sys.argv[1]
run = tracker_core.init(dir=folder, settings={"queue_max_mib": int(sys.argv[2])})
log_rows(run, range(100))
(path,) = Path(folder).rglob("*.journal")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, resource.RLIM_INFINITY))
longest = log_rows(run, range(100, 5100))
kept_while_full = contents(folder)["steps"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
wait_until(lambda: is_recovered(folder))
log_rows(run, range(5100, 5200))
run.finish()
print(json.dumps({**contents(folder), "longest_s": longest, "n_kept_while_full": len(kept_while_full)}))
"""


@pytest.mark.fault("F16")
def test_rows_wait_for_a_full_disk_and_come_once_and_in_order(tmp_path: Path) -> None:
    """The limit on a file's size behaves as a full disk does: a write that is cut short, then errors."""
    done = json.loads(child_process.run_well(PRELUDE + FULL_BY_LIMIT, tmp_path, 64))
    assert done["steps"] == list(range(5200))
    assert 100 <= done["n_kept_while_full"] <= 103
    assert done["kinds"][0] == "Session"
    assert done["kinds"][-1] == "State"
    assert len(done["causes"]) == 1
    assert "File too large" in done["causes"][0] or "only a part" in done["causes"][0]
    assert 4990 <= done["n_waited"][0] <= 5000
    assert done["n_dropped"] == 0
    assert done["n_lost"] == []
    assert done["is_closed"]
    assert done["longest_s"] < LONGEST_LOG_S


@pytest.mark.fault("F16")
def test_rows_that_found_no_memory_are_counted(tmp_path: Path) -> None:
    process = child_process.run(PRELUDE + FULL_BY_LIMIT, tmp_path, 1)
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert done["n_dropped"] > 1000
    assert len(done["steps"]) + done["n_dropped"] == 5200
    assert done["steps"] == sorted(set(done["steps"]))
    assert done["is_closed"]
    assert "rows are being dropped" in process.stderr
    assert f"{done['n_dropped']} rows" in process.stderr
    assert process.stderr.count("wait in memory") <= 3


FINISH_WHILE_FULL = """
folder = sys.argv[1]
run = tracker_core.init(dir=folder, settings={"finish_timeout_s": 0.6})
log_rows(run, range(100))
(path,) = Path(folder).rglob("*.journal")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, resource.RLIM_INFINITY))
log_rows(run, range(100, 350))
began = time.monotonic()
run.finish()
print(json.dumps({**contents(folder), "finish_s": time.monotonic() - began}))
"""


@pytest.mark.fault("F16")
def test_finish_on_a_full_disk_ends_in_time_and_says_what_was_lost(tmp_path: Path) -> None:
    process = child_process.run(PRELUDE + FINISH_WHILE_FULL, tmp_path)
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert 0.5 <= done["finish_s"] < 20
    assert done["steps"] == list(range(100))
    assert not done["is_closed"]
    assert "250 rows" in process.stderr
    assert "could not be written" in process.stderr


FULL_FILE_SYSTEM = """
import subprocess
folder = sys.argv[1] + "/small"
os.mkdir(folder)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
run = tracker_core.init(dir=folder)
log_rows(run, range(50))
ballast = open(folder + "/ballast", "wb", buffering=0)
try:
    while True:
        ballast.write(bytes(4096))
except OSError as error:
    assert error.errno == errno.ENOSPC
longest = log_rows(run, range(50, 1000))
longest = max(longest, log_rows(run, range(1000, 1010), text="t" * 3000))
os.unlink(folder + "/ballast")
ballast.close()
wait_until(lambda: is_recovered(folder))
run.finish()
print(json.dumps({**contents(folder), "longest_s": longest}))
"""


@pytest.mark.fault("F16")
def test_rows_wait_for_a_full_file_system(tmp_path: Path) -> None:
    output = child_process.run_well(PRELUDE + FULL_FILE_SYSTEM, tmp_path, prefix=child_process.mount_prefix())
    done = json.loads(output)
    assert done["steps"] == list(range(1010))
    assert done["n_lost"] == []
    assert done["is_closed"]
    assert done["longest_s"] < LONGEST_LOG_S
    assert len(done["causes"]) == 1


INIT_ON_FULL = """
import subprocess
folder = sys.argv[1] + "/small"
os.mkdir(folder)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
Path(folder, "runs").mkdir()
with open(folder + "/ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        pass
run = tracker_core.init(dir=folder, config={"a": 1})
log_rows(run, range(20))
os.unlink(folder + "/ballast")
home = Path(run.dir).parents[2]
wait_until(lambda: len(contents(home)["steps"]) == 20)
run.finish()
print(json.dumps(contents(home)))
"""


@pytest.mark.fault("F16")
def test_init_on_a_full_file_system_loses_nothing(tmp_path: Path) -> None:
    output = child_process.run_well(PRELUDE + INIT_ON_FULL, tmp_path, prefix=child_process.mount_prefix())
    done = json.loads(output)
    assert done["steps"] == list(range(20))
    assert done["kinds"][:2] == ["Session", "Config"]
    assert done["is_closed"]


READ_ONLY = """
import subprocess
folder = sys.argv[1] + "/locked"
os.mkdir(folder)
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder], check=True)
run = tracker_core.init(dir=folder)
log_rows(run, range(20))
run.finish()
print(json.dumps({**contents(Path(run.dir).parents[2]), "folder": run.dir}))
"""


@pytest.mark.fault("F18")
def test_run_in_a_read_only_folder_is_kept_elsewhere_and_says_where(tmp_path: Path) -> None:
    prefix = child_process.mount_prefix()
    process = child_process.run(PRELUDE + READ_ONLY, tmp_path, prefix=prefix, TMPDIR=str(tmp_path))
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert done["steps"] == list(range(20))
    assert done["folder"].startswith(str(tmp_path))
    assert "Read-only file system" in process.stderr
    assert "TRACKER_DIR" in process.stderr


@pytest.mark.fault("F18")
def test_folder_below_a_regular_file_is_replaced_by_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    with tracker_core.init(dir=tmp_path / "file" / ".tracker") as run:
        run.log({"x": 1.0})
    (path,) = Path(run.dir).glob("*.journal")
    assert len(rows_in(read_items(path))) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.fault("F18")
def test_deleted_working_directory_does_not_stop_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for folder in (None, "relative"):
        with tracker_core.init(dir=folder) as run:
            run.log({"x": 1.0})
        (path,) = Path(run.dir).glob("*.journal")
        assert len(rows_in(read_items(path))) == 1


def log_many(run: Any, steps: range) -> None:
    for step in steps:
        run.log({"x": step * 0.5, "text": "t"} if step % 10 == 0 else {"x": step * 0.5})


@pytest.mark.fault("F18")
@pytest.mark.parametrize("way", ["delete", "move"])
def test_folder_taken_away_in_mid_run_is_restored_with_everything(
    folder: Path, way: str, wait_until: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tracker_core.init(dir=folder, config={"a": 1}, settings={"fsync_interval_s": 0.01})
    log_many(run, range(500))
    if way == "delete":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("moved"))
    log_many(run, range(500, 600))
    wait_until(lambda: list(folder.rglob("*.journal")))
    log_many(run, range(600, 700))
    wait_until(lambda: contents(folder)["causes"])
    run.finish()
    done = contents(folder)
    assert done["steps"] == list(range(700))
    assert done["kinds"][0] == "Session"
    assert done["is_closed"]
    assert "deleted or moved" in done["causes"][0]
    assert "deleted or moved" in capsys.readouterr().err


@pytest.mark.fault("F18")
def test_folder_deleted_just_before_finish_is_restored(folder: Path) -> None:
    run = tracker_core.init(dir=folder, settings={"fsync_interval_s": 100})
    log_many(run, range(100))
    shutil.rmtree(folder)
    run.finish()
    done = contents(folder)
    assert done["steps"] == list(range(100))
    assert done["is_closed"]


@pytest.mark.fault("F23")
def test_opening_again_a_file_that_is_still_there_loses_nothing(tmp_path: Path) -> None:
    """A `stat` that fails for a moment, as on a network drive, must not lead to the file being emptied."""
    file = JournalFile(str(tmp_path / "a.journal"), SESSION)
    layout = RowLayout(("x",), "d")
    file.open()
    file.put_row(layout, 0, TIME_NS, (1.0,))
    file.open()
    file.put_row(layout, 1, TIME_NS, (2.0,))
    file.close()
    assert [row[1] for row in rows_in(read_items(file.path))] == [0, 1]


@pytest.mark.fault("F18")
def test_journal_is_written_as_soon_as_its_path_can_be(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    (tmp_path / "runs").write_text("in the way")
    warnings: list[str] = []
    path = tmp_path / "runs" / "a.journal"
    writer = JournalWriter(JournalFile(str(path), SESSION), warnings.append, fsync_interval_s=0.01)
    layout = RowLayout(("x",), "d")
    for step in range(10):
        with writer.lock:
            writer.put_row(layout, step, TIME_NS, (step / 2,))
    assert len(warnings) == 1
    (tmp_path / "runs").unlink()
    wait_until(lambda: path.exists() and len(rows_in(read_items(path))) == 10)
    assert writer.close() == 0
    assert [row[1] for row in rows_in(read_items(path))] == list(range(10))


class SlowFile(JournalFile):
    """A journal on a disk whose writes wait until `gate` opens."""

    def __init__(self, path: str, session: bytes) -> None:
        super().__init__(path, session)
        self.gate = threading.Event()
        self.gate.set()
        self.n_waiting = 0

    def put_row(self, layout: RowLayout, step: int, now_ns: int, values: tuple[object, ...]) -> None:
        self.n_waiting += 1
        self.gate.wait()
        self.n_waiting -= 1
        super().put_row(layout, step, now_ns, values)


@pytest.fixture
def slow_file(tmp_path: Path) -> Iterator[SlowFile]:
    file = SlowFile(str(tmp_path / "a.journal"), SESSION)
    yield file
    file.gate.set()


def put_rows(writer: JournalWriter, layout: RowLayout, steps: range) -> float:
    longest_s = 0.0
    for step in steps:
        began_s = time.monotonic()
        with writer.lock:
            writer.put_row(layout, step, TIME_NS, (step / 2,))
        longest_s = max(longest_s, time.monotonic() - began_s)
    return longest_s


@pytest.mark.fault("F22", "F23")
def test_only_the_first_of_slow_writes_is_waited_for(slow_file: SlowFile, wait_until: Callable[..., None]) -> None:
    warnings: list[str] = []
    writer = JournalWriter(slow_file, warnings.append, fsync_interval_s=0.01, slow_write_s=0.02)
    layout = RowLayout(("x",), "d")
    put_rows(writer, layout, range(5))
    slow_file.gate.clear()
    threading.Timer(0.05, slow_file.gate.set).start()
    put_rows(writer, layout, range(5, 6))  # waits for its write, which is the one that shows that the disk is slow
    slow_file.gate.clear()
    longest_s = put_rows(writer, layout, range(6, 200))
    wait_until(lambda: slow_file.n_waiting == 1)  # the thread, no caller
    assert longest_s < LONGEST_LOG_S
    slow_file.gate.set()
    wait_until(lambda: any(isinstance(r, records.Suspended) for _, r in JournalReader(slow_file.path).read().records))
    put_rows(writer, layout, range(200, 210))
    assert writer.close() == 0
    assert [row[1] for row in rows_in(read_items(slow_file.path))] == list(range(210))
    assert any("longer than 0.02 s" in warning for warning in warnings)


@pytest.mark.fault("F23")
def test_finish_does_not_wait_for_a_write_that_hangs(slow_file: SlowFile, wait_until: Callable[..., None]) -> None:
    writer = JournalWriter(slow_file, lambda message: None, fsync_interval_s=0.01, slow_write_s=0.0)
    layout = RowLayout(("x",), "d")
    put_rows(writer, layout, range(1))
    slow_file.gate.clear()
    put_rows(writer, layout, range(1, 6))
    wait_until(lambda: slow_file.n_waiting == 1)
    began_s = time.monotonic()
    assert writer.close(timeout_s=0.3) == 5
    assert time.monotonic() - began_s < 20


@pytest.mark.fault("F16")
def test_closing_state_is_the_last_record_after_trouble(tmp_path: Path) -> None:
    """A reader stops at the closing state, so what tells of the trouble must come before it."""
    (tmp_path / "runs").write_text("in the way")
    path = tmp_path / "runs" / "a.journal"
    writer = JournalWriter(JournalFile(str(path), SESSION), lambda message: None, fsync_interval_s=0.01)
    put_rows(writer, RowLayout(("x",), "d"), range(3))
    writer.put(records.State(wall_time_ns=TIME_NS, state="finished", exit_code=0))
    (tmp_path / "runs").unlink()
    assert writer.close() == 0
    items = items_of(JournalReader(str(path)).read())
    assert [items[sequence][0] for sequence in sorted(items)] == ["row", "row", "row", "Suspended", "State"]


NO_FILES_LEFT = """
folder = sys.argv[1]
os.makedirs(folder)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if sys.argv[2] == "init":
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
run = tracker_core.init(dir=folder, config={"a": 1})
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
longest = log_rows(run, range(50))
longest = max(longest, log_rows(run, range(50, 60), text="t"))
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
run.finish()
print(json.dumps({**contents(Path(run.dir).parents[2]), "longest_s": longest}))
"""


@pytest.mark.fault("F20")
@pytest.mark.parametrize("when", ["init", "log"])
def test_no_file_descriptor_left(tmp_path: Path, when: str) -> None:
    done = json.loads(child_process.run_well(PRELUDE + NO_FILES_LEFT, tmp_path / "t", when, TMPDIR=str(tmp_path)))
    assert done["steps"] == list(range(60))
    assert done["is_closed"]
    assert done["longest_s"] < LONGEST_LOG_S


FAULTY_CALLS = """
folder = sys.argv[1]
run = tracker_core.init(dir=folder, settings={"fsync_interval_s": 0.02, "finish_timeout_s": float(sys.argv[2])})
(path,) = Path(folder).rglob("*.journal")
longest = 0.0
for first in range(0, 200, 20):
    longest = max(longest, log_rows(run, range(first, first + 20)))
    time.sleep(0.01)
began = time.monotonic()
run.finish()
report = {**contents(folder), "longest_s": longest, "finish_s": time.monotonic() - began}
os.writev(1, [json.dumps(report).encode()])  # since `write` may be one of the calls that fail
"""


@pytest.mark.fault("F16", "F17", "F18", "F22")
@pytest.mark.parametrize(
    "injections",
    [
        ["fdatasync:error=EIO"],
        ["write:error=EIO:when=40..60"],
        ["write:error=ENOSPC:when=30+7"],
        ["write:error=EDQUOT:when=40..60", "ftruncate:error=EIO:when=2+1"],
        ["fdatasync:delay_enter=2000000"],
    ],
    ids=["fsync-eio", "write-eio", "every-7th-write", "truncate-fails-too", "slow-fsync"],
)
def test_rows_survive_system_calls_that_fail(tmp_path: Path, injections: list[str]) -> None:
    prefix = child_process.strace_prefix(*injections)
    process = child_process.run(PRELUDE + FAULTY_CALLS, tmp_path, 20, prefix=prefix)
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert done["steps"] == list(range(200))
    assert done["n_lost"] == []
    assert done["is_closed"]
    assert done["longest_s"] < LONGEST_LOG_S


@pytest.mark.fault("F22")
def test_finish_does_not_wait_for_a_flush_that_hangs(tmp_path: Path) -> None:
    prefix = child_process.strace_prefix("fdatasync:delay_enter=15000000")
    done = json.loads(child_process.run_well(PRELUDE + FAULTY_CALLS, tmp_path, 0.3, prefix=prefix))
    assert done["steps"] == list(range(200))
    assert done["finish_s"] < 12


@pytest.mark.fault("F21")
def test_short_write_leaves_no_torn_record_in_the_middle(tmp_path: Path) -> None:
    script = """
        import resource, sys
        from tracker_core.journal_file import JournalFile, RowLayout
        file, layout = JournalFile(sys.argv[1], bytes(16)), RowLayout(("x",), "d")
        file.open()
        file.put_row(layout, 0, 0, (0.5,))
        import os
        for n_bytes in range(100):
            size = os.path.getsize(sys.argv[1])
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + n_bytes, -1))
            try:
                file.put_row(layout, 1, 0, (1.5,))
            except OSError:
                file.cut_back()
                assert os.path.getsize(sys.argv[1]) == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        file.put_row(layout, 2, 0, (2.5,))
    """
    child_process.run_well(script, tmp_path / "a.journal")
    reader = JournalReader(str(tmp_path / "a.journal"))
    batch = reader.read()
    assert batch.damage == []
    assert reader.n_tail_bytes == 0
    steps = [row[1] for row in rows_in(items_of(batch))]
    assert steps[0] == 0
    assert steps[-1] == 2

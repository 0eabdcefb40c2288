"""The journal's file handle goes stale or is closed by the program, and its thread cannot start or dies."""

from __future__ import annotations

import os
from pathlib import Path

import child_process
import pytest
from comparison import compare, python_path, run_to_its_end
from journal_model import SESSION, TIME_NS, items_of, read_items, rows_in
from training import Ledger, wait_until

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_reader import JournalReader
from tracker_core.journal_writer import JournalWriter

LAYOUT = RowLayout(("x",), "d")

# The program takes the journal's descriptor away in the middle of a run, as daemons do that close all they see.
HANDLE_GONE = """
import os, pathlib, sys, tracker_core
from training import Ledger, log_rows, wait_until
folder, ledger, way = pathlib.Path(sys.argv[1]), Ledger(pathlib.Path(sys.argv[2])), sys.argv[3]
run = tracker_core.init(dir=folder, id="faulty", settings={"fsync_interval_s": 0.01})
log_rows(run, ledger, 0, 0, 100)
(path,) = folder.rglob("*.journal")
(fd,) = [int(n) for n in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{n}") == str(path)]
if way == "closed":
    os.close(fd)
elif way == "closed and the file is gone":
    os.close(fd)
    path.unlink()
elif way == "another file":
    other = os.open(folder / "other", os.O_RDWR | os.O_CREAT)
    os.write(other, b"mine " * 1000)
    os.dup2(other, fd)
    wait_until(lambda: [n for n in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{n}") == str(path)])
elif way == "a full device":
    os.dup2(os.open("/dev/full", os.O_RDWR), fd)
log_rows(run, ledger, 0, 100, 300)
run.finish()
"""


@pytest.mark.fault("F23")
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the script finds its descriptors in /proc")
@pytest.mark.parametrize("way", ["closed", "another file", "a full device"])
def test_a_lost_handle_is_opened_again_and_no_row_is_lost(folder: Path, tmp_path: Path, way: str) -> None:
    done = child_process.run(HANDLE_GONE, folder, tmp_path / "ledger", way, **python_path())
    assert done.returncode == 0, done.stderr
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(300))
    assert kept.n_damaged == kept.n_dropped == 0
    assert len(kept.causes) == 1
    assert kept.state is not None and kept.state.state == "finished"
    if way == "another file":
        assert (folder / "other").read_bytes() == b"mine " * 1000


@pytest.mark.fault("F23")
def test_rows_gone_with_a_handle_and_its_file_are_counted(folder: Path, tmp_path: Path) -> None:
    done = child_process.run(HANDLE_GONE, folder, tmp_path / "ledger", "closed and the file is gone", **python_path())
    assert done.returncode == 0, done.stderr
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(100, 300))
    assert kept.n_lost == 100
    assert kept.n_lost_by_damage >= 100  # the first records, schemas among them, are gone with the rows


@pytest.mark.fault("F23")
def test_a_torn_end_is_cut_off_before_writing_goes_on_through_a_new_handle(tmp_path: Path) -> None:
    file = JournalFile(str(tmp_path / "a.journal"), SESSION)
    file.open()
    for step in range(3):
        file.put_row(LAYOUT, step, TIME_NS, (step / 2,))
    with open(file.path, "ab") as torn:
        torn.write(b"half a record")
    (fd,) = [n for n in map(int, os.listdir("/proc/self/fd")) if os.path.realpath(f"/proc/self/fd/{n}") == file.path]
    os.close(fd)
    with pytest.raises(OSError):
        file.put_row(LAYOUT, 3, TIME_NS, (1.5,))
    file.cut_back()
    file.open()
    file.put_row(LAYOUT, 3, TIME_NS, (1.5,))
    file.close()
    batch = JournalReader(file.path).read()
    assert batch.damage == []
    assert [row[1] for row in rows_in(items_of(batch))] == [0, 1, 2, 3]


@pytest.mark.fault("F11")
def test_a_machine_without_a_thread_to_spare_writes_every_row(folder: Path, tmp_path: Path) -> None:
    prefix = child_process.strace_prefix("clone3:error=EAGAIN", "clone:error=EAGAIN")
    done = run_to_its_end(folder, tmp_path / "ledger", 200, prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert "flushed to the device only at the end" in done.stderr
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(200))
    assert kept.state is not None and kept.state.state == "finished"


@pytest.mark.fault("F11")
def test_without_a_thread_rows_that_wait_are_written_at_the_end(folder: Path, tmp_path: Path) -> None:
    injections = ["clone3:error=EAGAIN", "clone:error=EAGAIN", "write:error=ENOSPC:when=60"]
    prefix = child_process.strace_prefix(*injections)
    environ = {"PYTHONDONTWRITEBYTECODE": "1"}
    done = run_to_its_end(folder, tmp_path / "ledger", 200, prefix=prefix, environ=environ)
    assert done.returncode == 0, done.stderr
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(200))
    assert kept.n_waited > 100
    assert kept.state is not None and kept.state.state == "finished"


class HungryFile(JournalFile):
    """A journal whose flush finds no memory the first time."""

    n_flushes = 0

    def sync(self) -> None:
        self.n_flushes += 1
        if self.n_flushes == 1:
            raise MemoryError
        super().sync()


@pytest.mark.fault("F11")
def test_the_journal_thread_outlives_a_lack_of_memory(tmp_path: Path) -> None:
    file = HungryFile(str(tmp_path / "a.journal"), SESSION)
    writer = JournalWriter(file, lambda message: None, fsync_interval_s=0.01)
    with writer.lock:
        writer.put_row(LAYOUT, 0, TIME_NS, (0.0,))
    wait_until(lambda: file.n_flushes > 1)
    assert writer.close() == 0
    assert [row[1] for row in rows_in(read_items(file.path))] == [0]


@pytest.mark.fault("F11", "F7")
def test_a_forked_child_without_a_thread_to_spare_writes_every_row(folder: Path) -> None:
    prefix = child_process.strace_prefix("clone3:error=EAGAIN")
    script = """
        import os, sys, tracker_core
        run = tracker_core.init(dir=sys.argv[1])
        run.log({"x": 0})
        pid = os.fork()
        for n in range(20):
            run.log({"x": n})
        run.finish()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """
    child_process.run_well(script, folder, prefix=prefix)
    counts = sorted(len(rows_in(read_items(path))) for path in folder.rglob("*.journal"))
    assert counts == [20, 21]

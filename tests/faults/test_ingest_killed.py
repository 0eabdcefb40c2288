"""Taking journals in is killed at the n-th write to the database, or finds the disk full: no row is lost or doubled."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import child_process
import numpy as np
import pytest

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.paths import journal_path
from tracker_core.records import KIND_OF, Record, Session, State, encode
from tracker_server.query.folder import LocalFolder
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_status import store_status

N_ROWS = 6000
RUNS = ("ended", "open")

TAKE_IN = """
import sys
from tracker_server.query.open_folder import open_folder
folder = open_folder(sys.argv[1], sys.argv[2] or None, seal_bytes=1)
folder.refresh()
folder.close()
"""


def put(journal: JournalFile, record: Record) -> None:
    journal.put(KIND_OF[type(record)], encode(record))


def write_journals(folder: Path) -> None:
    """Write one journal that is closed and one that is not, of several blocks each."""
    for index, run in enumerate(RUNS):
        session = bytes([index]) * 16
        journal = JournalFile(journal_path(str(folder), "p", run, "main", session), session)
        journal.open()
        put(journal, Session(wall_time_ns=1, session=session.hex(), run=run, project="p", writer="main"))
        layout = RowLayout(("loss", "acc"), "dd", Kind.ROW)
        for step in range(N_ROWS):
            journal.put_row(layout, step, step, (float(step), -float(step)))
        if run == "ended":
            put(journal, State(wall_time_ns=2, state="finished"))
        journal.close()


def check(folder: LocalFolder) -> None:
    """Compare all that is read with what was logged."""
    folder.refresh()
    for run in RUNS:
        assert np.array_equal(folder.series("p", run, "loss").values, np.arange(N_ROWS, dtype=float))
        assert folder.run("p", run).n_rows == N_ROWS
        assert [row.step for row in folder.rows("p", run)] == list(range(N_ROWS))
    folder.close()


def kill_at(place: Path, url: str, call: str, numbers: list[int]) -> bool:
    """Kill an ingest at each n-th call, and then let one go on; say whether the last one came to its end unharmed."""
    folder = place / ".tracker"
    write_journals(folder)
    returncode = 0
    for number in numbers:
        if not url:
            for path in folder.glob("index.sqlite*"):
                path.unlink()
        prefix = child_process.strace_prefix(f"{call}:signal=KILL:when={number}")
        done = child_process.run(TAKE_IN, folder, url, prefix=prefix, timeout_s=120)
        returncode = done.returncode
        assert returncode in (0, -9, 137), done.stderr
        if not url or number == numbers[-1]:
            check(open_folder(folder, url or None, is_writer=False))
            check(open_folder(folder, url or None))
    with open_folder(folder, url or None).database.reading().transaction() as connection:
        assert connection is not None
        status = store_status(connection)
        is_claimed = bool(status.claims)  # by the process that was killed, for half a minute
        assert is_claimed or status.n_closed == 1
        assert status.n_rows <= 2 * N_ROWS and not status.poisoned
    return returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs strace")
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "ftruncate", "unlink"])
def test_a_kill_at_a_write_to_sqlite_loses_and_doubles_nothing(tmp_path: Path, call: str) -> None:
    kill_at(tmp_path, "", call, {"pwrite64": [1, 9, 40], "fdatasync": [1, 2]}.get(call, [1]))


@pytest.mark.skipif(sys.platform != "linux", reason="needs strace")
def test_a_kill_at_a_message_to_postgresql_loses_and_doubles_nothing(tmp_path: Path, database_url: str) -> None:
    kill_at(tmp_path, database_url, "sendto", [3, 25, 36])


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="needs strace")
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_kill_at_every_write_loses_and_doubles_nothing(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    call = "sendto" if store == "postgresql" else "pwrite64"
    for number in range(1, 2000):
        place = tmp_path / str(number)
        url = request.getfixturevalue("postgres").new_store() if store == "postgresql" else ""
        is_done = kill_at(place, url, call, [number])
        shutil.rmtree(place)
        if is_done:
            return
    raise AssertionError("the ingest never came to its end")


FULL_DISK = """
import pathlib, subprocess, sys
from tests.faults.test_ingest_killed import N_ROWS, RUNS, check, write_journals
from tracker_server.query.folder import LocalFolder
mount = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount], check=True)
folder = mount / ".tracker"
write_journals(folder)
ballast = open(mount / "ballast", "wb", buffering=0)
try:
    while True:
        ballast.write(bytes(4096))
except OSError:
    pass
reader = LocalFolder(folder, seal_bytes=1)
for _ in range(2):
    reader.refresh()
    assert [len(reader.series("p", run, "loss")) for run in RUNS] == [N_ROWS, N_ROWS]
assert not reader._index._reader.paths()
ballast.truncate(0)
reader._index._retry_at = 0.0
reader.refresh()
assert len(reader._index._reader.paths()) == 2
reader.close()
check(LocalFolder(folder))
"""


def test_a_disk_that_is_full_costs_memory_until_there_is_room_again(tmp_path: Path) -> None:
    done = child_process.run(FULL_DISK, tmp_path, prefix=child_process.mount_prefix(), timeout_s=120)
    assert done.returncode == 0, done.stderr
    assert "cannot be written now" in done.stderr

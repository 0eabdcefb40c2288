"""File systems that are full, out of inodes, or not ours to write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import child_process
import pytest
from comparison import compare, python_path
from training import Ledger

BEGINNING = """
import errno, json, os, pathlib, subprocess, sys, tracker_core
from training import RUN_ID, Ledger, log_rows, wait_until
place, ledger = pathlib.Path(sys.argv[1]), Ledger(pathlib.Path(sys.argv[2]))
folder = place / "small"
folder.mkdir()

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)

def use_up_inodes():
    for number in range(10_000):
        try:
            (folder / f"ballast{number}").touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return number
    raise AssertionError("there is no end of inodes")

def carry_out():
    subprocess.run(["cp", "-r", folder, place / "out"], check=True)  # the mount vanishes with this process
"""

INODES_IN_MID_RUN = """
mount("size=4m,nr_inodes=40")
(place / "weights.txt").write_text("1 2 3")
run = tracker_core.init(dir=folder, id=RUN_ID)
log_rows(run, ledger, 0, 0, 100)
n = use_up_inodes()
log_rows(run, ledger, 0, 100, 300)
run.save(str(place / "weights.txt"), policy="now")
child = os.fork()
if child == 0:
    log_rows(run, ledger, 1, 0, 50)
    (folder / "ballast0").unlink()
    (folder / "ballast1").unlink()
    (folder / "ballast2").unlink()
    run.finish()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
log_rows(run, ledger, 0, 300, 400)
run.finish()
carry_out()
"""


@pytest.mark.fault("F19")
def test_no_inode_left_in_mid_run_costs_no_row_of_the_run_or_its_children(tmp_path: Path) -> None:
    done = child_process.run(
        BEGINNING + INODES_IN_MID_RUN,
        tmp_path,
        tmp_path / "ledger",
        prefix=child_process.mount_prefix(),
        **python_path(),
    )
    assert done.returncode == 0, done.stderr
    kept = compare(tmp_path / "out", Ledger(tmp_path / "ledger"), n_threads=2, api=False)
    assert kept.numbers == {0: list(range(400)), 1: list(range(50))}
    assert kept.n_damaged == kept.n_dropped == 0
    assert "No space left on device" in done.stderr


INODES_AT_INIT = """
mount("size=4m,nr_inodes=10")
use_up_inodes()
run = tracker_core.init(dir=folder, id=RUN_ID)
log_rows(run, ledger, 0, 0, 100)
run.finish()
assert pathlib.Path(run.dir).exists()
"""


@pytest.mark.fault("F19")
def test_run_begun_without_an_inode_left_is_kept_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = child_process.run(
        BEGINNING + INODES_AT_INIT,
        tmp_path,
        tmp_path / "ledger",
        prefix=child_process.mount_prefix(),
        TMPDIR=str(elsewhere),
        **python_path(),
    )
    assert done.returncode == 0, done.stderr
    kept = compare(elsewhere, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(100))
    assert str(elsewhere) in done.stderr


# A folder that another user owns. Root may write anywhere, so root becomes somebody else first.
FORBIDDEN = """
folder.chmod(0o555)
if os.geteuid() == 0:
    os.setuid(65534)
run = tracker_core.init(dir=folder, id=RUN_ID)
log_rows(run, ledger, 0, 0, 100)
run.finish()
"""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that any user may go into and write; those of pytest are the user's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o777)
        yield Path(place)


@pytest.mark.fault("F18")
def test_run_in_a_folder_of_somebody_else_is_kept_elsewhere(open_place: Path) -> None:
    elsewhere = open_place / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    done = child_process.run(
        BEGINNING + FORBIDDEN, open_place, open_place / "ledger", TMPDIR=str(elsewhere), **python_path()
    )
    assert done.returncode == 0, done.stderr
    kept = compare(elsewhere, Ledger(open_place / "ledger"))
    assert kept.numbers[0] == list(range(100))
    assert "Permission denied" in done.stderr


FULL_AGAIN_AND_AGAIN = """
n_rows = int(sys.argv[4])
mount("size=200k")
settings = {"fsync_interval_s": 0.02, "queue_max_mib": int(sys.argv[3])}
run = tracker_core.init(dir=folder, id=RUN_ID, settings=settings)
for first in range(0, 3 * n_rows, n_rows):
    log_rows(run, ledger, 0, first, first + 100)
    with open(folder / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
    log_rows(run, ledger, 0, first + 100, first + n_rows)
    (folder / "ballast").unlink()
subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
run.finish()
carry_out()
"""


@pytest.mark.fault("F16")
@pytest.mark.parametrize(("queue_mib", "n_rows"), [(64, 400), (1, 2000)], ids=["all-wait", "too-many-to-wait"])
def test_disk_that_fills_again_and_again_loses_what_it_counts(tmp_path: Path, queue_mib: int, n_rows: int) -> None:
    done = child_process.run(
        BEGINNING + FULL_AGAIN_AND_AGAIN,
        tmp_path,
        tmp_path / "ledger",
        queue_mib,
        n_rows,
        prefix=child_process.mount_prefix(),
        **python_path(),
    )
    assert done.returncode == 0, done.stderr
    ledger = Ledger(tmp_path / "ledger")
    kept = compare(tmp_path / "out", ledger)
    assert ledger.n_returned() == 3 * n_rows
    assert kept.n_lost == kept.n_dropped
    assert (kept.n_lost > 0) == (queue_mib == 1)
    assert any("No space left" in cause or "only a part" in cause for cause in kept.causes)
    assert ledger.longest_s() < 1.5  # the machine may be busy
    assert kept.state is not None and kept.state.state == "finished"

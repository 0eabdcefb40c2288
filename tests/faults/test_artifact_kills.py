"""Uploads, commits and collections of garbage are killed at any step: what was committed is whole, the rest goes."""

from __future__ import annotations

import sys
from pathlib import Path

import child_process
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
KEEPING = Path(__file__).parents[1] / "keeping"
PATHS = f"import sys; sys.path[:0] = [{str(KEEPING)!r}, {str(Path(__file__).parent)!r}]\n"

# Each begins with what the others left, as a user's folder does after crashes.
BEGINNING = """
import os, pathlib, secrets, shutil
from kept_artifacts import KeptArtifacts, content
from killed_steps import run_killed
from sqlalchemy import update
from tracker_core.errors import TrackerError
from tracker_server.blobs.verify_packs import verify
from tracker_server.store.store_artifact_schema import upload_lease

place, first, step = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
DAYS_S = 2 * 86_400

def time_passes(kept):
    kept.write(lambda c: c.execute(update(upload_lease).values(expires_ns=1)).rowcount)
    for folder, _, names in os.walk(kept.folder):
        for name in names:
            path = os.path.join(folder, name)
            status = os.stat(path)
            os.utime(path, (status.st_atime - DAYS_S, status.st_mtime - DAYS_S))

def check_whole(kept, expected):
    for uid, files in expected.items():
        assert kept.files(uid) == files, uid
    found = verify(kept.store, kept.database)
    assert not found.bad_chunks and not found.bad_packs and not found.bad_versions, found

def left_over(kept):
    needed = {row[0] for row in kept.read(lambda c: c.exec_driver_sql("select pack_id from blob_pack").all())}
    files = {path.name for path in pathlib.Path(kept.folder, "blobs").rglob("*") if path.is_file()}
    return files ^ {f"{pack_id}.pack" for pack_id in needed}
"""

UPLOAD = """
kept = KeptArtifacts(place / ".tracker")
old_files = {"a": content(0), "b": content(1)}
expected = {kept.log("model", old_files).uid: old_files}
number, is_done = first, False
while not is_done:
    uid = secrets.token_hex(16)
    files = {"a": content(0), "new": content(100 + number)}
    work = lambda: kept.log("model", files, uid=uid, aliases=["best"])
    if number // step % 2:
        work = lambda: kept.log_as_clients_do("model", files, place, uid, aliases=["best"])
    is_done = run_killed(work, number)
    try:
        info = kept.artifacts.version(uid)
    except TrackerError:
        assert not is_done
        info = kept.log("model", files, uid=uid, aliases=["best"])  # a client that begins again
    expected[uid] = files
    assert kept.artifacts.resolve("p", "model", "best").uid == uid == kept.artifacts.resolve("p", "model").uid
    check_whole(kept, {uid: files})
    number += step
versions = kept.artifacts.versions("p", "model").items
assert [one.ordinal for one in versions] == list(range(len(expected)))[::-1]
kept.collect()
check_whole(kept, expected)
time_passes(kept)
kept.collect()
check_whole(kept, expected)
assert not left_over(kept)
print(number)
"""

COLLECTION = """
origin = KeptArtifacts(place / "origin")
expected = {}
for i in range(3):
    files = {"a": content(i), "b": content(10 + i)}
    expected[origin.log("model", files).uid] = files
big = origin.log("model", {str(i): content(20 + i) for i in range(8)})
files = {"3": content(23)}
expected[origin.log("model", files).uid] = files
for i in range(2):
    origin.artifacts.delete([origin.log("gone", {"x": content(40 + i)}).uid], delete_aliases=True)
origin.artifacts.delete([big.uid])
origin.begin("model", {"never": content(50)})
time_passes(origin)
(pack,) = [path for path in pathlib.Path(origin.folder).rglob("*.pack") if content(40)[:64] in path.read_bytes()]
pack.with_name(f".part-{pack.name[:2]}{'0' * 30}.pack").write_bytes(b"half")
time_passes(origin)
number, is_done = first, False
while not is_done:
    folder = place / str(number)
    shutil.copytree(origin.folder, folder)
    kept = KeptArtifacts(folder)
    time_passes(kept)
    is_done = run_killed(lambda: kept.collect(), number)
    check_whole(kept, expected)
    new = kept.log("model", {"again": content(40), "3": content(23), "x": content(41)})
    kept.collect()
    time_passes(kept)
    kept.collect()
    check_whole(kept, {**expected, new.uid: {"again": content(40), "3": content(23), "x": content(41)}})
    assert not left_over(kept)
    assert not kept.collect().packs
    shutil.rmtree(folder)
    number += step
print(number)
"""


def sweep(script: str, tmp_path: Path, first: int, step: int) -> int:
    done = child_process.run(PATHS + BEGINNING + script, tmp_path, first, step, timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.fault("F32")
def test_an_upload_killed_at_some_steps_leaves_a_whole_version_or_none(tmp_path: Path) -> None:
    assert sweep(UPLOAD, tmp_path, 1, 13) > 60


@pytest.mark.fault("F32")
def test_a_collection_killed_at_some_steps_takes_nothing_that_is_needed(tmp_path: Path) -> None:
    assert sweep(COLLECTION, tmp_path, 2, 29) > 60


@pytest.mark.long
@pytest.mark.fault("F32")
@pytest.mark.parametrize("first", [1, 2, 3, 4])
@pytest.mark.parametrize("script", [UPLOAD, COLLECTION], ids=["upload", "collection"])
def test_a_kill_at_every_step_costs_nothing_that_was_committed(tmp_path: Path, script: str, first: int) -> None:
    sweep(script, tmp_path, first, 4)


LOG_ONCE = """
from kept_artifacts import KeptArtifacts, content
kept = KeptArtifacts(sys.argv[1])
number = int(sys.argv[2])
kept.log("model", {"a": content(0), "new": content(100 + number)}, uid=f"{number:032x}")
kept.artifacts.delete([f"{number:032x}"], delete_aliases=True)
kept.collect()
"""
CHECK_LOGGED = """
from kept_artifacts import KeptArtifacts, content
from tracker_server.blobs.verify_packs import verify
kept = KeptArtifacts(sys.argv[1])
kept.collect()
found = verify(kept.store, kept.database)
assert not found.bad_chunks and not found.bad_packs and not found.bad_versions, found
for info in kept.artifacts.versions("p", "model").items:
    seeds = [int(info.uid, 16)] if info.ordinal else []
    expected = {"a": content(0), **{"new": content(100 + seed) for seed in seeds}}
    assert kept.files(info.uid) == expected
"""


def killed_at_calls(tmp_path: Path, call: str, numbers: range) -> None:
    """Log, delete and collect in processes that are killed at a system call, as SQLite's own ones too."""
    folder = tmp_path / ".tracker"
    beginning = "from kept_artifacts import KeptArtifacts, content\nkept = KeptArtifacts(sys.argv[1])\n"
    child_process.run_well(PATHS + beginning + 'kept.log("model", {"a": content(0)}, uid="f" * 32)', folder)
    for number in numbers:
        prefix = child_process.strace_prefix(f"{call}:signal=KILL:when={number}")
        done = child_process.run(PATHS + LOG_ONCE, folder, number, prefix=prefix, timeout_s=120)
        assert done.returncode in (0, -9, 137), done.stderr
        child_process.run_well(PATHS + CHECK_LOGGED, folder)
        if done.returncode == 0:
            return


@pytest.mark.long
@pytest.mark.fault("F32")
@pytest.mark.parametrize("call", ["pwrite64", "write", "fdatasync", "fsync", "rename", "unlink", "openat"])
def test_a_kill_at_every_system_call_costs_nothing_that_was_committed(tmp_path: Path, call: str) -> None:
    every = {"pwrite64": 5, "openat": 29}.get(call, 1)
    killed_at_calls(tmp_path, call, range(1, 2000, every))

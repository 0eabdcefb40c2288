"""Collection of garbage, and a backup, race uploads of many processes; a disk fills in mid-upload."""

from __future__ import annotations

import sys
from pathlib import Path

import child_process
import pytest

KEEPING = Path(__file__).parents[1] / "keeping"
BEGINNING = (
    f"import sys; sys.path.insert(0, {str(KEEPING)!r})"
    + """
import json, pathlib, random
from kept_artifacts import KeptArtifacts, content
from tracker_server.blobs.verify_packs import verify
"""
)

# Processes are forked from one that has imported everything. What each logs shares chunks with what others log and
# delete at the same time; it remembers what it must find again.
RACE = """
import os, traceback
url, place = sys.argv[2] or None, pathlib.Path(sys.argv[1]).parent
n_uploaders, n_logs, n_collectors, grace_s = (float(text) for text in sys.argv[3:])

def upload(number):
    kept, chance, mine = KeptArtifacts(sys.argv[1], url), random.Random(number), {}
    for turn in range(int(n_logs)):
        seeds = [chance.randrange(12) for _ in range(3)] + [1000 * number + turn]
        files = {str(i): content(seed, 2) for i, seed in enumerate(seeds)}
        mine[kept.log(f"model{number}", files).uid] = seeds
        if turn % 3 == 2:
            gone = chance.choice(list(mine))
            del mine[gone]
            kept.artifacts.delete([gone], delete_aliases=True)
        uid = chance.choice(list(mine))
        assert kept.files(uid) == {str(i): content(seed, 2) for i, seed in enumerate(mine[uid])}
    (place / f"{number}.json").write_text(json.dumps(mine))

def collect(number):
    kept, n = KeptArtifacts(sys.argv[1], url), 0
    while not (place / "stop").exists():
        report = kept.collect(grace_s=grace_s)
        assert not report.troubles, report.troubles
        n += len(report.packs)
    assert n > 0

def start(work, number):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(number)
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    return pid

collectors = [start(collect, number) for number in range(int(n_collectors))]
uploaders = [start(upload, number) for number in range(int(n_uploaders))]
codes = [os.waitpid(pid, 0)[1] for pid in uploaders]
(place / "stop").touch()
codes += [os.waitpid(pid, 0)[1] for pid in collectors]
assert not any(codes), codes

kept = KeptArtifacts(sys.argv[1], url)
expected = {uid: seeds for path in place.glob("*.json") for uid, seeds in json.loads(path.read_text()).items()}
for _ in range(2):
    for uid, seeds in expected.items():
        assert kept.files(uid) == {str(i): content(seed, 2) for i, seed in enumerate(seeds)}
    found = verify(kept.store, kept.database)
    assert not found.bad_chunks and not found.bad_packs and not found.bad_versions, found
    kept.collect()
assert not kept.collect().packs
"""


def race(tmp_path: Path, url: str, n_uploaders: int, n_logs: int, n_collectors: int, grace_s: float) -> None:
    arguments = (tmp_path / ".tracker", url, n_uploaders, n_logs, n_collectors, grace_s)
    done = child_process.run(BEGINNING + RACE, *arguments, timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.fault("F33")
def test_collection_beside_uploads_of_many_processes_takes_nothing_that_is_needed(tmp_path: Path) -> None:
    race(tmp_path, "", 3, 6, 1, 0.2)


@pytest.mark.long
@pytest.mark.fault("F33")
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_long_collection_beside_uploads_of_many_processes(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    race(tmp_path, request.getfixturevalue("database_url") if store == "postgresql" else "", 5, 30, 2, 0.5)


HOT_BACKUP = """
import os, signal
from tracker_server.cli import main
place = pathlib.Path(sys.argv[1])
kept = KeptArtifacts(place / ".tracker")
kept.log("model", {str(i): content(i) for i in range(4)})
pid = os.fork()
if pid == 0:
    for turn in range(10_000):
        info = kept.log("model", {"a": content(turn % 7), "b": content(100 + turn)})
        if turn % 2:
            kept.artifacts.delete([info.uid], delete_aliases=True)
for number in range(3):
    backup, n_before = place / f"backup{number}", len(kept.artifacts.versions("p", "model").items)
    assert main(["db", "backup", str(backup), "--dir", str(kept.folder)]) == 0
    kept.collect()
    folder = place / f"restored{number}"
    assert main(["db", "restore", str(backup), "--dir", str(folder)]) == 0
    restored = KeptArtifacts(folder)
    assert not verify(restored.store, restored.database).bad_versions
    assert len(restored.artifacts.versions("p", "model").items) >= n_before - 1  # one may just have been there
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


@pytest.mark.fault("F34")
def test_a_backup_beside_uploads_and_deletions_has_the_bytes_of_all_its_versions(tmp_path: Path) -> None:
    done = child_process.run(BEGINNING + HOT_BACKUP, tmp_path, timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr


FULL_DISK = """
import errno, os, subprocess
from tracker_core.errors import TrackerError
mount = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount], check=True)
kept = KeptArtifacts(mount / ".tracker")
first = {"a": content(0, 200)}
infos = [kept.log("model", first)]
second = {"b": content(1, 200)}
infos.append(kept.log("model", second))
ballast = open(mount / "ballast", "wb", buffering=0)

def fill():
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC

for room in range(0, 2_000_000, 97_000):
    fill()
    ballast.truncate(max(0, ballast.tell() - room))
    ballast.seek(0, os.SEEK_END)
    try:
        kept.log("model", {"c": content(2, 100), "room": content(room + 5, 1)})
    except (OSError, TrackerError) as error:
        assert "space" in str(error) or "full" in str(error), error
        assert not [path for path in pathlib.Path(kept.folder).rglob(".part-*")], room
    for info, files in zip(infos, (first, second), strict=True):
        assert kept.files(info.uid) == files
assert not verify(kept.store, kept.database).bad_versions
n_versions = len(kept.artifacts.versions("p", "model").items)
assert n_versions > 2  # in the end there was room

fill()
try:
    kept.artifacts.delete([infos[0].uid])
    kept.collect()
except TrackerError as error:
    assert "full" in str(error), error
ballast.truncate(max(0, ballast.tell() - 256 * 1024))
if infos[0].uid in {one.uid for one in kept.artifacts.versions("p", "model").items}:
    kept.artifacts.delete([infos[0].uid])
report = kept.collect()
assert report.freed_bytes > 800_000 and not report.troubles
assert kept.files(infos[1].uid) == second
"""


@pytest.mark.fault("F16")
@pytest.mark.skipif(sys.platform != "linux", reason="needs mount namespaces")
def test_a_disk_that_fills_costs_no_version_that_was_there_and_collection_makes_room(tmp_path: Path) -> None:
    done = child_process.run(BEGINNING + FULL_DISK, tmp_path, prefix=child_process.mount_prefix(), timeout_s=120)
    assert done.returncode == 0, done.stderr

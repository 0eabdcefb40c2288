"""What runs logged and used is noted for their senders, counted as left, and kept from being let go of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracker_core.records import ArtifactLog, ArtifactUse
from tracker_core.sync.acked import Acked, AckedJournal
from tracker_core.sync.artifact_queue import ARTIFACTS_FOLDER, note, noted_size, read_note
from tracker_core.sync.sync_folder import sync_folder, want
from tracker_core.sync.sync_state import acked_of_run, left_bytes, syncs_of_run, unsent_artifacts

URL, KEY, PLACE = "http://tracker.test", "key", ("p", "a")
UID, OTHER = "0" * 31 + "1", "0" * 31 + "2"


def log(uid: str = UID, size_bytes: int = 1000, **fields: object) -> ArtifactLog:
    names = {"project": "p", "name": "m", "type": "model", "digest": "d"}
    return ArtifactLog(wall_time_ns=1, uid=uid, size_bytes=size_bytes, **names, **fields)  # type: ignore[arg-type]


def use(uid: str = UID) -> ArtifactUse:
    return ArtifactUse(wall_time_ns=2, uid=uid, project="p", name="m", type="model", digest="d")


@pytest.fixture
def run_folder(tmp_path: Path) -> str:
    return str(tmp_path / ".tracker" / "runs" / "p" / "a")


def names(run_folder: str) -> list[str]:
    return sorted(os.listdir(os.path.join(run_folder, ARTIFACTS_FOLDER)))


def acked(tmp_path: Path, *notes: str, url: str = URL) -> Acked:
    found = Acked(sync_folder(str(tmp_path / ".tracker"), url, KEY))
    found.set_journal(PLACE, "main.x.journal", AckedJournal(5))
    for name in notes:
        found.add_artifact(PLACE, name)
    found.write()
    return found


def test_a_note_is_read_back(run_folder: str) -> None:
    note(run_folder, log(aliases=["best"]))
    note(run_folder, use())
    of_use, of_log = names(run_folder)
    assert read_note(run_folder, of_log) == log(aliases=["best"]) and read_note(run_folder, of_use) == use()
    assert (noted_size(of_log), noted_size(of_use)) == (1000, 0)


def test_a_later_note_of_a_version_replaces_the_earlier_one(run_folder: str) -> None:
    for record in (log(), log(OTHER), log(aliases=["best"]), use(), use()):
        note(run_folder, record)
    found = [read_note(run_folder, name) for name in names(run_folder)]
    assert len(found) == 3 and log(aliases=["best"]) in found and log(OTHER) in found


def test_what_is_no_note_is_none(run_folder: str) -> None:
    note(run_folder, log())
    (name,) = names(run_folder)
    path = Path(run_folder, ARTIFACTS_FOLDER)
    other = name.replace(UID, OTHER)
    (path / other).write_bytes((path / name).read_bytes())
    (path / name).write_bytes(b"torn")
    assert read_note(run_folder, name) is None and read_note(run_folder, other) is None
    assert read_note(run_folder, "0" * 32 + ".1.00000000.log") is None
    assert [noted_size(one) for one in ("x", ".part-1-" + name, name + "x", "../" + name)] == [None] * 4


def test_a_folder_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    note(str(tmp_path / "file"), log())


def test_what_is_left_counts_versions_until_they_are_there(tmp_path: Path, run_folder: str) -> None:
    note(run_folder, log())
    note(run_folder, use(OTHER))
    assert left_bytes(run_folder, acked_of_run(acked(tmp_path)._path.rpartition("/")[0], PLACE)) == 1001
    known = acked(tmp_path, *names(run_folder))
    assert left_bytes(run_folder, known.of(PLACE)) == 0
    (found,) = syncs_of_run(str(tmp_path / ".tracker"), "p", "a")
    assert found.bytes_left == 0
    note(run_folder, log(aliases=["later"]))
    assert left_bytes(run_folder, known.of(PLACE)) == 1000


def test_acked_versions_are_remembered_and_compacted(tmp_path: Path) -> None:
    first = acked(tmp_path, "one", "two")
    first.compact()
    again = Acked(sync_folder(str(tmp_path / ".tracker"), URL, KEY))
    again.read()
    assert again.of(PLACE).artifacts == {"one", "two"}
    again.forget(PLACE)
    assert again.of(PLACE).artifacts == set()


def test_unsent_versions_are_those_that_some_server_lacks(tmp_path: Path, run_folder: str) -> None:
    folder = str(tmp_path / ".tracker")
    note(run_folder, log())
    note(run_folder, use(OTHER))
    assert unsent_artifacts(folder) == set(), "nothing is ever sent from here"
    want(sync_folder(folder, URL, KEY), PLACE)
    assert unsent_artifacts(folder) == {UID, OTHER}
    acked(tmp_path, *names(run_folder))
    assert unsent_artifacts(folder) == set()
    want(sync_folder(folder, "http://other.test", KEY), PLACE)
    assert unsent_artifacts(folder) == {UID, OTHER}, "another server is to have them as well"
    note(str(tmp_path / ".tracker" / "runs" / "p" / "offline"), log("0" * 31 + "3"))
    assert "0" * 31 + "3" in unsent_artifacts(folder), "a run that was never sent may be sent later"

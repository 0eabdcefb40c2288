"""Backups hold the bytes of artifacts too, and what is restored can be read, also after a collection since."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from kept_artifacts import KeptArtifacts, content

from tracker_core.errors import TrackerError
from tracker_server.artifacts.garbage import garbage_lock
from tracker_server.cli import main


def db(kept: KeptArtifacts, action: str, target: Path, *options: str) -> int:
    url = ["--database-url", kept.url] if kept.url else []
    return main(["db", action, str(target), "--dir", kept.folder, *url, *options])


def test_a_backup_is_restored_into_an_empty_place(kept: KeptArtifacts, tmp_path: Path) -> None:
    files = {"a": content(1), "b": content(2)}
    info = kept.log("model", files)
    assert db(kept, "backup", tmp_path / "backup") == 0
    shutil.rmtree(kept.folder)
    if kept.url:  # the database itself is still there
        with pytest.raises(TrackerError):
            kept.files(info.uid)
    assert db(kept, "restore", tmp_path / "backup", "--force") == 0
    again = KeptArtifacts(kept.folder, kept.url)
    assert again.files(info.uid) == files


def test_a_restored_catalog_finds_chunks_that_were_moved_since(kept: KeptArtifacts, tmp_path: Path) -> None:
    files = {str(i): content(i) for i in range(8)}
    first = kept.log("model", files)
    second = kept.log("model", {"3": content(3)})
    assert db(kept, "backup", tmp_path / "backup", "--no-blobs") == 0
    kept.artifacts.delete([first.uid])
    kept.collect()
    capture_code = db(kept, "restore", tmp_path / "backup", "--force", "--no-blobs")
    assert kept.files(second.uid) == {"3": content(3)}
    assert capture_code == 2  # the first version is back, and its bytes are not


def test_a_second_backup_to_the_same_folder_of_blobs_copies_what_is_new(
    kept_in_files: KeptArtifacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = kept_in_files
    kept.log("model", {"a": content(1, 50)})
    assert db(kept, "backup", tmp_path / "one", "--blobs", str(tmp_path / "blobs")) == 0
    info = kept.log("model", {"a": content(2)})
    assert db(kept, "backup", tmp_path / "two", "--blobs", str(tmp_path / "blobs")) == 0
    assert "2 packs" in capsys.readouterr().out
    assert not (tmp_path / "two" / "blobs").exists()
    shutil.rmtree(kept.folder)
    assert db(kept, "restore", tmp_path / "two", "--blobs", str(tmp_path / "blobs")) == 0
    assert KeptArtifacts(kept.folder).files(info.uid) == {"a": content(2)}


def test_no_garbage_is_collected_beside_a_backup(kept_in_files: KeptArtifacts, tmp_path: Path) -> None:
    kept_in_files.log("model", {"a": content(1)})
    with garbage_lock(kept_in_files.folder):
        assert db(kept_in_files, "backup", tmp_path / "backup") == 2
    assert not (tmp_path / "backup" / "about.json").exists()


def test_a_backup_broken_off_while_packs_are_copied_is_no_backup(kept_in_files: KeptArtifacts, tmp_path: Path) -> None:
    kept_in_files.log("model", {"a": content(1)})
    (tmp_path / "blobs").write_text("a file in the way")
    assert db(kept_in_files, "backup", tmp_path / "backup", "--blobs", str(tmp_path / "blobs")) == 2
    assert not (tmp_path / "backup" / "about.json").exists()
    assert db(kept_in_files, "restore", tmp_path / "backup", "--force") == 2


def test_copies_share_nothing_with_the_packs(kept_in_files: KeptArtifacts, tmp_path: Path) -> None:
    kept_in_files.log("model", {"a": content(1)})
    assert db(kept_in_files, "backup", tmp_path / "backup") == 0
    packs = [*Path(kept_in_files.folder).rglob("*.pack"), *(tmp_path / "backup").rglob("*.pack")]
    assert len(packs) == 2 and len({os.stat(path).st_ino for path in packs}) == 2


def test_packs_in_an_object_store_are_told_of_and_not_copied(
    kept_in_s3: KeptArtifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"a": content(1)}
    info = kept_in_s3.log("model", files)
    monkeypatch.setenv("TRACKER_BLOBS_URL", kept_in_s3.store.place.place)
    assert db(kept_in_s3, "backup", tmp_path / "backup") == 0
    assert "back that up too" in capsys.readouterr().out and not (tmp_path / "backup" / "blobs").exists()
    assert db(kept_in_s3, "backup", tmp_path / "other", "--blobs", str(tmp_path / "blobs")) == 2
    assert db(kept_in_s3, "restore", tmp_path / "backup", "--force") == 0
    assert "verify --quick --rebuild" in capsys.readouterr().out
    assert kept_in_s3.files(info.uid) == files

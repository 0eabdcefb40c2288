"""Bringing versions into folders, and comparing folders with versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracker_core import Api, Artifact, NotFoundError, TrackerError, UsageError
from tracker_core.run import Run

needs_links = pytest.mark.skipif(os.name == "nt", reason="links")


def tree(root: str | Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(Path(root).rglob("*")) if path.is_file()
    }


@pytest.fixture
def artifact(run: Run, data: Path) -> Artifact:
    run.log_artifact(data, name="all", type="dataset")
    return run.use_artifact("all")


def test_the_files_come_back_as_they_were(artifact: Artifact, data: Path, tmp_path: Path) -> None:
    root = artifact.download()
    assert root == str(tmp_path / "artifacts" / ("all:v0" if os.name != "nt" else "all-v0"))
    assert tree(root) == tree(data) and (Path(root) / "empty").exists()
    assert tree(artifact.download(tmp_path / "here")) == tree(data)
    artifact.verify()
    artifact.verify(tmp_path / "here")


def test_the_folder_for_downloads_is_a_setting(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_ARTIFACT_DIR", str(tmp_path / "elsewhere"))
    assert artifact.download().startswith(str(tmp_path / "elsewhere"))


def test_a_file_that_is_there_stays_and_a_changed_one_is_mended(artifact: Artifact, tmp_path: Path) -> None:
    root = Path(artifact.download(tmp_path / "here"))
    before = (root / "sub" / "b.bin").stat()
    (root / "a.txt").write_text("HELLO")
    (root / "mine.txt").write_text("mine")
    artifact.download(root)
    assert (root / "a.txt").read_text() == "hello" and (root / "mine.txt").read_text() == "mine"
    after = (root / "sub" / "b.bin").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_is_downloaded_is_a_copy(artifact: Artifact, tmp_path: Path) -> None:
    path = Path(artifact.get_entry("sub/b.bin").download(tmp_path / "here"))
    path.write_bytes(b"changed")
    assert path.stat().st_nlink == 1
    assert artifact.get_entry("sub/b.bin").read() == bytes(range(256)) * 2000


def test_parts_of_a_version_can_be_downloaded(artifact: Artifact, tmp_path: Path) -> None:
    assert set(tree(artifact.download(tmp_path / "sub", path_prefix="sub/"))) == {"sub/b.bin"}
    with pytest.raises(NotFoundError):
        artifact.download(tmp_path / "none", path_prefix="nothing")
    path = artifact.get_path("a.txt").download(tmp_path / "one")
    assert path == str(tmp_path / "one" / "a.txt") and Path(path).read_text() == "hello"
    (listed,) = artifact.files(["sub/b.bin"])
    assert (listed.size, len(listed.digest)) == (512_000, 64)
    here = listed.download(tmp_path / "two")
    with pytest.raises(UsageError, match="exists"):
        listed.download(tmp_path / "two")
    assert listed.download(tmp_path / "two", exist_ok=True) == listed.download(tmp_path / "two", replace=True) == here
    for missing in ("nothing", "sub", "../a.txt", "/a.txt"):
        with pytest.raises(NotFoundError):
            artifact.get_entry(missing)


def test_the_only_file_is_named_without_its_name(run: Run, artifact: Artifact, data: Path, tmp_path: Path) -> None:
    single = run.log_artifact(data / "a.txt", name="single")
    assert Path(single.file()).read_text() == Path(single.file(tmp_path / "x")).read_text() == "hello"
    with pytest.raises(UsageError, match="one file"):
        artifact.file()


def test_checkout_makes_a_folder_hold_exactly_the_version(artifact: Artifact, data: Path, tmp_path: Path) -> None:
    root = tmp_path / "here"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "old").write_text("old")
    (root / "a.txt").write_text("HELLO")
    assert artifact.checkout(root) == str(root)
    assert tree(root) == tree(data) and not (root / "deep").exists()


@needs_links
def test_checkout_removes_links_and_not_what_they_lead_to(artifact: Artifact, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    root = tmp_path / "here"
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "precious")
    artifact.checkout(root)
    assert (outside / "precious").read_text() == "precious" and not (root / "link").exists()


def test_verify_names_what_differs(artifact: Artifact, tmp_path: Path) -> None:
    root = Path(artifact.download(tmp_path / "here"))
    (root / "extra").touch()
    with pytest.raises(UsageError, match="extra"):
        artifact.verify(root)
    (root / "extra").unlink()
    (root / "a.txt").write_text("HELLO")
    with pytest.raises(UsageError, match=r"a\.txt"):
        artifact.verify(root)
    (root / "a.txt").unlink()
    with pytest.raises(UsageError, match=r"a\.txt"):
        artifact.verify(root)


@needs_links
@pytest.mark.parametrize("where", ["file", "folder"])
def test_nothing_is_written_through_a_link(artifact: Artifact, tmp_path: Path, where: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "here"
    outside.mkdir()
    root.mkdir()
    target = outside / ("a.txt" if where == "file" else "b.bin")
    target.write_text("precious")
    if where == "file":
        (root / "a.txt").symlink_to(target)
    else:
        (root / "sub").symlink_to(outside)
    try:
        artifact.download(root)
    except TrackerError:
        pass
    assert target.read_text() == "precious" and sorted(os.listdir(outside)) == [target.name]


def test_a_folder_in_the_way_of_a_file_is_named(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "here" / "a.txt").mkdir(parents=True)
    with pytest.raises((TrackerError, OSError), match=r"a\.txt"):
        artifact.download(tmp_path / "here")


def test_bytes_that_were_damaged_are_not_given_out(artifact: Artifact, folder: Path, tmp_path: Path) -> None:
    for pack in (folder / "blobs").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        middle = len(content) // 2
        content[:middle] = bytes(byte ^ 1 for byte in content[:middle])
        os.chmod(pack, 0o600)
        pack.write_bytes(content)
    with pytest.raises(TrackerError):
        artifact.download(tmp_path / "here")
    assert not any(name.endswith((".bin", ".txt")) and content for name, content in tree(tmp_path / "here").items())


def test_a_deleted_version_is_not_found_any_more(artifact: Artifact, data: Path, run: Run) -> None:
    with pytest.raises(UsageError, match="alias"):
        artifact.delete()
    assert artifact.state == "COMMITTED"
    artifact.delete(delete_aliases=True)
    assert artifact.state == "DELETED"
    with pytest.raises(NotFoundError):
        Api().artifact("digits/all:v0")
    (data / "a.txt").write_text("new")
    assert run.log_artifact(data, name="all", type="dataset").version == "v1"


@needs_links
def test_a_checkout_that_fails_removes_nothing(artifact: Artifact, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "here"
    (root / "a.txt").mkdir(parents=True)
    for name in ("a.txt/mine", "sub", "own"):
        (root / name).write_text("precious")
    packs = list((folder / "blobs").rglob("*.pack"))
    for pack in packs:
        pack.rename(pack.with_suffix(".gone"))
    before = tree(root)
    with pytest.raises(TrackerError):
        artifact.checkout(root)
    assert {name: content for name, content in tree(root).items() if content == b"precious"} == before
    for pack in packs:
        pack.with_suffix(".gone").rename(pack)
    artifact.checkout(root)
    artifact.verify(root)

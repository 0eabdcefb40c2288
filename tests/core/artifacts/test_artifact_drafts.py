"""Putting a version together: files, folders and what is no file."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tracker_core import Artifact, ArtifactTTL, NotFoundError, UsageError
from tracker_core.run import Run

needs_links = pytest.mark.skipif(os.name == "nt", reason="links and FIFOs")


def draft() -> Artifact:
    return Artifact("data", "dataset")


def names(artifact: Artifact) -> list[str]:
    return [file.name for file in artifact.files()]


def test_files_and_folders_are_added_under_names(data: Path) -> None:
    artifact = draft()
    entry = artifact.add_file(data / "a.txt", name="texts/first.txt")
    artifact.add_dir(data, name="all")
    artifact.add_file(str(data / "a.txt"))
    assert names(artifact) == ["a.txt", "all/a.txt", "all/empty", "all/sub/b.bin", "texts/first.txt"]
    assert entry.size == 5 and artifact.get_added_local_path_name(str(data / "sub" / "b.bin")) == "all/sub/b.bin"
    assert artifact.is_draft() and artifact.state == "PENDING" and artifact.file_count == 5
    artifact.remove("all")
    artifact.remove(entry)
    assert names(artifact) == ["a.txt"]
    with pytest.raises(NotFoundError):
        artifact.remove("nothing")


def test_a_name_is_taken_once(data: Path) -> None:
    artifact = draft()
    artifact.add_file(data / "a.txt")
    artifact.add_file(data / "a.txt")
    with pytest.raises(UsageError, match="already"):
        artifact.add_file(data / "empty", name="a.txt")
    artifact.add_file(data / "empty", name="a.txt", overwrite=True)
    assert artifact.size == 0
    with pytest.raises(UsageError):
        artifact.add_dir(data)
    artifact.add_dir(data, merge=True)
    assert len(names(artifact)) == 3


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/x",
        "a//b",
        "./a",
        "a/..",
        "a\\b",
        "C:x",
        "a\x00b",
        "a\nb",
        "",
        "x" * 300,
        "a/" * 600 + "b",
        "\u202etxt",
        "\ud800",
    ],
    ids=lambda name: ascii(name)[:30],
)
def test_a_name_that_leads_elsewhere_is_refused(data: Path, name: str) -> None:
    artifact = draft()
    with pytest.raises(UsageError):
        artifact.add_file(data / "a.txt", name=name)
    with pytest.raises(UsageError), artifact.new_file(name):
        pass
    if name:
        with pytest.raises(UsageError):
            artifact.add_reference("s3://bucket/key", name=name, checksum=False)
    assert names(artifact) == []


@pytest.mark.parametrize("path", ["nothing", "", None, 3, "a\x00b"], ids=repr)
def test_a_file_that_is_none_is_refused(path: Any, data: Path) -> None:
    with pytest.raises(UsageError):
        draft().add_file(path)
    with pytest.raises(UsageError):
        draft().add_dir(path)


def test_a_folder_is_no_file_and_a_file_no_folder(data: Path) -> None:
    with pytest.raises(UsageError, match="add_dir"):
        draft().add_file(data)
    with pytest.raises(UsageError, match="add_file"):
        draft().add_dir(data / "a.txt")


@needs_links
def test_what_is_no_file_is_refused_by_name(data: Path) -> None:
    os.mkfifo(data / "pipe")
    with pytest.raises(UsageError, match=r"pipe.*FIFO"):
        draft().add_dir(data)
    (data / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(data)
        listening.bind("socket")
        with pytest.raises(UsageError, match="socket"):
            draft().add_dir(data)
    (data / "socket").unlink()
    with pytest.raises(UsageError, match="device"):
        draft().add_file("/dev/zero")
    (data / "dangling").symlink_to("nowhere")
    with pytest.raises(UsageError, match="dangling"):
        draft().add_dir(data)


@needs_links
def test_links_are_followed_to_files_and_to_folders_inside(data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (data / "file").symlink_to(outside / "kept.txt")
    (data / "inner").symlink_to("sub")
    artifact = draft()
    artifact.add_dir(data)
    assert names(artifact) == ["a.txt", "empty", "file", "inner/b.bin", "sub/b.bin"]
    (data / "out").symlink_to(outside)
    with pytest.raises(UsageError, match="outside"):
        draft().add_dir(data)
    (data / "out").unlink()
    (data / "sub" / "round").symlink_to(data)
    with pytest.raises(UsageError):
        draft().add_dir(data)
    (data / "sub" / "round").unlink()
    (data / "sub" / "self").symlink_to("self")
    with pytest.raises(UsageError):
        draft().add_dir(data)


def test_a_new_file_is_added_when_its_block_ends(run: Run) -> None:
    artifact = draft()
    with artifact.new_file("notes/first.txt") as file:
        file.write("naïve\n")
    with artifact.new_file("raw", "wb") as file:
        file.write(b"\x00\xff")
    with pytest.raises(RuntimeError), artifact.new_file("broken") as file:
        file.write("half")
        raise RuntimeError
    with pytest.raises(UsageError), artifact.new_file("raw"):
        pass
    with artifact.new_file("raw", "w") as file:
        file.write("again")
    assert names(artifact) == ["notes/first.txt", "raw"]
    run.log_artifact(artifact)
    assert artifact.get_entry("notes/first.txt").read() == "naïve\n".encode()
    assert artifact.get_path("raw").read() == b"again"


def test_a_name_is_a_files_or_a_folders(run: Run, data: Path) -> None:
    artifact = draft()
    artifact.add_file(data / "a.txt", name="x")
    artifact.add_file(data / "a.txt", name="x/y")
    with pytest.raises(UsageError, match="folder"):
        run.log_artifact(artifact)


def test_files_may_change_after_they_were_added(run: Run, data: Path) -> None:
    small, large = data / "a.txt", data / "sub" / "b.bin"
    large.write_bytes(os.urandom(400_000))
    first = large.read_bytes()
    artifact = draft()
    artifact.add_file(small, name="small-1")
    artifact.add_file(large, name="large-1")
    artifact.add_dir(data, name="dir")
    small.write_text("other")
    large.write_bytes(b"other")
    artifact.add_file(small, name="small-2")
    artifact.add_file(large, name="large-2")
    for path in (small, large):
        path.unlink()
    run.log_artifact(artifact)
    assert artifact.get_entry("small-1").read() == artifact.get_entry("dir/a.txt").read() == b"hello"
    assert artifact.get_entry("large-1").read() == artifact.get_entry("dir/sub/b.bin").read() == first
    assert artifact.get_entry("small-2").read() == artifact.get_entry("large-2").read() == b"other"


def test_files_may_change_also_without_a_run(data: Path) -> None:
    artifact = draft()
    artifact.add_dir(data)
    (data / "a.txt").write_text("other")
    artifact.save("digits")
    assert artifact.get_entry("a.txt").read() == b"hello" and artifact.project == "digits"


@pytest.mark.parametrize("change", ["write", "remove"])
def test_an_immutable_file_that_changes_is_refused(run: Run, data: Path, change: str) -> None:
    artifact = draft()
    artifact.add_file(data / "a.txt", policy="immutable")
    if change == "write":
        (data / "a.txt").write_text("other!")
    else:
        (data / "a.txt").unlink()
    with pytest.raises(UsageError, match="after it had been added"):
        run.log_artifact(artifact)
    assert artifact.is_draft()


def test_a_draft_has_no_version_yet() -> None:
    artifact = draft()
    for name in ("version", "digest", "aliases", "created_at", "project", "qualified_name"):
        with pytest.raises(UsageError, match="log"):
            getattr(artifact, name)
    for call in (artifact.download, artifact.wait, artifact.delete, artifact.logged_by, artifact.new_draft):
        with pytest.raises(UsageError):
            call()
    assert artifact.name == "data" and artifact.id is None


def test_a_logged_artifact_does_not_change(run: Run, data: Path) -> None:
    artifact = draft()
    artifact.add_dir(data)
    run.log_artifact(artifact)
    for change in (
        lambda: artifact.add_file(data / "a.txt", name="other"),
        lambda: artifact.add_dir(data, name="other"),
        lambda: artifact.remove("a.txt"),
        lambda: artifact.add_reference("s3://b/k", checksum=False),
    ):
        with pytest.raises(UsageError, match="new_draft"):
            change()
    finalized = draft()
    finalized.finalize()
    with pytest.raises(UsageError):
        finalized.add_dir(data)


def test_the_time_to_live_is_a_timedelta() -> None:
    import datetime

    artifact = draft()
    artifact.ttl = datetime.timedelta(days=2)
    assert artifact.ttl == datetime.timedelta(days=2)
    artifact.ttl = None
    assert artifact.ttl is None and artifact._ttl_days == 0
    artifact.ttl = ArtifactTTL.INHERIT
    assert artifact._ttl_days is None
    for wrong in (3, "2d", datetime.timedelta(0), datetime.timedelta(days=-1)):
        with pytest.raises(UsageError):
            artifact.ttl = wrong


@pytest.mark.parametrize("description", [3, b"x", "\ud800"], ids=ascii)
def test_a_description_is_text(description: Any) -> None:
    with pytest.raises(UsageError):
        Artifact("data", "dataset", description=description)


def test_add_takes_rich_values_only() -> None:
    with pytest.raises(UsageError, match="new_file"):
        draft().add({"a": 1}, "x")

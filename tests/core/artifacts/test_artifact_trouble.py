"""Trouble with disk, database or server while a run logs artifacts: the training goes on and is told of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tracker_core
from tracker_core import Api, Artifact, NotFoundError, TrackerError, UsageError
from tracker_core.run import Run


def drafted(content: bytes = b"content", name: str = "data") -> Artifact:
    artifact = Artifact(name, "dataset")
    with artifact.new_file("x.bin", "wb") as file:
        file.write(content)
    return artifact


def break_blobs(folder: Path) -> None:
    """Put a file where the folder of all bytes has to be."""
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "blobs", ignore_errors=True)
    (folder / "blobs").write_text("in the way")


def test_bytes_that_cannot_be_kept_stop_nothing(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_blobs(folder)
    artifact = run.log_artifact(drafted(), aliases=["best"])
    assert "data could not be kept" in capsys.readouterr().err
    assert (artifact.state, artifact.version, artifact.is_draft()) == ("PENDING", "", True)
    assert artifact.wait() is artifact and artifact.version == ""
    assert run.link_artifact(artifact, "model-registry/M") is artifact
    run.log({"loss": 1})
    with pytest.raises(UsageError, match="could not be kept"):
        artifact.download()
    (folder / "blobs").unlink()
    assert artifact.wait().version == "v0" and set(artifact.aliases) == {"best", "latest"}


def test_what_could_not_be_kept_is_tried_again_at_the_end(run: Run, folder: Path) -> None:
    break_blobs(folder)
    artifact = run.log_artifact(drafted(os.urandom(600_000)))
    assert artifact.is_draft()
    (folder / "blobs").unlink()
    run.finish()
    assert artifact.version == "v0"
    assert [one.id for one in Api().run(run.id).logged_artifacts()] == [artifact.id]


def test_a_run_ends_well_with_what_cannot_be_kept(run: Run, folder: Path, data: Path) -> None:
    break_blobs(folder)
    run.log_artifact(data, name="data")
    (data / "a.txt").write_text("changed meanwhile")
    run.finish()
    assert Api().run(run.id).state == "finished"


@pytest.mark.parametrize("kind", ["garbage", "newer", "folder"])
def test_a_broken_catalog_stops_nothing(run: Run, folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    run.log_artifact(drafted(b"one"))
    catalog = folder / "catalog.sqlite"
    assert catalog.exists()
    if kind == "newer":
        import sqlite3

        with sqlite3.connect(catalog) as connection:
            connection.execute("update catalog_info set value = '999' where name = 'version'")
        connection.close()
    else:
        for path in folder.glob("catalog.sqlite*"):
            path.unlink()
        if kind == "garbage":
            catalog.write_bytes(os.urandom(8192))
        else:
            catalog.mkdir()
    artifact = run.log_artifact(drafted(b"two"))
    assert artifact.is_draft() and "could not be kept" in capsys.readouterr().err
    run.log({"loss": 1})
    run.finish()


FULL = """
import os, resource, sys
import tracker_core

run = tracker_core.init("digits", settings={"quiet": True})
first = run.log_artifact(sys.argv[1], name="small", type="dataset")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
artifact = tracker_core.Artifact("large", "dataset")
artifact.add_file(sys.argv[2])
for name in ("path", "draft"):
    logged = run.log_artifact(sys.argv[2], name=name) if name == "path" else run.log_artifact(artifact)
    assert logged.is_draft(), name
run.log({"loss": 1})
print(first.version, first.get_entry("small").read().decode())
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of file sizes")
def test_a_disk_that_takes_no_more_stops_nothing(tmp_path: Path, folder: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_text("hello")
    large.write_bytes(os.urandom(2_000_000))
    code = [sys.executable, "-c", FULL, str(small), str(large)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "v0 hello"
    assert "path could not be kept" in done.stderr and "large could not be kept" in done.stderr
    (run,) = Api().runs("digits")
    assert run.state == "finished" and run.summary["loss"] == 1
    assert [one.name for one in run.logged_artifacts()] == ["small:v0"]


def test_a_server_that_is_away_changes_nothing_for_what_is_here(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"quiet": True, "sync_timeout_s": 0, "finish_timeout_s": 1}
    with tracker_core.init("digits", mode="online", settings={**settings, "base_url": "http://127.0.0.1:9"}) as run:
        assert isinstance(run, Run)
        logged = run.log_artifact(data, name="data", type="dataset")
        used = run.use_artifact("data:latest")
        assert (logged.version, used.id) == ("v0", logged.id)
        with open(os.path.join(used.download(), "a.txt")) as file:
            assert file.read() == "hello"
        with pytest.raises(TrackerError, match=r"127\.0\.0\.1:9"):
            run.use_artifact("nothing:latest")
    assert "is taken from the folder" in capsys.readouterr().err


def test_what_is_not_there_is_said_by_use(run: Run) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        run.use_artifact("nothing")


def test_a_temporary_folder_that_cannot_be_made_stops_nothing(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(data / "a.txt"))
    artifact = Artifact("data", "dataset")
    artifact.add_file(data / "a.txt")
    run.log_artifact(artifact)
    assert artifact.version == "v0"
    other = Artifact("other", "dataset")
    with other.new_file("x") as file:
        file.write("text")
    assert run.log_artifact(other).is_draft()
    assert "other could not be kept" in capsys.readouterr().err


def test_changes_that_cannot_be_kept_stop_no_training(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = run.log_artifact(drafted())
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    (folder / "catalog.sqlite").write_bytes(os.urandom(8192))
    artifact.aliases.append("best")
    artifact.save()
    assert artifact.link("model-registry/M") is artifact
    assert "could not be kept" in capsys.readouterr().err
    run.finish()
    with pytest.raises(Exception, match=r"catalog|database"):
        artifact.save()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_leaves_the_files_of_a_draft_alone(run: Run) -> None:
    artifact = drafted()
    pid = os.fork()
    if pid == 0:
        try:
            artifact._contents.drop_own_files()
            del artifact
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert run.log_artifact(artifact).get_entry("x.bin").read() == b"content"


@pytest.mark.parametrize("signal", ["", "SIGTERM"])
def test_what_takes_too_long_at_the_end_keeps_no_run_from_ending(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signal: str
) -> None:
    run = tracker_core.init("digits", settings={"quiet": True, "finish_timeout_s": 0.2})
    assert isinstance(run, Run)
    break_blobs(folder)
    for name in ("first", "second"):
        run.log_artifact(drafted(name=name))
    artifacts, release = run._own_artifacts("test"), threading.Event()
    tried: list[str] = []

    def hang() -> object:
        tried.append("once")
        release.wait(60)
        raise OSError("the disk is away")

    monkeypatch.setattr(artifacts._resolver, "local", hang)
    try:
        run.end(0 if not signal else 143, None, signal=signal)
        assert run.is_finished and len(tried) == (0 if signal else 1)
        assert "2 artifacts that could not be kept" in capsys.readouterr().err
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name == "tracker-artifacts":
                thread.join()

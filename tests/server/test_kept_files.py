"""Files kept with a run: listed as last saved, and never anything outside the run's folder."""

from __future__ import annotations

import os

import pytest

from tracker_core.errors import NotFoundError
from tracker_core.records import File
from tracker_server.ingest.kept_files import KeptFile, kept_file, latest_files, open_kept
from tracker_server.query.folder import LocalFolder

from .conftest import Journal
from .test_folder import LONG_TEXT

DIGEST = "ab" * 32


def record(path="model.json", digest=DIGEST, **fields):
    return File(wall_time_ns=1, path=path, digest=digest, size_bytes=3, **fields)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../secret",
        "a/../../b",
        "a/./b",
        "a//b",
        "..\\secret",
        "C:\\x",
        "c:x",
        "\\\\host\\share",
        "a\0b",
        "a\nb",
        "x" * 5000,
        "a/",
        ".",
        "\x1b[31m",
        "\u202eexe.txt",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(ValueError, match="no relative path"):
        kept_file(record(path))


@pytest.mark.parametrize("digest", ["", "ab", "../../../etc/passwd", "AB" * 32, "g" * 64, DIGEST + "0", DIGEST + "\n"])
def test_a_digest_that_is_none_is_refused(digest):
    with pytest.raises(ValueError, match="which is none"):
        kept_file(record(digest=digest))


def test_sizes_and_times_are_kept_storable():
    hostile = File(wall_time_ns=(1 << 64) - 1, path="a", digest=DIGEST, size_bytes=-5, kind="k" * 1000)
    assert kept_file(hostile) == KeptFile("a", DIGEST, 0, "k" * 40, (1 << 63) - 1)


def test_of_several_saves_the_last_one_is_shown_whoever_made_it():
    files = [
        KeptFile("b", DIGEST, 1, "file", 5),
        KeptFile("a", DIGEST, 2, "file", 9),
        KeptFile("b", DIGEST, 3, "file", 7),
    ]
    assert [(file.path, file.size_bytes) for file in latest_files(files)] == [("a", 2), ("b", 3)]


def test_files_are_listed_through_seals_and_open_with_their_bytes(tracker_dir):
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    journal.file("notes/ü b.txt", b"first")
    for i in range(20):
        journal.row(i, text=LONG_TEXT)
    journal.file("train.py", b"print()", kind="code")
    assert "files" in {kind for change in folder.refresh() for kind in change.kinds}
    digest = journal.file("notes/ü b.txt", b"second")
    Journal(tracker_dir, writer="rank1", counter=2).file("rank1.txt", b"1")
    for reader in (folder, LocalFolder(tracker_dir)):
        reader.refresh()
        files = reader.files("p", "a")
        assert [(file.path, file.kind, file.size_bytes) for file in files] == [
            ("notes/ü b.txt", "file", 6),
            ("rank1.txt", "file", 1),
            ("train.py", "code", 7),
        ]
        with open_kept(reader.run_folder(reader.run("p", "a")), digest) as file:
            assert file.read() == b"second"


def test_hostile_records_are_damage_and_hide_no_other_file(tracker_dir):
    journal = Journal(tracker_dir)
    journal.put(record("../../etc/passwd"))
    journal.put(record(digest="../" * 20))
    journal.file("good.txt", b"good")
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert [file.path for file in folder.files("p", "a")] == ["good.txt"]
    assert folder.run("p", "a").n_damaged == 2
    folder.close()


def test_bytes_that_are_gone_or_no_plain_file_are_named(tracker_dir, tmp_path):
    run = tracker_dir / "runs" / "p" / "a"
    (run / "files").mkdir(parents=True)
    with pytest.raises(NotFoundError, match="or was deleted"):
        open_kept(str(run), DIGEST)
    (tmp_path / "secret").write_text("secret")
    (run / "files" / DIGEST).symlink_to(tmp_path / "secret")
    with pytest.raises(NotFoundError):
        open_kept(str(run), DIGEST)
    (run / "files" / DIGEST).unlink()
    os.mkfifo(run / "files" / DIGEST)
    with pytest.raises(NotFoundError, match="no plain file"):
        open_kept(str(run), DIGEST)

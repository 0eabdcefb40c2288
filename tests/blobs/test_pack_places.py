"""A folder and an object store behave alike: a pack is there whole, or not at all."""

from __future__ import annotations

import os
import time

import pytest

from tracker_core.errors import UsageError
from tracker_server.blobs.folder_place import FolderPlace
from tracker_server.blobs.object_place import ObjectPlace
from tracker_server.blobs.pack_place import PackPlace, is_pack_id, pack_path

FOLDERS = ["p", "with space", "%C3%BC%2520", "a.b"]
LARGE = os.urandom(1 << 20) * 20  # some parts of an upload


@pytest.fixture(params=["folder", "s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path) -> PackPlace:
    if request.param == "folder":
        return FolderPlace(str(tmp_path / "blobs"))
    if request.param == "file":
        return ObjectPlace(f"file://{tmp_path}/blobs")
    return ObjectPlace(request.getfixturevalue("s3_url"))


def sealed(place: PackPlace, folder: str, data: bytes) -> str:
    pack = place.new_pack(folder)
    pack.write(data[:3])
    pack.write(memoryview(data)[3:])
    pack.seal()
    return pack.pack_id


def test_a_sealed_pack_is_listed_and_read(place):
    ids = {folder: sealed(place, folder, b"0123456789") for folder in FOLDERS}
    assert place.projects() == sorted(FOLDERS)
    for folder, pack_id in ids.items():
        (found,) = place.packs(folder)
        assert (found.pack_id, found.size_bytes) == (pack_id, 10)
        assert abs(found.changed_ns / 1e9 - time.time()) < 600
        assert place.size_bytes(folder, pack_id) == 10
        assert list(place.read_ranges(folder, pack_id, [(2, 3), (5, 5), (0, 1)])) == [b"234", b"56789", b"0"]


def test_a_pack_of_several_parts_is_read_back(place):
    pack_id = sealed(place, "p", LARGE)
    assert b"".join(place.read_ranges("p", pack_id, [(0, len(LARGE))])) == LARGE


def test_an_unsealed_pack_is_seen_by_nobody(place):
    pack = place.new_pack("p")
    pack.write(b"half")
    assert list(place.packs("p")) == []
    pack.discard()
    pack.discard()
    assert list(place.packs("p")) == [] and list(place.stray("p")) == []


def test_what_is_not_there_is_not_found(place):
    sealed(place, "p", b"x")
    gone = "0" * 32
    for call in (lambda: list(place.read_ranges("p", gone, [(0, 1)])), lambda: place.size_bytes("p", gone)):
        with pytest.raises(FileNotFoundError):
            call()
    place.remove("p", gone)
    assert list(place.packs("nobody")) == []


def test_a_removed_pack_is_gone(place):
    pack_id = sealed(place, "p", b"x")
    place.remove("p", pack_id)
    place.remove("p", pack_id)
    assert list(place.packs("p")) == []


def test_a_killed_writer_leaves_a_temporary_file_that_can_be_removed(tmp_path):
    place = FolderPlace(str(tmp_path / "blobs"))
    pack = place.new_pack("p")
    pack.write(b"half")
    ((name, changed_ns),) = place.stray("p")
    assert abs(changed_ns / 1e9 - time.time()) < 600
    place.remove_stray("p", "../../../etc/passwd")  # only names of its own
    place.remove_stray("p", name)
    assert list(place.stray("p")) == []
    pack.discard()


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    place = FolderPlace(str(tmp_path / "blobs"))
    pack_id = sealed(place, "p", b"x")
    folder = tmp_path / "blobs" / "p" / "packs"
    (folder / "notes.txt").write_text("mine")
    (folder / pack_id[:2] / "x.pack").write_text("mine")
    (folder / pack_id[:2] / ".part-mine").write_text("mine")
    assert [one.pack_id for one in place.packs("p")] == [pack_id] and list(place.stray("p")) == []


@pytest.mark.parametrize("pack_id", ["", "../" * 11, "A" * 32, "0" * 31, "0" * 33, "0" * 31 + "/", "\u0661" * 32])
def test_only_ids_of_ours_become_paths(pack_id):
    assert not is_pack_id(pack_id)
    with pytest.raises(ValueError, match="no id"):
        pack_path("p", pack_id)


@pytest.mark.parametrize(
    "url",
    ["", "bucket", "/a/folder", "http://host/x", "ftp://host/x", "s3://", "s3://user:secret@bucket", "s3://b?k=v"],
)
def test_an_address_of_no_store_is_refused_without_telling_secrets(url):
    with pytest.raises(UsageError, match="blobs_url") as error:
        ObjectPlace(url)
    assert "secret" not in str(error.value) and "k=v" not in str(error.value)


def test_a_store_that_refuses_is_an_error_of_the_system(s3_url):
    with pytest.raises(OSError, match="object store"):
        ObjectPlace("s3://no-such-bucket/x").projects()

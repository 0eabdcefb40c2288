"""Files of a version come into a folder whole and checked, below it and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from blake3 import blake3
from stored_chunks import chunk_of

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Chunk, Entry
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.blobs import write_files as writing
from tracker_server.blobs.file_cache import FileCache
from tracker_server.blobs.target_names import check_case_clash, check_windows_names, folded_clash
from tracker_server.blobs.write_files import write_files


class Contents:
    """Gives chunks of contents, and counts them."""

    def __init__(self, *contents: bytes) -> None:
        self.by_digest = {chunk_of(data).digest: data for data in contents}
        self.n_read = 0

    def read(self, uid, chunks):
        for chunk in chunks:
            self.n_read += 1
            if chunk.digest not in self.by_digest:
                raise NotFoundError("no such chunk")
            yield self.by_digest[chunk.digest]


def entry(path: str, *parts: bytes) -> Entry:
    data = b"".join(parts)
    chunks = tuple(map(chunk_of, parts)) if len(parts) > 1 else ()
    return Entry(path, len(data), blake3(data).digest(), chunks)


A, B = b"a" * 1_000, os.urandom(5_000)
ENTRIES = [entry("a.txt", A), entry("in/b.bin", A, B), entry("in/deep/er/empty"), entry("in/ü 日.txt", B)]
CONTENT = {"a.txt": A, "in/b.bin": A + B, "in/deep/er/empty": b"", "in/ü 日.txt": B}


def all_files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("group_files", [1, 256])
def test_all_files_are_written_below_the_root(tmp_path, monkeypatch, group_files):
    monkeypatch.setattr(writing, "_GROUP_FILES", group_files)
    root = tmp_path / "to" / "here"
    done: list[int] = []
    paths = write_files(Contents(A, B), "v", ENTRIES, str(root), say=done.append)
    assert all_files(root) == CONTENT
    assert paths == [str(root / name) for name in CONTENT]
    assert sum(done) == sum(map(len, CONTENT.values()))


def test_what_is_there_with_the_right_content_is_left_alone(tmp_path):
    reader = Contents(A, B)
    write_files(reader, "v", ENTRIES, str(tmp_path))
    before = {path: os.stat(path).st_ino for path in tmp_path.rglob("*")}
    n_read = reader.n_read
    write_files(reader, "v", ENTRIES, str(tmp_path))
    assert reader.n_read == n_read
    assert {path: os.stat(path).st_ino for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("there", [b"", b"x" * 1_000, A[:-1] + b"x", A + b"x"])
def test_what_is_there_with_another_content_is_replaced(tmp_path, there):
    (tmp_path / "a.txt").write_bytes(there)
    write_files(Contents(A), "v", ENTRIES[:1], str(tmp_path))
    assert (tmp_path / "a.txt").read_bytes() == A


def test_a_file_that_has_another_name_too_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "original").write_bytes(b"original")
    os.link(tmp_path / "original", tmp_path / "a.txt")
    write_files(Contents(A), "v", ENTRIES[:1], str(tmp_path))
    assert (tmp_path / "original").read_bytes() == b"original"


def test_files_can_be_written_to_by_their_user_afterwards(tmp_path):
    write_files(Contents(A), "v", ENTRIES[:1], str(tmp_path))
    (tmp_path / "mine").touch()
    assert stat.S_IMODE(os.stat(tmp_path / "a.txt").st_mode) == stat.S_IMODE(os.stat(tmp_path / "mine").st_mode)


# -- classes 1-5, 8, 9, 10, 17: names


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "..\\x", "C:x", "C:/x", "a\x00b", "a\nb", "", ".", "./x", "a//b", "a/", "\u202ex"],
)
def test_names_that_lead_out_or_lie_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(UsageError):
        write_files(Contents(A), "v", [entry("good", A), entry(name, A)], str(tmp_path / "root"))
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "name", ["%2e%2e/x", "..%2fx", "a.", " a ", "con", "aux.txt", "aux:b", "#?;", "~", "$HOME", "-rf"]
)
def test_odd_names_are_names_here(tmp_path, name):
    write_files(Contents(A), "v", [entry(name, A)], str(tmp_path))
    assert all_files(tmp_path) == {name: A}


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="'a' as a file and 'a/b' below it"):
        write_files(Contents(A), "v", [entry("a/b", A), entry("a", A)], str(tmp_path))


@pytest.mark.parametrize(
    ("names", "clash"),
    [
        (["README", "readme", "x"], ("README", "readme")),
        (["Straße", "STRASSE"], ("STRASSE", "Straße")),
        (["é", "É"], ("É", "é")),
        (["data", "Data/x"], ("data", "Data/x")),
        (["a/X", "A/y", "b"], None),
    ],
)
def test_names_that_differ_in_case_alone_clash_where_case_is_not_told_apart(names, clash):
    assert folded_clash(names) == clash
    if clash is not None:
        with pytest.raises(UsageError) as error:
            check_case_clash(names)
        assert all(repr(name) in str(error.value) for name in clash)


def test_names_that_differ_in_case_alone_are_two_files_where_case_is_told_apart(tmp_path):
    write_files(Contents(A, B), "v", [entry("README", A), entry("readme", B)], str(tmp_path))
    assert all_files(tmp_path) == {"README": A, "readme": B}


def test_names_that_clash_are_refused_on_such_a_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_is_case_blind", lambda root: True)
    with pytest.raises(UsageError, match="'README' and 'readme'"):
        write_files(Contents(A, B), "v", [entry("README", A), entry("readme", B)], str(tmp_path))
    assert all_files(tmp_path) == {}


@pytest.mark.parametrize("name", ["con", "CON.txt", "a/aux", "nul .txt", "COM1", "lpt9.x", "a:b", "a?", "x.", "x /y"])
def test_names_that_windows_gives_another_meaning_are_refused_there(name):
    with pytest.raises(UsageError, match="Windows"):
        check_windows_names(["good", name])


@pytest.mark.parametrize("name", ["console", "com10", "auxiliary.txt", ".hidden", "a b", "ü"])
def test_other_names_are_fine_on_windows(name):
    check_windows_names([name, f"in/{name}"])


# -- class 13: links in the way


@pytest.mark.parametrize("name", ["in", "in/deep"])
def test_nothing_is_written_through_a_link_to_a_folder(tmp_path, name):
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(outside, target_is_directory=True)
    with pytest.raises(UsageError, match="a link or file"):
        write_files(Contents(A, B), "v", ENTRIES, str(root))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "broken link", "folder", "fifo"])
def test_what_is_no_file_in_the_place_of_one_is_refused(tmp_path, kind):
    root, victim = tmp_path / "root", tmp_path / "victim"
    root.mkdir()
    victim.write_bytes(b"victim")
    if kind == "folder":
        (root / "a.txt").mkdir()
    elif kind == "fifo":
        os.mkfifo(root / "a.txt")
    else:
        (root / "a.txt").symlink_to(victim if kind == "link" else tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"a\.txt"):
        write_files(Contents(A), "v", ENTRIES[:1], str(root))
    assert victim.read_bytes() == b"victim" and not (tmp_path / "nothing").exists()


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    write_files(Contents(A), "v", ENTRIES[:1], str(tmp_path / "root"))
    assert all_files(tmp_path / "real") == {"a.txt": A}


# -- classes 14, 15, 62: bytes that are not those of the version


class Lying(Contents):
    """Gives other bytes than were asked for."""

    def __init__(self, give) -> None:
        super().__init__(A, B)
        self._give = give

    def read(self, uid, chunks):
        return self._give(list(super().read(uid, chunks)))


@pytest.mark.parametrize(
    "give",
    [
        lambda found: iter([data[:-1] + b"!" for data in found]),
        lambda found: iter([data + b"!" for data in found]),
        lambda found: iter([data[:-1] for data in found]),
        lambda found: iter(found[:-1]),
        lambda found: iter(()),
        lambda found: iter(found[::-1]),
        lambda found: iter([b""] * len(found)),
    ],
    ids=["other", "longer", "shorter", "too few", "none", "another order", "empty"],
)
def test_bytes_that_are_not_those_of_the_version_leave_no_file(tmp_path, give):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.bin").write_bytes(b"before")
    with pytest.raises(DamagedChunkError, match=r"b\.bin"):
        write_files(Lying(give), "v", ENTRIES[1:2], str(tmp_path))
    assert all_files(tmp_path) == {"in/b.bin": b"before"}


def test_chunks_that_are_right_and_a_whole_that_is_not_leave_no_file(tmp_path):
    lie = Entry("a", 2_000, blake3(b"another").digest(), (chunk_of(A), chunk_of(A)))
    with pytest.raises(DamagedChunkError):
        write_files(Contents(A), "v", [lie], str(tmp_path))
    assert all_files(tmp_path) == {}


def test_an_error_midway_leaves_whole_files_only(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_GROUP_FILES", 1)
    entries = [entry(f"{i}", bytes([i]) * 100) for i in range(20)]
    reader = Contents(*(bytes([i]) * 100 for i in range(20) if i != 13))
    with pytest.raises(NotFoundError):
        write_files(reader, "v", entries, str(tmp_path))
    found = all_files(tmp_path)
    assert "13" not in found and all(found[name] == bytes([int(name)]) * 100 for name in found)


def test_a_chunk_list_that_lies_about_sizes_is_found_out(tmp_path):
    lie = Entry("a", 1_000, chunk_of(A).digest, (Chunk(chunk_of(A).digest, 1_000),))
    write_files(Contents(A), "v", [lie], str(tmp_path))
    assert all_files(tmp_path) == {"a": A}


# -- the cache


def test_what_was_fetched_once_is_not_fetched_again(tmp_path):
    cache, reader = tmp_path / "cache", Contents(A, B)
    write_files(reader, "v", ENTRIES, str(tmp_path / "one"), str(cache), 1 << 20)
    n_read = reader.n_read
    write_files(reader, "v", ENTRIES, str(tmp_path / "two"), str(cache), 1 << 20)
    assert reader.n_read == n_read
    assert all_files(tmp_path / "two") == CONTENT


def test_what_the_user_does_to_a_file_does_not_reach_the_cache(tmp_path):
    cache, reader = tmp_path / "cache", Contents(A, B)
    write_files(reader, "v", ENTRIES, str(tmp_path / "one"), str(cache), 1 << 20)
    with open(tmp_path / "one" / "a.txt", "r+b") as file:
        file.write(b"changed in place")
    write_files(reader, "v", ENTRIES, str(tmp_path / "two"), str(cache), 1 << 20)
    assert all_files(tmp_path / "two") == CONTENT


@pytest.mark.parametrize("damage", [b"", b"x" * 1_000, b"longer" * 1_000])
def test_a_damaged_file_of_the_cache_is_fetched_again(tmp_path, damage):
    reader = Contents(A)
    write_files(reader, "v", ENTRIES[:1], str(tmp_path / "one"), str(tmp_path / "cache"), 1 << 20)
    (cached,) = FileCache(str(tmp_path / "cache"), 1 << 20).files()
    Path(cached.path).write_bytes(damage)
    write_files(reader, "v", ENTRIES[:1], str(tmp_path / "two"), str(tmp_path / "cache"), 1 << 20)
    assert all_files(tmp_path / "two") == {"a.txt": A}
    assert Path(cached.path).read_bytes() == A


def test_a_cache_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "cache").write_bytes(b"a file, and no folder")
    write_files(Contents(A, B), "v", ENTRIES, str(tmp_path / "one"), str(tmp_path / "cache"), 1 << 20)
    assert all_files(tmp_path / "one") == CONTENT


def test_the_cache_keeps_to_its_bound_and_what_was_used_last(tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 3_500)
    contents = [bytes([i]) * 1_000 for i in range(5)]
    for i, data in enumerate(contents):
        (tmp_path / "source").write_bytes(data)
        cache.keep(entry("x", data), str(tmp_path / "source"))
        digest = chunk_of(data).digest.hex()
        os.utime(Path(cache.folder) / digest[:2] / digest, (1_000_000 + i, 1_000_000 + i))
    assert cache.take(entry("x", contents[0]), str(tmp_path / "taken"))  # used now
    assert cache.trim() == 2_000
    left = {Path(one.path).name for one in cache.files()}
    assert left == {chunk_of(contents[i]).digest.hex() for i in (0, 3, 4)}
    assert cache.trim(0) == 3_000 and cache.files() == []


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path):
    (tmp_path / "source").write_bytes(A)
    cache = FileCache(str(tmp_path / "cache"), 500)
    cache.keep(entry("x", A), str(tmp_path / "source"))
    assert cache.files() == []


def test_what_a_killed_process_left_in_the_cache_is_removed_after_a_while(tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 500)
    folder = Path(cache.folder) / "ab"
    folder.mkdir(parents=True)
    for name, age_s in ((".part-old", 10_000), (".part-new", 1)):
        (folder / name).write_bytes(b"half")
        at_s = (folder / name).stat().st_mtime - age_s
        os.utime(folder / name, (at_s, at_s))
    cache.trim()
    assert [path.name for path in folder.iterdir()] == [".part-new"]

"""Files are kept whole or not at all, under their digest; trouble with them never reaches the training."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from child_process import mount_prefix, run_well

from tracker_core.errors import UsageError
from tracker_core.files import FileKeeper, check_file_name, save_files
from tracker_core.records import File, Record


class Kept:
    """A keeper with the records that it wrote."""

    def __init__(self, folder: Path, max_bytes: int = 0) -> None:
        self.records: list[Record] = []
        self.folder = folder / "runs" / "project" / "run"
        self.keeper = FileKeeper(str(self.folder), self.records.append, max_bytes)

    @property
    def paths(self) -> list[str]:
        return [record.path for record in self.records if isinstance(record, File)]

    def content(self, name: str) -> bytes:
        """Return what was last kept under a name, having checked its digest and size."""
        record = [r for r in self.records if isinstance(r, File) and r.path == name][-1]
        data = (self.folder / "files" / record.digest).read_bytes()
        assert (blake3(data).hexdigest(), len(data)) == (record.digest, record.size_bytes)
        return data

    @property
    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "files").iterdir())


@pytest.fixture
def kept(folder: Path) -> Kept:
    return Kept(folder)


def test_a_kept_file_is_a_copy_that_later_changes_do_not_reach(kept: Kept, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(3 << 20))
    first = source.read_bytes()
    file = kept.keeper.keep(source, "weights/model.bin")
    assert file is not None and (file.path, file.kind) == ("weights/model.bin", "file")
    with source.open("r+b") as opened:
        opened.write(b"overwritten in place")
    assert kept.content("weights/model.bin") == first
    assert os.stat(kept.folder / "files" / file.digest).st_nlink == 1


def test_equal_content_is_stored_once(kept: Kept, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("the same")
        kept.keeper.keep(tmp_path / name, name)
    kept.keeper.keep_bytes(b"the same", "c", "code")
    assert kept.paths == ["a", "b", "c"] and len(kept.stored) == 1


def test_an_empty_file_is_kept(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert kept.keeper.keep(tmp_path / "empty", "empty") is not None
    assert kept.content("empty") == b""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs files whose size the kernel does not say")
def test_a_file_of_unknown_size_is_read_to_its_end(kept: Kept) -> None:
    assert kept.keeper.keep("/proc/self/status", "status") is not None
    assert b"Pid:" in kept.content("status")


def test_a_damaged_copy_is_replaced_by_a_whole_one(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    file = kept.keeper.keep(tmp_path / "a", "a")
    assert file is not None
    os.truncate(kept.folder / "files" / file.digest, 0)
    kept.keeper.keep(tmp_path / "a", "again")
    assert kept.content("again") == b"content"


def test_a_file_that_keeps_growing_is_kept_as_it_was_read(kept: Kept, tmp_path: Path) -> None:
    source, done = tmp_path / "log.txt", threading.Event()
    source.write_bytes(b"x" * (4 << 20))

    def grow() -> None:
        with source.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"x" * 4096)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        assert kept.keeper.keep(source, "log.txt") is not None
    finally:
        done.set()
        writer.join()
    assert len(kept.content("log.txt")) >= 4 << 20 and len(kept.stored) == 1


def test_a_link_is_followed_to_a_regular_file_only(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "target").write_text("content")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "broken").symlink_to("nowhere")
    assert kept.keeper.keep(tmp_path / "link", "link") is not None
    assert kept.content("link") == b"content"
    for name in ("loop", "broken"):
        assert kept.keeper.keep(tmp_path / name, name) is None
        assert f"{tmp_path / name} is not kept with the run" in capsys.readouterr().err


def test_what_is_no_regular_file_is_refused_without_waiting(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, kind in (("fifo", "a FIFO"), ("folder", "a folder"), ("socket", "a socket"), ("/dev/null", "a dev")):
            assert kept.keeper.keep(path, "name") is None
            assert f"{path} is not kept with the run: it is {kind}" in capsys.readouterr().err
    assert kept.records == []


def test_the_same_trouble_is_told_once(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        kept.keeper.keep("nowhere", "name")
    assert capsys.readouterr().err.count("warning") == 1


def test_a_file_over_the_limit_is_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept(folder, max_bytes=10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    assert kept.keeper.keep(tmp_path / "big", "big") is None
    assert "file_max_mib" in capsys.readouterr().err


def test_a_full_disk_warns_leaves_no_half_file_and_raises_nothing(tmp_path: Path) -> None:
    script = """
        import os, subprocess, sys
        from tracker_core.files import FileKeeper
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", sys.argv[1]], check=True)
        records = []
        keeper = FileKeeper(sys.argv[1] + "/runs/p/r", records.append)
        open("big", "wb").write(os.urandom(3 << 20))
        open("small", "wb").write(b"small")
        print([keeper.keep("big", "big"), keeper.keep("big", "again"), keeper.keep_bytes(b"x" * (3 << 20), "bytes")])
        print(keeper.keep("small", "small").digest == os.listdir(sys.argv[1] + "/runs/p/r/files")[0])
        print(len(os.listdir(sys.argv[1] + "/runs/p/r/files")), len(records))
    """
    (tmp_path / "disk").mkdir()
    assert run_well(script, tmp_path / "disk", prefix=mount_prefix()) == "[None, None, None]\nTrue\n1 1\n"


def test_copies_that_a_killed_process_left_are_removed(kept: Kept, tmp_path: Path) -> None:
    left = kept.folder / "files" / ".part-1-2-3"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    young = left.with_name(".part-9-9-9")
    young.write_text("still being written")
    os.utime(left, (1, 1))
    kept.keeper.keep_bytes(b"x", "x")
    assert not left.exists() and young.exists()


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("", "/a", "../a", "a/../b", "./a", "a//b", "a/", "C:/a", "C:a", "a\\b", "a\x00", "a\nb", "\u202ea", "\udcff"),
        *(3, "a" * 256, "a/" * 520 + "a"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(kept: Kept, name: object) -> None:
    with pytest.raises(UsageError):
        check_file_name(name)
    with pytest.raises(UsageError):
        kept.keeper.keep_bytes(b"", name)  # type: ignore[arg-type]


def test_names_are_kept_in_composed_form() -> None:
    assert check_file_name("cafe\u0301/x y.txt") == "caf\u00e9/x y.txt"
    assert check_file_name("..a/b..c/...") == "..a/b..c/..."


# save


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")


def test_save_keeps_names_relative_to_the_working_directory(kept: Kept, tmp_path: Path) -> None:
    write(tmp_path, "model/a.pt", "model/b.pt", "model/c.txt")
    assert save_files(kept.keeper, "model/*.pt", policy="now") == ["model/a.pt", "model/b.pt"]
    assert kept.content("model/a.pt") == b"content of model/a.pt"


def test_save_takes_names_from_the_base_path_or_the_folder_of_an_absolute_glob(kept: Kept, tmp_path: Path) -> None:
    write(tmp_path, "out/deep/a.pt")
    assert save_files(kept.keeper, "out/deep/*", base_path="out", policy="now") == ["deep/a.pt"]
    assert save_files(kept.keeper, tmp_path / "out/deep/a.pt", policy="now") == ["a.pt"]


def test_save_goes_down_folders_but_not_round_in_circles_nor_into_hidden_ones(kept: Kept, tmp_path: Path) -> None:
    write(tmp_path, "out/a", "out/b/c", "out/.hidden/d", "out/.e")
    (tmp_path / "out/round").symlink_to(".")
    (tmp_path / "out/b/about").symlink_to("..")
    assert save_files(kept.keeper, "out/**", policy="now") == ["out/a", "out/b/c"]
    assert save_files(kept.keeper, "out/.hidden/**", policy="now") == ["out/.hidden/d"]


def test_save_takes_a_name_with_glob_characters_as_it_is(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "[x]/a[1].txt")
    monkeypatch.chdir(tmp_path / "[x]")
    assert save_files(kept.keeper, "a[1].txt", policy="now") == ["a[1].txt"]
    assert save_files(kept.keeper, "a*", policy="now") == ["a[1].txt"]


def test_save_never_keeps_the_runs_themselves(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.keep_bytes(b"x", "x")
    write(tmp_path, "a")
    assert save_files(kept.keeper, ".tracker/**", policy="now") == []


def test_save_of_what_is_not_there_warns_and_returns_nothing(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert save_files(kept.keeper, "*.pt", policy="now") == []
    assert "matches no file" in capsys.readouterr().err
    assert save_files(kept.keeper, "folder", policy="now") == []
    assert "is a folder; '/**'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("glob_str", "base", "policy"), [("*", None, "later"), ("a", "b", "now"), ("../a", None, "now")]
)
def test_wrong_use_of_save_raises(kept: Kept, glob_str: str, base: str | None, policy: str) -> None:
    with pytest.raises(UsageError):
        save_files(kept.keeper, glob_str, base, policy)


def test_a_name_that_is_no_text_is_left_out(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    with open(b"bad\xff.txt", "w"):
        pass
    assert save_files(kept.keeper, "bad*", policy="now") == []
    assert "is not kept with the run" in capsys.readouterr().err


def test_policy_end_keeps_what_is_there_at_the_end(kept: Kept, tmp_path: Path) -> None:
    write(tmp_path, "a.pt")
    assert save_files(kept.keeper, "*.pt", policy="end") == ["a.pt"]
    kept.keeper.refresh_live()
    assert kept.records == []
    write(tmp_path, "b.pt")
    kept.keeper.finish()
    assert kept.paths == ["a.pt", "b.pt"]


def test_policy_live_keeps_every_change_and_only_the_latest_content(kept: Kept, tmp_path: Path) -> None:
    write(tmp_path, "a.pt", "b.pt")
    save_files(kept.keeper, "*.pt", policy="live")
    assert kept.paths == ["a.pt", "b.pt"]
    (tmp_path / "a.pt").write_text("changed, and longer")
    kept.keeper.refresh_live()
    assert kept.paths == ["a.pt", "b.pt", "a.pt"] and len(kept.stored) == 2
    assert kept.content("a.pt") == b"changed, and longer"
    write(tmp_path, "a.pt")
    kept.keeper.finish()
    assert kept.content("a.pt") == b"content of a.pt"


def test_replaced_content_stays_while_another_name_stands_for_it(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("one")
    save_files(kept.keeper, "last.pt", policy="live")
    kept.keeper.keep("last.pt", "first.pt")
    (tmp_path / "last.pt").write_text("two, longer")
    kept.keeper.finish()
    assert (kept.content("first.pt"), kept.content("last.pt")) == (b"one", b"two, longer")

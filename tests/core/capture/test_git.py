"""Commit, branch, remote and uncommitted changes of real repositories, in every state that they can be in."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tracker_core.capture import git as module
from tracker_core.capture.git import describe, find_root, patch_bytes, uncommitted_changes
from tracker_core.capture.masking import Masker

from .repository import git, make_repository

MASKER = Masker({})
MIB = 1 << 20


@pytest.fixture(autouse=True)
def own_git_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def patch(root: Path, max_bytes: int = MIB, masker: Masker = MASKER) -> str:
    diff = uncommitted_changes(str(root), max_bytes)
    return "" if diff is None else patch_bytes(diff, masker, max_bytes).decode(errors="surrogateescape")


def restored(root: Path, patch: str, folder: Path) -> Path:
    """Return a clone of the commit with the patch applied."""
    git(root.parent, "clone", "-q", str(root), str(folder))
    (folder.parent / "diff.patch").write_bytes(patch.encode(errors="surrogateescape"))
    git(folder, "apply", str(folder.parent / "diff.patch"))
    return folder


def test_a_clean_repository_is_described(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "origin", "https://user:hunter2@example.org/o/r.git")
    assert describe(str(root), MASKER) == {
        "root": str(root),
        "commit": git(root, "rev-parse", "HEAD"),
        "branch": "main",
        "remote": "https://example.org/o/r.git",
        "is_dirty": False,
        "n_untracked": 0,
        "message": "the first commit",
    }
    assert patch(root) == ""


def test_changes_and_untracked_files_are_counted(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "new.txt").touch()
    assert (describe(str(root), MASKER)["is_dirty"], describe(str(root), MASKER)["n_untracked"]) == (False, 1)
    (root / "a.txt").write_text("changed\n")
    assert describe(str(root), MASKER)["is_dirty"] is True


def test_the_remote_of_the_branch_is_told_before_origin(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "fork", "git@example.org:me/r.git")
    assert describe(str(root), MASKER)["remote"] == "git@example.org:me/r.git"
    git(root, "remote", "add", "origin", "ssh://git@example.org/o/r.git")
    assert describe(str(root), MASKER)["remote"] == "ssh://git@example.org/o/r.git"
    git(root, "config", "branch.main.remote", "fork")
    assert describe(str(root), MASKER)["remote"] == "git@example.org:me/r.git"


def test_the_repository_is_found_from_a_folder_within_the_first_that_is_in_one(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", **{"deep/down/x.py": ""})
    assert find_root([str(tmp_path), str(root / "deep/down")]) == str(root)
    assert find_root([str(tmp_path)]) in (None, find_root([str(tmp_path.parent)]))


def test_a_detached_head_has_no_branch(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "checkout", "-q", "--detach")
    found = describe(str(root), MASKER)
    assert found["branch"] == "" and found["commit"] == git(root, "rev-parse", "HEAD")


def test_a_repository_without_a_commit_has_a_branch_only(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    found = describe(str(tmp_path), MASKER)
    assert (found["commit"], found["branch"]) == ("", "main") and "message" not in found
    assert patch(tmp_path) == ""


def test_a_repository_that_git_refuses_still_tells_commit_and_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "r")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    found = describe(str(root), MASKER)
    assert "dubious ownership" in found["problem"]
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    assert (found["commit"], found["branch"]) == (git(root, "rev-parse", "HEAD"), "main")


def test_without_git_commit_and_branch_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "w"))
    commit = git(root, "rev-parse", "HEAD")
    git(root, "pack-refs", "--all")
    monkeypatch.setenv("PATH", str(tmp_path))
    for folder, branch in ((root, "main"), (tmp_path / "w", "side")):
        found = describe(str(folder), MASKER)
        assert (found["commit"], found["branch"]) == (commit, branch)
        assert "git cannot be run" in found["problem"]
    assert patch(root) == ""


def test_a_damaged_repository_tells_its_problem(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert describe(str(tmp_path), MASKER).keys() == {"root", "problem"}


def test_staged_unstaged_new_deleted_and_renamed_files_come_back_by_git_apply(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", **{"c.txt": "c\n" * 20, "d e.txt": "d\n", "é.txt": "e\n"})
    (root / "a.txt").write_text("one\nTWO\nthree")
    git(root, "add", "a.txt")
    (root / "a.txt").write_text("one\nTWO\nTHREE")
    (root / "b.txt").unlink()
    git(root, "mv", "c.txt", "moved.txt")
    (root / "new.txt").write_text("new\n")
    git(root, "add", "new.txt")
    (root / "d e.txt").write_text("d\r\n")
    (root / "é.txt").write_bytes(b"latin-1: \xe9\n")
    (root / "a.txt").chmod(0o755)
    copy = restored(root, patch(root), tmp_path / "copy")
    for name in ("a.txt", "moved.txt", "new.txt", "d e.txt", "é.txt"):
        assert (copy / name).read_bytes() == (root / name).read_bytes()
    assert not (copy / "b.txt").exists() and not (copy / "c.txt").exists()
    assert os.access(copy / "a.txt", os.X_OK)


def test_binary_files_are_named_and_the_rest_still_applies(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", **{"image.bin": "\0old"})
    (root / "image.bin").write_bytes(b"\0new")
    (root / "a.txt").write_text("changed\n")
    text = patch(root)
    assert text.startswith("# binary file, left out: image.bin\n")
    copy = restored(root, text, tmp_path / "copy")
    assert (copy / "a.txt").read_text() == "changed\n"


def test_a_long_diff_is_cut_where_a_hunk_ends_and_says_so(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", **{"long.txt": "".join(f"line {n}\n" for n in range(60_000))})
    (root / "a.txt").write_text("changed\n")
    lines = [f"line {n}\n" if n % 20 else f"changed {n}\n" for n in range(60_000)]
    (root / "long.txt").write_text("".join(lines))
    text = patch(root, max_bytes=200_000)
    assert text.startswith("# cut after") and len(text) < 200_200
    copy = restored(root, text, tmp_path / "copy")
    assert (copy / "a.txt").read_text() == "changed\n"
    assert (copy / "long.txt").read_text().startswith("changed 0\n")


def test_a_diff_whose_first_hunk_is_too_long_keeps_the_note(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("x\n" * 100_000)
    assert patch(root, max_bytes=1000) == "# cut after 0 MiB (setting diff_max_mib): more is changed than is here\n"


def test_secrets_in_a_diff_are_masked_and_it_says_so(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("one\ntwo\nDB_PASSWORD=hunter2\n")
    (root / "b.txt").write_text("harmless\n")
    text = patch(root)
    assert "hunter2" not in text and "+DB_PASSWORD=***\n" in text
    assert "# secrets are masked in 1 files" in text
    assert restored(root, text, tmp_path / "copy").joinpath("b.txt").read_text() == "harmless\n"


def test_what_the_user_set_for_reading_diffs_changes_nothing(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("changed\n")
    expected = patch(root)
    for name, value in {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.external": "false",
        "color.ui": "always",
        "core.pager": "false",
        "pager.diff": "true",
        "core.fsmonitor": str(tmp_path / "monitor"),
    }.items():
        git(root, "config", name, value)
    assert patch(root) == expected


def test_a_submodule_counts_by_its_commit(tmp_path: Path) -> None:
    root, other = make_repository(tmp_path / "r"), make_repository(tmp_path / "other")
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    git(root, "commit", "-q", "-m", "with a submodule")
    assert describe(str(root), MASKER)["is_dirty"] is False
    (root / "sub" / "a.txt").write_text("changed\n")
    assert describe(str(root), MASKER)["is_dirty"] is False
    git(root / "sub", "commit", "-q", "-a", "-m", "in the submodule")
    assert describe(str(root), MASKER)["is_dirty"] is True
    assert "+Subproject commit" in patch(root)
    assert describe(find_root([str(root / "sub")]) or "", MASKER)["message"] == "in the submodule"


def test_a_git_that_hangs_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nsleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(module, "TIMEOUT_S", 0.5)
    (tmp_path / ".git").mkdir()
    began_s = time.monotonic()
    assert "took longer than 0.5 s" in describe(str(tmp_path), MASKER)["problem"]
    assert time.monotonic() - began_s < 10
    child = int((tmp_path / "child").read_text())
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True).stdout
    assert state.strip() in ("", "Z")


def test_git_never_takes_a_lock_nor_writes_to_the_repository(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    os.utime(root / "a.txt", (1, 1))  # the index is out of date, which git likes to mend
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    describe(str(root), MASKER)
    assert patch(root) == ""
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

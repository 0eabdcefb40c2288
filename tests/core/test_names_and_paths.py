"""Hostile names: a project or run id is refused, or becomes a folder name that is safe and stays inside."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracker_core
from tracker_core import UsageError
from tracker_core.journal_reader import read_session
from tracker_core.paths import check_project, project_dir_name, run_folder

HOSTILE = [
    # 1-4: out of the folder, absolute, backslashes, drives and network shares
    "..", "../x", "a/../../b", "....//", "/etc/passwd", "//x", "..\\x", "a\\..\\b", "C:", "C:\\x", "C:x",
    "\\\\host\\share",
    # 5: NUL and control characters
    "a\x00b", "\x00", "a\nb", "a\rb", "a\tb", "\x1b[31m", "a\x7fb", "\x85", "a\u2028b",
    # 6-7: percent-encoding, overlong UTF-8 as latin-1, what ends a path in a URL
    "%2e%2e%2f", "%252e%252e", "%25252e", "\u00c0\u00ae\u00c0\u00ae", "%00", "%", "a#b", "a?b", "a;b", "a&b=c", "a+b",
    # 8: dots, empty, trailing dot and space
    ".", "", "...", ".hidden", "a.", "a..", "a ", " a", " ", "   ", ". ", "-", "--", "~", "~root", "$HOME", "`id`",
    # 9: devices and streams of Windows
    "CON", "con", "nul", "aux.txt", "COM1", "lpt9.log", "a:stream", "a::$DATA", "CON.", "PRN ", "<>|*\"",
    # 10: case and composition
    "A", "a", "caf\u00e9", "cafe\u0301", "\u00c5", "A\u030a", "\u212b", "\ufb01", "SS", "\u00df",
    # 11: very long
    "x" * 128, "x" * 129, "\u00e9" * 128, "\U0001f600" * 128, "x" * 4096, "/".join("x" * 500),
    # 12: bidirectional and invisible characters, lone surrogates
    "a\u202eb", "\u2066a", "a\u200bb", "\u200d", "\ufeffa", "a\u00adb", "\ud800", "a\udfffb", "\u00a0", "a\u3000b",
]  # fmt: skip
SAFE_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. %")
DEVICES = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}


def is_accepted(name: Any) -> bool:
    try:
        check_project(name)
    except UsageError as error:
        assert error.where == "init(project=)"
        assert error.got and error.expected and error.remedy
        str(error).encode()
        return False
    return True


def check_folder_name(folder_name: str) -> None:
    assert set(folder_name) <= SAFE_CHARACTERS
    assert 1 <= len(folder_name) <= 200
    assert folder_name not in (".", "..")
    assert folder_name[0] not in ". "
    assert folder_name[-1] not in ". "
    assert folder_name.split(".")[0].lower() not in DEVICES


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_project_is_refused_or_stays_inside(tmp_path: Path, name: str) -> None:
    if not is_accepted(name):
        with pytest.raises(UsageError):
            tracker_core.init(name or "\x00", dir=tmp_path / "t")
        assert not (tmp_path / "t").exists()
        return
    check_folder_name(project_dir_name(name))
    tracker_core.init(name, dir=tmp_path / "t", id="r").finish(quiet=True)
    (path,) = (tmp_path / "t" / "runs").rglob("*.journal")
    assert path.parents[2] == tmp_path / "t" / "runs"
    session = read_session(str(path))
    assert session is not None
    assert session.project == name
    assert {p.name for p in tmp_path.iterdir()} == {"t"}


def test_control_path_and_invisible_characters_are_refused() -> None:
    refused = {name for name in HOSTILE if not is_accepted(name)}
    for name in HOSTILE:
        has_odd = any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or c in "/\\" for c in name)
        if has_odd or len(name) > 128 or name in ("", ".", ".."):
            assert name in refused, ascii(name)


@pytest.mark.parametrize("name", [None, 5, b"p", ["p"], 1.5], ids=repr)
def test_project_that_is_no_text_is_refused(name: Any) -> None:
    assert not is_accepted(name)


@settings(max_examples=400, deadline=None, database=None)
@given(st.text(max_size=130))
def test_any_text_is_refused_or_safe(name: str) -> None:
    if is_accepted(name):
        check_folder_name(project_dir_name(name))
        assert Path(run_folder("/t", name, "r")).parent.parent == Path("/t/runs")


@settings(max_examples=400, deadline=None, database=None)
@given(st.text(min_size=1, max_size=128).filter(is_accepted), st.text(min_size=1, max_size=128).filter(is_accepted))
def test_different_projects_have_different_folders(one: str, other: str) -> None:
    assert (project_dir_name(one) == project_dir_name(other)) == (one == other)


@pytest.mark.parametrize(
    "run_id",
    [
        "", ".", "..", "../x", "/x", "a/b", "a\\b", "a b", ".hidden", "-x", "_x", "x.", "x\n", "\x00", "a" * 65,
        "caf\u00e9", "%2e", "CON", "nul.txt", "com1", "a:b", 5, b"x", "\u202e",
    ],
    ids=ascii,
)  # fmt: skip
def test_hostile_run_id_is_refused(folder: Path, run_id: Any) -> None:
    with pytest.raises(UsageError) as caught:
        tracker_core.init(dir=folder, id=run_id) if run_id else tracker_core.paths.check_run_id(run_id)
    assert "id" in caught.value.where
    assert not folder.exists()


@pytest.mark.parametrize("run_id", ["a", "A-b_c.d", "0" * 64, "console", "auxiliary"])
def test_good_run_id_is_its_folder(folder: Path, run_id: str) -> None:
    run = tracker_core.init(dir=folder, id=run_id)
    assert Path(run.dir).name == run_id

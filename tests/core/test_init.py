"""`init`: arguments, where runs are kept, runs already active, the mode that does nothing."""

from __future__ import annotations

import inspect
import os
import subprocess
from pathlib import Path
from typing import Any

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core import Run, UsageError
from tracker_core.disabled import DisabledRun
from tracker_core.journal_reader import read_session
from tracker_core.records import Session
from tracker_core.start import IGNORED_WANDB_ARGUMENTS

# What wandb.init documents, with a value of the kind it takes.
WANDB_ARGUMENTS: dict[str, Any] = {
    "entity": "me", "project": "p", "dir": None, "id": "abc", "name": "n", "notes": "t", "tags": ["a"],
    "config": {"a": 1}, "config_exclude_keys": ["b"], "config_include_keys": ["a"], "allow_val_change": True,
    "group": "g", "job_type": "j", "mode": "offline", "force": False, "reinit": "return_previous", "resume": "allow",
    "save_code": True, "sync_tensorboard": False, "monitor_gym": False, "settings": {"console": "off"},
    "anonymous": "never", "magic": None, "tensorboard": False,
}  # fmt: skip


def session_of(folder: Path) -> Session:
    (path,) = folder.rglob("*.journal")
    session = read_session(str(path))
    assert session is not None
    return session


@pytest.mark.parametrize("name", WANDB_ARGUMENTS)
def test_every_documented_argument_of_wandb_is_accepted(folder: Path, name: str) -> None:
    arguments = {"dir": folder, name: WANDB_ARGUMENTS[name]} if name != "dir" else {}
    tracker_core.init(**arguments).finish()


@pytest.mark.parametrize("name", ["projekt", "foo", "tag", "resume_form"])
def test_unknown_argument_raises_before_anything_is_made(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name!r}"):
        tracker_core.init(dir=folder, **{name: 1})
    assert not folder.exists()
    assert tracker_core.run is None


def test_unknown_argument_offers_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'project'"):
        tracker_core.init(projekt="digits")


def test_ignored_arguments_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wandb.md").read_text()
    assert all(f"`{name}`" in page for name in IGNORED_WANDB_ARGUMENTS)


def test_session_record_says_who_writes(folder: Path) -> None:
    run = tracker_core.init(
        "digits", "first try", "run-1", {"a": 1}, "g", "train", ["a", "b"], "notes \u00e9", folder, entity="team"
    )
    session = session_of(folder)
    assert (session.project, session.name, session.run, session.group) == ("digits", "first try", "run-1", "g")
    assert (session.job_type, session.tags, session.notes, session.entity) == (
        "train", ["a", "b"], "notes \u00e9", "team",
    )  # fmt: skip
    assert (session.writer, session.attempt, session.counter, session.resumed) == ("main", 1, 1, False)
    assert session.pid == os.getpid()
    assert (run.id, run.path, run.dir) == ("run-1", "digits/run-1", str(folder / "runs" / "digits" / "run-1"))


def test_folder_is_the_nearest_upwards_within_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / ".tracker"
    outside.mkdir()
    deep = tmp_path / "repository" / "a" / "b"
    deep.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "repository")], check=True)
    monkeypatch.chdir(deep)
    tracker_core.init().finish()
    assert list((deep / ".tracker").rglob("*.journal")), "the git root stops the search"
    (tmp_path / "repository" / ".tracker").mkdir()
    inner = tmp_path / "repository" / "c"
    inner.mkdir()
    monkeypatch.chdir(inner)
    tracker_core.init().finish()
    assert list((tmp_path / "repository" / ".tracker").rglob("*.journal"))
    assert not list(outside.rglob("*.journal"))


def test_folder_of_the_environment_and_of_the_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DIR", str(tmp_path / "environment"))
    tracker_core.init().finish()
    tracker_core.init(dir=tmp_path / "argument").finish()
    assert session_of(tmp_path / "environment")
    assert session_of(tmp_path / "argument")


def test_new_folder_ignores_itself_for_git(folder: Path) -> None:
    tracker_core.init(dir=folder).finish()
    assert (folder / ".gitignore").read_text() == "*\n"


def test_one_line_at_the_start_and_one_at_the_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tracker_core.init("p", dir=folder) as run:
        run.log({"x": 1.0})
    first, last = capsys.readouterr().err.splitlines()
    assert run.path in first and ".tracker" in first
    assert "1 rows" in last and f"tracker show {run.path}" in last
    tracker_core.init("p", dir=folder, settings={"quiet": True}).finish()
    assert capsys.readouterr().err == ""


def test_ids_and_names_differ(folder: Path) -> None:
    runs = [tracker_core.init(dir=folder, reinit=True) for _ in range(20)]
    assert len({run.id for run in runs}) == len({run.name for run in runs}) == 20


def test_second_init_returns_the_active_run_with_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tracker_core.init(dir=folder, config={"a": 1})
    second = tracker_core.init(dir=folder, config={"b": 2})
    assert second is first
    assert dict(first.config) == {"a": 1, "b": 2}
    assert "still active" in capsys.readouterr().err


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_reinit_finishes_the_previous_run(folder: Path, reinit: Any) -> None:
    first = tracker_core.init(dir=folder)
    second = tracker_core.init(dir=folder, reinit=reinit)
    assert first.is_finished
    assert tracker_core.run is second


def test_create_new_leaves_the_current_run(folder: Path) -> None:
    first = tracker_core.init(dir=folder)
    second = tracker_core.init(dir=folder, reinit="create_new")
    assert tracker_core.run is first
    first.log({"x": 1.0})
    second.log({"y": 1.0})
    second.finish()
    assert tracker_core.run is first


@pytest.mark.parametrize("reinit", ["always", 3, []])
def test_wrong_reinit_raises(folder: Path, reinit: Any) -> None:
    with pytest.raises(UsageError, match=r"init\(reinit=\)"):
        tracker_core.init(dir=folder, reinit=reinit)


# Ids used again


def log_steps(folder: Path, n: int, **arguments: Any) -> Run:
    run = tracker_core.init("p", dir=folder, id="again", **arguments)
    for _ in range(n):
        run.log({"x": 1.0})
    assert isinstance(run, Run)
    run.record_system({"system/load_1m": 1.0})  # at the step that the next row gets, which it does not use up
    run.finish()
    return run


def sessions(folder: Path) -> list[tuple[int, int, bool]]:
    found = [read_session(str(path)) for path in folder.rglob("*.journal")]
    return sorted((s.counter, s.attempt, s.resumed) for s in found if s is not None)


def test_id_used_again_is_a_new_attempt(folder: Path) -> None:
    log_steps(folder, 3, config={"a": 1})
    second = log_steps(folder, 2)
    assert second.starting_step == 0
    assert dict(second.config) == {}
    assert sessions(folder) == [(1, 1, False), (2, 2, False)]


@pytest.mark.parametrize("resume", ["allow", "must", True])
def test_resume_goes_on_with_step_and_config(folder: Path, resume: Any) -> None:
    first = log_steps(folder, 3, config={"a": 1, "b": {"c": 2}}, name="mine", tags=["t"], group="g")
    second = log_steps(folder, 2, resume=resume, config={"a": 10})
    assert second.resumed
    assert (second.starting_step, second.step) == (3, 5)
    assert dict(second.config) == {"a": 10, "b": {"c": 2}}
    assert (second.name, second.tags, second.group) == (first.name, first.tags, first.group)
    assert sessions(folder) == [(1, 1, False), (2, 1, True)]


def test_resume_goes_on_with_the_latest_attempt_only(folder: Path) -> None:
    log_steps(folder, 50, config={"old": 1})
    log_steps(folder, 2, config={"new": 1})
    third = log_steps(folder, 1, resume="allow")
    assert third.starting_step == 2
    assert dict(third.config) == {"new": 1}
    fourth = log_steps(folder, 1, resume="allow")
    assert fourth.starting_step == 3


def test_resume_counts_steps_of_text_rows_and_larger_steps(folder: Path) -> None:
    run = tracker_core.init("p", dir=folder, id="again")
    run.log({"x": 1.0}, step=100)
    run.log({"text": "t"}, step=200)
    run.log({"x": 1.0}, step=150)
    run.finish()
    assert log_steps(folder, 0, resume="must").starting_step == 201


def test_resume_of_a_damaged_journal_goes_on_behind_what_is_left(folder: Path) -> None:
    log_steps(folder, 10)
    (path,) = folder.rglob("*.journal")
    path.write_bytes(path.read_bytes()[:-100])
    left = max(row[1] for row in rows_in(read_items(path)))
    assert log_steps(folder, 1, resume="must").starting_step == left + 1


def test_resume_allow_of_a_new_id_begins_it(folder: Path) -> None:
    run = log_steps(folder, 1, resume="allow")
    assert not run.resumed
    assert sessions(folder) == [(1, 1, False)]


def test_must_and_never_refuse(folder: Path) -> None:
    with pytest.raises(UsageError, match="does not have"):
        log_steps(folder, 1, resume="must")
    log_steps(folder, 1, resume="never")
    with pytest.raises(UsageError, match="has already"):
        log_steps(folder, 1, resume="never")
    assert len(sessions(folder)) == 1
    assert tracker_core.run is None


# The mode that does nothing


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def test_disabled_run_has_the_whole_public_surface_of_a_run(folder: Path) -> None:
    run = tracker_core.init(dir=folder, mode="disabled", config={"a": 1}, tags=["t"])
    assert isinstance(run, DisabledRun)
    real = tracker_core.init(dir=folder, reinit=True)
    names = {name for name in dir(real) if not name.startswith("_")} - {"let_go_after_fork"}
    missing = {name for name in names if not hasattr(run, name)}
    assert missing == set()
    for name in names:
        assert callable(getattr(run, name)) == callable(getattr(real, name)), name
    for name, method in public(Run).items():
        if inspect.isfunction(method) and name != "let_go_after_fork":
            accepted = inspect.signature(public(DisabledRun)[name]).parameters
            asked = inspect.signature(method).parameters
            takes_all = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
            assert takes_all or list(accepted) == list(asked), name


def test_disabled_mode_leaves_no_trace(tmp_path: Path) -> None:
    script = """
        import sys, threading, tracker_core
        run = tracker_core.init(mode="disabled", config={"a": {"b": 1}}, id="x", resume="must")
        assert threading.active_count() == 1
        run.log({"x": object(), 5: 6}, step="nonsense")
        run.define_metric("x", summary="max", goal="nonsense")
        run.config["c"] = 2
        run.summary["best"] = 3
        run.name = "new name"
        assert (run.config["a"], run.config.c, run.summary["best"]) == ({"b": 1}, 2, 3)
        tracker_core.log({"x": 1})
        with run:
            pass
        tracker_core.finish()
        assert tracker_core.run is None
    """
    process = child_process.run(script, TRACKER_QUIET="0")
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_disabled_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_MODE", "disabled")
    with tracker_core.init() as run:
        run.log({"x": 1.0})
    assert run.disabled
    assert list(tmp_path.iterdir()) == []

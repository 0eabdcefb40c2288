"""One run as `Api` gives it: state, machine, output and files besides its rows."""

from __future__ import annotations

import os

import pytest

from tracker_core.api import Api
from tracker_core.errors import NotFoundError, TrackerError, UsageError
from tracker_core.records import RunError

from .conftest import Journal


@pytest.fixture
def run(tracker_dir):
    journal = Journal(tracker_dir)
    journal.environment(command=["python", "a b.py"], git={"commit": "abc", "is_dirty": False}, gpus=[{"name": "H200"}])
    for step in range(3):
        journal.row(step, loss=float(step))
        journal.system(3, cpu_percent=float(step))
        journal.lines(f"\x1b[1mline\x1b[0m {step}", first=step)
    journal.file("out/a.txt", b"old")
    journal.file("out/a.txt", b"new content")
    error = RunError("ValueError", "bad", "Traceback ...")
    journal.end("failed", exit_code=3, error=error)
    return Api(tracker_dir).run("p/a")


def test_how_it_ended(run):
    assert (run.state, run.exit_code, run.signal, run.error.type) == ("failed", 3, "", "ValueError")


def test_what_was_run_on_what(run):
    assert run.command == "python 'a b.py'" and run.metadata == run.environment
    assert run.environment["git"]["commit"] == "abc"


def test_samples_are_a_stream_of_their_own(run):
    assert run.system_metrics == {"system/cpu_percent": 2.0} and run.system_keys() == ["system/cpu_percent"]
    rows = run.history(stream="system")
    assert [(row["_step"], row["system/cpu_percent"]) for row in rows] == [(3, 0.0), (3, 1.0), (3, 2.0)]
    assert [row["loss"] for row in run.history()] == [0.0, 1.0, 2.0]
    assert run.series("system/cpu_percent").values.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(UsageError, match=r"history\(stream=\)"):
        run.history(stream="events")


def test_output_by_lines_and_as_text(run):
    assert [(line.number, line.text) for line in run.console(1, 1)] == [(1, "\x1b[1mline\x1b[0m 1")]
    assert [line.number for line in run.console(-2)] == [1, 2] and run.console(-2, 1)[0].number == 1
    assert list(run.logs()) == ["line 0", "line 1", "line 2"] and next(run.logs(ansi=True)).startswith("\x1b[1m")
    assert run.n_console_lines() == 3


def test_files_are_read_and_copied_as_last_saved(run, tmp_path):
    [file] = run.files()
    assert (file.name, file.size, file.kind, file.read()) == ("out/a.txt", 11, "file", b"new content")
    path = file.download(tmp_path / "here")
    assert path == str(tmp_path / "here" / "out" / "a.txt")
    with pytest.raises(UsageError, match="exists"):
        file.download(tmp_path / "here")
    assert file.download(tmp_path / "here", replace=True) == path
    with pytest.raises(NotFoundError, match=r"out/a\.txt"):
        run.file("a.txt")


def test_a_file_that_was_changed_in_the_folder_is_not_handed_out_as_saved(run, tmp_path):
    file = run.file("out/a.txt")
    kept = os.path.join(str(tmp_path), ".tracker", "runs", "p", "a", "files", file.digest)
    with open(kept, "ab") as content:
        content.write(b"!")
    with pytest.raises(TrackerError, match="damaged or changed"):
        file.download(tmp_path / "here")
    assert not os.listdir(tmp_path / "here" / "out")


def test_runs_are_found_by_state_and_environment(tracker_dir):
    for name, state, commit in (("a", "killed", "abc"), ("b", "finished", "abd")):
        journal = Journal(tracker_dir, run=name)
        journal.environment(git={"commit": commit}, gpus=[{"name": "H200"}] if name == "a" else [])
        journal.end(state, signal="SIGTERM" if state == "killed" else "", exit_code=0)
    api = Api(tracker_dir)

    def found(**filters):
        return sorted(
            run.id for run in api.runs("p", {key.replace("__", "."): value for key, value in filters.items()})
        )

    assert found(state="killed") == ["a"] and found(signal="SIGTERM") == ["a"] and found(exit_code=0) == ["a", "b"]
    assert found(environment__git__commit={"$regex": "^ab"}) == ["a", "b"] and found(metadata__git__commit="abd") == [
        "b"
    ]
    assert found(environment__nothing={"$exists": True}) == []
    assert [run.id for run in api.runs("p", order="-environment.git.commit")] == ["b", "a"]

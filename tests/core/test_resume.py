"""What `resume` means: which run a new process goes on with, and where."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import child_process
import pytest

import tracker_core
from tracker_core.api import Api, ApiRun
from tracker_core.errors import UsageError

SCRIPT = """
import json, os, sys, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], resume="auto", **json.loads(sys.argv[3]))
run.log({"n": 1})
print(json.dumps([run.id, run.resumed, run.starting_step, run._session.attempt]), flush=True)
if sys.argv[2] == "kill":
    os.kill(os.getpid(), 9)
if sys.argv[2] == "wait":
    sys.stdin.readline()
if sys.argv[2] == "raise":
    raise ValueError("no")
if sys.argv[2] == "preempt":
    run.mark_preempting()
    sys.exit(1)
"""
SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "WORLD_SIZE", "RANK")


@pytest.fixture(autouse=True)
def no_job(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def start(program: Path, folder: Path, end: str, arguments: dict[str, Any] | None = None, **environ: str) -> Any:
    import sys

    return subprocess.Popen(
        [sys.executable, str(program), str(folder), end, json.dumps(arguments or {})],
        env=child_process.environment(**environ),
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(program: Path, folder: Path, end: str, arguments: dict[str, Any] | None = None, **environ: str) -> Any:
    """Run the script to its end; return id, whether it was resumed, its first step and attempt."""
    stdout, stderr = start(program, folder, end, arguments, **environ).communicate(timeout=60)
    assert stdout, stderr
    return json.loads(stdout)


def only_run(folder: Path) -> ApiRun:
    (found,) = Api(folder).runs()
    return found


@pytest.mark.parametrize("end", ["kill", "raise", "preempt"])
def test_auto_goes_on_with_what_did_not_finish_and_then_begins_anew(program: Path, folder: Path, end: str) -> None:
    first = run(program, folder, end)
    second = run(program, folder, end)
    third = run(program, folder, "finish")
    assert [first[1:], second[1:], third[1:]] == [[False, 0, 1], [True, 1, 1], [True, 2, 1]]
    assert first[0] == second[0] == third[0]
    assert (only_run(folder).state, only_run(folder).view.n_rows) == ("finished", 3)
    assert run(program, folder, "finish")[0] != first[0]


def test_auto_tells_scripts_projects_and_folders_apart(program: Path, folder: Path, tmp_path: Path) -> None:
    first = run(program, folder, "kill")
    other = tmp_path / "other.py"
    other.write_text(SCRIPT)
    assert run(other, folder, "kill")[0] != first[0]
    assert run(program, tmp_path / "elsewhere", "kill")[0] != first[0]
    assert run(program, folder, "kill")[0] == first[0]


def test_auto_does_not_join_the_same_script_while_it_runs(program: Path, folder: Path) -> None:
    process = start(program, folder, "wait")
    first = json.loads(process.stdout.readline())
    assert run(program, folder, "finish")[0] != first[0]
    process.communicate("\n", timeout=60)


def test_auto_with_an_id_goes_on_with_that(program: Path, folder: Path) -> None:
    run(program, folder, "kill")
    assert run(program, folder, "finish", {"id": "mine"}) == ["mine", False, 0, 1]
    assert run(program, folder, "finish", {"id": "mine"}) == ["mine", True, 1, 1]


def test_true_means_auto(folder: Path) -> None:
    first = tracker_core.init("p", dir=folder, resume=True)
    first.finish(exit_code=1)
    assert tracker_core.init("p", dir=folder, resume=True).id != first.id  # the second init of this process
    tracker_core.finish()
    again = tracker_core.init("p", dir=folder, id=first.id, resume=True)
    assert again.resumed


def test_a_job_of_slurm_goes_on_after_a_requeue_and_no_other_job_does(program: Path, folder: Path) -> None:
    first = run(program, folder, "preempt", SLURM_JOB_ID="7")
    assert run(program, folder, "kill", SLURM_JOB_ID="8")[1] is False
    again = run(program, folder, "finish", SLURM_JOB_ID="7", SLURM_RESTART_COUNT="1")
    assert again == [first[0], True, 1, 1]


def test_each_task_of_an_array_has_a_run_of_its_own(program: Path, folder: Path) -> None:
    def task(number: int, end: str) -> Any:
        job = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_JOB_ID": str(70 + number)}
        return run(program, folder, end, **job)

    begun = [task(number, "kill") for number in range(3)]
    gone_on = [task(number, "finish") for number in range(3)]
    assert [found[0] for found in begun] == [found[0] for found in gone_on]
    assert len({found[0] for found in begun}) == 3 and all(found[1] for found in gone_on)


def test_the_nth_init_of_a_job_goes_on_with_its_nth_run(folder: Path) -> None:
    script = """
    import os, sys, tracker_core
    for _ in range(2):
        run = tracker_core.init("p", dir=sys.argv[1], resume="auto", reinit="create_new")
        print(run.id)
    os.kill(os.getpid(), 9)
    """
    found = [child_process.run(script, folder, SLURM_JOB_ID="7").stdout.split() for _ in range(2)]
    assert found[0] == found[1] and len(set(found[0])) == 2


def test_a_damaged_memory_is_none(program: Path, folder: Path) -> None:
    first = run(program, folder, "kill")
    (path,) = (folder / "resume").iterdir()
    for content in (b"", b"{", b"[]", b'{"project": "p", "run": "../x"}', b'{"project": "p", "run": "gone"}'):
        path.write_bytes(content)
        assert run(program, folder, "finish")[0] != first[0]


def test_auto_without_a_folder_that_can_be_written_trains_on(program: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "resume").write_text("a file where a folder should be")
    assert run(program, folder, "finish")[1] is False
    assert only_run(folder).state == "finished"


def test_an_unknown_word_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match='"auto"'):
        tracker_core.init(dir=folder, resume="always")

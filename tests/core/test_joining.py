"""Several processes with one TRACKER_RUN_ID: one attempt, a writer each, nothing lost; and who comes later."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import child_process
import msgspec
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core import joining
from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.process import boot_id
from tracker_core.records import Session, State
from tracker_core.sessions import new_session, open_writer
from tracker_core.settings import Settings

ROWS_ONLY = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
SHARED = {"TRACKER_RUN_ID": "shared", "TRACKER_PROJECT": "p"}
LOGGING = """
import os, sys, tracker_core
sys.stdin.readline()
run = tracker_core.init(dir=sys.argv[1], config={"pid": os.getpid()})
for n in range(int(sys.argv[2])):
    run.log({"n": n})
print("logged", flush=True)
sys.stdin.readline()
run.finish(int(sys.argv[3]))
"""


@pytest.fixture(autouse=True)
def rows_only(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ROWS_ONLY.items():
        monkeypatch.setenv(name, value)
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


def sessions_of(folder: Path) -> dict[str, tuple[Session, Path]]:
    """Return the sessions in a folder by writer; each writer may have one."""
    found = {}
    for path in folder.rglob("*.journal"):
        session = read_session(str(path))
        assert session is not None and session.writer not in found
        found[session.writer] = session, path
    return found


def numbers(path: Path) -> list[int]:
    return [row[3]["n"][1] for row in rows_in(read_items(path))]


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def until_logged(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n", process.communicate()


def start_and_log(folder: Path, n_rows: int = 3, exit_code: int = 0, **environ: str) -> subprocess.Popen[str]:
    process = child_process.start(LOGGING, folder, n_rows, exit_code, **{**SHARED, **environ})
    go(process)
    until_logged(process)
    return process


def end(process: subprocess.Popen[str]) -> None:
    go(process)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


@pytest.mark.parametrize("repeat", range(3))
def test_eight_processes_at_once_make_one_attempt_and_lose_nothing(folder: Path, repeat: int) -> None:
    processes = [child_process.start(LOGGING, folder, 1000, 0, **SHARED) for _ in range(8)]
    for process in processes:
        go(process)
    for process in processes:
        until_logged(process)
    for process in processes:
        end(process)
    found = sessions_of(folder)
    assert len(found) == 8
    assert {session.attempt for session, _ in found.values()} == {1}
    assert {session.name for session, _ in found.values()} == {found["main"][0].name}
    others = {writer for writer in found if writer != "main"}
    assert others == {f"process-{session.pid}" for session, _ in found.values() if session.writer != "main"}
    for _, path in found.values():
        assert numbers(path) == list(range(1000))
        reader = JournalReader(str(path))
        assert reader.read().damage == []
        assert reader.is_closed
    (run,) = Api(folder).runs()
    assert (run.state, run.view.attempt, run.config["pid"]) == ("finished", 1, found["main"][0].pid)
    assert len(list((folder / "runs" / "p" / "shared").glob("*.claim"))) == 1
    assert not list((folder / "runs" / "p" / "shared").glob(".*"))


def test_finish_of_a_process_that_joined_ends_only_its_own_session(folder: Path) -> None:
    first = start_and_log(folder)
    second = start_and_log(folder, exit_code=3)
    end(second)
    assert [run.state for run in Api(folder).runs()] == ["running"]
    end(first)
    assert [run.state for run in Api(folder).runs()] == ["finished"]


def test_a_process_killed_in_a_shared_run_leaves_the_others_alone(folder: Path) -> None:
    first = start_and_log(folder)
    second = start_and_log(folder)
    second.kill()
    second.communicate()
    end(first)
    assert [(run.state, run.view.attempt) for run in Api(folder).runs()] == [("finished", 1)]


@pytest.mark.parametrize("rank", ["RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"])
def test_ranks_are_named_by_their_number(folder: Path, rank: str) -> None:
    size = dict(joining._RANKS)[rank]
    first = start_and_log(folder, **{rank: "0", size: "2"})
    second = start_and_log(folder, **{rank: "1", size: "2"})
    end(first)
    end(second)
    assert set(sessions_of(folder)) == {"main", "rank1"}


def test_a_job_of_one_task_has_no_ranks(folder: Path) -> None:
    first = start_and_log(folder, SLURM_PROCID="0", SLURM_NTASKS="1")
    second = start_and_log(folder, SLURM_PROCID="0", SLURM_NTASKS="1")
    end(first)
    end(second)
    assert set(sessions_of(folder)) == {"main", f"process-{second.pid}"}


# Who comes later


def attempts(folder: Path) -> list[tuple[str, int]]:
    found = [read_session(str(path)) for path in folder.rglob("*.journal")]
    return sorted((session.writer, session.attempt) for session in found if session is not None)


@pytest.mark.parametrize("exit_code", [0, 1])
def test_after_the_end_the_id_begins_a_new_attempt(folder: Path, exit_code: int) -> None:
    end(start_and_log(folder, exit_code=exit_code))
    end(start_and_log(folder))
    assert attempts(folder) == [("main", 1), ("main", 2)]
    assert len(list((folder / "runs" / "p" / "shared").glob("*.claim"))) == 2


def test_a_dead_process_blocks_nobody(folder: Path) -> None:
    first = start_and_log(folder)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    end(start_and_log(folder))
    assert attempts(folder) == [("main", 1), ("main", 2)]


def test_a_process_that_died_between_its_claim_and_its_journal_blocks_nobody(folder: Path) -> None:
    run_folder = folder / "runs" / "p" / "shared"
    run_folder.mkdir(parents=True)
    dead = joining.Claim("0" * 32, "dead", "here", 2**22 + 1, boot_id(), "12345")
    (run_folder / "attempt-1.claim").write_bytes(msgspec.json.encode(dead))
    end(start_and_log(folder))
    assert attempts(folder) == [("main", 2)]


def test_a_claim_without_content_blocks_nobody_for_long(folder: Path) -> None:
    run_folder = folder / "runs" / "p" / "shared"
    run_folder.mkdir(parents=True)
    claim = run_folder / "attempt-1.claim"
    claim.write_bytes(b"")
    os.utime(claim, (time.time() - 60, time.time() - 60))
    end(start_and_log(folder))
    assert attempts(folder) == [("main", 2)]


def test_ranks_that_outlive_a_primary_writer_that_ended_well_are_still_joined(folder: Path) -> None:
    """Of processes started together, the first may have finished before the last has begun."""
    first = start_and_log(folder)
    second = start_and_log(folder)
    end(first)
    end(start_and_log(folder))
    end(second)
    assert {attempt for _, attempt in attempts(folder)} == {1}
    end(start_and_log(folder))
    assert ("main", 2) in attempts(folder)


@pytest.mark.parametrize(("age_s", "attempt"), [(0, 1), (3600, 2)])
def test_a_process_of_another_machine_lives_while_its_journal_grows(folder: Path, age_s: float, attempt: int) -> None:
    template = Session(wall_time_ns=0, session="", run="shared", project="p", name="far", attempt=1)
    far = new_session(template, host="elsewhere", boot_id="another boot", pid=1, process_start="1")
    writer = open_writer(far, str(folder), Settings())
    writer.close()
    os.utime(writer.path, (time.time() - age_s, time.time() - age_s))
    process = start_and_log(folder)
    end(process)
    (mine,) = [s for s, _ in sessions_of_all(folder) if s.pid == process.pid]
    assert mine.attempt == attempt
    assert (mine.writer == "main") == (attempt == 2)


def sessions_of_all(folder: Path) -> list[tuple[Session, Path]]:
    found = [(read_session(str(path)), path) for path in folder.rglob("*.journal")]
    return [(session, path) for session, path in found if session is not None]


def test_a_run_begun_without_the_variable_is_joined_too(folder: Path) -> None:
    """A script gives its run's id to the processes that it starts."""
    run = tracker_core.init("p", dir=folder)
    end(start_and_log(folder, TRACKER_RUN_ID=run.id))
    run.finish()
    assert sorted(attempt for _, attempt in attempts(folder)) == [1, 1]


def test_a_second_run_of_the_same_process_is_a_new_attempt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_RUN_ID", "shared")
    tracker_core.init("p", dir=folder)
    tracker_core.init("p", dir=folder, reinit="create_new")
    assert attempts(folder) == [("main", 1), ("main", 2)]
    for run in (tracker_core.run, *tracker_core.current.active()):
        if run is not None:
            run.finish()


def test_resume_and_id_in_code_mean_what_they_meant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = start_and_log(folder)
    monkeypatch.setenv("TRACKER_RUN_ID", "shared")
    resumed = tracker_core.init("p", dir=folder, resume="allow")
    assert resumed.resumed and resumed.step == 3
    resumed.finish()
    end(first)
    monkeypatch.delenv("TRACKER_RUN_ID")
    tracker_core.init("p", dir=folder, id="shared").finish()
    assert attempts(folder) == [("main", 1), ("main", 1), ("main", 2)]


def test_a_folder_that_takes_no_claim_does_not_stop_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_folder = folder / "runs" / "p" / "shared"
    run_folder.parent.mkdir(parents=True)
    run_folder.write_text("a file in the way")
    monkeypatch.setenv("TRACKER_RUN_ID", "shared")
    run = tracker_core.init("p", dir=folder, settings={"finish_timeout_s": 0.2, "quiet": True})
    run.log({"x": 1.0})
    run.finish()


# Under a launcher


@pytest.fixture
def launched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session of a `tracker run`, which has begun attempt 4, and its variables in the environment."""
    session = new_session(
        Session(wall_time_ns=0, session="", run="shared", project="q", name="launched", attempt=4, writer="launcher")
    )
    open_writer(session, str(folder), Settings()).close()
    environ = {"RUN_ID": "shared", "PROJECT": "q", "DIR": str(folder), "LAUNCHER": session.session}
    for name, value in environ.items():
        monkeypatch.setenv(f"TRACKER_{name}", value)
    return session


def test_first_init_adopts_the_launchers_run_and_a_second_is_its_own(folder: Path, launched: Session) -> None:
    first = tracker_core.init(config={"a": 1})
    assert (first.id, first.project, first.name) == ("shared", "q", "launched")
    assert first.settings.launcher is not None, "the launcher records console and machine"
    assert "TRACKER_LAUNCHER" not in os.environ and "TRACKER_RUN_ID" not in os.environ
    first.finish()
    second = tracker_core.init()
    assert second.id != "shared"
    assert second.settings.launcher is None
    second.finish()
    assert {(w, a) for w, a in attempts(folder / "runs" / "q" / "shared")} == {("launcher", 4), ("main", 4)}


def test_a_launched_script_that_names_another_project_is_told(
    folder: Path, launched: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tracker_core.init("digits", dir=folder / "elsewhere", name="mine")
    assert (run.path, run.name) == ("q/shared", "mine")
    assert "tracker run --project digits" in capsys.readouterr().err


def test_an_id_in_code_is_its_own_run_under_a_launcher(folder: Path, launched: Session) -> None:
    run = tracker_core.init(id="other")
    assert (run.id, run.settings.launcher) == ("other", None)


def test_processes_under_a_launcher_share_its_attempt_one_after_the_other_too(folder: Path, launched: Session) -> None:
    environ = {name: os.environ[f"TRACKER_{name}"] for name in ("RUN_ID", "PROJECT", "DIR", "LAUNCHER")}
    environ = {f"TRACKER_{name}": value for name, value in environ.items()}
    first = start_and_log(folder, **environ)
    second = start_and_log(folder, **environ)
    end(first)
    end(second)
    third = start_and_log(folder, **environ)
    end(third)
    found = {session.pid: session for session, _ in sessions_of_all(folder)}
    assert {session.attempt for session in found.values()} == {4}
    assert [found[p.pid].writer for p in (first, second, third)] == ["main", f"process-{second.pid}", "main"]
    assert [found[p.pid].resumed for p in (first, second, third)] == [False, False, True]
    (path,) = [path for session, path in sessions_of_all(folder) if session.pid == third.pid]
    assert [row[1] for row in rows_in(read_items(path))] == [3, 4, 5], "steps go on"


@pytest.mark.parametrize("launcher", ["nonsense", "0" * 32])
def test_variables_of_a_launcher_that_is_not_there_are_no_harm(
    folder: Path, launched: Session, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    monkeypatch.setenv("TRACKER_LAUNCHER", launcher)
    run = tracker_core.init()
    assert run.settings.launcher is None
    run.log({"x": 1.0})


# The last state


def test_last_state_is_found_at_the_end_of_a_long_journal(folder: Path) -> None:
    run = tracker_core.init("p", dir=folder, id="long")
    for n in range(20_000):
        run.log({"x": float(n), "text": "t"})
    (path,) = folder.rglob("*.journal")
    assert path.stat().st_size > 3 * joining._TAIL_BYTES
    assert joining.last_state(str(path)) is None
    run.finish(exit_code=3)
    state = joining.last_state(str(path))
    assert isinstance(state, State) and (state.state, state.exit_code) == ("failed", 3)

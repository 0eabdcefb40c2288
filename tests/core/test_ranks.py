"""Ranks of one distributed job write to one run; everything else that has such variables stays a run of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import child_process
import msgspec
import pytest

import tracker_core
from tracker_core import rank_channels, ranks
from tracker_core.api import Api
from tracker_core.journal_reader import read_session
from tracker_core.ranks import Agreement, Rank
from tracker_core.records import Session
from tracker_core.sessions import new_session, open_writer
from tracker_core.settings import Settings

SCRIPT = """
import json, os, sys, tracker_core
for n in range(int(sys.argv[2])):
    run = tracker_core.init("p", dir=sys.argv[1], config={"rank": os.environ.get("RANK")}, **json.loads(sys.argv[3]))
    run.log({"n": n})
    print(json.dumps([run.path, run._session.writer, run._session.attempt, run.starting_step]), flush=True)
    if len(sys.argv) > 4:
        sys.stdin.readline()
    run.finish()
"""
RANK_VARIABLES = (
    "RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE GROUP_RANK NODE_RANK MASTER_ADDR MASTER_PORT TORCHELASTIC_RUN_ID"
    " TORCHELASTIC_RESTART_COUNT TORCHELASTIC_USE_AGENT_STORE SLURM_JOB_ID SLURM_STEP_ID SLURM_PROCID SLURM_NTASKS"
    " SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_RESTART_COUNT SLURM_NODEID SLURM_LOCALID CUDA_VISIBLE_DEVICES"
    " OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMI_RANK PMI_SIZE"
).split()


@pytest.fixture(autouse=True)
def no_job(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ranks, "_was_in_vain", False)


def job(rank: int, size: int = 2, port: int = 29500, **more: str) -> dict[str, str]:
    variables = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)}
    return {**variables, "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none", **more}


def start(folder: Path, n: int = 1, arguments: dict[str, Any] | None = None, **environ: str) -> subprocess.Popen[str]:
    return child_process.start(SCRIPT, folder, n, json.dumps(arguments or {}), **environ)


def told(process: subprocess.Popen[str]) -> list[list[Any]]:
    """Wait for the end of a process, which must be good; return path, writer, attempt and first step of its runs."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def test_ranks_with_variables_alone_are_one_run_with_a_writer_each(folder: Path) -> None:
    processes = [start(folder, **job(rank, 4)) for rank in (3, 1, 2, 0)]
    found = [told(process)[0] for process in processes]
    assert len({path for path, *_ in found}) == 1
    assert [writer for _, writer, *_ in found] == ["rank3", "rank1", "rank2", "main"]
    (run,) = Api(folder).runs()
    assert (run.state, run.config["rank"], run.n_rows if hasattr(run, "n_rows") else run.view.n_rows) == (
        "finished", "0", 1,
    )  # fmt: skip
    assert [(writer.writer, writer.state, writer.n_rows) for writer in run.writers] == [
        ("main", "finished", 1), ("rank1", "finished", 1), ("rank2", "finished", 1), ("rank3", "finished", 1),
    ]  # fmt: skip
    assert len(run.series("n", writer="*").values) == 4


def test_the_nth_init_of_each_rank_is_in_the_nth_run_of_rank_0(folder: Path) -> None:
    processes = [start(folder, 3, **job(rank)) for rank in (1, 0)]
    joined, first = [[path for path, *_ in told(process)] for process in processes]
    assert joined == first and len(set(first)) == 3


@pytest.mark.parametrize(
    "environ",
    [
        {"SLURM_PROCID": "{}", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7"},
        {"OMPI_COMM_WORLD_RANK": "{}", "OMPI_COMM_WORLD_SIZE": "2"},
        {"PMI_RANK": "{}", "PMI_SIZE": "2"},
        {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "{}", "SLURM_JOB_ID": "7"},
        {"RANK": "{}", "WORLD_SIZE": "2"},
        {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
    ],
    ids=["slurm", "open_mpi", "pmi", "array_job", "rank_without_address", "address_without_rank"],
)
def test_variables_that_say_too_little_join_nothing(folder: Path, environ: dict[str, str]) -> None:
    processes = [
        start(folder, **{name: value.format(number) for name, value in environ.items()}) for number in range(2)
    ]
    found = [told(process)[0] for process in processes]
    assert found[0][0] != found[1][0]
    assert [writer for _, writer, *_ in found] == ["main", "main"]


def test_workers_of_a_rank_are_runs_of_their_own(folder: Path) -> None:
    script = """
import os, subprocess, sys, tracker_core
tracker_core.init("p", dir=sys.argv[1]).finish()
code = "import sys, tracker_core; r = tracker_core.init('p', dir=sys.argv[1]); print(r.path, r._session.writer)"
sys.stdout.write(subprocess.run([sys.executable, "-c", code, sys.argv[1]], capture_output=True, text=True).stdout)
"""
    outputs = [child_process.start(script, folder, **job(rank), TRACKER_JOIN_TIMEOUT_S="20") for rank in (0, 1)]
    lines = [told_text(process).split() for process in outputs]
    assert len({path for path, _ in lines}) == 2
    assert [writer for _, writer in lines] == ["main", "main"]
    assert len(Api(folder).runs()) == 3


def told_text(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return stdout


def test_a_second_job_at_the_same_address_is_another_run(folder: Path) -> None:
    """Its rank 1 is there first, and finds what rank 0 of the first one left."""
    first = [start(folder, **job(rank)) for rank in (0, 1)]
    paths = {told(process)[0][0] for process in first}
    late = start(folder, **job(1))
    other = start(folder, **job(0))
    again = {told(late)[0][0], told(other)[0][0]}
    assert len(paths) == len(again) == 1 and paths != again


def test_a_rank_that_finds_no_rank_0_begins_a_run_of_its_own_and_says_so_once(folder: Path) -> None:
    began_s = time.monotonic()
    process = start(folder, 2, **job(1), TRACKER_JOIN_TIMEOUT_S="0.5")
    stdout, stderr = process.communicate(timeout=60)
    assert time.monotonic() - began_s < 30
    assert [json.loads(line)[1] for line in stdout.splitlines()] == ["main", "main"]
    assert stderr.count("found no run of rank 0 in 0.5 s") == 1, stderr
    assert {run.state for run in Api(folder).runs()} == {"finished"}


def test_a_rank_that_never_calls_init_harms_nobody(folder: Path) -> None:
    assert told(start(folder, **job(0, 8)))[0][1] == "main"
    (run,) = Api(folder).runs()
    assert (run.state, [writer.writer for writer in run.writers]) == ("finished", ["main"])


def test_a_rank_with_an_id_or_project_of_its_own_is_a_run_of_its_own(folder: Path) -> None:
    first = start(folder, 1, {"id": "a"}, **job(0))
    second = start(folder, 1, {"id": "b"}, **job(1))
    assert {told(first)[0][0], told(second)[0][0]} == {"p/a", "p/b"}


def test_an_id_in_every_rank_joins_one_attempt_each_time(folder: Path) -> None:
    for attempt in (1, 2):
        found = [told(process)[0] for process in [start(folder, 1, {"id": "a"}, **job(rank)) for rank in (1, 0)]]
        assert [(path, writer, number) for path, writer, number, _ in found] == [
            ("p/a", "rank1", attempt), ("p/a", "main", attempt),
        ]  # fmt: skip


def test_ranks_go_on_together_with_a_run(folder: Path) -> None:
    for first_step in (0, 1):
        processes = [start(folder, 1, {"id": "a", "resume": "allow"}, **job(rank)) for rank in (1, 0)]
        assert [(path, attempt, step) for path, _, attempt, step in (told(process)[0] for process in processes)] == [
            ("p/a", 1, first_step), ("p/a", 1, first_step),
        ]  # fmt: skip


def test_an_id_in_the_environment_makes_rank_0_the_primary_writer(folder: Path) -> None:
    late = start(folder, **job(1), TRACKER_RUN_ID="a", TRACKER_PROJECT="p")
    first = start(folder, **job(0), TRACKER_RUN_ID="a", TRACKER_PROJECT="p")
    assert [told(late)[0][:3], told(first)[0][:3]] == [["p/a", "rank1", 1], ["p/a", "main", 1]]


def test_a_restart_by_torchrun_is_a_new_attempt_of_the_same_run(folder: Path) -> None:
    """The agent, here this process, starts its ranks anew."""
    paths = []
    for restart in range(3):
        changes = {"TORCHELASTIC_RESTART_COUNT": str(restart)}
        processes = [start(folder, **job(rank, port=29500 + restart, **changes)) for rank in (0, 1)]
        found = [told(process)[0] for process in processes]
        assert [attempt for _, _, attempt, _ in found] == [restart + 1] * 2
        paths += [path for path, *_ in found]
    assert len(set(paths)) == 1


def test_a_rank_that_crashed_shows_in_its_own_state_and_not_in_the_runs(folder: Path) -> None:
    first = child_process.start(SCRIPT, folder, 1, "{}", "wait", **job(0))
    second = child_process.start(SCRIPT, folder, 1, "{}", "wait", **job(1))
    assert first.stdout is not None and second.stdout is not None
    assert first.stdout.readline() and second.stdout.readline()
    second.kill()
    second.communicate()
    (run,) = Api(folder).runs()
    assert run.state == "running"
    assert {writer.writer: writer.state for writer in run.writers} == {"main": "running", "rank1": "crashed"}
    first.communicate("\n", timeout=60)


def test_only_the_first_rank_of_a_node_records_the_machine(folder: Path) -> None:
    recording = {"TRACKER_SYSTEM_INTERVAL_S": "0.1", "TRACKER_CAPTURE_ENVIRONMENT": "true", "TRACKER_CONSOLE": "wrap"}
    nodes = [job(0, 4, GROUP_RANK="0"), job(1, 4, GROUP_RANK="0")]
    nodes += [job(2, 4, GROUP_RANK="1", LOCAL_RANK="0"), job(3, 4, GROUP_RANK="1", LOCAL_RANK="1")]
    for process in [start(folder, **variables, **recording) for variables in nodes]:
        told(process)
    (run,) = Api(folder).runs()
    assert {writer.writer: writer.node for writer in run.writers} == {
        "main": "0", "rank1": "0", "rank2": "1", "rank3": "1",
    }  # fmt: skip
    details = run._details()
    assert details.system_writers == ["main", "rank2"]
    assert details.console_writers == ["main", "rank1", "rank2", "rank3"]


def test_disabled_inits_count_so_that_ranks_stay_in_step(folder: Path) -> None:
    script = """
import os, sys, tracker_core
quiet = {"mode": "disabled"} if os.environ["RANK"] == "1" else {}
tracker_core.init("p", dir=sys.argv[1], name="first", **quiet).finish()
run = tracker_core.init("p", dir=sys.argv[1], name="second")
print(run.name, run._session.writer)
"""
    processes = [child_process.start(script, folder, **job(rank)) for rank in (0, 1)]
    outputs = [told_text(process) for process in processes]
    assert outputs == ["second main\n", "second rank1\n"]


# What is believed of a file in the folder


def place(**changes: Any) -> Rank:
    found = ranks.find_rank(job(1), 1)
    assert found is not None
    return msgspec.structs.replace(found, **changes)


def word(session: Session, **changes: Any) -> Agreement:
    agreed = ranks.agreement_of(place(), session, 0, {})
    return msgspec.structs.replace(agreed, **changes)


def own_session(**changes: Any) -> Session:
    return new_session(Session(wall_time_ns=0, session="", run="r", project="p"), **changes)


def test_the_word_of_a_process_that_lives_is_believed_however_old(folder: Path) -> None:
    rank_channels.tell(place(), word(own_session(), told_ns=1), str(folder))
    assert rank_channels.hear(place(), str(folder), 5.0, 60.0) is not None


def test_the_word_of_a_dead_process_from_before_is_not_believed(folder: Path) -> None:
    dead = own_session(pid=2**22 + 1, process_start="1")
    rank_channels.tell(place(), word(dead, told_ns=1), str(folder))
    assert rank_channels.hear(place(), str(folder), 0.2, 60.0) is None


def test_the_word_of_a_process_that_ended_since_this_one_began_is_believed(folder: Path) -> None:
    dead = own_session(pid=2**22 + 1, process_start="1")
    rank_channels.tell(place(), word(dead), str(folder))
    assert rank_channels.hear(place(), str(folder), 0.2, 60.0) is not None


@pytest.mark.parametrize("is_writing", [True, False])
def test_an_old_word_from_another_machine_is_believed_late_and_only_while_its_run_is_written(
    folder: Path, is_writing: bool
) -> None:
    session = own_session(boot_id="another", host="another")
    writer = open_writer(session, str(folder), Settings())
    rank_channels.tell(place(), word(session, told_ns=1), str(folder))
    if not is_writing:
        old_s = time.time() - 1000
        os.utime(writer.path, (old_s, old_s))
    began_s = time.monotonic()
    found = rank_channels.hear(place(), str(folder), 1.0, 60.0)
    assert (found is not None) == is_writing
    assert time.monotonic() - began_s >= 0.4
    writer.close()


@pytest.mark.parametrize("content", [b"", b"{", b"\x81\xa1a\x01", os.urandom(200)])
def test_a_damaged_word_is_none(folder: Path, content: bytes) -> None:
    rank_channels.tell(place(), word(own_session()), str(folder))
    (path,) = (folder / "launches").iterdir()
    path.write_bytes(content)
    assert rank_channels.hear(place(), str(folder), 0.1, 60.0) is None


def test_of_another_restart_nothing_is_believed(folder: Path) -> None:
    rank_channels.tell(place(), word(own_session()), str(folder))
    assert rank_channels.hear(place(restart=1), str(folder), 0.1, 60.0) is None


def test_none_names_no_job_and_a_local_address_only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(**changes: str) -> str:
        found = ranks.find_rank(job(1, **changes), 1)
        assert found is not None
        return found.launch

    assert launch() == launch(TORCHELASTIC_RUN_ID="None") == launch(TORCHELASTIC_RUN_ID="")
    assert launch() != launch(TORCHELASTIC_RUN_ID="b7")
    assert launch() != launch(SLURM_JOB_ID="8")
    here, far = launch(), launch(MASTER_ADDR="node1")
    monkeypatch.setattr(ranks, "host_name", lambda: "elsewhere")
    assert launch() != here and launch(MASTER_ADDR="node1") == far


def test_a_folder_that_cannot_be_written_leaves_the_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in job(0).items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".tracker").mkdir()
    (tmp_path / ".tracker" / "launches").write_text("a file where a folder should be")
    run = tracker_core.init("p", dir=tmp_path / ".tracker")
    run.finish()
    assert read_session(next(str(path) for path in (tmp_path / ".tracker").rglob("*.journal"))) is not None

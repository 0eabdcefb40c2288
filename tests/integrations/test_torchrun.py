"""Jobs that the real torchrun starts: one run, a writer per rank, whatever way the ranks learn of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tracker_core.api import Api, ApiRun
from tracker_server.http.server import run_server_in_background

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_S = 240
# What a test sets for itself, and what the machine of the tests may have.
FOREIGN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES")
GLOO = """
import os, sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
import tracker_core
run = tracker_core.init("p", dir=os.environ["FOLDER"], config={"rank": dist.get_rank()})
for step in range(3):
    total = torch.ones(1) * dist.get_rank()
    dist.all_reduce(total)
    run.log({"total": total.item(), "rank": dist.get_rank()})
print("rank", dist.get_rank(), "says", run._session.writer, flush=True)
run.finish()
dist.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(tmp_path: Path, script: str, *options: str, folder: Path, **environ: str) -> subprocess.Popen[str]:
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(script))
    variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    variables |= {"PYTHONPATH": str(REPOSITORY), "FOLDER": str(folder), "OMP_NUM_THREADS": "1", **environ}
    command = [sys.executable, "-m", "torch.distributed.run", *options, str(program)]
    return subprocess.Popen(
        command, env=variables, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def end(process: subprocess.Popen[str], is_good: bool = True) -> str:
    try:
        stdout, stderr = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert (process.returncode == 0) == is_good, f"{stdout}\n{stderr}"
    return stdout + stderr


def only_run(folder: Path) -> ApiRun:
    (run,) = Api(folder).runs("p")
    return run


def writers(run: ApiRun) -> dict[str, tuple[str, str, int]]:
    return {writer.writer: (writer.state, writer.node, writer.n_rows) for writer in run.writers}


def values(run: ApiRun, key: str, writer: str | None = None) -> list[Any]:
    return list(run.series(key, writer).values)


def test_a_job_with_a_process_group_is_one_run_with_output_and_machine_of_each_node(
    tmp_path: Path, folder: Path
) -> None:
    process = start(
        tmp_path, GLOO, "--nproc-per-node=2", f"--master-port={free_port()}", folder=folder,
        TRACKER_SYSTEM_INTERVAL_S="0.2", TRACKER_CONSOLE="wrap",
    )  # fmt: skip
    end(process)
    run = only_run(folder)
    assert (run.state, run.config) == ("finished", {"rank": 0})
    assert writers(run) == {"main": ("finished", "0", 3), "rank1": ("finished", "0", 3)}
    assert values(run, "rank") == [0, 0, 0] and values(run, "rank", "rank1") == [1, 1, 1]
    assert values(run, "total", "*") == [1.0] * 6
    assert "rank 0 says main" in list(run.logs()) and "rank 1 says rank1" in list(run.logs(writer="rank1"))
    assert run._details().system_writers == ["main"]
    assert run.summary["rank"] == 0


def test_nodes_that_share_no_disk_agree_by_the_store_of_the_agent_and_are_one_run_at_a_server(tmp_path: Path) -> None:
    """Two agents on this machine, each with a tracker folder of its own, as two machines have."""
    server = run_server_in_background(tmp_path / "server" / ".tracker")
    online = {"TRACKER_BASE_URL": server.base_url, "TRACKER_API_KEY": server.admin_key or ""}
    online |= {"TRACKER_SYNC_TIMEOUT_S": "60", "TRACKER_JOIN_TIMEOUT_S": "120"}
    script = """
        import os, torch.distributed, tracker_core
        run = tracker_core.init("p", dir=os.environ["FOLDER"])
        run.log({"rank": int(os.environ["RANK"])})
        run.finish()
    """
    port = free_port()
    folders = [tmp_path / f"node{node}" / ".tracker" for node in range(2)]
    agents = []
    for node, folder in enumerate(folders):
        place = [f"--node-rank={node}", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"]
        place += [f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=two-nodes"]
        agents.append(start(tmp_path, script, *place, folder=folder, **online))
    for agent in agents:
        end(agent)
    views = [only_run(folder).view for folder in folders]
    assert views[0].id == views[1].id and views[0].name == views[1].name
    sessions = [session for view in views for session in view.sessions]
    assert sorted((session.writer, session.node) for session in sessions) == [("main", "0"), ("rank1", "1")]
    together = tmp_path / "together" / ".tracker"
    for folder in folders:
        shutil.copytree(folder / "runs", together / "runs", dirs_exist_ok=True)
    found = Api(base_url=server.base_url, api_key=server.admin_key).runs("p")
    for run in (only_run(together), *found):
        assert writers(run) == {"main": ("finished", "0", 1), "rank1": ("finished", "1", 1)}
        assert values(run, "rank") == [0] and values(run, "rank", "rank1") == [1]
    assert len(found) == 1
    server.close()


def test_after_a_crash_torchrun_starts_anew_and_the_run_goes_on_as_another_attempt(
    tmp_path: Path, folder: Path
) -> None:
    script = """
        import os, tracker_core
        restart, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
        run = tracker_core.init("p", dir=os.environ["FOLDER"])
        run.log({"restart": restart})
        if restart == 0:
            os.kill(os.getpid(), 9)
        run.finish()
    """
    process = start(
        tmp_path, script, "--nproc-per-node=2", "--max-restarts=1", f"--master-port={free_port()}",
        "--monitor-interval=0.2", folder=folder,
    )  # fmt: skip
    end(process)
    run = only_run(folder)
    assert (run.state, run.view.attempt) == ("finished", 2)
    assert values(run, "restart") == [1] and values(run, "restart", "main@1") == [0]
    assert writers(run) == {"main": ("finished", "0", 1), "rank1": ("finished", "0", 1)}


@pytest.mark.long
def test_jobs_one_after_the_other_at_one_port_are_runs_of_their_own(tmp_path: Path, folder: Path) -> None:
    """Without PyTorch in the ranks, so that only the file tells them."""
    script = """
        import os, tracker_core
        run = tracker_core.init("p", dir=os.environ["FOLDER"])
        run.log({"x": 1})
        run.finish()
    """
    port = free_port()
    for _ in range(4):
        end(start(tmp_path, script, "--nproc-per-node=4", f"--master-port={port}", folder=folder))
    runs = list(Api(folder).runs("p"))
    assert len(runs) == 4
    assert all(sorted(writers(run)) == ["main", "rank1", "rank2", "rank3"] for run in runs)


@pytest.mark.long
@pytest.mark.parametrize("early", [0, 1])
def test_ranks_join_whether_they_begin_before_or_behind_the_process_group(
    tmp_path: Path, folder: Path, early: int
) -> None:
    script = f"""
        import os, torch.distributed as dist, tracker_core
        if int(os.environ["RANK"]) == {early}:
            run = tracker_core.init("p", dir=os.environ["FOLDER"]) if {early} == 0 else None
            dist.init_process_group("gloo")
            run = run or tracker_core.init("p", dir=os.environ["FOLDER"])
        else:
            dist.init_process_group("gloo")
            run = tracker_core.init("p", dir=os.environ["FOLDER"])
        run.log({{"x": 1}})
        dist.barrier()
        run.finish()
    """
    end(start(tmp_path, script, "--nproc-per-node=2", f"--master-port={free_port()}", folder=folder))
    assert sorted(writers(only_run(folder))) == ["main", "rank1"]


@pytest.mark.long
def test_a_job_in_which_only_rank_1_records_neither_hangs_nor_fails(tmp_path: Path, folder: Path) -> None:
    script = """
        import os, torch.distributed as dist, tracker_core
        dist.init_process_group("gloo")
        if dist.get_rank() == 1:
            with tracker_core.init("p", dir=os.environ["FOLDER"]) as run:
                run.log({"x": 1})
        dist.barrier()
    """
    options = ("--nproc-per-node=2", f"--master-port={free_port()}")
    said = end(start(tmp_path, script, *options, folder=folder, TRACKER_JOIN_TIMEOUT_S="2"))
    assert said.count("found no run of rank 0") == 1
    assert writers(only_run(folder)) == {"main": ("finished", "", 1)}


@pytest.mark.long
def test_under_tracker_run_rank_0_is_the_primary_writer(tmp_path: Path, folder: Path) -> None:
    script = """
        import os, time, tracker_core
        if os.environ["RANK"] == "0":
            time.sleep(2)  # the others are there first
        run = tracker_core.init()
        run.log({"rank": int(os.environ["RANK"])})
        run.finish()
    """
    (tmp_path / "train.py").write_text(textwrap.dedent(script))
    launch = "import argparse, sys\nfrom tracker_server.commands import cli_launch\n"
    launch += "parser = argparse.ArgumentParser()\ncli_launch.add_arguments(parser)\n"
    launch += "sys.exit(cli_launch.run_command(parser.parse_args()))"
    job = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=3", f"--master-port={free_port()}"]
    command = [sys.executable, "-c", launch, "--project", "p", "--", *job, str(tmp_path / "train.py")]
    variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    done = subprocess.run(
        command, env={**variables, "PYTHONPATH": str(REPOSITORY)}, cwd=tmp_path, capture_output=True, timeout=WAIT_S
    )
    assert done.returncode == 0, done.stderr
    run = only_run(folder)
    assert values(run, "rank") == [0] and values(run, "rank", "rank2") == [2]
    assert sorted(writers(run)) == ["launcher", "main", "rank1", "rank2"]

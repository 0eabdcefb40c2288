"""Signals that end training jobs: told of in the record, and otherwise doing what they did without a run."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader
from tracker_core.records import CLOSING_STATES, State
from tracker_core.signals import WATCHED, Watch

ROWS_ONLY = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
BEGINNING = """import asyncio, faulthandler, os, signal, sys, threading, time, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="it")
run.log({"x": 1.0})
"""
READY_AND_WAIT = """
print("ready", flush=True)
while True:
    run.log({"busy": 1.0})
"""


@pytest.fixture(autouse=True)
def rows_only(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ROWS_ONLY.items():
        monkeypatch.setenv(name, value)
    for name in ("SLURM_JOB_ID",):
        monkeypatch.delenv(name, raising=False)


def states_in(folder: Path, writer: str = "main") -> list[State]:
    (path,) = folder.rglob(f"{writer}.*.journal")
    batch = JournalReader(str(path)).read()
    assert batch.damage == []
    found = [record for _, record in batch.records if isinstance(record, State)]
    assert sum(state.state in CLOSING_STATES for state in found) <= 1
    return found


def start(folder: Path, script_end: str) -> subprocess.Popen[str]:
    """Start a script and return when it says that it is ready."""
    process = child_process.start(BEGINNING + textwrap.dedent(script_end), folder)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()
    return process


def send(folder: Path, script_end: str, number: int) -> tuple[subprocess.Popen[str], str, list[State]]:
    """Send a script a signal once it is ready; return how it ended, what it printed, and its states."""
    process = start(folder, script_end)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return process, stdout + stderr, states_in(folder)


# The default action


@pytest.mark.parametrize("name", WATCHED)
def test_signal_that_kills_is_named_and_still_kills(folder: Path, name: str) -> None:
    number = getattr(signal, name)
    process, _, states = send(folder, READY_AND_WAIT, number)
    assert process.returncode == -number
    assert [(s.state, s.signal) for s in states] == [("running", name), ("killed", name)]
    assert states[-1].exit_code == 128 + number


def test_all_runs_of_the_process_are_ended(folder: Path) -> None:
    script_end = f"""
        tracker_core.init("p", dir={str(folder / "other")!r}, id="other", reinit="create_new").log({{"x": 1.0}})
        print("ready", flush=True)
        threading.Event().wait()
    """
    process = start(folder / "one", script_end)
    process.terminate()
    process.communicate(timeout=60)
    assert states_in(folder / "one")[-1].state == states_in(folder / "other")[-1].state == "killed"


def test_mark_preempting_makes_it_a_preemption(folder: Path) -> None:
    process, _, states = send(folder, "run.mark_preempting()" + READY_AND_WAIT, signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM
    assert [s.state for s in states] == ["preempting", "running", "preempted"]
    assert states[-1].signal == "SIGTERM"


def test_ignored_signals_stay_ignored(folder: Path) -> None:
    script = """
        import os, signal, sys
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        import tracker_core
        run = tracker_core.init("p", dir=sys.argv[1])
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
        run.log({"x": 1.0})
    """
    child_process.run_well(script, folder)
    assert [s.state for s in states_in(folder)] == ["finished"]


def test_handlers_are_those_of_before_when_no_run_is_active(folder: Path) -> None:
    def handle(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        first = tracker_core.init("p", dir=folder)
        second = tracker_core.init("p", dir=folder, reinit="create_new")
        assert isinstance(signal.getsignal(signal.SIGUSR1), Watch)
        first.finish()
        assert isinstance(signal.getsignal(signal.SIGTERM), Watch)
        second.finish()
        assert signal.getsignal(signal.SIGUSR1) is handle
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_kept_handler_of_ours_kills_as_the_default_when_no_run_is_active(folder: Path) -> None:
    """Lightning puts back the handlers that it found, maybe after the run has ended."""
    script = """
        import os, signal, sys, tracker_core
        run = tracker_core.init("p", dir=sys.argv[1])
        ours = signal.getsignal(signal.SIGTERM)
        run.finish()
        signal.signal(signal.SIGTERM, ours)
        os.kill(os.getpid(), signal.SIGTERM)
        print("still there")
    """
    done = child_process.run(script, folder)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
    assert [s.state for s in states_in(folder)] == ["finished"]


def test_a_run_begun_in_a_thread_leaves_the_signals_alone(folder: Path) -> None:
    script = """
        import signal, sys, threading, tracker_core
        thread = threading.Thread(target=lambda: tracker_core.init("p", dir=sys.argv[1]))
        thread.start(); thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        thread = threading.Thread(target=tracker_core.finish)
        thread.start(); thread.join()
    """
    child_process.run_well(script, folder)


# Handlers of others

USER_HANDLER = """import os, signal, sys, threading, time
{handler}
signal.signal(signal.SIGTERM, handle)
"""


@pytest.mark.parametrize(
    ("handler", "status", "state", "exit_code"),
    [
        ("def handle(*_): sys.exit(0)", 0, "finished", 0),
        ("def handle(*_): sys.exit(143)", 143, "killed", 143),
        ("def handle(*_): raise RuntimeError('stop')", 1, "killed", 1),
        ("def handle(*_): print('noted')", 0, "finished", 0),
    ],
    ids=["exit 0", "exit 143", "raise", "go on"],
)
def test_a_handler_that_was_there_decides(folder: Path, handler: str, status: int, state: str, exit_code: int) -> None:
    script = (
        USER_HANDLER.format(handler=handler) + BEGINNING + "os.kill(os.getpid(), signal.SIGTERM)\nrun.log({'x': 2})"
    )
    done = child_process.run(script, folder)
    assert done.returncode == status
    states = states_in(folder)
    assert (states[0].state, states[0].signal) == ("running", "SIGTERM")
    assert (states[-1].state, states[-1].exit_code) == (state, exit_code)
    assert states[-1].signal == ("SIGTERM" if state == "killed" else "")


def test_who_calls_us_as_the_earlier_handler_decides(folder: Path) -> None:
    script_end = """
        earlier = signal.getsignal(signal.SIGTERM)
        def graceful(number, frame):
            print("checkpoint", flush=True)
            earlier(number, frame)
            print("still there", flush=True)
            stop.set()
        stop = threading.Event()
        signal.signal(signal.SIGTERM, graceful)
        print("ready", flush=True)
        stop.wait()
        run.log({"last": 1.0})
    """
    process, printed, states = send(folder, script_end, signal.SIGTERM)
    assert process.returncode == 0
    assert "checkpoint\nstill there" in printed
    assert [(s.state, s.signal) for s in states] == [("running", "SIGTERM"), ("finished", "")]


def test_a_handler_installed_after_ours_that_does_not_call_us_is_undisturbed(folder: Path) -> None:
    script_end = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("ready", flush=True)
        threading.Event().wait()
    """
    process, _, states = send(folder, script_end, signal.SIGTERM)
    assert process.returncode == 0
    assert [s.state for s in states] == ["finished"]


def test_asyncio_handlers_are_undisturbed(folder: Path) -> None:
    script_end = """
        async def main():
            stopped = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
            print("ready", flush=True)
            await stopped.wait()
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        asyncio.run(main())
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    process, _, states = send(folder, script_end, signal.SIGTERM)
    assert process.returncode == 0
    assert [s.state for s in states] == ["finished"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("chain", [False, True])
def test_faulthandler_still_dumps(folder: Path, when: str, chain: bool) -> None:
    register = f"faulthandler.register(signal.SIGUSR1, chain={chain})\n"
    script = "import faulthandler, signal\n" + (register if when == "before" else "") + BEGINNING
    script += (register if when == "after" else "") + "os.kill(os.getpid(), signal.SIGUSR1)\nprint('on', flush=True)\n"
    done = child_process.run(script, folder)
    assert "Current thread" in done.stderr
    if chain:
        assert (done.returncode, done.stdout) == (-signal.SIGUSR1, "")
    else:
        assert (done.returncode, done.stdout) == (0, "on\n")
        assert states_in(folder)[-1].state == "finished"


def test_code_that_installs_a_handler_only_where_none_is_sees_none(folder: Path) -> None:
    tracker_core.init("p", dir=folder)
    for name in ("SIGUSR1", "SIGUSR2", "SIGHUP"):
        assert signal.getsignal(getattr(signal, name)) in (None, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) not in (None, signal.SIG_DFL)
    before = signal.getsignal(signal.SIGTERM)
    assert before == before and before != signal.SIG_IGN and before is not None


# Ctrl-C


def test_uncaught_interrupt_is_a_kill_by_sigint(folder: Path) -> None:
    process, printed, states = send(folder, READY_AND_WAIT, signal.SIGINT)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in printed
    assert [(s.state, s.signal, s.exit_code) for s in states] == [("killed", "SIGINT", 130)]
    assert states[0].error is not None and "Traceback" in states[0].error.traceback


def test_caught_interrupt_changes_nothing(folder: Path) -> None:
    script_end = """
        try:
            print("ready", flush=True)
            while True:
                run.log({"busy": 1.0})
        except KeyboardInterrupt:
            run.log({"caught": 1.0})
    """
    process, _, states = send(folder, script_end, signal.SIGINT)
    assert process.returncode == 0
    assert [s.state for s in states] == ["finished"]


STORM = """
    import os, signal, sys, threading, tracker_core
    number = getattr(signal, sys.argv[2])
    run = tracker_core.init("p", dir=sys.argv[1], id="it")
    pid = os.getpid()
    def storm():
        while True:
            os.kill(pid, number)
    print("ready", flush=True)
    n = 0
    try:
        while True:
            run.log({"n": n})
            n += 1
            if n == 200:
                threading.Thread(target=storm, daemon=True).start()
    finally:
        sys.stdout.write(f"{n}\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_storm_of_signals_hangs_nothing_and_loses_no_state(folder: Path, name: str) -> None:
    done = child_process.run(STORM, folder, name, timeout_s=60)
    assert done.returncode in (-getattr(signal, name), 130, 1)
    states = states_in(folder)
    assert states[-1].state == "killed" and states[-1].signal == name
    (path,) = folder.rglob("*.journal")
    kept = [row[3]["n"][1] for row in rows_in(read_items(path))]
    assert kept == list(range(len(kept))) and len(kept) >= 200


SECOND_INTERRUPT = """
    import os, signal, sys, time, tracker_core
    run = tracker_core.init("p", dir=sys.argv[1], id="it")
    run.log({"x": 1.0})
    delay_s = float(sys.argv[2])
    def again(*_):  # a second Ctrl-C, `delay_s` after the first
        os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, delay_s)
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("delay_s", [0.00001, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016])
def test_a_second_interrupt_while_finishing_loses_no_state(folder: Path, delay_s: float) -> None:
    child_process.run(SECOND_INTERRUPT, folder, delay_s, timeout_s=60)
    states = states_in(folder)
    assert [(s.state, s.signal) for s in states] == [("killed", "SIGINT")]


def test_interrupts_during_finish_leave_one_state_and_come_up_after_it(folder: Path) -> None:
    script = """
        import os, signal, sys, threading, time, tracker_core
        for n in range(40):
            run = tracker_core.init("p", dir=f"{sys.argv[1]}/{n}", id="it", settings={"fsync_interval_s": 100})
            run.log({"x": 1.0})
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 * (n + 1))
                run.finish()
                until = time.monotonic() + 2  # Python swallows one that comes in a weak reference's callback
                while time.monotonic() < until:
                    pass
            except KeyboardInterrupt:
                pass
            tracker_core.finish()
            assert tracker_core.run is None
    """
    child_process.run_well(script, folder)
    for n in range(40):
        assert [s.state for s in states_in(folder / str(n))] == ["finished"], n


# Children


def test_a_forked_child_dies_by_a_signal_as_before(folder: Path) -> None:
    script_end = """
        pid = os.fork()
        if pid == 0:
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        run.log({"x": 2.0})
    """
    child_process.run_well(BEGINNING + textwrap.dedent(script_end), folder)
    assert [s.state for s in states_in(folder)] == ["finished"]


def test_terminating_a_pool_is_quick_and_quiet(folder: Path) -> None:
    script = """
        import multiprocessing, sys, time, tracker_core
        def work(n):
            if n % 2:
                tracker_core.log({"child": n})
            return n
        def forever(n):
            while True:
                pass
        run = tracker_core.init("p", dir=sys.argv[1], id="it")
        context = multiprocessing.get_context("fork")
        pool = context.Pool(4)
        assert pool.map(work, range(20)) == list(range(20))
        pool.map_async(forever, range(4))
        began = time.monotonic()
        pool.terminate()
        pool.join()
        run.log({"x": 1.0})
        print(time.monotonic() - began)
    """
    done = child_process.run(script, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) < 30
    assert [s.state for s in states_in(folder)] == ["finished"]


# Frameworks

LIGHTNING = """
    import os, signal, sys, torch
    from lightning.pytorch import LightningModule, Trainer, Callback
    from tracker_integrations.lightning import TrackerLogger
    import tracker_core
    class Model(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
        def training_step(self, batch, n):
            loss = self.layer(batch).sum()
            self.log("loss", loss)
            return loss
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)
        def train_dataloader(self):
            return torch.utils.data.DataLoader(torch.ones(64, 2), batch_size=1)
    class Send(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, n):
            if n == 5:
                os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    if sys.argv[3] == "tracked":
        run = tracker_core.init("p", dir=sys.argv[1], id="it")
        logger = TrackerLogger()
    else:
        logger = False
    trainer = Trainer(
        max_epochs=1, logger=logger, callbacks=[Send()], accelerator="cpu", devices=1, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, default_root_dir=sys.argv[1],
    )
    trainer.fit(Model())
    print("steps", trainer.global_step, flush=True)
"""


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SLURM job, as far as Lightning looks; `scontrol` writes its arguments to the file that is returned."""
    said = tmp_path / "scontrol.said"
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    slurm = {"JOB_ID": "17", "JOB_NAME": "train", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    slurm["NTASKS_PER_NODE"] = slurm["NNODES"] = "1"
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return said


def test_slurm_requeue_of_lightning_works_as_without_a_run(folder: Path, scontrol: Path) -> None:
    printed = {}
    for kind in ("bare", "tracked"):
        done = child_process.run(LIGHTNING, folder / kind, "SIGUSR1", kind, timeout_s=240)
        assert done.returncode == 0, done.stderr
        printed[kind] = done.stdout.splitlines()[-1]
        assert scontrol.read_text() == "requeue 17\n"
        scontrol.unlink()
        assert list((folder / kind).rglob("hpc_ckpt_*.ckpt")), "the checkpoint to go on from"
    assert printed["tracked"] == printed["bare"] == "steps 64"
    assert states_in(folder / "tracked")[-1].state == "finished"


def test_sigterm_in_lightning_is_graceful_and_told_of(folder: Path) -> None:
    done = {
        kind: child_process.run(LIGHTNING, folder / kind, "SIGTERM", kind, timeout_s=240)
        for kind in ("bare", "tracked")
    }
    assert done["tracked"].returncode == done["bare"].returncode
    assert "steps" not in done["tracked"].stdout + done["bare"].stdout
    states = states_in(folder / "tracked")
    assert ("running", "SIGTERM") in [(s.state, s.signal) for s in states]


def test_torchrun_that_is_terminated_ends_its_workers_runs(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import os, tracker_core\n"
        f"run = tracker_core.init('p', dir={str(folder)!r}, id='rank' + os.environ['RANK'])\n"
        "open('ready' + os.environ['RANK'], 'w').close()\n"
        "while True:\n    run.log({'x': 1.0})\n"
    )
    command = ["python", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    command[0] = os.sys.executable  # type: ignore[attr-defined]
    agent = subprocess.Popen(command, env=child_process.environment(), stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 120
    while not ((tmp_path / "ready0").exists() and (tmp_path / "ready1").exists()):
        assert agent.poll() is None and time.monotonic() < deadline_s
        os.sched_yield()
    agent.terminate()
    agent.communicate(timeout=60)
    for rank in ("rank0", "rank1"):
        (path,) = (folder / "runs" / "p" / rank).glob("*.journal")
        last = JournalReader(str(path)).read().records[-1][1]
        assert isinstance(last, State) and (last.state, last.signal) == ("killed", "SIGTERM")


def test_a_signal_survived_and_then_a_sudden_death_leave_the_signal_on_record(folder: Path) -> None:
    script_end = """
        signal.signal(signal.SIGTERM, lambda *_: None)
        tracker_core.init("p", dir=sys.argv[1], id="second", reinit=True).log({"x": 1.0})
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = child_process.run(BEGINNING + textwrap.dedent(script_end), folder)
    assert done.returncode == -signal.SIGKILL
    (path,) = (folder / "runs" / "p" / "second").glob("*.journal")
    last = JournalReader(str(path)).read().records[-1][1]
    assert isinstance(last, State) and (last.state, last.signal) == ("running", "SIGTERM")
    assert {run.id: run.state for run in Api(folder).runs()} == {"it": "finished", "second": "crashed"}

"""Runs in a notebook, with a real kernel: cells fail and run again, the kernel restarts and dies."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import child_process
import pytest
from jupyter_client.manager import KernelManager

from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.records import State

ROWS_ONLY = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
INIT = "import tracker_core as tracker\nrun = tracker.init('p', dir={folder!r})\nrun.log({{'x': 1.0}})\nprint(run.id)"


class Notebook:
    """A kernel and the cells that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=child_process.environment(**ROWS_ONLY))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str) -> str:
        """Run a cell; return what it printed, and the name of the error where it raised one."""
        printed: list[str] = []

        def take(message: dict[str, object]) -> None:
            content = message["content"]
            assert isinstance(content, dict)
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])

        status = "aborted"  # what a kernel answers that is still busy with the error of the cell before
        while status == "aborted":
            reply = self.client.execute_interactive(code, timeout=120, output_hook=take, allow_stdin=False)
            status = reply["content"]["status"]
        return "".join(printed).strip() + reply["content"].get("ename", "")

    def init(self) -> str:
        return self.run(INIT.format(folder=str(self.folder)))

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel()


@pytest.fixture
def notebook(folder: Path) -> Iterator[Notebook]:
    opened = Notebook(folder)
    yield opened
    opened.close()


def states(folder: Path) -> dict[str, list[State]]:
    found = {}
    for path in folder.rglob("*.journal"):
        session = read_session(str(path))
        assert session is not None
        batch = JournalReader(str(path)).read()
        found[session.run] = [record for _, record in batch.records if isinstance(record, State)]
    return found


def test_init_run_again_ends_the_previous_run(notebook: Notebook, folder: Path) -> None:
    first = notebook.init()
    second = notebook.init()
    assert first != second
    assert notebook.run("print(tracker.run.id)") == second
    assert {run.id: run.state for run in Api(folder).runs()} == {first: "finished", second: "running"}


def test_reinit_can_still_return_the_previous_run(notebook: Notebook, folder: Path) -> None:
    first = notebook.init()
    assert notebook.run(f"print(tracker.init(dir={str(folder)!r}, reinit='return_previous').id)") == first


def test_a_cell_that_raises_is_noted_and_ends_nothing(notebook: Notebook, folder: Path) -> None:
    run = notebook.init()
    assert notebook.run("1 / 0") == "ZeroDivisionError"
    assert notebook.run("import sys; sys.exit(3)") == "SystemExit"
    assert notebook.run("run.log({'x': 2.0}); print('on')") == "on"
    notebook.close()
    noted, *_, last = states(folder)[run]
    assert noted.state == "running" and noted.error is not None and noted.error.type == "ZeroDivisionError"
    assert (last.state, last.exit_code, last.error) == ("finished", 0, None)


def test_an_interrupted_cell_ends_nothing(notebook: Notebook, folder: Path) -> None:
    run = notebook.init()
    cell = "print('busy', flush=True)\nwhile True:\n    run.log({'busy': 1.0})"
    notebook.client.execute(cell)
    deadline_s = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline_s
        try:
            message = notebook.client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["msg_type"] == "stream":
            break
    notebook.manager.interrupt_kernel()
    assert notebook.client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
    assert notebook.run("run.log({'x': 2.0}); print('on')") == "on"
    notebook.close()
    assert states(folder)[run][-1].state == "finished"


def test_restart_of_the_kernel_ends_the_run_as_finished(notebook: Notebook, folder: Path) -> None:
    first = notebook.init()
    notebook.manager.restart_kernel()
    notebook.client.wait_for_ready(timeout=120)
    second = notebook.init()
    assert {run.id: run.state for run in Api(folder).runs()} == {first: "finished", second: "running"}


def test_death_of_the_kernel_is_a_crash_seen_at_once(notebook: Notebook, folder: Path) -> None:
    run = notebook.init()
    pid = int(notebook.run("import os; print(os.getpid())"))
    os.kill(pid, signal.SIGKILL)
    while notebook.manager.is_alive():
        os.sched_yield()
    assert {run.id: run.state for run in Api(folder).runs()} == {run: "crashed"}


def test_termination_of_the_kernel_is_a_kill(notebook: Notebook, folder: Path) -> None:
    run = notebook.init()
    pid = int(notebook.run("import os; print(os.getpid())"))
    os.kill(pid, signal.SIGTERM)
    while notebook.manager.is_alive():
        os.sched_yield()
    last = states(folder)[run][-1]
    assert (last.state, last.signal) == ("killed", "SIGTERM")


def test_importing_ipython_does_not_make_a_script_a_notebook(folder: Path) -> None:
    script = """
        import sys, IPython, tracker_core
        from tracker_core import notebook
        assert not notebook.is_active()
        run = tracker_core.init(dir=sys.argv[1])
        assert tracker_core.init(dir=sys.argv[1]) is run
        sys.exit(3)
    """
    assert child_process.run(script, folder).returncode == 3
    (found,) = states(folder).values()
    assert (found[-1].state, found[-1].exit_code) == ("failed", 3)


def test_a_script_does_not_import_ipython(folder: Path) -> None:
    script = "import sys, tracker_core\ntracker_core.init(dir=sys.argv[1])\nprint('IPython' in sys.modules)"
    assert child_process.run_well(script, folder, **ROWS_ONLY).strip() == "False"


def test_a_stop_that_somebody_asks_for_ends_the_run_and_not_only_the_cell(notebook: Notebook, folder: Path) -> None:
    run_id = notebook.init()
    ask = f"from tracker_core.api import Api; Api({str(folder)!r}).run({f'p/{run_id}'!r}).stop('enough seen')"
    assert notebook.run(f"{ask}\nwhile True: run.log({{'x': 2.0}})") == "RunStopped"
    run = Api(folder).run(f"p/{run_id}")
    assert run.state == "killed" and run.stopped_by.endswith(": enough seen")
    assert notebook.init() != run_id

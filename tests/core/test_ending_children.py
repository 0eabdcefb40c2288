"""Whatever becomes of a process's children, its run keeps its state."""

from __future__ import annotations

from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.records import CLOSING_STATES, State

ROWS_ONLY = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
BEGINNING = """
import os, signal, sys, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="it", settings={"quiet": True})
run.log({"x": 1.0})
"""


def closing_states(folder: Path) -> dict[str, list[str]]:
    """Return the closing states of each writer's session: none, or one."""
    found = {}
    for path in folder.rglob("*.journal"):
        session = read_session(str(path))
        assert session is not None
        batch = JournalReader(str(path)).read()
        assert batch.damage == []
        states = [record.state for _, record in batch.records if isinstance(record, State)]
        found[session.writer.partition("-")[0]] = [state for state in states if state in CLOSING_STATES]
    return found


CHILD_ENDS = ["os._exit(0)", "os._exit(3)", "sys.exit(0)", "sys.exit(3)", "raise ValueError", "os.abort()"]


@pytest.mark.parametrize("end", CHILD_ENDS)
@pytest.mark.parametrize("logs", [False, True])
def test_the_end_of_a_forked_child_is_not_the_end_of_the_run(folder: Path, end: str, logs: bool) -> None:
    logging = "run.log({'child': 1.0})" if logs else "pass"
    script = BEGINNING + (
        f"pid = os.fork()\nif pid == 0:\n    {logging}\n    {end}\nos.waitpid(pid, 0)\nrun.log({{'x': 2.0}})\n"
    )
    child_process.run_well(script, folder, **ROWS_ONLY)
    found = closing_states(folder)
    assert found.pop("main") == ["finished"]
    sudden = end.startswith("os.")
    state = [] if sudden else ["finished"] if end == "sys.exit(0)" else ["failed"]
    assert found == ({"fork": state} if logs else {})
    assert [run.state for run in Api(folder).runs()] == ["finished"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_that_fails_does_not_fail_the_run(folder: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import multiprocessing, sys, tracker_core\n"
        "def work():\n"
        "    raise ValueError('in the child')\n"
        "if __name__ == '__main__':\n"
        "    run = tracker_core.init('p', dir=sys.argv[1], id='it')\n"
        f"    child = multiprocessing.get_context({method!r}).Process(target=work)\n"
        "    child.start(); child.join()\n"
        "    assert child.exitcode == 1\n"
        "    run.log({'x': 1.0})\n"
    )
    _run_file(script, folder)
    assert closing_states(folder) == {"main": ["finished"]}


def _run_file(script: Path, folder: Path) -> None:
    """Run a script from its file, as processes that are not forked need it."""
    child_process.run_well(
        "import subprocess, sys; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)",
        script,
        folder,
        **ROWS_ONLY,
    )


LOADER = """
    import sys, torch, tracker_core
    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return 40
        def __getitem__(self, n):
            if sys.argv[2] == "logs":
                run.log({"item": n})
            if sys.argv[2] == "fails" and n == 30:
                raise ValueError("bad item")
            return torch.tensor([float(n)])
    run = tracker_core.init("p", dir=sys.argv[1], id="it", settings={"quiet": True})
    loader = torch.utils.data.DataLoader(
        Data(), num_workers=2, multiprocessing_context="fork", persistent_workers=sys.argv[3] == "persistent"
    )
    n = 0
    for epoch in range(2):
        try:
            for batch in loader:
                run.log({"batch": float(batch)})
                n += 1
        except ValueError:
            pass
    if sys.argv[3] == "broken off":
        for batch in loader:
            break
    print(n)
"""


@pytest.mark.parametrize("workers", ["idle", "logs", "fails"])
@pytest.mark.parametrize("how", ["new", "persistent", "broken off"])
def test_data_loader_workers_leave_the_run_alone(folder: Path, workers: str, how: str) -> None:
    done = child_process.run(LOADER, folder, workers, how, timeout_s=120, **ROWS_ONLY)
    assert done.returncode == 0, done.stderr
    n = int(done.stdout)
    (main,) = folder.rglob("main.*.journal")
    batches = [row[3]["batch"][1] for row in rows_in(read_items(main)) if "batch" in row[3]]
    assert len(batches) in (n, n + 1)
    assert closing_states(folder)["main"] == ["finished"]
    assert "tracker_core" not in done.stderr
    others = [path for path in folder.rglob("*.journal") if path != main]
    assert bool(others) == (workers == "logs")
    items = [row[3]["item"][1] for path in others for row in rows_in(read_items(path))]
    if workers == "logs" and how != "broken off":
        assert sorted(items) == sorted([*range(40)] * 2)


def test_a_worker_killed_by_the_system_does_not_end_the_run(folder: Path) -> None:
    # Plain numbers: tensors come through a socket of the worker. The kernel closes it before it tells of the death, and
    # then what the loader raises is a ConnectionResetError now and then.
    script = """
        import os, signal, sys, torch, tracker_core
        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, n):
                if n == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                return float(n)
        run = tracker_core.init("p", dir=sys.argv[1], id="it", settings={"quiet": True})
        try:
            data = Data()
            for item in torch.utils.data.DataLoader(data, None, num_workers=2, multiprocessing_context="fork"):
                run.log({"item": item})
        except RuntimeError as error:
            assert "killed" in str(error) or "exited unexpectedly" in str(error), error
            run.log({"caught": 1.0})
    """
    child_process.run_well(script, folder, **ROWS_ONLY)
    assert closing_states(folder) == {"main": ["finished"]}

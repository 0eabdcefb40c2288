"""Promise a: a row whose `log()` has returned survives SIGKILL, at any instant."""

from __future__ import annotations

import mmap
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

from tracker_core.journal_reader import JournalReader

MAX_THREADS = 8
LOGGING = """
    import mmap, sys, threading, tracker_core
    folder, counts_path, n_threads, n_metrics = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    counts_file = open(counts_path, "r+b")
    counts = mmap.mmap(counts_file.fileno(), 0)
    run = tracker_core.init(dir=folder, id="killed")
    def work(thread):
        row = {f"m{i}": float(i) for i in range(n_metrics)}
        n = 0
        while True:
            if n % 7 == 6:
                run.log({"thread": thread, "n": n, "text": "t" * (n % 500)})
            else:
                run.log({"thread": thread, "n": n, **row})
            n += 1
            counts[8 * thread : 8 * thread + 8] = n.to_bytes(8, "little")
    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, n_threads)]
    [thread.start() for thread in threads]
    work(0)
"""


class Counts:
    """How many calls of `log()` have returned, per thread, in memory shared with the process to be killed."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8 * MAX_THREADS))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def __call__(self) -> tuple[int, ...]:
        return struct.unpack(f"<{MAX_THREADS}Q", self._memory[:])


def kill(process: subprocess.Popen[str], may_have_ended: bool = False) -> None:
    process.send_signal(signal.SIGKILL)
    _, stderr = process.communicate()
    ended_well = may_have_ended and process.returncode == 0
    assert process.returncode == -signal.SIGKILL or ended_well, f"the script ended by itself\n{stderr}"


def spin(duration_s: float) -> None:
    """Let a little time pass, finer than a scheduler's sleep."""
    end_s = time.perf_counter() + duration_s
    while time.perf_counter() < end_s:
        pass


def check_kill(
    tmp_path: Path, choose: random.Random, n_threads: int, wait_until: Callable[..., None], name: str = "k"
) -> None:
    folder = tmp_path / name
    counts = Counts(tmp_path / f"{name}.counts")
    process = child_process.start(LOGGING, folder, tmp_path / f"{name}.counts", n_threads, choose.choice([1, 10, 300]))
    wait_until(lambda: min(counts()[:n_threads]) > 0 or process.poll() is not None, 30)
    spin(choose.uniform(0, 0.15))
    kill(process)
    counted = counts()
    (path,) = folder.rglob("*.journal")
    reader = JournalReader(str(path))
    batch = reader.read()
    assert batch.damage == []
    kept: dict[int, list[int]] = {thread: [] for thread in range(n_threads)}
    for row in rows_in(read_items(path)):
        kept[row[3]["thread"][1]].append(row[3]["n"][1])
    for thread, numbers in kept.items():
        assert numbers == list(range(len(numbers))), "each row once and in order"
        assert len(numbers) >= counted[thread], f"{counted[thread] - len(numbers)} counted rows were lost"
        assert len(numbers) <= counted[thread] + 1


@pytest.mark.fault("F1")
@pytest.mark.parametrize("n_threads", [1] * 14 + [4] * 6)
def test_no_counted_row_is_lost_by_sigkill(
    tmp_path: Path, n_threads: int, wait_until: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    check_kill(tmp_path, random.Random(request.node.name), n_threads, wait_until)


@pytest.mark.fault("F1")
@pytest.mark.long
def test_no_counted_row_is_lost_by_200_kills(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    choose = random.Random(200)
    for number in range(200):
        check_kill(tmp_path, choose, choose.choice([1, 1, 2, 8]), wait_until, f"k{number}")


SHORT_LIFE = """
    import sys, tracker_core
    print("ready", flush=True)
    sys.stdin.readline()
    run = tracker_core.init(dir=sys.argv[1], id="killed", config={"a": 1})
    for step in range(50):
        run.log({"x": step})
    run.finish()
"""


def check_kill_of_short_life(folder: Path, delay_s: float) -> str | None:
    """Kill a run somewhere between before `init` and after `finish`; what there is must be whole. Return its state."""
    process = child_process.start(SHORT_LIFE, folder)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    spin(delay_s)
    kill(process, may_have_ended=True)
    for path in folder.rglob("*.journal"):
        reader = JournalReader(str(path))
        batch = reader.read()
        assert batch.damage == []
        steps = [row[1] for row in rows_in(read_items(path))]
        assert steps == list(range(len(steps)))
        if reader.is_closed:
            assert len(steps) == 50
        return "closed" if reader.is_closed else "open"
    return None


@pytest.mark.fault("F1")
def test_kill_during_init_and_finish_leaves_a_whole_prefix(tmp_path: Path) -> None:
    for number in range(8):
        check_kill_of_short_life(tmp_path / str(number), number * 0.002)


@pytest.mark.fault("F1")
@pytest.mark.long
def test_kills_all_over_a_short_life_leave_whole_prefixes(tmp_path: Path) -> None:
    states = {check_kill_of_short_life(tmp_path / str(n), n * 0.0003) for n in range(200)}
    assert "closed" in states


@pytest.mark.fault("F1", "F4")
def test_killed_run_can_be_resumed(folder: Path, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    counts = Counts(tmp_path / "counts")
    process = child_process.start(LOGGING, folder, tmp_path / "counts", 1, 3)
    wait_until(lambda: counts()[0] > 10 or process.poll() is not None, 30)
    kill(process)
    kept = max(row[1] for row in rows_in(read_items(next(folder.rglob("*.journal")))))
    step = child_process.run_well(
        'import sys, tracker_core; print(tracker_core.init(dir=sys.argv[1], id="killed", resume="must").step)', folder
    )
    assert int(step) == kept + 1


@pytest.mark.fault("F2")
@pytest.mark.parametrize("when", [1, 2, 3, 5, 8, 9])
def test_kill_at_the_nth_write_leaves_what_was_written_before(tmp_path: Path, when: int) -> None:
    prefix = child_process.strace_prefix(f"write:signal=SIGKILL:when={when}")
    script = """
        import os, sys, tracker_core
        run = tracker_core.init(dir=sys.argv[1], config={"a": 1})
        for step in range(20):
            run.log({"x": step})
    """
    process = child_process.run(script, tmp_path, prefix=prefix)
    assert process.returncode != 0
    for path in tmp_path.rglob("*.journal"):
        steps = [row[1] for row in rows_in(read_items(path))]
        assert steps == list(range(len(steps)))
        assert len(steps) <= when

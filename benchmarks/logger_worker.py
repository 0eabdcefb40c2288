"""Run one measurement of one logger inside its own process.

Each `logger_<name>.py` beside this file describes one logger and hands it to `main`. This module is
imported inside the venvs of other trackers, so it uses the standard library only.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Row = dict[str, float]
Point = tuple[int, float]
Result = dict[str, Any]

_METRIC_NAMES = (
    "train/loss", "train/accuracy", "train/lr", "train/grad_norm", "val/loss", "val/accuracy",
    "time/step_s", "time/data_s", "gpu/utilization", "gpu/memory_gib",
)  # fmt: skip
_N_DISTINCT_ROWS = 1000


class LogFunction(Protocol):
    """The call that is measured: the logger's own bound method, with no wrapper around it."""

    def __call__(self, data: Row, /, *, step: int | None = None) -> object: ...


class Logger(Protocol):
    """What a logger must offer to be measured."""

    def load(self) -> str:
        """Import the library and return its version."""

    def start(self, folder: Path) -> LogFunction:
        """Open a run that writes below `folder`; return the function that logs one row."""

    def finish(self) -> None:
        """End the run; return when everything is written."""

    def points(self, folder: Path, key: str) -> list[Point]:
        """Read the step and value of every point of the metric that can be recovered from `folder`."""


def make_rows(n_metrics: int) -> list[Row]:
    """Return rows of random doubles (the same for every logger), made before any clock runs."""
    names = _METRIC_NAMES if n_metrics == len(_METRIC_NAMES) else [f"layer{i}/norm" for i in range(n_metrics)]
    generator = random.Random(20240229)
    n_rows = max(2, _N_DISTINCT_ROWS * len(_METRIC_NAMES) // n_metrics)
    return [{name: generator.random() for name in names} for _ in range(n_rows)]


def measure_latency(logger: Logger, options: argparse.Namespace) -> Result:
    """Time `init`, every `log` call and `finish`."""
    version, rows, n_rows = logger.load(), make_rows(options.metrics), options.rows
    n_distinct, clock, pace_s = len(rows), time.perf_counter_ns, options.pace_s
    durations_ns = array("q", bytes(8 * n_rows))
    began_ns = clock()
    log = logger.start(options.folder)
    started_ns = clock()
    time.sleep(options.settle_s)
    for step in range(n_rows):
        row = rows[step % n_distinct]
        before_ns = clock()
        log(row, step=step)
        durations_ns[step] = clock() - before_ns
        if pace_s:
            time.sleep(pace_s)
    finishing_ns = clock()
    logger.finish()
    finished_ns = clock()
    ordered = sorted(durations_ns)
    return {
        "version": version,
        "init_ms": (started_ns - began_ns) / 1e6,
        "p50_us": ordered[n_rows // 2] / 1e3,
        "p99_us": ordered[n_rows * 99 // 100] / 1e3,
        "finish_ms": (finished_ns - finishing_ns) / 1e6,
    }


def measure_cpu(logger: Logger, options: argparse.Namespace) -> Result:
    """Count CPU time per row: of this process while it logs, and of everything until `finish` has returned.

    The first counts all threads of this process. The second adds `finish` and the helper processes that the
    logger started, running or ended. `init_cpu_ms` is that of everything from `init` until the logging begins.
    """
    version, rows, n_rows = logger.load(), make_rows(options.metrics), options.rows
    n_distinct = len(rows)
    starting_ns, helpers_starting_s = time.process_time_ns(), _helpers_cpu_s()
    log = logger.start(options.folder)
    time.sleep(options.settle_s)
    helpers_before_s, before_ns = _helpers_cpu_s(), time.process_time_ns()
    for step in range(n_rows):
        log(rows[step % n_distinct], step=step)
    logged_ns = time.process_time_ns()
    logger.finish()
    finished_ns, helpers_s = time.process_time_ns(), _helpers_cpu_s()
    total_s = (finished_ns - before_ns) / 1e9 + helpers_s - helpers_before_s
    return {
        "version": version,
        "cpu_us": (logged_ns - before_ns) / 1e3 / n_rows,
        "cpu_all_us": total_s * 1e6 / n_rows,
        "init_cpu_ms": (before_ns - starting_ns) / 1e6 + (helpers_before_s - helpers_starting_s) * 1e3,
    }


def measure_memory(logger: Logger, options: argparse.Namespace) -> Result:
    """Measure resident memory of this process and its helpers, in MiB.

    Returns:
        rss_mib: by how much it grew from before the import until a run is open and has logged 1,000 rows, helper
            processes included. rss_growth_mib: the highest growth of this process over the `options.rows` rows that
            follow; all_rss_growth_mib: with helper processes, at the end.
    """
    bare = _rss_mib([os.getpid()])
    logger.load()
    rows = make_rows(options.metrics)
    log = logger.start(options.folder)
    for step in range(1000):  # the first rows load lazy code; what matters is whether memory grows from there
        log(rows[step], step=step)
    before = highest = _rss_mib([os.getpid()])
    all_before = _rss_mib(_process_tree())
    for step in range(1000, 1000 + options.rows):
        log(rows[step % len(rows)], step=step)
        if step % max(1, options.rows // 100) == 0:
            highest = max(highest, _rss_mib([os.getpid()]))
    highest = max(highest, _rss_mib([os.getpid()]))
    all_after = _rss_mib(_process_tree())
    logger.finish()
    return {
        "rss_mib": all_before - bare,
        "rss_growth_mib": highest - before,
        "all_rss_growth_mib": all_after - all_before,
    }


def log_until_killed(logger: Logger, options: argparse.Namespace) -> Result:
    """Log for ever; before each next call, store in a shared file how many calls have returned.

    The file is a shared memory map, so the count is with the kernel as soon as it is stored and outlives
    SIGKILL. A kill between a call's return and the store makes the count one too low, never too high.
    """
    logger.load()
    rows, pace_s = make_rows(options.metrics), options.pace_s
    n_distinct, step = len(rows), 0
    with options.counter.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        n_returned = memoryview(shared).cast("Q")
        log = logger.start(options.folder)
        while True:
            log(rows[step % n_distinct], step=step)
            step += 1
            n_returned[0] = step
            if pace_s:
                time.sleep(pace_s)


def count_lost(logger: Logger, options: argparse.Namespace) -> Result:
    """Count the rows among the first `options.rows` steps that cannot be recovered."""
    logger.load()
    recovered = {step for step, _ in logger.points(options.folder, _METRIC_NAMES[0])}
    n_lost = sum(step not in recovered for step in range(options.rows))
    return {"n_lost": n_lost, "n_recovered": len(recovered)}


def _helpers_cpu_s() -> float:
    """Return the CPU seconds of all processes below this one, ended or (on Linux) running."""
    times = os.times()
    ended_s = times.children_user + times.children_system
    if not sys.platform.startswith("linux"):
        return ended_s
    ticks = [process.cpu_ticks for process in _descendants()]
    return ended_s + sum(ticks) / os.sysconf("SC_CLK_TCK")


def _process_tree() -> list[int]:
    return [os.getpid(), *(process.pid for process in _descendants())]


class _Process(NamedTuple):
    pid: int
    cpu_ticks: int  # those of its own ended children included


def _descendants() -> list[_Process]:
    """Return the running processes below this one; none where there is no /proc."""
    children: dict[int, list[_Process]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked; its parent has its ticks
        process = _Process(int(path.parent.name), sum(map(int, fields[11:15])))
        children.setdefault(int(fields[1]), []).append(process)
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [process.pid for process in below]
    return found


def _rss_mib(pids: list[int]) -> float:
    """Return the resident memory of these processes; shared pages count in each (Linux)."""
    n_pages = 0
    for pid in pids:
        try:
            n_pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return n_pages * os.sysconf("SC_PAGE_SIZE") / 2**20


Task = Callable[[Logger, argparse.Namespace], Result]
TASKS: dict[str, Task] = {
    "latency": measure_latency,
    "cpu": measure_cpu,
    "memory": measure_memory,
    "kill": log_until_killed,
    "lost": count_lost,
}


def main(logger: Logger, more_tasks: dict[str, Task] | None = None) -> None:
    """Run the task named on the command line and write its result as JSON to `--out`."""
    from fault_tasks import FAULT_TASKS

    tasks = {**TASKS, **FAULT_TASKS, **(more_tasks or {})}
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=sorted(tasks))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--pace-s", type=float, default=0.0)
    parser.add_argument("--settle-s", type=float, default=0.0, help="rest between init and the first row")
    parser.add_argument("--counter", type=Path)
    parser.add_argument("--more-folders", type=Path, nargs="*", help="where read-ids looks, after --folder")
    options = parser.parse_args()
    if options.task != "read-only":
        options.folder.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(tasks[options.task](logger, options)))

"""Measure how much a training loop of 1 ms steps is slowed by a run that records everything, as it does by default.

    python benchmarks/step_cost.py [--turns 150] [--pairs 12] [--seconds 8]

A recorded step logs ten metrics; a line is printed every 100 steps, the machine is sampled every 15 s and the
environment was captured when the run began. A step is a fixed piece of work of 1 ms, in Python (which holds the
interpreter's lock) or in NumPy. What is looked for is less than what two processes differ by of themselves, so it is
put together of two parts that can be measured beside other programs:

- `log` and what it leaves behind: within one process and run, 200 steps that log and 200 that do not take turns, and
  so do 200 that only make JSON of their row and write it, the least that any logger does.
- the threads that record, which run beside both: their processor time. A loop that never lets go of the interpreter's
  lock waits for as much of it as they need the lock for, so this is the most that they can cost it.

Whole processes with a run and without one are compared as well, in pairs, to confirm it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from log_cost_machine import describe_machine, load_average
from rich.console import Console
from rich.progress import track
from rich.table import Table

BENCHMARKS = Path(__file__).parent
MAX_SLOWER_PERCENT = 1.5
WORKS = ("python", "numpy")
HEADINGS = ("compared with plain steps", "step", "more CPU", "more CPU, median", "slower by the clock", "middle half")
_ROUNDS_A_PROCESS = 25
_Times = dict[str, float]


@dataclass(frozen=True)
class Compared:
    """Steps of one kind and the plain ones beside them."""

    title: str
    pairs: list[tuple[_Times, _Times]]

    def percent(self, time: str) -> list[float]:
        """Return by how much the steps took longer than the plain ones beside them."""
        return [100 * (other[time] / plain[time] - 1) for other, plain in self.pairs]

    def more_us(self, time: str) -> float:
        """Return the median of what is added to a step."""
        return 1e6 * statistics.median(other[time] - plain[time] for other, plain in self.pairs)

    def cells(self) -> list[str]:
        """Return a row of the table."""
        cpu, wall = self.percent("loop_cpu_s"), self.percent("wall_s")
        cpu_low, cpu_high = _likely(cpu)
        low, _, high = statistics.quantiles(wall, n=4)
        return [
            self.title,
            f"{1e6 * statistics.median(plain['loop_cpu_s'] for _, plain in self.pairs):.0f} us",
            f"{self.more_us('loop_cpu_s'):.1f} us",
            f"{statistics.median(cpu):+.2f} % ({cpu_low:+.2f} to {cpu_high:+.2f})",
            f"{statistics.median(wall):+.2f} %",
            f"{low:+.2f} to {high:+.2f} %",
        ]


@dataclass(frozen=True)
class Turns:
    """What was measured of one kind of work within processes."""

    work: str
    rounds: list[dict[str, _Times]]
    threads: list[dict[str, _Times]]

    def compared(self) -> list[Compared]:
        """Return the recorded steps and those that only write JSON, beside the plain ones."""
        titles = {"recorded": f"{self.work}: log", "json": f"{self.work}: JSON and write alone"}
        return [
            Compared(title, [(turn[kind], turn["plain"]) for turn in self.rounds]) for kind, title in titles.items()
        ]

    def used(self) -> dict[str, _Times]:
        """Return processor time in seconds and wake-ups of each of our threads, per second."""
        names = sorted({name for threads in self.threads for name in threads})
        found = {name: [threads[name] for threads in self.threads if name in threads] for name in names}
        return {
            name: {key: statistics.median(use[key] for use in uses) for key in ("cpu_s", "n_wakes")}
            for name, uses in found.items()
        }

    def slower_percent(self, time: str) -> tuple[float, float, float]:
        """Return the sum of both parts, of `log` and of the threads beside it: median, and what it lies between."""
        threads_percent = 100 * sum(use["cpu_s"] for use in self.used().values())
        values = self.compared()[0].percent(time)
        low, high = _likely(values)
        return statistics.median(values) + threads_percent, low + threads_percent, high + threads_percent


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=150, help="rounds of turns within processes, per kind of work")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of processes, per kind of work")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each process of a pair runs")
    parser.add_argument("--dry", action="store_true", help="write no file")
    options = parser.parse_args()
    console = Console()
    starts: list[_Times] = []
    with tempfile.TemporaryDirectory() as folder:
        machine = describe_machine(Path(folder))
        turns = [_take_turns(work, options.turns, folder, console) for work in WORKS]
        pairs = [_compare_processes(work, options, folder, starts, console) for work in WORKS]
    machine["load average at the end"] = load_average()
    rows = [compared.cells() for turn in turns for compared in turn.compared()]
    rows += [compared.cells() for compared in pairs]
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    page = _page(rows, turns, starts, machine, options)
    if options.dry:
        console.print(page)
    else:
        (BENCHMARKS / "results" / "step_cost.md").write_text(page)


def _take_turns(work: str, n_rounds: int, folder: str, console: Console) -> Turns:
    turns = Turns(work, [], [])
    for first in track(range(0, n_rounds, _ROUNDS_A_PROCESS), f"{work}, taking turns", console=console):
        found = _child(work, folder, "--turns", str(min(_ROUNDS_A_PROCESS, n_rounds - first)))
        turns.rounds.extend(found["rounds"])
        turns.threads.append(found["threads"])
    return turns


def _compare_processes(
    work: str, options: argparse.Namespace, folder: str, starts: list[_Times], console: Console
) -> Compared:
    compared = Compared(f"{work}: process with a run, beside one without", [])
    shared = ("--seconds", str(options.seconds), "--n-units", str(_child(work, folder)["n_units"]))
    for number in track(range(options.pairs), f"{work}, pairs of processes", console=console):
        order = ("plain", "recorded") if number % 2 else ("recorded", "plain")
        found = {kind: _child(work, folder, "--alone", kind, *shared) for kind in order}
        compared.pairs.append((found["recorded"]["times"], found["plain"]["times"]))
        starts.append(found["recorded"]["start"])
    return compared


def _child(work: str, folder: str, *arguments: str) -> dict[str, Any]:
    # PYTHONDONTWRITEBYTECODE would have the tracker compiled anew in every process.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TRACKER_", "PYTHON"))}
    environment |= {"TRACKER_DIR": f"{folder}/.tracker", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    # A git repository is the working directory, as it is for those who train.
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "step_cost_loop.py"), "--work", work, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, env=environment,
        cwd=BENCHMARKS.parent,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _likely(values: list[float]) -> tuple[float, float]:
    """Return between which values the true median lies with 95 % probability, by the order of the values."""
    ordered, n = sorted(values), len(values)
    margin = 0.98 * math.sqrt(n)
    return ordered[max(0, math.floor(n / 2 - margin))], ordered[min(n - 1, math.ceil(n / 2 + margin))]


# The page


def _page(
    rows: list[list[str]],
    turns: list[Turns],
    starts: list[_Times],
    machine: dict[str, str],
    options: argparse.Namespace,
) -> str:
    lines = [
        "# What recording everything costs a loop of 1 ms steps",
        "",
        f"`python benchmarks/step_cost.py`, {datetime.now(UTC):%Y-%m-%d}: {options.turns} rounds in which 200 steps of",
        f"each kind take turns within one process, and {options.pairs} pairs of processes of {options.seconds:g} s. A",
        "recorded step logs ten metrics; a line is printed every 100 steps. Medians; in brackets, where the true one",
        "lies with 95 % probability. CPU is that of the loop's own thread, which other programs lengthen less than the",
        "clock.",
        "",
        *_table(HEADINGS, rows),
        "",
        *_table(("our threads meanwhile", "CPU, ms a second", "wake-ups a second"), _thread_rows(turns)),
        "",
        f"The aim is {MAX_SLOWER_PERCENT:+} % or less by the clock, of `log` and the threads together:",
        "",
        *(f"- {turn.work} steps: {_verdict(turn)}" for turn in turns),
        *_start_lines(starts),
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
    ]
    return "\n".join(lines) + "\n"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    headings = list(headings)
    return ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]


def _thread_rows(turns: list[Turns]) -> list[list[str]]:
    return [
        [f"{name}, {turn.work} steps", f"{1e3 * use['cpu_s']:.2f}", f"{use['n_wakes']:.1f}"]
        for turn in turns
        for name, use in turn.used().items()
    ]


def _verdict(turn: Turns) -> str:
    wall, low, high = turn.slower_percent("wall_s")
    verdict = "met" if high <= MAX_SLOWER_PERCENT else "missed" if low > MAX_SLOWER_PERCENT else "not decided here"
    cpu, _, _ = turn.slower_percent("loop_cpu_s")
    return f"{verdict}: {wall:+.2f} % by the clock ({low:+.2f} to {high:+.2f}), {cpu:+.2f} % by CPU"


def _start_lines(starts: list[_Times]) -> list[str]:
    if not starts:
        return []
    median = {name: statistics.median(start[name] for start in starts) for name in starts[0]}
    return [
        f"- `init` takes {median['init_ms']:.1f} ms by the clock, {median['init_cpu_ms']:.1f} ms of CPU in the thread",
        f"  that calls it; within the next 2 s other threads take {median['others_cpu_ms']:.0f} ms of CPU.",
        f"- `finish` takes {median['finish_ms']:.1f} ms by the clock.",
    ]


if __name__ == "__main__":
    main()

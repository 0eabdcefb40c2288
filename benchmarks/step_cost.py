"""Measure how much a training loop of 1 ms steps is slowed by a run that records everything, as it does by default.

    python benchmarks/step_cost.py [--pairs 12] [--seconds 20]

Each pair is two fresh processes one after the other, in turn the plain loop first or the recorded one: the same steps
without a tracker, and with a run that logs ten metrics a step, prints a line every 100 steps, samples the machine every
15 s and captures the environment. A step is a fixed piece of work, once in Python (which holds the interpreter's lock)
and once in NumPy. Times are per step, by the loop's own clock: the median over the pairs of recorded / plain. The first
two seconds, in which the environment is captured, are told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from log_cost_machine import describe_machine
from rich.console import Console
from rich.progress import track
from rich.table import Table

BENCHMARKS = Path(__file__).parent
START_S = 2.0
STEP_S = 1e-3


def main() -> None:
    """Measure and report."""
    options = _parse()
    if options.child:
        print(json.dumps(_loop(options.work, options.child == "recorded", options.seconds, options.n_units)))
        return
    console = Console()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        machine = describe_machine(Path(folder))
        for work in ("python", "numpy"):
            rows.append(_measure(work, options, folder, console))
    report = _report(rows, machine, options)
    console.print(_table(rows))
    if options.pairs >= 8:
        (BENCHMARKS / "results" / "step_cost.md").write_text(report)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=12, help="pairs of processes for each kind of work")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each process runs")
    parser.add_argument("--child", choices=("plain", "recorded"), help=argparse.SUPPRESS)
    parser.add_argument("--work", default="python", help=argparse.SUPPRESS)
    parser.add_argument("--n-units", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(work: str, options: argparse.Namespace, folder: str, console: Console) -> dict[str, object]:
    n_units = _units_per_step(work)
    ratios: dict[str, list[float]] = {"steady": [], "start": []}
    steps_us: list[float] = []
    for pair in track(range(options.pairs), f"{work} steps", console=console):
        order = ("plain", "recorded") if pair % 2 else ("recorded", "plain")
        found = {kind: _child(kind, work, n_units, options.seconds, folder) for kind in order}
        for part, values in ratios.items():
            values.append(found["recorded"][part] / found["plain"][part])
        steps_us.append(1e6 * found["plain"]["steady"])
    return {"work": work, "step_us": statistics.median(steps_us), **{k: sorted(v) for k, v in ratios.items()}}


def _child(kind: str, work: str, n_units: int, seconds: float, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", kind, "--work", work, "--n-units", str(n_units)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRACKER_")}
    environment["TRACKER_DIR"] = f"{folder}/.tracker"
    # A git repository is the working directory, as it is for those who train.
    done = subprocess.run(
        [*command, "--seconds", str(seconds)],
        capture_output=True, text=True, check=True, env=environment, cwd=BENCHMARKS.parent,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _loop(work: str, is_recorded: bool, seconds: float, n_units: int) -> dict[str, float]:
    do_work = _work(work, n_units)
    log = _recorded_log() if is_recorded else None
    times_s: dict[str, list[float]] = {"start": [], "steady": []}
    began_s = last_s = time.perf_counter()
    step = 0
    while last_s - began_s < seconds:
        do_work()
        if log is not None:
            log(step)
        step += 1
        if step % 100 == 0:
            print(f"step {step}: loss 0.1234", flush=True)
        now_s = time.perf_counter()
        times_s["start" if now_s - began_s < START_S else "steady"].append(now_s - last_s)
        last_s = now_s
    # The mean, since what is looked for may lie in few long steps; the pairs and their median take out the machine.
    return {part: statistics.fmean(values) for part, values in times_s.items()}


def _recorded_log() -> Callable[[int], None]:
    import tracker_core as tracker

    tracker.init(project="step-cost", config={"lr": 1e-3})
    names = [f"train/metric_{i}" for i in range(10)]

    def log(step: int) -> None:
        tracker.log(dict.fromkeys(names, step * 0.5))

    return log


def _work(work: str, n_units: int) -> Callable[[], object]:
    if work == "python":
        return lambda: sum(range(n_units))
    import numpy as np

    data = np.ones(n_units)
    return lambda: np.sqrt(data).sum()


def _units_per_step(work: str) -> int:
    """Return how much work takes `STEP_S` here."""
    n_units = 1000
    while True:
        do_work = _work(work, n_units)
        times_s = []
        for _ in range(50):
            began_s = time.perf_counter()
            do_work()
            times_s.append(time.perf_counter() - began_s)
        step_s = statistics.median(times_s)
        if step_s >= 0.9 * STEP_S:
            return n_units
        n_units = int(n_units * min(10.0, max(1.1, STEP_S / step_s)))


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(title="A step with a run that records everything / without")
    for heading in ("work", "plain step", "median", "quartiles", "first 2 s"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, object]) -> list[str]:
    steady, start = row["steady"], row["start"]
    assert isinstance(steady, list) and isinstance(start, list)
    low, middle, high = statistics.quantiles(steady, n=4) if len(steady) > 1 else steady * 3
    return [
        str(row["work"]), f"{row['step_us']:.0f} us", f"{100 * (middle - 1):+.2f} %",
        f"{100 * (low - 1):+.2f} to {100 * (high - 1):+.2f} %", f"{100 * (statistics.median(start) - 1):+.1f} %",
    ]  # fmt: skip


def _report(rows: list[dict[str, object]], machine: dict[str, str], options: argparse.Namespace) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    lines = "\n".join("| " + " | ".join(_cells(row)) + " |" for row in rows)
    return f"""# What recording everything costs a loop of 1 ms steps

`python benchmarks/step_cost.py`, {datetime.now(UTC):%Y-%m-%d}: {options.pairs} pairs of processes of
{options.seconds:g} s each. The aim is +1.5 % or less (median over the pairs). A recorded step logs ten metrics.

| work | plain step | recorded / plain, median | quartiles of the pairs | in the first 2 s |
|---|---|---|---|---|
{lines}

{facts}
"""


if __name__ == "__main__":
    main()

"""The loops that `step_cost.py` measures, in a process of their own. Prints JSON as its last line.

step_cost_loop.py --work python --turns 30       in one process, within a run that records all that it does by
                                                 default: steps that log, steps that do not, and others take turns
step_cost_loop.py --work python --alone recorded --seconds 5     only steps that log, in such a run
step_cost_loop.py --work python --alone plain --seconds 5        only steps that do not, without a run
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tracker_core as tracker

STEP_S = 1e-3
TURN_STEPS = 200
SETTLE_S = 2.0
METRICS = [f"train/metric_{i}" for i in range(10)]
Step = Callable[[int], object]
Times = dict[str, float]  # per step, in seconds: by the clock, and processor time of the loop's thread and of all


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=("python", "numpy"), required=True)
    parser.add_argument("--turns", type=int, default=0, help="rounds in which each kind of step has a turn")
    parser.add_argument("--alone", choices=("plain", "recorded"))
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--n-units", type=int, default=0, help="work of a step, from an earlier call")
    options = parser.parse_args()
    n_units = options.n_units or units_per_step(options.work)
    work = work_of(options.work, n_units)
    found: dict[str, Any] = {"n_units": n_units}
    if options.turns:
        found |= _take_turns(work, options.turns)
    if options.alone:
        found |= _alone(work, options.seconds, options.alone == "recorded")
    print(json.dumps(found))


def _take_turns(work: Step, n_rounds: int) -> dict[str, Any]:
    """Return the times of each round, and what the recorder's threads took of each second meanwhile."""
    tracker.init(project="step-cost", config={"lr": 1e-3, "model": "small"})
    with tempfile.TemporaryFile() as file:
        steps = {"plain": work, "recorded": _logged(work), "json": _written(work, file.fileno())}
        _run_seconds(steps["recorded"], SETTLE_S)  # meanwhile the environment is captured
        before, began_s = _threads(), time.perf_counter()
        rounds = []
        for number in range(n_rounds):
            names = list(steps)
            random.Random(number).shuffle(names)
            rounds.append({name: _run_steps(steps[name], TURN_STEPS) for name in names})
        wall_s = time.perf_counter() - began_s
        after = _threads()
    used = {
        name: {"cpu_s": (after[name][0] - cpu_s) / wall_s, "n_wakes": (after[name][1] - n_wakes) / wall_s}
        for name, (cpu_s, n_wakes) in before.items()
        if name in after
    }
    tracker.finish()
    return {"rounds": rounds, "threads": used}


def _alone(work: Step, seconds: float, is_recorded: bool) -> dict[str, Any]:
    """Return the times of the steps, and of a recorded loop also what its start and end cost."""
    if not is_recorded:
        _run_seconds(work, SETTLE_S)
        return {"times": _run_seconds(work, seconds)}
    others_s = time.process_time() - time.thread_time()
    began_s, began_cpu_s = time.perf_counter(), time.thread_time()
    tracker.init(project="step-cost", config={"lr": 1e-3, "model": "small"})
    start = {"init_ms": 1e3 * (time.perf_counter() - began_s), "init_cpu_ms": 1e3 * (time.thread_time() - began_cpu_s)}
    step = _logged(work)
    _run_seconds(step, SETTLE_S)
    start["others_cpu_ms"] = 1e3 * (time.process_time() - time.thread_time() - others_s)
    times = _run_seconds(step, seconds)
    began_s = time.perf_counter()
    tracker.finish()
    start["finish_ms"] = 1e3 * (time.perf_counter() - began_s)
    return {"times": times, "start": start}


def _logged(work: Step) -> Step:
    """Return a step that does the work, then logs ten metrics."""
    log = tracker.log

    def step(number: int) -> None:
        work(number)
        log(dict.fromkeys(METRICS, number * 0.5))

    return step


def _written(work: Step, fd: int) -> Step:
    """Return a step that does the work, then writes its metrics as a line of JSON: the least that any logger does."""

    def step(number: int) -> None:
        work(number)
        os.write(fd, json.dumps(dict.fromkeys(METRICS, number * 0.5)).encode() + b"\n")

    return step


def _run_seconds(step: Step, seconds: float) -> Times:
    """Run steps for about as long; return the mean times of one."""
    segments = []
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        segments.append(_run_steps(step, TURN_STEPS))
    return {name: statistics.fmean(times[name] for times in segments) for name in segments[0]}


def _run_steps(step: Step, n_steps: int) -> Times:
    """Run steps, printing a line after every 100; return the mean times of one."""
    cpu_s, all_s, wall_s = time.thread_time(), time.process_time(), time.perf_counter()
    for number in range(1, n_steps + 1):
        step(number)
        if number % 100 == 0:
            print(f"step {number}: loss 0.1234", flush=True)
    return {
        "wall_s": (time.perf_counter() - wall_s) / n_steps,
        "loop_cpu_s": (time.thread_time() - cpu_s) / n_steps,
        "all_cpu_s": (time.process_time() - all_s) / n_steps,
    }


def _threads() -> dict[str, tuple[float, float]]:
    """Return processor time in seconds and number of wake-ups of each thread but this one, by name; on Linux."""
    found = {}
    for thread in threading.enumerate():
        folder = Path(f"/proc/self/task/{thread.native_id}")
        if thread is threading.current_thread() or not folder.exists():
            continue
        cpu_ns = int((folder / "schedstat").read_text().split()[0])
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        found[thread.name] = cpu_ns / 1e9, float(status["voluntary_ctxt_switches"])
    return found


def work_of(kind: str, n_units: int) -> Step:
    """Return a step of `n_units`: in Python, which holds the interpreter's lock, or in NumPy's compiled code."""
    if kind == "python":
        generator = random.Random(7)
        text = " ".join(generator.choice("abcdefgh") * generator.randint(1, 9) for _ in range(n_units))
        return lambda number: _count_words(text)
    import numpy as np

    data = np.ones(n_units)
    return lambda number: np.sqrt(data).sum()


def _count_words(text: str) -> list[tuple[str, int]]:
    """Do what Python code mostly does: make objects and let them go.

    A loop over numbers would not do. It uses the same few blocks of memory for ever; where they lie decides on some
    per cent of its speed, and any other code that runs in between, a `json.dumps` too, has it use others.
    """
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items())


def units_per_step(kind: str) -> int:
    """Return how much work takes `STEP_S` of processor time here."""
    n_units = 1000
    for _ in range(8):
        step = work_of(kind, n_units)
        times_s = []
        for number in range(300):
            began_s = time.thread_time()
            step(number)
            times_s.append(time.thread_time() - began_s)
        step_s = statistics.median(times_s)
        if abs(step_s / STEP_S - 1) < 0.03:
            break
        n_units = max(1, round(n_units * min(10.0, STEP_S / step_s)))
    return n_units


if __name__ == "__main__":
    main()

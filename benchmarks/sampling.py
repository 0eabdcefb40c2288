"""Measure what sampling the machine and 8 GPUs costs, and what a training loop of 1 ms steps feels of it.

    python benchmarks/sampling.py [--quick]

The GPUs are those of tests/core/system/nvml_stub.c, whose calls take about as long as a driver's. The table goes to
the terminal and to `benchmarks/results/sampling.md`; a quick run writes no file.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from log_cost_machine import describe_machine
from rich.console import Console

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "sampling.md"
INTERVAL_S = 15.0
N_GPUS = 8
MAX_CORE_PERCENT = 0.2
MAX_SLOWER_PERCENT = 1.5


@dataclass(frozen=True)
class Case:
    """What is sampled: a title, the stub's commands (none: no GPU) and the number of child processes."""

    title: str
    gpus: str = ""
    n_children: int = 0


CASES = [
    Case("host alone"),
    Case("host, 300 child processes", n_children=300),
    Case("8 GPUs like A100, the driver's time asleep", f"gpus {N_GPUS};latency sleep"),
    Case("8 GPUs like H100 (GPM), the driver's time asleep", f"gpus {N_GPUS};gpm 1;latency sleep"),
    Case("8 GPUs like A100, the driver's time burnt", f"gpus {N_GPUS};latency spin"),
    Case("8 GPUs like H100 (GPM), the driver's time burnt", f"gpus {N_GPUS};gpm 1;latency spin"),
]
LOOP_CASE = CASES[3]


# Samples whose processor time is counted, and pairs of windows of the loop: one with a sample, one without.
FULL, QUICK = (40, 100), (10, 10)
# Beside a loop that never waits, each call into the driver gives the interpreter's lock up and waits 5 ms to have it
# again, so that a sample of some 130 calls takes most of a second, though little of the processor.
LOOP_INTERVAL_S, WINDOW_BEFORE_S, WINDOW_AFTER_S, APART_S = 4.0, 1.6, 0.1, 2.0


def main() -> None:
    """Measure and report, or be one of the measured processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples and pairs; writes no file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task = json.loads(options.worker)
        measured = _count_cpu(**task["count"]) if "count" in task else _loop(**task["loop"])
        print(json.dumps(measured))
        return
    _report(*(QUICK if options.quick else FULL), is_written=not options.quick)


def _report(n_samples: int, n_pairs: int, is_written: bool) -> None:
    console, began = Console(), datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        machine = describe_machine(Path(folder))
        library = _build_stub(Path(folder))
        costs = {}
        for case in CASES:
            task = {"n_samples": n_samples, "n_children": case.n_children, "has_gpus": bool(case.gpus)}
            costs[case.title] = _run({"count": task}, case, library)
            console.print(case.title, costs[case.title])
        delays_ms = _run({"loop": {"n_pairs": n_pairs}}, LOOP_CASE, library)
    text = _page(n_samples, costs, delays_ms, machine, began)
    print(text)
    if is_written:
        RESULTS.write_text(text)


def _build_stub(folder: Path) -> Path:
    sys.path.insert(0, str(REPOSITORY / "tests/core/system"))
    from nvml_stub_library import build

    return build(folder)


def _run(task: dict[str, Any], case: Case, library: Path) -> Any:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_STUB": case.gpus or "gpus 0"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        environment.pop(name, None)
    command = [sys.executable, __file__, "--worker", json.dumps(task)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


# In the measured process


def _count_cpu(n_samples: int, n_children: int, has_gpus: bool) -> dict[str, float]:
    """Return the processor time of the first sample and of each later one, in ms, of the whole process.

    Samples are taken every second: what one costs does not hang on the time since the last one.
    """
    from tracker_core.system.sampler import SystemSampler

    samples: list[int] = []
    n_threads = 2 if has_gpus else 1
    with _children(n_children):
        began_s = time.process_time()
        sampler = SystemSampler(lambda values: samples.append(len(values)), 1.0, tempfile.gettempdir())
        sampler.start()
        _wait(lambda: len(samples) >= n_threads)
        first_s = time.process_time() - began_s
        _wait(lambda: len(samples) >= 2 * n_threads)  # the second still looks for what is supported
        began_s, n_before = time.process_time(), len(samples)
        _wait(lambda: len(samples) >= n_before + n_threads * n_samples)
        each_s = (time.process_time() - began_s) / n_samples
        sampler.stop()
    n_metrics = sum(samples[-n_threads:])
    return {"first_ms": 1000 * first_s, "each_ms": 1000 * each_s, "n_metrics": n_metrics}


@contextlib.contextmanager
def _children(count: int) -> Iterator[None]:
    children = [subprocess.Popen(["sleep", "600"]) for _ in range(count)]
    yield
    for child in children:
        child.kill()
        child.wait()


def _wait(condition: Any) -> None:
    while not condition():
        time.sleep(0.05)  # 20 wake-ups a second cost some 0.2 ms of processor time, which counts as ours


def _loop(n_pairs: int) -> list[float]:
    """Return by how many ms each sample delayed a loop of 1 ms steps that runs beside it.

    The steps done in the time of a sample are compared with those done in as long a time just after, without one: on
    a shared machine, only neighbours can be compared.
    """
    from tracker_core.system.sampler import SystemSampler

    sampled_s: list[float] = []  # when a sample of the GPUs was done; that of the host is taken in the same window

    def record(values: dict[str, float]) -> None:
        if "system/gpu0/power_w" in values:
            sampled_s.append(time.perf_counter())

    n_work = _calibrated()
    sampler = SystemSampler(record, LOOP_INTERVAL_S, tempfile.gettempdir())
    sampler.start()
    _wait(lambda: len(sampled_s) >= 2)
    ends_s = [time.perf_counter()]
    while len(sampled_s) < n_pairs + 4:
        _step(n_work)
        ends_s.append(time.perf_counter())
    sampler.stop()
    step_ms = 1000 * statistics.median(b - a for a, b in itertools.pairwise(ends_s))
    delays_ms = []
    for done_s in sampled_s[3 : 3 + n_pairs]:
        with_sample, without = (_n_steps(ends_s, done_s + shift_s) for shift_s in (0.0, APART_S))
        delays_ms.append((without - with_sample) * step_ms)
    return delays_ms


def _n_steps(ends_s: list[float], at_s: float) -> float:
    """Return how many steps were done in the window around a time, with parts of the first and last one."""

    def done_by(time_s: float) -> float:
        place = bisect.bisect_right(ends_s, time_s)
        before_s, after_s = ends_s[place - 1 : place + 1]
        return place + (time_s - before_s) / (after_s - before_s)

    return done_by(at_s + WINDOW_AFTER_S) - done_by(at_s - WINDOW_BEFORE_S)


def _step(n_work: int) -> float:
    total = 0.0
    for number in range(n_work):
        total += number * 0.5
    return total


def _calibrated() -> int:
    """Return how much work takes 1 ms."""
    times = []
    for _ in range(200):
        began_s = time.perf_counter()
        _step(10_000)
        times.append(time.perf_counter() - began_s)
    return round(10_000 * 0.001 / statistics.median(times))


# The page


def _page(
    n_samples: int,
    costs: dict[str, dict[str, float]],
    delays_ms: list[float],
    machine: dict[str, str],
    began: datetime,
) -> str:
    lines = [
        "# What sampling the machine costs",
        "",
        f"Written by `python benchmarks/sampling.py` on {began:%Y-%m-%d %H:%M} UTC.",
        "",
        "| sampled | metrics | CPU, first sample (ms) | CPU, each later one (ms) | share of a core at 15 s |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_cost_row(case.title, costs[case.title]) for case in CASES),
        "",
        f"Target: 8 GPUs at most {MAX_CORE_PERCENT} % of a core at {INTERVAL_S:.0f} s: {_verdict(costs)}.",
        "",
        "| loop of 1 ms steps beside samples of 8 GPUs like H100 | pairs | median | middle half of the pairs |",
        "| --- | ---: | ---: | ---: |",
        *_delay_rows(delays_ms),
        "",
        f"Target: everything on slows the loop by at most {MAX_SLOWER_PERCENT} %; sampling is one part of that.",
        "",
        *_how(n_samples),
        "",
        "## Machine",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
    ]
    return "\n".join(lines) + "\n"


def _cost_row(title: str, cost: dict[str, float]) -> str:
    share = 100 * cost["each_ms"] / 1000 / INTERVAL_S
    return f"| {title} | {cost['n_metrics']:.0f} | {cost['first_ms']:.1f} | {cost['each_ms']:.2f} | {share:.3f} % |"


def _verdict(costs: dict[str, dict[str, float]]) -> str:
    """Judge by the calls that take their time asleep, as most of a driver's do; tell the other bound too."""
    share = {case: 100 * costs[case.title]["each_ms"] / 1000 / INTERVAL_S for case in CASES}
    asleep = max(value for case, value in share.items() if "sleep" in case.gpus)
    burnt = max(value for case, value in share.items() if "spin" in case.gpus)
    verdict = "met" if asleep <= MAX_CORE_PERCENT else "missed"
    return f"{verdict} ({asleep:.3f} %; {burnt:.3f} % if a driver burnt the processor in all its calls)"


def _delay_rows(delays_ms: list[float]) -> list[str]:
    low, median, high = statistics.quantiles(delays_ms, n=4)
    at_15_s = [100 * delay_ms / 1000 / INTERVAL_S for delay_ms in (median, low, high)]
    return [
        f"| delay by one sample | {len(delays_ms)} | {median:.2f} ms | {low:.2f} to {high:.2f} ms |",
        f"| slower, at a sample every 15 s | | {at_15_s[0]:.3f} % | {at_15_s[1]:.3f} to {at_15_s[2]:.3f} % |",
    ]


def _how(n_samples: int) -> list[str]:
    return [
        f"- CPU: processor time (user and system) of the whole process over {n_samples} samples, divided by their",
        "  number; the main thread waits meanwhile. The samples are taken every second to measure many; the share is",
        "  that time over 15 s. Samples are handed to an empty function; writing one to the journal is measured by",
        "  `log_cost.py`. The first sample also imports psutil and pynvml, opens the driver and finds out what it has.",
        "- GPUs: no GPU machine was at hand, so the library is a stand-in in C with assumed times per call (0.1 ms for",
        "  most, 0.3 ms power, 0.5 ms field values, 1 ms processes, 1.5 ms a GPM sample, 20 ms asleep for watching the",
        "  PCIe bus, 30 ms to open). `Asleep` and `burnt` are the bounds: how much of a call's time a driver spends on",
        "  the processor is not known here. The A100 has no GPM, so its bus is watched: 16 calls of 20 ms, asleep.",
        f"- Loop: pure Python, which never waits, beside a sample every {LOOP_INTERVAL_S:g} s. A pair is the steps",
        "  done in the 1.7 s around a sample and those done in the next 1.7 s without one: on a machine that others",
        "  use too, whole loops with and without sampling differ by more than what is to be measured. The width of",
        "  the middle half of the pairs is that noise, and not the samples'.",
    ]


if __name__ == "__main__":
    main()

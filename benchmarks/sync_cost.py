"""Measure what sending a run to a server costs its training: `log`, a step, `init`, `finish`, memory.

    python benchmarks/sync_cost.py [--rounds 8] [--seconds 6]

A training loop of 1 ms steps logs eight metrics a step. It runs offline and online, with a server that answers, one
that is down (connections are refused) and one that is a black hole (connections are taken, nothing is ever answered);
what is sent goes through a process beside the training, as it does by default, or through a thread of the training. One
process a case, all cases in turn in each round, so that what else the machine does meets all of them alike. The server
runs on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from log_cost_machine import describe_machine, load_average
from rich.console import Console
from rich.progress import track
from sync_server import TrackerServer, quantile
from tables import markdown_table

BENCHMARKS = Path(__file__).parent
CASES = ("offline", "up", "down", "black hole", "up, thread", "down, thread", "black hole, thread")
HEADINGS = (
    "case",
    "log() p50",
    "log() p99",
    "step p50",
    "step p99",
    "init",
    "finish",
    "training's RSS",
    "sender's RSS",
)
_MAX_P50, _MAX_P99 = 1.2, 2.0
_SETTLE_S = 1.5

Samples = dict[str, list[float]]


def main() -> None:
    """Run the benchmark and write its page."""
    parser = argparse.ArgumentParser(description="What sending a run costs its training.")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--no-page", action="store_true", help="only print")
    args = parser.parse_args()
    if args.worker is not None:
        print(json.dumps(work(args.worker, args.seconds)))
        return
    machine = describe_machine(Path(tempfile.gettempdir()))
    found = measure(args.rounds, args.seconds)
    page = report(found, machine, args)
    Console().print(page, highlight=False, markup=False)
    if not args.no_page:
        (BENCHMARKS / "results" / "sync_cost.md").write_text(page)


def measure(n_rounds: int, seconds: float) -> dict[str, Samples]:
    """Return all samples, by case and measure."""
    found: dict[str, Samples] = {case: {} for case in CASES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        server = stack.enter_context(TrackerServer(folder / "server"))
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        addresses = {
            "up": server.url,
            "down": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "black hole": f"http://127.0.0.1:{hole.getsockname()[1]}",
        }
        turns = [(number, case) for number in range(n_rounds) for case in _turned(number)]
        for number, case in track(turns, "Training", console=Console(stderr=True)):
            own = folder / f"{number}-{case}".replace(", ", "-").replace(" ", "-")
            for name, values in run_worker(case, seconds, own, addresses, server.key).items():
                found[case].setdefault(name, []).extend(values)
    return found


def _turned(number: int) -> tuple[str, ...]:
    """Return the cases, in each round another one first."""
    start = number % len(CASES)
    return CASES[start:] + CASES[:start]


def run_worker(case: str, seconds: float, folder: Path, addresses: dict[str, str], key: str) -> Samples:
    """Train in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
    environ |= {"TRACKER_DIR": str(folder), "TRACKER_QUIET": "1", "TRACKER_SLOW_WRITE_S": "30"}
    environ |= {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
    environ |= {"TRACKER_CONFIG_DIR": str(folder / "none"), "TRACKER_SYNC_TIMEOUT_S": "3"}
    address = addresses.get(case.partition(",")[0])
    environ |= {"TRACKER_BASE_URL": address, "TRACKER_API_KEY": key} if address else {}
    command = [sys.executable, __file__, "--worker", case, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environ, cwd=BENCHMARKS.parent, capture_output=True, text=True, check=True)
    found: Samples = json.loads(done.stdout.splitlines()[-1])
    return found


def work(case: str, seconds: float) -> Samples:
    """Train for so long; return the times of each `log` and step in s, and the rest once."""
    import time
    from time import perf_counter

    sys.path.insert(0, str(BENCHMARKS.parent))
    import psutil

    import tracker_core
    from tracker_core.sync.sender_status import read_statuses

    if case.endswith("thread"):
        sys.executable = ""  # no process can be started then
    began_s = perf_counter()
    run = tracker_core.init(project="bench")
    init_s = perf_counter() - began_s
    time.sleep(_SETTLE_S)
    log_s, step_s = [], []
    names = [f"metric{number}" for number in range(8)]
    until_s = perf_counter() + seconds
    while (began_s := perf_counter()) < until_s:
        while perf_counter() < began_s + 0.001:
            pass
        row = dict.fromkeys(names, began_s)
        logs_s = perf_counter()
        run.log(row)
        ended_s = perf_counter()
        log_s.append(ended_s - logs_s)
        step_s.append(ended_s - began_s)
    statuses = [status for _, status in read_statuses(os.environ["TRACKER_DIR"]) if status.is_running]
    sender = psutil.Process(statuses[0].pid) if statuses and statuses[0].pid != os.getpid() else None
    rss = psutil.Process().memory_info().rss
    found: Samples = {"log_s": log_s, "step_s": step_s, "init_s": [init_s], "rss": [rss]}
    if sender is not None:
        times = sender.cpu_times()
        found |= {"sender_rss": [sender.memory_info().rss], "sender_cpu_s": [times.user + times.system]}
    began_s = perf_counter()
    run.finish()
    found["finish_s"] = [perf_counter() - began_s]
    if sender is not None:
        sender.terminate()
    return found


def report(found: dict[str, Samples], machine: dict[str, str], args: argparse.Namespace) -> str:
    """Return the page."""
    lines = [cells(case, samples, found["offline"]) for case, samples in found.items()]
    lines_of_machine = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    n_steps = min(len(samples["log_s"]) for samples in found.values())
    verdicts = "\n".join(verdict(case, found[case], found["offline"]) for case in CASES[1:])
    return f"""# What sending a run costs its training

Written by `benchmarks/sync_cost.py` on {datetime.now(UTC):%Y-%m-%d}. A training loop of 1 ms steps logs eight metrics a
step; {args.rounds} processes a case, in turn, at least {n_steps:,} steps a case. The server runs on the same machine.
"down": connections are refused. "black hole": they are taken, and nothing is answered. "thread": what is sent goes
through a thread of the training in place of a process beside it. finish() waits at most 3 s here. Medians over
processes, but for the quantiles, which are over all steps.

{markdown_table(list(HEADINGS), lines)}

Aims: p50 of log() within 20 % of offline, p99 within twice of it.

{verdicts}

{lines_of_machine}
- load average at the end: {load_average()}
"""


def cells(case: str, samples: Samples, offline: Samples) -> list[str]:
    """Return a row of the table."""

    def quantile_of(name: str, share: float, unit: float, suffix: str) -> str:
        value, before = quantile(samples[name], share), quantile(offline[name], share)
        compared = "" if samples is offline else f" ({100 * (value / before - 1):+.0f} %)"
        return f"{value * unit:.1f} {suffix}{compared}"

    def median_of(name: str, unit: float, suffix: str) -> str:
        return f"{statistics.median(samples[name]) * unit:.1f} {suffix}" if name in samples else ""

    return [
        case,
        quantile_of("log_s", 0.5, 1e6, "us"),
        quantile_of("log_s", 0.99, 1e6, "us"),
        quantile_of("step_s", 0.5, 1e3, "ms"),
        quantile_of("step_s", 0.99, 1e3, "ms"),
        median_of("init_s", 1e3, "ms"),
        median_of("finish_s", 1e3, "ms"),
        median_of("rss", 2.0**-20, "MiB"),
        median_of("sender_rss", 2.0**-20, "MiB"),
    ]


def verdict(case: str, samples: Samples, offline: Samples) -> str:
    """Say whether a case keeps within the aims."""
    p50, p99 = (quantile(samples["log_s"], share) / quantile(offline["log_s"], share) for share in (0.5, 0.99))
    word = "within" if p50 <= _MAX_P50 and p99 <= _MAX_P99 else "NOT within"
    cpu = samples.get("sender_cpu_s")
    used = f"; the sender's processor time is {statistics.median(cpu):.2f} s a process" if cpu else ""
    return f"- {case}: p50 x {p50:.2f}, p99 x {p99:.2f}, {word} the aims{used}"


if __name__ == "__main__":
    main()

"""Measure how long reads take: what a page asks a running server, and what `Api` asks a folder and a server; print it.

python benchmarks/http_reads.py
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable

import httpx
from rich.console import Console
from tables import number

import tracker_core
from tracker_core.api import Api
from tracker_server.http.ui_server import UiServer, run_in_background

N_POINTS = 10_000
N_LONG = 1_000_000
N_ROWS = 100_000
N_RUNS = 60
REPEATS = 30
URL = "/api/v1/projects/reads"
_QUIET = {"quiet": True, "console": "off", "system_interval_s": 0, "capture_environment": False}


def main() -> None:
    """Log some runs, start a server, ask."""
    with tempfile.TemporaryDirectory(prefix="reads-") as folder:
        _log(folder)
        server = run_in_background(folder)
        try:
            with httpx.Client(base_url=server.base_url) as client:
                client.get(server.login_url())
                _ask(client)
            _ask_both(folder, server)
        finally:
            server.close()


def _log(folder: str) -> None:
    for run_id, n_rows in (("a", N_POINTS), ("long", N_LONG)):
        run = tracker_core.init(project="reads", id=run_id, dir=folder, settings=_QUIET)
        for step in range(n_rows):
            run.log({"loss": math.sin(step) * step})
        run.finish()
    run = tracker_core.init(project="reads", id="wide", dir=folder, settings=_QUIET)
    for step in range(N_ROWS):
        run.log({"loss": math.sin(step) * step, "accuracy": step / 7, "lr": 1e-3, "count": step})
    run.finish()
    for place in range(N_RUNS):
        run = tracker_core.init(project="runs", id=f"r{place}", dir=folder, settings=_QUIET, config={"lr": place})
        run.log({"loss": 1.0, "accuracy": 0.5})
        run.finish()


def _ask(client: httpx.Client) -> None:
    chart = {"runs": ["a"], "metric": "loss", "n_buckets": 1000}
    questions: dict[str, Callable[[], httpx.Response]] = {
        f"a series of {N_POINTS:,} points, JSON": lambda: client.get(f"{URL}/runs/a/series", params={"key": "loss"}),
        "its chart on 1,000 buckets, binary": lambda: client.post(f"{URL}/chart", json=chart),
        "a page of runs": lambda: client.get(f"{URL}/runs", params={"filter": 'state == "finished"', "limit": 100}),
    }
    for name, ask in questions.items():
        _tell(name, lambda ask=ask: ask().raise_for_status(), REPEATS)


def _ask_both(folder: str, server: UiServer) -> None:
    questions: dict[str, tuple[int, Callable[[Api], object]]] = {
        "one run": (REPEATS, lambda api: api.run("runs/r1")),
        "a page of 50 runs": (REPEATS, lambda api: api.runs("runs", per_page=50)[:50]),
        f"a series of {N_LONG:,} points": (5, lambda api: api.run("reads/long").series("loss")),
        f"history of {N_ROWS:,} rows": (3, lambda api: api.run("reads/wide").history()),
        f"{N_LONG:,} rows, one after the other": (1, lambda api: _count(api.run("reads/long").scan_history())),
    }
    apis = {"folder": Api(folder), "server": Api(base_url=server.base_url, api_key=server.auth.token)}
    for name, (repeats, ask) in questions.items():
        for place, api in apis.items():
            _tell(f"Api, {name}, of a {place}", lambda ask=ask, api=api: ask(api), repeats)


def _count(rows: object) -> int:
    return sum(1 for _ in rows)  # type: ignore[attr-defined]


def _tell(name: str, ask: Callable[[], object], repeats: int) -> None:
    took_ms = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        ask()
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    median, least = statistics.median(took_ms), min(took_ms)
    Console().print(f"{name}: median {number(median)} ms, least {number(least)} ms")


if __name__ == "__main__":
    main()

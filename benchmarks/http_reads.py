"""Measure how long a running server takes to answer: a series, a chart, a page of runs; and print it.

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
from tracker_server.http.ui_server import run_in_background

N_POINTS = 10_000
REPEATS = 30
URL = "/api/v1/projects/reads"


def main() -> None:
    """Log one run, start a server, ask."""
    with tempfile.TemporaryDirectory(prefix="reads-") as folder:
        run = tracker_core.init(project="reads", id="a", dir=folder, settings={"quiet": True})
        for step in range(N_POINTS):
            run.log({"loss": math.sin(step) * step})
        run.finish()
        server = run_in_background(folder)
        try:
            with httpx.Client(base_url=server.base_url) as client:
                client.get(server.login_url())
                _ask(client)
        finally:
            server.close()


def _ask(client: httpx.Client) -> None:
    chart = {"runs": ["a"], "metric": "loss", "n_buckets": 1000}
    questions: dict[str, Callable[[], httpx.Response]] = {
        f"a series of {N_POINTS:,} points, JSON": lambda: client.get(f"{URL}/runs/a/series", params={"key": "loss"}),
        "its chart on 1,000 buckets, binary": lambda: client.post(f"{URL}/chart", json=chart),
        "a page of runs": lambda: client.get(f"{URL}/runs", params={"filter": 'state == "finished"', "limit": 100}),
    }
    for name, ask in questions.items():
        took_ms = []
        for _ in range(REPEATS):
            began_s = time.perf_counter()
            ask().raise_for_status()
            took_ms.append((time.perf_counter() - began_s) * 1e3)
        median, least = statistics.median(took_ms), min(took_ms)
        Console().print(f"{name}: median {number(median)} ms, least {number(least)} ms")


if __name__ == "__main__":
    main()

"""Measure a `tracker server` under load: how soon it acknowledges, how soon it draws, and that it has every row once.

    python benchmarks/sync_load.py [--seconds 60] [--store sqlite|postgres|both | --database-url URL] [--no-page]

64 clients log 500 points a second each and post them once a second, on the machine of the server. Meanwhile charts of
their runs are asked for. In the end what the server keeps is compared with what the clients wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests
from log_cost_machine import describe_machine
from rich.console import Console
from rich.markdown import Markdown
from sync_load_clients import N_METRICS, PROJECT
from sync_server import ROOT, TrackerServer, Usage, postgres, quantile
from tables import markdown_table, number

PAGE = Path(__file__).parent / "results" / "sync_load.md"
CLIENTS = Path(__file__).parent / "sync_load_clients.py"
N_CLIENTS, POINTS_S, N_PROCESSES = 64, 500, 2
ACK_MS, CHART_MS = 250, 500
_READ_INTERVAL_S = 0.25
_SETTLE_S = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one run of the load showed; times in seconds, one number a request."""

    store: str
    seconds: float
    ack_s: list[float]
    chart_s: list[float]
    n_points: int
    n_lost: int
    n_doubled: int
    n_troubles: int
    troubles: list[str]
    cpu_share: float
    clients_share: float
    rss_mib: tuple[float, float]
    load: tuple[float, float]

    def lines(self) -> list[list[str]]:
        """Return the lines of the table."""
        return [
            ["points sent", f"{self.n_points:,}", ""],
            ["points lost, doubled", f"{self.n_lost}, {self.n_doubled}", "0, 0"],
            ["requests that failed and were sent again", str(self.n_troubles), ""],
            ["ack p50, ms", number(quantile(self.ack_s, 0.5) * 1e3), ""],
            ["ack p99, ms", number(quantile(self.ack_s, 0.99) * 1e3), f"≤ {ACK_MS}"],
            ["ack longest, ms", number(max(self.ack_s) * 1e3), ""],
            ["chart p50, ms", number(quantile(self.chart_s, 0.5) * 1e3), ""],
            ["chart p99, ms", number(quantile(self.chart_s, 0.99) * 1e3), f"≤ {CHART_MS}"],
            ["processor of the server, of one core", f"{self.cpu_share:.0%}", ""],
            ["processor of the clients, of one core", f"{self.clients_share:.0%}", ""],
            ["memory of the server at the start and at most, MiB", " and ".join(map(number, self.rss_mib)), ""],
            ["load average of the machine, least and most", f"{self.load[0]:.1f} to {self.load[1]:.1f}", ""],
        ]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=N_CLIENTS)
    parser.add_argument("--points", type=int, default=POINTS_S, help="points a second of each client")
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="sqlite")
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database instead")
    parser.add_argument("--no-page", action="store_true", help="print only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        machine = describe_machine(Path(place))
        found = list(_measure_all(Path(place), args))
    text = _page(found, machine, args)
    Console().print(Markdown(text))
    if not args.no_page:
        PAGE.write_text(text, encoding="utf-8")
    if any(one.n_lost or one.n_doubled for one in found):
        raise SystemExit("rows were lost or doubled")


def _measure_all(place: Path, args: argparse.Namespace) -> Iterator[Found]:
    if args.database_url:
        yield _measure(place / "given", "PostgreSQL", args.database_url, args)
        return
    if args.store != "postgres":
        yield _measure(place / "folder", "SQLite", "", args)
    if args.store != "sqlite":
        with postgres() as url:
            yield _measure(place / "postgres", "PostgreSQL", url, args)


def _measure(place: Path, store: str, url: str, args: argparse.Namespace) -> Found:
    local = place / "clients"
    with TrackerServer(place / "server", url) as server, Usage(server.process) as usage:
        began_s = time.monotonic()
        workers = _start_clients(local, server, args)
        with _charts_read(server, args) as chart_s:
            found = [_result(worker) for worker in workers]
        seconds = time.monotonic() - began_s
        rows = {run: n for one in found for run, n in one["n_rows"].items()}
        n_lost, n_doubled = _compare(local, server, rows)
    shutil.rmtree(place)
    return Found(
        store,
        args.seconds,
        [s for one in found for s in one["ack_s"]],
        chart_s,
        sum(rows.values()) * N_METRICS,
        n_lost,
        n_doubled,
        sum(one["n_troubles"] for one in found),
        sorted({text for one in found for text in one["troubles"]}),
        usage.cpu_share,
        sum(one["cpu_s"] for one in found) / seconds,
        (usage.rss_mib[0], max(usage.rss_mib)),
        (min(usage.load), max(usage.load)),
    )


def _start_clients(local: Path, server: TrackerServer, args: argparse.Namespace) -> list[subprocess.Popen[str]]:
    told = {"folder": str(local), "port": server.port, "seconds": args.seconds}
    told["rows_s"] = max(1, args.points // N_METRICS)
    environ = {**os.environ, "LOAD_KEY": server.key, "PYTHONPATH": str(ROOT)}
    started = []
    for i in range(N_PROCESSES):
        told["numbers"] = list(range(i, args.clients, N_PROCESSES))
        command = [sys.executable, str(CLIENTS), json.dumps(told)]
        started.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True))
    return started


def _result(worker: subprocess.Popen[str]) -> dict:
    out, _ = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"clients ended with {worker.returncode}")
    return dict(json.loads(out))


@contextlib.contextmanager
def _charts_read(server: TrackerServer, args: argparse.Namespace) -> Iterator[list[float]]:
    """Ask for charts of some runs, over and over from a thread, until the block ends; yields what each took."""
    took_s: list[float] = []
    end = threading.Event()

    def read() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {server.key}"
            while not end.wait(_READ_INTERVAL_S):
                runs = [f"run{n:03}" for n in random.sample(range(args.clients), min(10, args.clients))]
                body = {"runs": runs, "metric": f"train/metric{random.randrange(N_METRICS)}"}
                began_s = time.perf_counter()
                reply = session.post(f"{server.url}/api/v1/projects/{PROJECT}/chart", json=body, timeout=60)
                if reply.ok:
                    took_s.append(time.perf_counter() - began_s)
                elif reply.status_code != 404:  # before the first run is there
                    print(reply.status_code, reply.text[:300], file=sys.stderr)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield took_s
    finally:
        end.set()
        thread.join()


def _compare(local: Path, server: TrackerServer, rows: dict[str, int]) -> tuple[int, int]:
    """Return how many points the server lacks and how many it has more than once, by its own answers."""
    n_lost = n_doubled = 0
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {server.key}"
        for run, n_rows in rows.items():
            steps = _steps(session, server, run, n_rows)
            n_lost += (n_rows - len(set(steps) & set(range(n_rows)))) * N_METRICS
            n_doubled += (len(steps) - len(set(steps))) * N_METRICS
    for path in () if server.database_url else local.rglob("*.journal"):
        if (server.folder / path.relative_to(local)).read_bytes() != path.read_bytes():
            raise SystemExit(f"{path.name} is another on the server")
    return n_lost, n_doubled


def _steps(session: requests.Session, server: TrackerServer, run: str, n_rows: int) -> list[int]:
    """Return the steps of one metric, when all are readable or time is up."""
    url = f"{server.url}/api/v1/projects/{PROJECT}/runs/{run}/series"
    deadline_s = time.monotonic() + _SETTLE_S
    while True:
        reply = session.get(url, params={"key": "train/metric0"}, timeout=60)
        steps: list[int] = reply.json()["steps"] if reply.ok else []
        if len(steps) >= n_rows or time.monotonic() > deadline_s:
            return steps
        time.sleep(0.2)


def _page(found: list[Found], machine: dict[str, str], args: argparse.Namespace) -> str:
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    lines = [list(cells) for cells in zip(*(one.lines() for one in found), strict=True)]
    header = ["", *[one.store for one in found], "aim"]
    table = [[cells[0][0], *[cell[1] for cell in cells], cells[0][2]] for cells in lines]
    troubles = [text for one in found for text in one.troubles]
    return "\n".join(
        [
            "# A server under load",
            "",
            f"Written by `python benchmarks/sync_load.py` on {written}: {args.clients} clients, {args.points} points a"
            f" second each, for {args.seconds:.0f} s; {POINTS_S // N_METRICS} rows of {N_METRICS} metrics a second,"
            " posted once a second. Ten runs' charts are asked for four times a second. Server, clients and reader"
            " share the machine. In the end the steps of every run are asked of the server, and where it keeps"
            " journals as files they are compared with the clients', byte for byte.",
            "",
            markdown_table(header, table, is_text=True),
            "",
            *[f"- {text}" for text in troubles],
            "- An acknowledgement means that the bytes are on the device (SQLite: the journal's file is flushed;"
            " PostgreSQL: the transaction is committed, with its settings after installation).",
            "",
            "## Machine",
            "",
            *[f"- {name}: {value}" for name, value in machine.items()],
            "",
        ]
    )


if __name__ == "__main__":
    main()

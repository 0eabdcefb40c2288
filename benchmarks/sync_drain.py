"""Measure how fast one client sends a long offline run to a `tracker server` on the same machine.

    python benchmarks/sync_drain.py [--rows 1000000] [--store sqlite|postgres|both] [--no-page]

The journal is sent by `tracker sync`. Two instants count: when all of it is acknowledged, and when the server gives
back every point of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests
from ingest_journals import N_METRICS, write_journals
from log_cost_machine import describe_machine
from rich.console import Console
from rich.markdown import Markdown
from sync_server import ROOT, TrackerServer, Usage, postgres
from tables import markdown_table, number

PAGE = Path(__file__).parent / "results" / "sync_drain.md"
AIM_POINTS_S = 500_000
_READABLE_S = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one drain showed."""

    store: str
    n_points: int
    n_bytes: int
    acked_s: float
    readable_s: float
    server_rss_mib: float
    client_rss_mib: float
    load: tuple[float, float]

    def lines(self) -> list[list[str]]:
        """Return the lines of the table."""
        return [
            ["points a second until acknowledged", f"{self.n_points / self.acked_s:,.0f}", f"≥ {AIM_POINTS_S:,}"],
            ["points a second until readable", f"{self.n_points / self.readable_s:,.0f}", ""],
            ["seconds until acknowledged, readable", f"{number(self.acked_s)}, {number(self.readable_s)}", ""],
            ["journal, MiB", number(self.n_bytes / 2**20), ""],
            ["memory of the server at most, MiB", number(self.server_rss_mib), ""],
            ["memory of the client at most, MiB", number(self.client_rss_mib), ""],
            ["load average of the machine, least and most", f"{self.load[0]:.1f} to {self.load[1]:.1f}", ""],
        ]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help=f"of {N_METRICS} metrics each")
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="sqlite")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--no-page", action="store_true", help="print only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        machine = describe_machine(Path(place))
        found = list(_measure_all(Path(place), args))
    text = _page(found, machine, args)
    Console().print(Markdown(text))
    if not args.no_page:
        PAGE.write_text(text, encoding="utf-8")


def _measure_all(place: Path, args: argparse.Namespace) -> Iterator[Found]:
    local = place / "client" / ".tracker"
    n_bytes = write_journals(local, 1, args.rows)
    if args.store != "postgres":
        yield _best(place, local, n_bytes, "SQLite", args)
    if args.store != "sqlite":
        yield _best(place, local, n_bytes, "PostgreSQL", args)


def _best(place: Path, local: Path, n_bytes: int, store: str, args: argparse.Namespace) -> Found:
    found = []
    for i in range(args.repeats):
        if store == "PostgreSQL":
            with postgres() as url:
                found.append(_measure(place / f"{store}{i}", local, n_bytes, store, url, args.rows))
        else:
            found.append(_measure(place / f"{store}{i}", local, n_bytes, store, "", args.rows))
    return min(found, key=lambda one: one.readable_s)


def _measure(place: Path, local: Path, n_bytes: int, store: str, url: str, n_rows: int) -> Found:
    shutil.rmtree(local / "sync", ignore_errors=True)
    with TrackerServer(place / "server", url) as server, Usage(server.process) as usage:
        environ = {**os.environ, "TRACKER_API_KEY": server.key, "TRACKER_BASE_URL": server.url}
        command = [sys.executable, "-m", "tracker_server.cli", "sync", str(local)]
        began_s = time.monotonic()
        client = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with Usage(psutil.Process(client.pid)) as client_usage:
            out, _ = client.communicate()
        acked_s = time.monotonic() - began_s
        if client.returncode:
            raise SystemExit(out.decode())
        readable_s = _until_readable(server, n_rows, began_s)
    shutil.rmtree(place)
    client_mib, load = max(client_usage.rss_mib), (min(usage.load), max(usage.load))
    return Found(store, n_rows * N_METRICS, n_bytes, acked_s, readable_s, max(usage.rss_mib), client_mib, load)


def _until_readable(server: TrackerServer, n_rows: int, began_s: float) -> float:
    url = f"{server.url}/api/v1/projects/ingest/runs/run0000"
    headers = {"Authorization": f"Bearer {server.key}"}
    while True:
        reply = requests.get(url, headers=headers, timeout=60)
        if reply.ok and reply.json()["n_rows"] == n_rows:
            break
        if time.monotonic() - began_s > _READABLE_S:
            raise SystemExit(f"not readable after {_READABLE_S} s: {reply.text[:500]}")
        time.sleep(0.05)
    return time.monotonic() - began_s


def _page(found: list[Found], machine: dict[str, str], args: argparse.Namespace) -> str:
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    lines = [list(cells) for cells in zip(*(one.lines() for one in found), strict=True)]
    header = ["", *[one.store for one in found], "aim"]
    table = [[cells[0][0], *[cell[1] for cell in cells], cells[0][2]] for cells in lines]
    return "\n".join(
        [
            "# How fast one client drains",
            "",
            f"Written by `python benchmarks/sync_drain.py` on {written}: an offline run of {args.rows:,} rows of"
            f" {N_METRICS} metrics, random walks of float64, sent by `tracker sync` over loopback. Client and server"
            f" share the machine; the time is that of the whole command, its start included; best of {args.repeats}.",
            "",
            markdown_table(header, table, is_text=True),
            "",
            "## Machine",
            "",
            *[f"- {name}: {value}" for name, value in machine.items()],
            "",
        ]
    )


if __name__ == "__main__":
    main()

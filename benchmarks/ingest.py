"""Measure how fast journals on disk are taken in, into SQLite and PostgreSQL, and how much memory that needs.

    python benchmarks/ingest.py [--quick]

Every row that was written is counted in the store afterwards. PostgreSQL runs in a temporary folder on the same disk
and the same cores, with the settings that it has after installation. The page has the best of several runs: other
programs on the machine only ever make one slower.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest_journals import N_METRICS, write_journals
from log_cost_machine import describe_machine
from rich.console import Console
from rich.markdown import Markdown
from tables import markdown_table, number

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).parent / "results" / "ingest.md"
WORKER = Path(__file__).parent / "ingest_worker.py"
# Million points a second at least, MiB of resident memory at most.
TARGETS = {"SQLite": 2.0, "PostgreSQL": 0.8}
MAX_RSS_MIB = 200


@dataclass(frozen=True, slots=True)
class Backlog:
    """Journals that wait: runs, and rows of each."""

    n_runs: int
    n_rows: int

    @property
    def n_points(self) -> int:
        """The values of all rows."""
        return self.n_runs * self.n_rows * N_METRICS

    def __str__(self) -> str:
        return f"{self.n_runs:,} run{'s' * (self.n_runs > 1)} of {self.n_rows:,} rows"


FULL = [Backlog(5, 100_000), Backlog(25, 100_000), Backlog(1, 1_000_000), Backlog(500, 500)]
QUICK = [Backlog(4, 20_000), Backlog(100, 200)]


@dataclass(frozen=True, slots=True)
class Taken:
    """One backlog taken in, by the best of several runs."""

    backlog: Backlog
    store: str
    points_s: float
    cpu_share: float
    rss_mib: float
    bytes_per_point: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
        rate = f"{number(self.points_s / 1e6)} (aim: {TARGETS[self.store]})"
        needed = [f"{self.cpu_share:.0%}", number(self.rss_mib), number(self.bytes_per_point)]
        return [str(self.backlog), self.store, rate, *needed]


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description="measure how fast journals are taken in")
    parser.add_argument("--quick", action="store_true", help="small backlogs; writes no page")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts (default 3)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place, _postgres() as server:
        machine = describe_machine(Path(place))
        found = [
            taken
            for backlog in (QUICK if args.quick else FULL)
            for taken in _measure(Path(place), backlog, server, 1 if args.quick else args.repeats)
        ]
    text = _page(found, machine)
    Console().print(Markdown(text))
    if not args.quick:
        PAGE.write_text(text, encoding="utf-8")


@contextmanager
def _postgres() -> Iterator[object]:
    """Start PostgreSQL as the tests do, but as careful as it is by default; yields None where there is none."""
    sys.path.insert(0, str(ROOT))
    from tests.postgres import PostgresServer, bindir

    programs = bindir()
    if programs is None:
        print("PostgreSQL is not installed: only SQLite is measured")
        yield None
        return
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    server = PostgresServer(programs, folder, {"listen_addresses": "127.0.0.1"})
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _measure(place: Path, backlog: Backlog, server: object, n_repeats: int) -> Iterator[Taken]:
    folder = place / "backlog" / ".tracker"
    write_journals(folder, backlog.n_runs, backlog.n_rows)
    for store in TARGETS:
        if store == "SQLite" or server is not None:
            yield min(
                (_take_in(folder, backlog, store, server) for _ in range(n_repeats)), key=lambda taken: -taken.points_s
            )
    shutil.rmtree(place / "backlog")


def _take_in(folder: Path, backlog: Backlog, store: str, server: object) -> Taken:
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    url = server.new_store() if store == "PostgreSQL" else ""  # type: ignore[attr-defined]
    shown = subprocess.run([sys.executable, WORKER, folder, url], check=True, capture_output=True, text=True).stdout
    found = json.loads(shown)
    status = _status(folder, url)
    if status["n_rows"] != backlog.n_runs * backlog.n_rows or status["n_closed"] != backlog.n_runs:
        raise AssertionError(f"{store} has {status['n_rows']} rows of {backlog}")
    rate = backlog.n_points / found["seconds"]
    share, size = found["cpu_s"] / found["seconds"], status["size_bytes"] / backlog.n_points
    return Taken(backlog, store, rate, share, found["rss_mib"], size)


def _status(folder: Path, url: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tracker_server.cli", "db", "status", "--json", "--dir", str(folder)]
    command += ["--database-url", url] if url else []
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout))


def _page(found: list[Taken], machine: dict[str, str]) -> str:
    header = ["backlog", "store", "million points a second", "processor time of ours", "memory, MiB", "bytes a point"]
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    largest = max(taken.rss_mib for taken in found)
    return "\n".join(
        [
            "# How fast journals are taken in",
            "",
            f"Written by `python benchmarks/ingest.py` on {written}. Rows of {N_METRICS} metrics, random walks of"
            " float64, read from journals on disk, checked, packed and committed; what is kept is counted afterwards.",
            "",
            markdown_table(header, [taken.cells() for taken in found], is_text=True),
            "",
            f"- Memory: the largest resident size of the process, at most {number(largest)} MiB (aim:"
            f" {MAX_RSS_MIB}), of which about 60 MiB are Python, NumPy and the other libraries. It hardly grows with"
            " the backlog: the first lines differ by a factor of five.",
            "- Short runs cost more each: a fold, chunks and rows of tables, and on PostgreSQL a dozen statements.",
            "- Processor time of ours: of one core. On PostgreSQL the rest is the server's, on the same cores.",
            "- PostgreSQL: each byte of a journal goes into the tail table first, is read from there, and is deleted"
            " when it is sealed. Bytes a point count the whole database, and what was deleted and is not used again"
            " yet.",
            "",
            "## Machine",
            "",
            *[f"- {name}: {value}" for name, value in machine.items()],
            "",
        ]
    )


if __name__ == "__main__":
    main()

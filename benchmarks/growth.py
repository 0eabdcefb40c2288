"""Measure how cost grows with the size of the store: taking in, charts, finding runs; and draw it.

    python benchmarks/growth.py [--full]

Without `--full` it ends at 10^7 points and 10^4 runs, which takes some minutes; with it at 10^8 and 10^5. Drawing needs
matplotlib (extra `bench`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chart_stores import PROJECT, Long, every, make_store
from ingest_journals import N_METRICS, write_journals
from log_cost_machine import describe_machine
from rich.console import Console
from run_search import measure
from tables import markdown_table, number

from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.query.folder import LocalFolder

RESULTS = Path(__file__).parent / "results"
IMAGE = Path(__file__).parent.parent / "docs" / "images" / "growth.svg"
WORKER = Path(__file__).parent / "ingest_worker.py"
N_LINES = 100
N_BUCKETS = 1000
REPEATS = 5
FILTERED = "filter of 3 keys, sorted by a summary key"


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured: a value for each size of the store."""

    title: str
    x_label: str
    y_label: str
    sizes: list[int]
    values: list[float]


def main() -> None:
    """Measure, write the page and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="up to 10^8 points and 10^5 runs")
    parser.add_argument("--folder", type=Path, help="where stores are made (default: the system's)")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="growth-") as base:
        machine = describe_machine(Path(base))
        curves = []
        for curve in _curves(Path(base), options.full):
            console.print(f"{curve.title}: {', '.join(map(number, curve.values))} {curve.y_label}")
            curves.append(curve)
    (RESULTS / "growth.md").write_text(_page(curves, machine))
    draw_curves(curves, IMAGE)
    console.print(f"written: {RESULTS / 'growth.md'}, {IMAGE}")


def _curves(base: Path, is_full: bool) -> Iterator[Curve]:
    points = [10**5, 10**6, 10**7, *([10**8] if is_full else [])]
    runs = [100, 1000, 10_000, *([100_000] if is_full else [])]
    rates = [_ingest_rate(base / f"ingest{n}", n) for n in points]
    yield Curve("Taking in journals", "points in the backlog", "million points/s", points, rates)
    charts = [_chart_ms(base / f"chart{n}", n) for n in points]
    yield Curve(f"A chart of {N_LINES} runs", "points of its metric", "ms", points, charts)
    tables = [_table_ms(base / f"table{n}", n) for n in runs]
    yield Curve("Filter, sort, first 100 of the runs", "runs in the store", "ms", runs, tables)


def _ingest_rate(folder: Path, n_points: int) -> float:
    n_rows = n_points // N_METRICS
    n_runs = max(1, n_rows // 100_000)
    write_journals(folder / ".tracker", n_runs, n_rows // n_runs)
    command = [sys.executable, str(WORKER), str(folder / ".tracker"), ""]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return n_points / float(found["seconds"]) / 1e6


def _chart_ms(folder: Path, n_points: int) -> float:
    folder.mkdir()
    ids = make_store(folder, Long(N_LINES, n_points // N_LINES, every(1)))
    store = LocalFolder(folder)
    store.refresh()
    request = ChartRequest(ids, "loss", n_buckets=N_BUCKETS)
    took_ms = []
    for _ in range(REPEATS + 1):
        began_s = time.perf_counter()
        draw(store, PROJECT, request)
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    store.close()
    return statistics.median(took_ms[1:])


def _table_ms(folder: Path, n_runs: int) -> float:
    folder.mkdir()
    return measure(str(folder), n_runs, REPEATS).times[FILTERED].wall_ms


def _page(curves: Sequence[Curve], machine: dict[str, str]) -> str:
    tables = []
    for curve in curves:
        header = [curve.x_label, *(f"{size:,}" for size in curve.sizes)]
        tables.append(f"## {curve.title}\n\n{markdown_table(header, [[curve.y_label, *map(number, curve.values)]])}")
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return f"""# How cost grows with the size of the store

Written by `benchmarks/growth.py` on {datetime.now(UTC):%Y-%m-%d}. SQLite; charts of {N_LINES} runs on {N_BUCKETS}
buckets by step, runs of 200 keys; by the wall clock, medians of {REPEATS}. Drawn in
[growth.svg](../../docs/images/growth.svg).

{facts}

{(chr(10) * 2).join(tables)}
"""


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw the curves side by side into an SVG file, both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "growth", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(curves), figsize=(4 * len(curves), 3), layout="constrained")
    for axis, curve in zip(axes, curves, strict=True):
        axis.plot(curve.sizes, curve.values, marker="o", color="#2563eb")
        axis.set(xscale="log", yscale="log", title=curve.title, xlabel=curve.x_label, ylabel=curve.y_label)
        axis.set_ylim(min(curve.values) / 3, max(curve.values) * 3)
        axis.grid(True, which="major", color="#d4d4d8")
        for size, value in zip(curve.sizes, curve.values, strict=True):
            axis.annotate(number(value), (size, value), textcoords="offset points", xytext=(0, 7), ha="center")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()

"""Measure how long charts of very many points take: by step, by time, over another metric, zoomed and smoothed.

    python benchmarks/charts.py [--quick] [--keep DIR]

Makes indexes of 100 runs, 10,000 and 1,000,000 rows each, with a random walk and a metric to be used as x. Times are
those of `tracker_server.charts.chart.draw` in one process, without HTTP. Charts by step are compared with NumPy.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from chart_stores import PROJECT, Long, every, make_store
from log_cost_machine import describe_machine
from rich.console import Console
from rich.markdown import Markdown
from tables import markdown_table, number

from tracker_server.charts.chart import Chart, ChartRequest, Smoothing, draw
from tracker_server.query.folder import LocalFolder

PAGE = Path(__file__).parent / "results" / "charts.md"
N_BUCKETS = 1000
REPEATS = 5
# In ms, by number of rows and kind of x.
TARGETS = {10_000: {"step": 40}, 1_000_000: {"step": 80, "time": 150, "metric": 150}}
PARTS = ((0.0, 1.0), (0.3, 0.8), (0.31, 0.36), (0.31, 0.32), (0.31, 0.3115))


@dataclass(frozen=True, slots=True)
class View:
    """A chart to be measured, and how fast it is to be."""

    title: str
    request: ChartRequest
    target_ms: float | None


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few runs; writes no page")
    parser.add_argument("--keep", type=Path, help="make the indexes there, or use those that are there")
    options = parser.parse_args()
    n_runs = 5 if options.quick else 100
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        machine = describe_machine(folder if folder.exists() else Path(temporary))
        sections = [_introduction(n_runs), _series(Path(temporary))]
        for title, n_rows, stride in (
            ("10,000 rows, every step", 10_000, 1),
            ("1,000,000 rows, every step", 1_000_000, 1),
            ("1,000,000 rows, every 50th step", 1_000_000, 50),
        ):
            console.print(title)
            sections.append(
                _section(title, folder / f"{n_runs}-{n_rows}-{stride}", Long(n_runs, n_rows, every(stride)))
            )
    page = "\n\n".join([*sections, "## Machine", "\n".join(f"- {name}: {value}" for name, value in machine.items())])
    console.print(Markdown(page))
    if not options.quick:
        PAGE.write_text(page + "\n")


def _section(title: str, folder: Path, runs: Long) -> str:
    if not (folder / "index.sqlite").exists():
        folder.mkdir(parents=True)
        make_store(folder, runs)
    size = (folder / "index.sqlite").stat().st_size / (runs.n_runs * runs.n_points)
    store = LocalFolder(folder, is_writer=False)
    store.refresh()
    ids = sorted(run.id for run in store.runs(PROJECT))
    lines = [_measured(store, view, runs) for view in _views(ids, runs)]
    store.close()
    header = ["chart", "bucket", "points shown", "first, ms", "median, ms", "processor, ms", "may be, ms", "x error"]
    about = (
        f"The index takes {size:.1f} bytes a row: a random walk in float64, integers and wall times, cells included."
    )
    return f"## {runs.n_runs} runs of {title}\n\n{about}\n\n{markdown_table(header, lines)}"


def _views(ids: Sequence[str], runs: Long) -> Iterator[View]:
    n_steps = int(runs.block(0).steps[-1]) + 1
    targets = TARGETS[runs.n_points]
    for low, high in PARTS:
        yield _view("step", "step", ids, low * n_steps, high * n_steps, (low, high), targets.get("step"))
    if "time" not in targets:
        return
    seconds = 0.005 * runs.n_points
    for low, high in PARTS[:4]:
        ends = (low * seconds, high * seconds)
        yield _view("relative time", "relative_time", ids, *ends, (low, high), targets["time"])
    last = 4096.0 * runs.n_points
    for low, high in PARTS:
        yield _view("another metric", "metric:tokens", ids, low * last, high * last, (low, high), targets["metric"])
    for smoothing in (Smoothing("gaussian", sigma=n_steps / 200), Smoothing("ema", 0.99)):
        request = ChartRequest(list(ids), "loss", n_buckets=N_BUCKETS, smoothing=smoothing)
        yield View(f"step, whole, smoothed by {smoothing.kind}", request, None)


def _view(
    name: str, x: str, ids: Sequence[str], low: float, high: float, part: tuple[float, float], target: float | None
) -> View:
    is_whole = part == (0.0, 1.0)
    bounds = (None, None) if is_whole else (low, high)
    request = ChartRequest(list(ids), "loss", x=x, n_buckets=N_BUCKETS, x_min=bounds[0], x_max=bounds[1])
    return View(f"{name}, {'whole' if is_whole else f'{100 * (part[1] - part[0]):.3g} % of it'}", request, target)


def _measured(store: LocalFolder, view: View, runs: Long) -> list[str]:
    walls, processor = [], []
    for _ in range(REPEATS + 1):
        began, used = time.perf_counter(), time.process_time()
        chart = draw(store, PROJECT, view.request)
        walls.append((time.perf_counter() - began) * 1e3)
        processor.append((time.process_time() - used) * 1e3)
    if view.request.x == "step":
        _check(chart, runs)
    width = "one x" if chart.bucket_width is None else f"{chart.bucket_width:,g}"
    n_shown = sum(int(line.cells.count.sum()) for line in chart.lines)
    times = [number(walls[0]), number(statistics.median(walls[1:])), number(statistics.median(processor[1:]))]
    target = "-" if view.target_ms is None else f"{view.target_ms:g}"
    return [view.title, width, f"{n_shown:,}", *times, target, f"{chart.x_error:,.4g}"]


def _check(chart: Chart, runs: Long) -> None:
    """Compare some lines with NumPy's own sums."""
    for line in chart.lines[:: max(len(chart.lines) // 3, 1)]:
        block = runs.block(int(line.id.removeprefix("run")))
        width = chart.bucket_width or 1
        edges = np.append(chart.x - width / 2, chart.x[-1] + width / 2) if chart.bucket_width else None
        steps, values = block.steps, block.column(0)
        if edges is None:
            found = np.interp(chart.x, steps, values)
            is_same = np.array_equal(line.cells.last[line.cells.count > 0], found[line.cells.count > 0])
        else:
            place = np.searchsorted(steps, edges)
            inside = [values[start:stop] for start, stop in pairwise(place.tolist())]
            expected = [(len(one), one[0], one[-1], one.min(), one.max()) for one in inside if len(one)]
            own = line.cells
            names = zip(own.count, own.first, own.last, own.min, own.max, strict=True)
            is_same = [one for one in names if one[0]] == expected
        if not is_same:
            raise AssertionError(f"{line.id}: the chart is not that of NumPy")


def _series(folder: Path) -> str:
    """Time all points of a metric of 10,000 rows, each time of a run that nobody has read yet."""
    path = folder / "series"
    path.mkdir()
    ids = make_store(path, Long(30, 10_000, every(1)))
    store = LocalFolder(path, is_writer=False)
    store.refresh()
    times = []
    for run_id in ids:
        began = time.perf_counter()
        store.series(PROJECT, run_id, "loss")
        times.append((time.perf_counter() - began) * 1e3)
    store.close()
    median, least = statistics.median(times[1:]), min(times)
    return f"All 10,000 points of a metric, in-process: {median:.2f} ms (median), {least:.2f} ms (least); may be 1 ms."


def _introduction(n_runs: int) -> str:
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return "\n\n".join(
        [
            "# How long charts take",
            f"Written by `python benchmarks/charts.py` on {written}. {n_runs} runs, one metric of each, on"
            f" {N_BUCKETS:,} buckets. First: nothing of it was read before by this process. Median: of five more."
            " Processor: time of all threads, which says what the chart costs where the machine has other work too."
            " x error: how far from its bucket a point may lie, in units of x; by step never.",
        ]
    )


if __name__ == "__main__":
    main()

"""Measure how long it takes to find runs among very many: filter, sort, first page, groups, columns, metrics.

    python benchmarks/run_search.py [--runs 10000 100000] [--quick]

Each run has 100 config keys, 100 metrics and a summary of these. Times are of the wall clock and of the processor, the
median of five; the store is a file of SQLite in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from log_cost_machine import describe_machine
from rich.console import Console
from rich.markdown import Markdown
from sqlalchemy import Connection
from tables import markdown_table, number

from tracker_core.metrics import MetricStats
from tracker_server.runs.filter_syntax import parse_filter, parse_path
from tracker_server.runs.metric_search import find_metrics
from tracker_server.runs.run_rows import RunRow
from tracker_server.runs.run_search import search_page
from tracker_server.runs.run_view import MetricView, RunView
from tracker_server.store.store_columns import project_metric_keys, project_metrics, run_columns
from tracker_server.store.store_groups import run_groups
from tracker_server.store.store_runs import settled_runs, write_runs
from tracker_server.store.store_search import settled_search
from tracker_server.store.store_sqlite import SqliteIndex

PAGE = Path(__file__).parent / "results" / "run_search.md"
PROJECT = "p"
BATCH = 200  # as many as a server settles at once
N_KEYS = 100
T0_NS = 1_790_000_000_000_000_000
FILTER = 'config.lr < 1e-3 and summary["val/accuracy"] > 0.5 and "baseline" in tags'
SEARCHES: dict[str, tuple[str | None, str | None]] = {
    "newest first, no filter": (None, "created:desc"),
    "filter of 3 keys, sorted by a summary key": (FILTER, 'summary["metric/7"]:desc'),
    "filter of 3 keys, sorted by an aggregate": (FILTER, 'summary["metric/7"].min'),
    "state and a config key, newest first": ('state == "finished" and config.depth >= 20', None),
    "pattern on names, all different": ('name ~ "resnet.*7$"', "name"),
    "no filter, sorted by a config key": (None, "config.lr"),
}


@dataclass(frozen=True, slots=True)
class Took:
    """How long something took, in ms."""

    wall_ms: float
    processor_ms: float

    def cell(self) -> str:
        """Return both as text."""
        return f"{number(self.wall_ms)} ({number(self.processor_ms)})"


@dataclass(slots=True)
class Measured:
    """Of one number of runs: times by what was asked for, and processor seconds to write them, 0 for a store found."""

    n_runs: int
    write_s: float
    n_bytes: int
    times: dict[str, Took] = field(default_factory=dict)

    def size_cells(self) -> list[str]:
        """Return MB, kB a run, and seconds to write, as text."""
        seconds = f"{self.write_s:,.0f}" if self.write_s else "-"
        return [f"{self.n_bytes / 1e6:,.0f}", number(self.n_bytes / self.n_runs / 1000), seconds]


def a_view(index: int, rng: random.Random, n_metrics: int = N_KEYS) -> RunView:
    """Return a run that has ended."""
    names = ["val/accuracy", *(f"metric/{i}" for i in range(n_metrics - 1))]
    metrics = {name: MetricView(name, _stats(rng), False, None, None, False) for name in names}
    config: dict[str, Any] = {
        "lr": 10 ** rng.uniform(-5, -1),
        "depth": rng.randrange(10, 100),
        "opt": rng.choice("abc"),
    }
    config |= {f"parameter_{i}": rng.random() if i % 4 else rng.choice(["on", "off", "auto"]) for i in range(97)}
    created_ns = T0_NS + index * 10**9
    ended_ns = created_ns + 3600 * 10**9
    return RunView(
        id=f"r{index}", project=PROJECT, entity="local", name=f"resnet-{index}",
        state=rng.choice(["finished", "failed"]), created_ns=created_ns, ended_ns=ended_ns, updated_ns=ended_ns,
        group="", job_type="train", tags=rng.sample(["baseline", "big", "ablation"], 2), notes="", host="node7",
        attempt=1, n_rows=1000, n_dropped=0, n_suspensions=0, suspended_ns=0, is_suspended=False, is_preempting=False,
        n_clock_jumps=0, clock_jumps=[], n_console_left_out=0, n_unknown=0, config=config,
        summary={name: metric.stats.last for name, metric in metrics.items()}, metrics=metrics, error=None, exit_code=0,
        signal="", signals=[], sessions=[], damage=[], journals=[f"{PROJECT}/r{index}/main.journal"],
    )  # fmt: skip


def _stats(rng: random.Random) -> MetricStats:
    low, last = rng.random(), rng.random()
    return MetricStats(1000, 0, rng.random(), last, min(low, last), low + 1, 500.0)


def write(index: SqliteIndex, n_runs: int) -> float:
    """Store so many runs; return how many seconds of the processor that took, without making them."""
    rng, seconds = random.Random(3), 0.0
    environment = {"user": "ann", "command": ["python", "train.py"], "git": {"commit": "abc", "branch": "main"}}
    for start in range(0, n_runs, BATCH):
        views = [a_view(i, rng) for i in range(start, min(start + BATCH, n_runs))]
        rows = [RunRow(view, environment, [(view.journals[0], 1000)]) for view in views]
        began = time.process_time()
        with index.writing() as writing:
            assert writing is not None
            with writing.transaction() as connection:
                write_runs(connection, rows)
        seconds += time.process_time() - began
    return seconds


@contextmanager
def reading(index: SqliteIndex) -> Iterator[Connection]:
    """Read from a store."""
    found = index.reading()
    with found.transaction() as connection:
        assert connection is not None
        yield connection
    found.close()


def median(work: Callable[[], object], n: int) -> Took:
    """Return how long something takes."""
    walls, processors = [], []
    for _ in range(n):
        began, began_processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - began)
        processors.append(time.process_time() - began_processor)
    return Took(statistics.median(walls) * 1000, statistics.median(processors) * 1000)


def measure(folder: str, n_runs: int, n: int) -> Measured:
    """Measure a store of so many runs."""
    index = SqliteIndex(folder)
    if os.path.exists(index.place):
        print(f"taking {index.place}")
        found = Measured(n_runs, 0.0, os.path.getsize(index.place))
    else:
        found = Measured(n_runs, write(index, n_runs), 0)
        found.n_bytes = os.path.getsize(index.place)
    with reading(index) as connection:
        for name, (filter, sort) in SEARCHES.items():
            found.times[name] = median(
                lambda f=filter, s=sort: search_page([], f, s, 100, settled=settled_search(connection, PROJECT)), n
            )
        by, values = (
            [parse_path("config.opt"), parse_path("config.parameter_0")],
            [parse_path('summary["metric/7"].min')],
        )
        tree = parse_filter("config.lr < 1e-2")
        groups = lambda: run_groups(connection, PROJECT, tree, by, values).sorted(0, 100)  # noqa: E731
        found.times["groups by 2 keys, mean and std of 1"] = median(groups, n)
        found.times["columns with counts"] = median(lambda: run_columns(connection, PROJECT), n)
        found.times["opening: names of all runs"] = median(lambda: list(settled_runs(connection)), n)
    return found


def measure_metrics(folder: str, n_metrics: int, n: int) -> Took:
    """Return how long a search among the metrics of one run takes."""
    index = SqliteIndex(folder)
    with index.writing() as writing:
        assert writing is not None
        with writing.transaction() as connection:
            write_runs(connection, [RunRow(a_view(0, random.Random(3), n_metrics), {}, [])])
    with reading(index) as connection:

        def search() -> object:
            keys = project_metric_keys(connection, PROJECT)
            return find_metrics({}, keys, lambda wanted: project_metrics(connection, PROJECT, wanted), "metric 77", 100)

        return median(search, n)


def page(found: list[Measured], metrics: Took, machine: dict[str, str]) -> str:
    """Return the page of results."""
    names = list(found[0].times)
    lines = [[name, *(one.times[name].cell() for one in found)] for name in names]
    header = ["ms", *(f"{one.n_runs:,} runs" for one in found)]
    sizes = [[f"{one.n_runs:,}", *one.size_cells()] for one in found]
    size_header = ["runs", "MB on disk", "kB a run", "s of processor to write"]
    about = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return f"""# Finding runs

{datetime.now(UTC):%Y-%m-%d}, `python benchmarks/run_search.py`. Each run has {N_KEYS} config keys, {N_KEYS} metrics and
a summary of these. Milliseconds from the text of a filter to the first 100 runs with everything that is known of them,
and how many match: the median of five, and in brackets the processor's part of it. Seconds to write are not known of a
store that was found (`--keep`).

{markdown_table(header, lines)}

A search among the {N_METRICS:,} metrics of one run: {metrics.cell()} ms.

{markdown_table(size_header, sizes)}

{about}
"""


N_METRICS = 100_000


def main() -> None:
    """Measure, print, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--quick", action="store_true", help="1,000 runs, and no page is written")
    parser.add_argument("--keep", help="a folder in which the stores are left, or found")
    args = parser.parse_args()
    sizes = [1000] if args.quick else args.runs
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(args.keep or temporary)
        machine = describe_machine(root)
        found = []
        for n_runs in sizes:
            (root / str(n_runs)).mkdir(parents=True, exist_ok=True)
            found.append(measure(str(root / str(n_runs)), n_runs, 3 if args.quick else 5))
        (Path(temporary) / "metrics").mkdir()
        metrics = measure_metrics(str(Path(temporary) / "metrics"), N_METRICS, 5)
    text = page(found, metrics, machine)
    Console().print(Markdown(text))
    if not args.quick:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()

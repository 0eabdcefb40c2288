"""Runs made of random rows, and what a chart of them must say: every point looked at with NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker_server.charts import cell_pack, cells
from tracker_server.charts.chart import ChartLine
from tracker_server.store.store_cells import build_cells
from tracker_server.store.store_write import index_writer

from .conftest import Journal

NAMES = ("first", "last", "min", "max", "mean")


@dataclass(frozen=True, slots=True)
class Logged:
    """The points of one metric of one run, in the order logged; x by step and by wall time in ns."""

    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray


def log_rows(journal: Journal, steps: Sequence[int], values: Sequence[float], extra_every: int = 0) -> Logged:
    """Log a row for each step; every so many rows have other keys as well."""
    times = []
    for index, (step, value) in enumerate(zip(steps, values, strict=True)):
        more = {"other": 1.0} if extra_every and index % extra_every == 0 else {}
        journal.row(int(step), loss=value, **more)
        times.append(journal.now_ns)
    return Logged(np.array(steps, np.int64), np.array(times, np.int64), np.array(values, np.float64))


def joined(parts: Sequence[Logged]) -> Logged:
    """Return sessions one after the other."""
    return Logged(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def build_all_cells(folder: Path, monkeypatch) -> None:
    """Put everything that is sealed into cells, however little it is."""
    monkeypatch.setattr(cell_pack, "MIN_ROWS", 1)
    monkeypatch.setattr(cell_pack, "N_ROWS", 1)
    monkeypatch.setattr(cells, "MIN_ROWS_PER_CELL", 3)
    with index_writer(str(folder)) as writer:
        assert writer is not None
        is_more = True
        while is_more:
            with writer.transaction() as connection:
                is_more = build_cells(connection)


def check_line(line: ChartLine, lower: np.ndarray, width: int, x: np.ndarray, values: np.ndarray) -> None:
    """Compare a line in buckets with its points, bucket by bucket."""
    order = np.argsort(x, kind="stable")
    x, values = x[order], values[order]
    for index, low in enumerate(lower.tolist()):
        inside = values[(x >= low) & (x < low + width)]
        finite = inside[np.isfinite(inside)]
        assert line.cells.count[index] == len(finite)
        assert line.cells.nonfinite[index] == len(inside) - len(finite)
        found = [float(getattr(line.cells, name)[index]) for name in NAMES]
        if not len(finite):
            assert np.isnan(found).all()
            continue
        assert found[:4] == [finite[0], finite[-1], finite.min(), finite.max()]
        assert abs(found[4] - finite.mean()) <= 1e-9 * max(abs(finite.min()), abs(finite.max()))

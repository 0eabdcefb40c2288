"""This project's tracker in offline mode, with two measurements that only it gets."""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import logger_worker as worker

if TYPE_CHECKING:
    from tracker_core import Run


class OurLogger:
    """Log through `tracker_core.init(mode="offline")`."""

    def __init__(self) -> None:
        self._run: Run | None = None

    def load(self) -> str:
        """Import tracker_core."""
        import tracker_core

        return f"tracker_core {tracker_core.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open an offline run."""
        import tracker_core as tracker

        run = tracker.init(project="log-cost", dir=folder, mode="offline")
        if not isinstance(run, tracker.Run):
            raise TypeError(f"init: got a {type(run).__name__}, expected a Run that writes")
        self._run = run
        return run.log

    def finish(self) -> None:
        """Close the journal."""
        if self._run is not None:
            self._run.finish()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric that the public `Api` finds, of all writers."""
        from tracker_core import Api

        api = Api(folder)
        points: list[worker.Point] = []
        for run in api.runs("log-cost") if "log-cost" in api.projects() else ():
            if key in run.keys():  # noqa: SIM118 (not a dict)
                series = run.series(key, writer="*")
                points += zip(series.steps.tolist(), series.values.tolist(), strict=True)
        api.close()
        return points


def measure_api_read(logger: worker.Logger, options: argparse.Namespace) -> worker.Result:
    """Return points/s of reading every series of the folder's run through the public `Api`.

    The first time the index is being built from the journal; the second time it is there.
    """
    logger.load()
    importlib.import_module("tracker_server.query.folder")  # NumPy and SQLAlchemy; the clock is for the reading
    return {
        "api_first_mpoints_s": _read_through_api(options),
        "api_again_mpoints_s": _read_through_api(options),
    }


def _read_through_api(options: argparse.Namespace) -> float:
    from tracker_core import Api

    began = time.perf_counter()
    api = Api(options.folder)
    (run,) = api.runs("log-cost")
    n_points = sum(len(run.series(key).values) for key in run.keys())  # noqa: SIM118 (not a dict)
    elapsed_s = time.perf_counter() - began
    api.close()
    _check_n_points(n_points, options)
    return n_points / elapsed_s / 1e6


def measure_journal_read(logger: worker.Logger, options: argparse.Namespace) -> worker.Result:
    """Return points/s of checking a journal's CRCs and viewing its packed rows as NumPy arrays."""
    logger.load()
    import numpy as np

    from tracker_core.journal_format import Kind, row_fields
    from tracker_core.journal_reader import JournalReader

    (path,) = options.folder.rglob("*.journal")
    began = time.perf_counter()
    n_points = 0
    for group in JournalReader(str(path)).read().row_groups:
        if group.kind != Kind.ROW:
            continue  # samples of the machine
        columns = np.frombuffer(group.packed, dtype=row_fields(group.codes))
        n_points += sum(len(columns[f"c{i}"].copy()) for i in range(len(group.codes)))
    elapsed_s = time.perf_counter() - began
    _check_n_points(n_points, options)
    return {"journal_read_mpoints_s": n_points / elapsed_s / 1e6}


def _check_n_points(n_points: int, options: argparse.Namespace) -> None:
    expected = options.rows * options.metrics
    if n_points != expected:
        raise ValueError(f"reading {options.folder}: got {n_points} points, expected {expected}")


if __name__ == "__main__":
    worker.main(
        OurLogger(),
        {"read-api": measure_api_read, "read-journal": measure_journal_read},
    )

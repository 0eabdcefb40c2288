"""Tracker folders of long runs, made at once: blocks of rows go straight into the index, as if read from journals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from columns import wall_times
from numpy.typing import NDArray

from tracker_core.journal_file import JournalFile
from tracker_core.paths import journal_path
from tracker_core.records import KIND_OF, Record, Session, State, encode
from tracker_server.ingest.fold import JournalFold, encode_fold
from tracker_server.ingest.row_blocks import RowBlock
from tracker_server.store.store_cells import build_cells
from tracker_server.store.store_write import Seal, encode_chunks, index_writer

PROJECT = "p"
KEYS = ("loss", "tokens")


@dataclass(frozen=True, slots=True)
class Long:
    """Runs of equal length. `steps_of` makes int64[n] steps of a run's number and n."""

    n_runs: int
    n_points: int
    steps_of: Callable[[int, int], NDArray[np.int64]]

    def block(self, number: int) -> RowBlock:
        """Return all rows of one run: a random walk, and tokens seen so far."""
        rng = np.random.default_rng(number)
        fields = [("step", "<i8"), ("wall_time_ns", "<i8"), ("c0", "<f8"), ("c1", "<i8")]
        data = np.zeros(self.n_points, fields)
        data["step"] = self.steps_of(number, self.n_points)
        # Each starts a minute after the one before.
        data["wall_time_ns"] = wall_times(self.n_points, rng) + number * 60_000_000_000
        data["c0"] = np.cumsum(rng.normal(size=self.n_points))
        data["c1"] = (np.arange(self.n_points) + 1) * 4096
        return RowBlock(KEYS, "dq", np.arange(1, self.n_points + 1), data)


def every(stride: int) -> Callable[[int, int], NDArray[np.int64]]:
    """Return what makes steps at equal distances."""
    return lambda _, n: np.arange(n, dtype=np.int64) * stride


def make_store(folder: Path, runs: Long) -> list[str]:
    """Write the journals' first and last records and the index; returns the ids of the runs."""
    ids = [f"run{number:03}" for number in range(runs.n_runs)]
    with index_writer(str(folder)) as writer:
        assert writer is not None
        for number, run_id in enumerate(ids):
            seal = _sealed(folder, run_id, runs.block(number))
            if writer.write([seal], []) != {seal.path}:
                raise AssertionError(f"{seal.path} could not be written")
            is_more = True
            while is_more:
                with writer.transaction() as connection:
                    is_more = build_cells(connection)
    return ids


def _sealed(folder: Path, run_id: str, block: RowBlock) -> Seal:
    session = np.random.default_rng(abs(hash(run_id))).bytes(16)
    path = Path(journal_path(str(folder), PROJECT, run_id, "main", session))
    first, last = int(block.wall_time_ns[0]), int(block.wall_time_ns[-1])
    records: list[Record] = [
        Session(wall_time_ns=first, session=session.hex(), run=run_id, project=PROJECT, writer="main"),
        State(wall_time_ns=last, state="finished"),
    ]
    journal = JournalFile(str(path), session)
    journal.open()
    fold = JournalFold()
    for record in records:
        journal.put(KIND_OF[type(record)], encode(record))
        fold.add_record(record)
    journal.close()
    fold.add_rows(block)
    name, size, stop = "/".join(path.parts[-3:]), path.stat().st_size, len(block) + 2
    return Seal(name, 0, size, stop, True, encode_fold(fold), encode_chunks([block]), [], [], size)

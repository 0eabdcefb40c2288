"""Write journals to be taken in: rows of ten metrics, random walks of float64, as training loops write them."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.paths import journal_path
from tracker_core.records import KIND_OF, Record, Session, State, encode

N_METRICS = 10
_T0_NS = 1_700_000_000_000_000_000


def write_journals(folder: Path, n_runs: int, n_rows: int, is_closed: bool = True) -> int:
    """Write one journal of `n_rows` rows for each of `n_runs` runs; return how many bytes these are."""
    generator = np.random.default_rng(1)
    return sum(_write(folder, f"run{index:04}", n_rows, generator, is_closed) for index in range(n_runs))


def _write(folder: Path, run: str, n_rows: int, generator: np.random.Generator, is_closed: bool) -> int:
    session = secrets.token_bytes(16)
    path = journal_path(str(folder), "ingest", run, "main", session)
    journal = JournalFile(path, session)
    journal.open()
    _put(journal, Session(wall_time_ns=_T0_NS, session=session.hex(), run=run, project="ingest", writer="main"))
    layout = RowLayout(tuple(f"train/metric{i}" for i in range(N_METRICS)), "d" * N_METRICS, Kind.ROW)
    walks = np.cumsum(generator.normal(size=(n_rows, N_METRICS)), axis=0)
    times = _T0_NS + np.cumsum(generator.integers(9_000_000, 11_000_000, n_rows))
    for step, (time_ns, values) in enumerate(zip(times.tolist(), walks.tolist(), strict=True)):
        journal.put_row(layout, step, time_ns, tuple(values))
    if is_closed:
        _put(journal, State(wall_time_ns=int(times[-1]), state="finished"))
    journal.close()
    return Path(path).stat().st_size


def _put(journal: JournalFile, record: Record) -> None:
    journal.put(KIND_OF[type(record)], encode(record))

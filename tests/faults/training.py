"""A training script whose every row is known beforehand; tests run it in processes of its own.

It keeps its ledger in memory that it shares with the test: no system call, so that none is counted or made to fail in
the place of the tracker's, and a kill takes nothing of it away. It imports little, for the same reason.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tracker_core

MAX_THREADS = 8
RUN_ID = "faulty"
_SLOT = struct.Struct("<QQd")


def row_of(thread: int, n: int) -> dict[str, Any]:
    """Return the n-th row that a thread logs: packed rows of several key sets, text, NaN, 64-bit integers."""
    row: dict[str, Any] = {"thread": thread, "n": n, "loss": 1.0 / (n + 1), f"part{n % 5}": n * 0.5}
    if n % 11 == 5:
        row["loss"] = float("nan")
    if n % 7 == 6:
        row["text"] = "t" * (n * 37 % 600)
    if n % 50 == 49:
        row["big"] = 2**63 - 1 - n
    return row


class Ledger:
    """How many calls of `log()` each thread has begun and come back from, and the longest of them."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SLOT.size * MAX_THREADS))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def note(self, thread: int, n_begun: int, n_returned: int, longest_s: float = 0.0) -> None:
        _SLOT.pack_into(self._memory, thread * _SLOT.size, n_begun, n_returned, longest_s)

    def n_begun(self, thread: int = 0) -> int:
        return int(_SLOT.unpack_from(self._memory, thread * _SLOT.size)[0])

    def n_returned(self, thread: int = 0) -> int:
        return int(_SLOT.unpack_from(self._memory, thread * _SLOT.size)[1])

    def longest_s(self, thread: int = 0) -> float:
        return float(_SLOT.unpack_from(self._memory, thread * _SLOT.size)[2])


def log_rows(run: Any, ledger: Ledger, thread: int, first: int, stop: int) -> None:
    """Log rows `first` to `stop`, with each call told in the ledger."""
    longest_s = ledger.longest_s(thread)
    for n in range(first, stop):
        row = row_of(thread, n)
        ledger.note(thread, n + 1, n, longest_s)
        began_s = time.perf_counter()
        run.log(row)
        longest_s = max(longest_s, time.perf_counter() - began_s)
        ledger.note(thread, n + 1, n + 1, longest_s)


def train(
    folder: str,
    ledger_path: str,
    n_rows: int,
    *,
    n_threads: int = 1,
    thread: int = 0,
    first: int = 0,
    id: str | None = RUN_ID,
    save: str = "",
    is_talking: bool = False,
    pause_s: float = 0.0,
    wait_for: Path | str | None = None,
    **settings: Any,
) -> None:
    """Train: the whole life of a run.

    Args:
        folder: the tracker folder.
        ledger_path: the file of the ledger.
        n_rows: how many rows each thread logs.
        n_threads: how many threads log.
        thread: the number of the first of them.
        first: the first row of that thread.
        id: the run's id; None takes it from the environment.
        save: a file to keep with the run after ten rows.
        is_talking: print a line after every ten rows.
        pause_s: wait so long after every ten rows.
        wait_for: after half of the rows, wait until there is this file.
        **settings: settings of the run.
    """
    ledger = Ledger(Path(ledger_path))
    run = tracker_core.init(dir=folder, id=id, config={"a": 1}, settings=settings)
    others = range(thread + 1, thread + n_threads)
    threads = [threading.Thread(target=log_rows, args=(run, ledger, i, 0, n_rows)) for i in others]
    for other in threads:
        other.start()
    for begin in range(first, first + n_rows, 10):
        log_rows(run, ledger, thread, begin, min(begin + 10, first + n_rows))
        if is_talking:
            print(f"row {begin}", flush=True)
        if save and begin == first:
            run.save(save, policy="now")
        if wait_for is not None and begin - first + 10 == n_rows // 2:
            wait_until(Path(wait_for).exists)
        time.sleep(pause_s)
    for other in threads:
        other.join()
    run.finish()


def wait_until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for what another process does in its own time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"did not come about within {timeout_s} s"
        time.sleep(0.001)

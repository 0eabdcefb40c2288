"""What a worker of `faults_beside_peers.py` does while something goes wrong.

Each row has an id of its own as the metric `row`, so that rows are told apart whatever becomes of their steps. What
happened is written to `--out` after each phase, so that it is known also of a worker that hangs. This module is
imported inside the venvs of other trackers, so it uses the standard library only.
"""

from __future__ import annotations

import argparse
import errno
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, Protocol

ID_METRIC = "row"
PACE_S = 0.001
N_BEFORE, N_DURING, N_AFTER = 1000, 2000, 1000
FIRST_CHILD_ID = 100_000
N_CHILD_ROWS, N_PARENT_ROWS = 200, 200
N_POOL_ROUNDS = 20
CHILDREN_LIMIT_S = 30.0
_SETTLE_S = 1.0
_FILLER_BYTES = 65536

Row = dict[str, float]
Result = dict[str, Any]


class _Logger(Protocol):
    """What is needed of `logger_worker.Logger`."""

    def load(self) -> str: ...
    def start(self, folder: Path) -> Callable[..., object]: ...
    def finish(self) -> None: ...
    def points(self, folder: Path, key: str) -> list[tuple[int, float]]: ...


class _Story:
    """What happened so far, phase by phase, on disk."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.told: Result = {"version": "", "phase": "import", "phases": {}}

    def begin(self, name: str) -> Result:
        """Begin a phase; return its record, to be filled."""
        phase: Result = {"n_returned": 0, "n_raised": 0, "error": "", "slowest_ms": 0.0}
        self.told["phase"] = name
        self.told["phases"][name] = phase
        self.write()
        return phase

    def run(self, name: str, work: Callable[[], object]) -> object:
        """Run one call as a phase of its own; what it raises is recorded."""
        phase = self.begin(name)
        began = time.perf_counter()
        try:
            return work()
        except Exception as error:  # noqa: BLE001 (what a logger raises is what is measured)
            phase["n_raised"], phase["error"] = 1, _describe(error)
            return None
        finally:
            phase["slowest_ms"] = 1e3 * (time.perf_counter() - began)

    def write(self) -> None:
        """Put it on disk."""
        self._out.write_text(json.dumps(self.told))

    def end(self) -> Result:
        """Say that nothing hangs any more."""
        self.told["phase"] = "end"
        return self.told


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]


def _row(number: int) -> Row:
    """Return ten numbers, the first of which is the row's id."""
    return {ID_METRIC: float(number), **{f"train/metric{i}": number * 0.5 + i for i in range(9)}}


def _log_rows(log: Callable[..., object], first: int, n_rows: int, phase: Result, story: _Story | None) -> None:
    """Log rows at a steady pace, without steps; count the calls that raise and go on, as a guarded loop would.

    Every tenth of a second the story is written, so that the place of a hang is known.
    """
    written_s = time.monotonic()
    for number in range(first, first + n_rows):
        row = _row(number)
        began_s = time.perf_counter()
        try:
            log(row)
            phase["n_returned"] += 1
        except Exception as error:  # noqa: BLE001 (what a logger raises is what is measured)
            phase["n_raised"] += 1
            phase["error"] = phase["error"] or _describe(error)
            phase.setdefault("first_raise_at", number - first)
        phase["slowest_ms"] = max(phase["slowest_ms"], 1e3 * (time.perf_counter() - began_s))
        if story and time.monotonic() - written_s > 0.1:
            story.write()
            written_s = time.monotonic()
        time.sleep(PACE_S)


def _start(logger: _Logger, folder: Path, story: _Story) -> Callable[..., object] | None:
    story.told["version"] = logger.load()
    log = story.run("init", lambda: logger.start(folder))
    return log if callable(log) else None


def meet_full_disk(logger: _Logger, options: argparse.Namespace) -> Result:
    """Log; fill the file system; log on; free it; log on; finish."""
    story = _Story(options.out)
    log = _start(logger, options.folder, story)
    if log is None:
        return story.end()
    _log_rows(log, 0, N_BEFORE, story.begin("before"), story)
    time.sleep(_SETTLE_S)  # a queue of the logger gets its chance: this is about the full disk, not about the queue
    filler = options.folder.parent / "filler"
    _fill(filler)
    _log_rows(log, N_BEFORE, N_DURING, story.begin("full"), story)
    time.sleep(_SETTLE_S)
    filler.unlink()
    _log_rows(log, N_BEFORE + N_DURING, N_AFTER, story.begin("after"), story)
    story.run("finish", logger.finish)
    return story.end()


def _fill(path: Path) -> None:
    """Write until not one byte more fits."""
    n_bytes = _FILLER_BYTES
    with path.open("wb", buffering=0) as file:
        while n_bytes:
            try:
                file.write(bytes(n_bytes))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                n_bytes //= 2


def meet_read_only_folder(logger: _Logger, options: argparse.Namespace) -> Result:
    """Start in a folder that cannot be written, log, finish."""
    story = _Story(options.out)
    log = _start(logger, options.folder, story)
    if log is not None:
        _log_rows(log, 0, N_BEFORE, story.begin("log"), story)
        story.run("finish", logger.finish)
    return story.end()


def fork_a_child_that_logs(logger: _Logger, options: argparse.Namespace) -> Result:
    """Fork after `init`; parent and child log at the same time; the child ends by `os._exit`, as workers do."""
    story = _Story(options.out)
    log = _start(logger, options.folder, story)
    if log is None:
        return story.end()
    _log_rows(log, 0, N_PARENT_ROWS, story.begin("before"), story)
    told_by_child = options.out.with_suffix(".child")
    pid = os.fork()
    if pid == 0:
        phase: Result = {"n_returned": 0, "n_raised": 0, "error": "", "slowest_ms": 0.0}
        _log_rows(log, FIRST_CHILD_ID, N_CHILD_ROWS, phase, None)
        told_by_child.write_text(json.dumps(phase))
        os._exit(0)
    _log_rows(log, N_PARENT_ROWS, N_PARENT_ROWS, story.begin("parent, beside the child"), story)
    story.told["are_children_hung"] = not _wait(pid)
    _log_rows(log, 2 * N_PARENT_ROWS, N_PARENT_ROWS, story.begin("parent, afterwards"), story)
    story.run("finish", logger.finish)
    if told_by_child.exists():
        story.told["phases"]["child"] = json.loads(told_by_child.read_text())
    return story.end()


def _wait(pid: int) -> bool:
    """Wait for a child; kill it at the limit. Return whether it ended by itself."""
    deadline_s = time.monotonic() + CHILDREN_LIMIT_S
    while time.monotonic() < deadline_s:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


_log_in_pool: Callable[..., object] | None = None


def _log_in_worker(first: int) -> Result:
    """Log rows in a process of a pool, which has inherited the logger."""
    phase: Result = {"n_returned": 0, "n_raised": 0, "error": "", "slowest_ms": 0.0}
    if _log_in_pool:
        _log_rows(_log_in_pool, first, N_CHILD_ROWS // 4, phase, None)
    return phase


def fork_a_pool_that_logs(logger: _Logger, options: argparse.Namespace) -> Result:
    """Log from the two processes of a `multiprocessing.Pool` that was forked after `init`; close and join it."""
    global _log_in_pool
    story = _Story(options.out)
    log = _log_in_pool = _start(logger, options.folder, story)
    if log is None:
        return story.end()
    _log_rows(log, 0, N_PARENT_ROWS, story.begin("before"), story)
    told = story.begin("child")
    pool = multiprocessing.get_context("fork").Pool(2)
    firsts = [FIRST_CHILD_ID + i * (N_CHILD_ROWS // 4) for i in range(4)]
    try:
        for phase in pool.map_async(_log_in_worker, firsts, chunksize=1).get(CHILDREN_LIMIT_S):
            told["n_returned"] += phase["n_returned"]
            told["n_raised"] += phase["n_raised"]
            told["error"] = told["error"] or phase["error"]
    except multiprocessing.TimeoutError:
        story.told["are_children_hung"] = True
    _end_pool(pool, story)
    _log_rows(log, N_PARENT_ROWS, N_PARENT_ROWS, story.begin("parent, afterwards"), story)
    story.run("finish", logger.finish)
    return story.end()


def fork_pools_that_do_not_log(logger: _Logger, options: argparse.Namespace) -> Result:
    """Fork a pool of two again and again while the parent logs; its processes compute, as data workers do."""
    story = _Story(options.out)
    log = _start(logger, options.folder, story)
    if log is None:
        return story.end()
    phase = story.begin("before")
    for i in range(N_POOL_ROUNDS):
        _log_rows(log, i * 20, 20, phase, story)
        pool = multiprocessing.get_context("fork").Pool(2)
        try:
            pool.map_async(abs, range(8)).get(CHILDREN_LIMIT_S)
        except multiprocessing.TimeoutError:
            story.told["are_children_hung"] = True
        _end_pool(pool, story)
        if story.told.get("are_children_hung"):
            break
    story.told["n_rounds"] = i + 1
    story.run("finish", logger.finish)
    return story.end()


def _end_pool(pool: Pool, story: _Story) -> None:
    """Close and join a pool; kill the processes that do not end."""
    pool.close()
    if story.told.get("are_children_hung"):
        pool.terminate()
    deadline_s = time.monotonic() + CHILDREN_LIMIT_S
    for process in multiprocessing.active_children():
        process.join(max(0.0, deadline_s - time.monotonic()))
        if process.is_alive():
            story.told["are_children_hung"] = True
            process.kill()
    pool.join()


def read_ids(logger: _Logger, options: argparse.Namespace) -> Result:
    """Return the ids of all rows that can be read back, from the first folder that holds any."""
    logger.load()
    error_text = ""
    for folder in [options.folder, *(options.more_folders or ())]:
        try:
            ids = [int(value) for _, value in logger.points(folder, ID_METRIC)]
        except Exception as error:  # noqa: BLE001 (what a logger raises is what is measured)
            error_text = error_text or _describe(error)
            continue
        if ids:
            return {"ids": ids, "is_elsewhere": folder != options.folder, "error": error_text}
    return {"ids": [], "is_elsewhere": False, "error": error_text}


FAULT_TASKS: dict[str, Callable[[_Logger, argparse.Namespace], Result]] = {
    "full-disk": meet_full_disk,
    "read-only": meet_read_only_folder,
    "fork": fork_a_child_that_logs,
    "pool": fork_a_pool_that_logs,
    "idle-pools": fork_pools_that_do_not_log,
    "read-ids": read_ids,
}

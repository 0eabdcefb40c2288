"""The thread that turns pictures, tables and the like into files of the run, off the training thread, bounded.

What is logged waits in a queue of at most `media_max_mib`. Where that is half full, the thread writes larger files in
less time; where it is full, the thread that logs does so itself as long as that takes no longer than a write, and what
cannot be written so fast is left out, counted, and said once. Nothing here raises into the training.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, time_ns
from typing import Any, NamedTuple

from ..records import Environment, Record
from ..rich import RichValue
from ..say import say, warn
from .fork_gate import GATE
from .place import Pending, RunPlace, Target

_SLOW_WRITE_S = 0.1
_REST_S = 10.0
_SAY_AFTER_S = 1.0
_NOTE_INTERVAL_S = 5.0


class _Job(NamedTuple):
    key: str
    step: int
    pending: Pending


class MediaKeeper:
    """Keeps the rich values of one run. Thread-safe; the thread starts with the first of them.

    Args:
        target: takes the files.
        max_bytes: the memory for what waits.
        put_late: logs a row of one value that was not known when its row was logged: key, step, value.
        put: takes the record that says what was left out.
    """

    def __init__(
        self,
        target: Target,
        max_bytes: int,
        put_late: Callable[[str, int, dict[str, Any]], None],
        put: Callable[[Record], None],
    ) -> None:
        self._target = target
        self._max_bytes = max_bytes
        self._put_late = put_late
        self._put = put
        self._changed = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._queue_bytes = 0
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._is_given_up = False
        self._quick_again_s = 0.0
        self._lost = {"n_dropped": 0, "n_failed": 0, "n_left_at_end": 0}
        self._noted = dict(self._lost)
        self._noted_s = -_NOTE_INTERVAL_S
        self._warned: set[str] = set()

    def describe(self, row: dict[str, Any], step: int) -> tuple[dict[str, Any], list[_Job]]:
        """Return the row with plain values in the place of rich ones, and what is to be submitted once it is written.

        A value that is not known yet is left out of the row: a row of its own follows.
        """
        plain: dict[str, Any] = {}
        jobs: list[_Job] = []
        n_bytes = 0
        for key, value in row.items():
            if not isinstance(value, RichValue):
                plain[key] = value
                continue
            described, pending = value.describe(RunPlace(key, step))
            n_bytes += sum(one.n_bytes for one in pending)
            if pending and not self._has_room(n_bytes, pending):
                n_bytes -= sum(one.n_bytes for one in pending)
                self._drop(pending)
                plain[key] = {"_type": described.get("_type", value.kind), "is_dropped": True}
                continue
            jobs.extend(_Job(key, step, one) for one in pending)
            if described:
                plain[key] = described
        return plain, jobs

    def _has_room(self, n_bytes: int, pending: list[Pending]) -> bool:
        if self._queue_bytes == 0 or self._queue_bytes + n_bytes <= self._max_bytes:
            return True
        return all(one.is_quick for one in pending) and monotonic() >= self._quick_again_s

    def submit(self, jobs: list[_Job]) -> None:
        """Have the thread do what `describe` left to do."""
        for job in jobs:
            with self._changed:
                is_full = self._queue_bytes > 0 and self._queue_bytes + job.pending.n_bytes > self._max_bytes
                if not (is_full or self._is_stopping) and self._has_thread():
                    self._queue.append(job)
                    self._queue_bytes += job.pending.n_bytes
                    self._changed.notify_all()
                    continue
            began_s = monotonic()
            self._do(job, is_hurried=True)
            if monotonic() - began_s > _SLOW_WRITE_S:
                self._quick_again_s = monotonic() + _REST_S

    def _has_thread(self) -> bool:
        if self._thread is not None:
            return True
        GATE.watch()
        thread = threading.Thread(target=self._work, name="tracker-media", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            return False
        self._thread = thread
        return True

    def _drop(self, pending: list[Pending]) -> None:
        self._lost["n_dropped"] += len(pending)
        for one in pending:
            if one.take_back is not None:
                one.take_back()
        remedy = "log fewer or smaller ones, or set media_max_mib"
        self._warn_once(
            "full",
            f"memory for media that wait to be encoded ({self._max_bytes >> 20} MiB) is full; "
            f"some are left out, and counted. Remedy: {remedy}",
        )

    # The thread

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._queue and not self._is_stopping:
                    self._changed.wait(_NOTE_INTERVAL_S)
                job = self._queue[0] if self._queue else None
                if self._is_given_up or (job is None and self._is_stopping):
                    return
                is_hurried = self._queue_bytes > self._max_bytes // 2
            if job is None:
                self._note()  # not under our lock: it takes the journal's, which a thread may hold that waits for ours
                continue
            with GATE.job():
                self._do(job, is_hurried)
            with self._changed:
                if self._is_given_up:
                    return
                self._queue.popleft()
                self._queue_bytes -= job.pending.n_bytes
                self._changed.notify_all()
            del job

    def _do(self, job: _Job, is_hurried: bool) -> None:
        try:
            if job.pending.late is not None:
                self._put_late(job.key, job.step, job.pending.late())
            elif not job.pending.write(self._target, is_hurried):
                self._lost["n_failed"] += 1
        except Exception as error:  # noqa: BLE001
            self._lost["n_failed"] += 1
            cause = f"{type(error).__name__}: {error}"[:300]
            self._warn_once(f"failed {type(error).__name__}", f"{job.key!r} of step {job.step} is not kept: {cause}")

    def _warn_once(self, cause: str, message: str) -> None:
        if cause not in self._warned:
            self._warned.add(cause)
            warn(message)

    def _note(self) -> None:
        """Record how many were lost, where that has changed."""
        if self._lost != self._noted and monotonic() - self._noted_s >= _NOTE_INTERVAL_S:
            self._noted, self._noted_s = dict(self._lost), monotonic()
            known = {name: n for name, n in self._lost.items() if n}
            self._put(Environment(wall_time_ns=time_ns(), values={"media": known}))

    # The end

    def stop(self, timeout_s: float) -> None:
        """Wait until everything is written, for at most so long; what is left then is counted and said."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
            self._wait_for_queue(timeout_s)
            n_left = len(self._queue)
            self._is_given_up = True
            self._changed.notify_all()
        if n_left:
            self._lost["n_left_at_end"] = n_left
            warn(
                f"{n_left} media were not encoded within {timeout_s:g} s at the end and are not kept; "
                "set finish_timeout_s for more time"
            )
        self._noted_s = -_NOTE_INTERVAL_S
        self._note()

    def _wait_for_queue(self, timeout_s: float) -> None:
        deadline_s = monotonic() + timeout_s
        if self._changed.wait_for(lambda: not self._queue, min(timeout_s, _SAY_AFTER_S)) or self._thread is None:
            return
        say(f"waits at most {timeout_s:g} s for {len(self._queue)} media that are being encoded")
        self._changed.wait_for(lambda: not self._queue, max(0.0, deadline_s - monotonic()))

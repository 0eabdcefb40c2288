"""Sample the machine every few seconds, from threads that can neither delay nor end the training.

The host and the GPUs have a thread each, so that a driver that hangs silences only its own metrics.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..say import warn

Values = dict[str, float]
Group = Callable[[], Values]

_T = TypeVar("_T")

_LAST_SAMPLE_AGE_S = 1.0  # a last sample is worth its time only when the one before is older
_STOP_TIMEOUT_S = 1.0


class SystemSampler:
    """Sample host and GPUs for one run.

    Args:
        record: takes each sample: full metric names and values. It is called from two threads.
        interval_s: time between samples. 0 takes none.
        folder: the tracker folder, whose disk is watched.
        pid: the process to follow. Default: the one that calls.
        on_gpus: takes the inventory (as of `nvml.gpu_inventory`) once CUDA is in use, where that shows that the GPUs
            are in another order than was assumed before.

    `start` and `stop` are called by one thread. In a forked child `stop` does nothing: the child has no such threads.
    """

    def __init__(
        self,
        record: Callable[[Values], None],
        interval_s: float,
        folder: str,
        *,
        pid: int | None = None,
        on_gpus: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._owner_pid = os.getpid()
        self._stopping = threading.Event()
        followed = self._owner_pid if pid is None else pid
        plan = _Plan(record, interval_s, self._stopping)
        self._threads = [
            _SamplingThread("tracker-system", lambda: _open_host(folder, followed), plan),
            _SamplingThread("tracker-system-gpu", lambda: _open_gpus(followed, on_gpus), plan),
        ]

    def start(self) -> None:
        """Start sampling; the first sample is taken at once, in the background."""
        if self._threads[0].plan.interval_s <= 0:
            return
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:  # no more threads for this process
            if threading.main_thread().is_alive():
                warn(f"system metrics are not sampled: {error}")
            elif self._threads[0].ident is None:  # the interpreter is ending already: one sample, in this thread
                self._stopping.set()
                self._threads[0].run()

    def stop(self) -> None:
        """Stop sampling, after a last sample where the one before is over a second old.

        Waits for at most a second, and not at all for a sample that has already taken longer than that.
        """
        if os.getpid() != self._owner_pid:
            return
        self._stopping.set()
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        for thread in self._threads:
            thread.join_until(deadline_s)


@dataclass(frozen=True, slots=True)
class _Plan:
    record: Callable[[Values], None]
    interval_s: float
    stopping: threading.Event


@dataclass(frozen=True, slots=True)
class _Source:
    """What one thread samples: groups that fail one by one, and what to do at the end."""

    groups: dict[str, Group]
    close: Callable[[], None] = lambda: None


class _SamplingThread(threading.Thread):
    def __init__(self, name: str, opener: Callable[[], _Source], plan: _Plan) -> None:
        super().__init__(name=name, daemon=True)
        self.plan = plan
        self._opener = opener
        self._warned: set[str] = set()
        self._sampled_s = 0.0
        self._busy_since_s: float | None = None

    def run(self) -> None:
        self._busy_since_s = time.monotonic()
        source = self._guarded(f"the start of {self.name}", self._opener)
        if source is not None and source.groups:
            self._sample_until_stopped(source.groups)
            self._busy_since_s = time.monotonic()
            self._guarded(f"the end of {self.name}", source.close)

    def join_until(self, deadline_s: float) -> None:
        """Wait for the thread until the deadline, or not at all where it hangs."""
        now_s, busy_since_s = time.monotonic(), self._busy_since_s
        hangs = busy_since_s is not None and now_s - busy_since_s > _STOP_TIMEOUT_S
        if self.is_alive() and not hangs:
            self.join(max(0.0, deadline_s - now_s))

    def _sample_until_stopped(self, groups: dict[str, Group]) -> None:
        start_s, interval_s = time.monotonic(), self.plan.interval_s
        while True:
            self._sample(groups)
            # Counted from the start, so that the period does not drift; samples that a slow one overran are left out.
            now_s = time.monotonic()
            next_s = start_s + ((now_s - start_s) // interval_s + 1) * interval_s
            if self.plan.stopping.wait(next_s - now_s):
                break
        if time.monotonic() - self._sampled_s > _LAST_SAMPLE_AGE_S:
            self._sample(groups)

    def _sample(self, groups: dict[str, Group]) -> None:
        self._busy_since_s = self._sampled_s = time.monotonic()
        values: Values = {}
        for name, group in groups.items():
            values.update(self._guarded(name, group) or {})
        if values:
            self._guarded("the record of a sample", lambda: self.plan.record(values))
        self._busy_since_s = None

    def _guarded(self, what: str, call: Callable[[], _T]) -> _T | None:
        """Keep any fault of a library or driver away from the other groups and from the training."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001
            if what not in self._warned:
                self._warned.add(what)
                warn(f"system metrics: {what} failed ({type(error).__name__}: {error}); the other ones go on")
            return None


def _open_host(folder: str, pid: int) -> _Source:
    from .host import Host

    return _Source(Host(folder, pid).groups())


def _open_gpus(pid: int, on_gpus: Callable[[dict[str, Any]], None] | None) -> _Source:
    """Open the GPUs of the first maker that has any here."""
    from .nvml import open_nvidia

    nvidia = open_nvidia(pid, on_gpus)
    if nvidia is not None:
        return _Source({"NVIDIA GPUs": nvidia.sample}, nvidia.close)
    from .amd import open_amd
    from .apple import open_apple

    other = open_amd() or open_apple()
    return _Source({}) if other is None else _Source({"GPUs": other.sample}, other.close)

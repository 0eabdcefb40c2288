"""Lets a process fork between two jobs of its media threads, never within one.

A job imports libraries and takes their locks. What a thread holds when another one forks is held for ever in the child,
where that thread does not exist: an import of the same module would hang there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# For so long a fork waits for the job that is being done.
_WAIT_S = 1.0


class ForkGate:
    """Thread-safe. A fork holds the door, so that no new job begins, and waits for those that were begun."""

    def __init__(self) -> None:
        self._watches = False
        self._reset()

    def _reset(self) -> None:
        self._door, self._turn = threading.Lock(), threading.Lock()
        self._held = threading.local()  # by a fork of this thread; another thread may fork at the same time

    def watch(self) -> None:
        """Begin to hold back forks; a second call does nothing."""
        if not self._watches and hasattr(os, "register_at_fork"):
            self._watches = True
            os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._reset)

    @contextmanager
    def job(self) -> Iterator[None]:
        """Do a job, one at a time."""
        with self._door:
            pass
        with self._turn:
            yield

    def _before(self) -> None:
        held: list[threading.Lock] = []
        for lock in (self._door, self._turn):
            if not lock.acquire(timeout=_WAIT_S):
                break
            held.append(lock)
        self._held.locks = held

    def _after(self) -> None:
        held: list[threading.Lock] = getattr(self._held, "locks", [])
        while held:
            held.pop().release()


GATE = ForkGate()

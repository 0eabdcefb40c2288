"""Which run is active in this process, and which runs a fork or the end of the process must care for."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from .errors import NoRunError

if TYPE_CHECKING:
    from .disabled import DisabledRun
    from .run import Run

_current: Run | DisabledRun | None = None
_active: dict[int, Run] = {}  # by id(run), in order; a run that nobody else holds any more still gets its end
_left_open: weakref.WeakSet[Run | DisabledRun] = weakref.WeakSet()
_has_fork_hook = False


def get() -> Run | DisabledRun | None:
    """Return the run that module-level calls go to, or None."""
    return _current


def require(where: str) -> Run | DisabledRun:
    """Return the current run.

    Raises:
        NoRunError: there is none.
    """
    if _current is None:
        got = "a call with no run active in this process"
        raise NoRunError(where, got, "a run", "call init() first")
    return _current


def set(run: Run | DisabledRun | None) -> None:
    """Make `run` the one that module-level calls go to."""
    global _current
    _current = run


def add(run: Run) -> None:
    """Remember an active run, for forks and the end of the process."""
    global _has_fork_hook
    _active[id(run)] = run
    if not _has_fork_hook and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
        _has_fork_hook = True


def remove(run: Run | DisabledRun) -> None:
    """Forget a run that has ended."""
    global _current
    _active.pop(id(run), None)
    _left_open.discard(run)
    if _current is run:
        _current = None


def leave_open(run: Run | DisabledRun) -> None:
    """Say that an adapter's training is over and its run is open only for what may follow: the next `init` ends it."""
    if not run.is_finished:
        _left_open.add(run)


def is_left_open(run: Run | DisabledRun) -> bool:
    """Say whether the next `init` may end a run unasked."""
    return run in _left_open


def active() -> list[Run]:
    """Return the runs of this process that have not ended."""
    return list(_active.values())


def _after_fork() -> None:
    for run in active():
        run.let_go_after_fork()

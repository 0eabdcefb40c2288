"""Kills a process at a chosen step of what it does to files and to SQLite, in a fork that costs little.

A step is a call that changes or flushes a file, made from Python, or the beginning of an SQL statement.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from typing import Any

_CALLS = ("fsync", "fdatasync", "rename", "replace", "unlink", "remove", "mkdir", "write", "truncate", "ftruncate")


class _Steps:
    """Counts steps, and kills this process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at, self._n = kill_at, 0

    def count(self, *_: object) -> None:
        self._n += 1
        if self._n == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        for name in _CALLS:
            setattr(os, name, self._counted(getattr(os, name)))
        connect = sqlite3.connect

        def traced(*args: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*args, **options)
            connection.set_trace_callback(self.count)
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.count()
            return call(*args, **options)

        return counted


def run_killed(work: Callable[[], object], kill_at: int) -> bool:
    """Do some work in a fork that is killed at a step; say whether it came to its end before that step.

    To be called in a process without threads.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _Steps(kill_at).install()
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - it is told by the exit status
            traceback.print_exc()
        os._exit(code)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, f"the work failed at step {kill_at}"
    return True

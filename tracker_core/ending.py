"""Notice how the process ends, so that runs left open get their state: finished, or failed with the reason."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import TracebackType
from typing import Any, NoReturn

from . import current
from .describe import describe_error
from .records import RunError

_exit_code = 0
_error: RunError | None = None
_is_installed = False
_worker_pid = 0


def install() -> None:
    """Hook into the interpreter's ways of ending, once. Hooks that others installed are called as before."""
    global _is_installed, _exit_code, _error
    _exit_code, _error = 0, None  # a run begins, so an exit or error noted before did not end the process
    _install_in_worker()
    if _is_installed:
        return
    _is_installed = True
    atexit.register(_finish_all)
    earlier_hook, earlier_exit = sys.excepthook, sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        global _exit_code, _error
        _exit_code, _error = 1, describe_error(error)
        earlier_hook(kind, error, traceback)

    def exit(status: Any = None, /) -> NoReturn:
        global _exit_code
        if threading.current_thread() is threading.main_thread():  # elsewhere it ends that thread only
            _exit_code = _process_status(status)
        earlier_exit(status)

    sys.excepthook, sys.exit = excepthook, exit


def _install_in_worker() -> None:
    """Hook into the end of a process of multiprocessing, which ends without atexit when it was forked."""
    global _worker_pid
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None or _worker_pid == os.getpid():
        return
    _worker_pid = os.getpid()
    from multiprocessing.util import Finalize

    Finalize(None, _finish_all_in_worker, exitpriority=0)


def _finish_all_in_worker() -> None:
    """End the runs of a worker; an exception that ends it is being handled now, and reaches no excepthook."""
    global _exit_code, _error
    error = sys.exception()
    if isinstance(error, SystemExit):
        _exit_code = _process_status(error.code)
    elif error is not None:
        _exit_code, _error = 1, describe_error(error)
    _finish_all()


def _process_status(status: Any) -> int:
    """Return what the parent process will see for `sys.exit(status)`."""
    if isinstance(status, int):
        return int(status) & (0xFF if os.name == "posix" else 0xFFFFFFFF)
    return int(status is not None)


def _finish_all() -> None:
    for run in current.active():
        run.end(_exit_code, _error)

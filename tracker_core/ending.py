"""Notice how the process ends, so that runs left open get their state. docs/states.md tells the rules."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import TracebackType
from typing import Any, NoReturn

from . import current, notebook, signals
from .control import RunStopped
from .describe import describe_error
from .errors import UsageError
from .records import RunError, State

# By convention the exit code of a process that a signal ended.
SIGNAL_EXIT_BASE = 128
_SIGINT = 2
# A SLURM job is sent these some time before its end where it asks for that (--signal); SIGTERM has other reasons too.
_USER_SIGNALS = ("SIGUSR1", "SIGUSR2")

_RUN_STOPPED = f"{RunStopped.__module__}.{RunStopped.__qualname__}"

_exit_code = 0
_error: RunError | None = None
_last_value: object = None
_is_installed = False
_worker_pid = 0


def conclude(
    exit_code: int,
    error: RunError | None,
    signal: str,
    noted_signal: str,
    is_preempting: bool,
    stopped_by: str = "",
) -> State:
    """Return the closing state of a run, without its time.

    Args:
        exit_code: of the process, as far as it is known.
        error: the exception that ended the process.
        signal: the signal that ended it, "" for none.
        noted_signal: the last signal that it received and survived, "" for none.
        is_preempting: whether it said that it is about to be preempted.
        stopped_by: who asked for this end, "" where nobody did.
    """
    if error is not None and error.type == "KeyboardInterrupt":
        exit_code, signal = SIGNAL_EXIT_BASE + _SIGINT, signal or "SIGINT"
    if stopped_by:
        error = None if error is not None and error.type == _RUN_STOPPED else error
        return State(
            wall_time_ns=0, state="killed", exit_code=exit_code, error=error, signal=signal, stopped_by=stopped_by
        )
    if not (exit_code or error or signal):
        return State(wall_time_ns=0, state="finished", exit_code=0)
    last = signal or noted_signal
    if error is not None and error.type == _RUN_STOPPED:  # another run of the process was
        return State(wall_time_ns=0, state="killed", exit_code=exit_code, error=error)
    is_preempted = is_preempting or (last in _USER_SIGNALS and "SLURM_JOB_ID" in os.environ)
    # A program gives SIGUSR1 and SIGUSR2 its own meaning: one that it survived is no reason for a later failure.
    signal = last if is_preempted or last not in _USER_SIGNALS else signal
    state = "preempted" if is_preempted else "killed" if signal else "failed"
    return State(wall_time_ns=0, state=state, exit_code=exit_code, error=error, signal=signal)


def checked_exit_code(exit_code: object) -> int:
    """Return the argument of `finish` as a number; raises UsageError where it is none."""
    if exit_code is not None and not isinstance(exit_code, int):
        got = f"{exit_code!r:.200} of type {type(exit_code).__name__}"
        raise UsageError("finish(exit_code=)", got, "a whole number", "pass 0, or the exit code of a failure")
    return int(exit_code or 0)


def install() -> None:
    """Hook into the interpreter's ways of ending. Hooks and handlers that others installed are called as before."""
    global _is_installed, _exit_code, _error, _last_value
    # A run begins, so an exit or error noted before did not end the process.
    _exit_code, _error, _last_value = 0, None, getattr(sys, "last_value", None)
    _install_in_worker()
    signals.install()
    notebook.watch_cells()
    if _is_installed:
        return
    _is_installed = True
    for _ in range(2):  # Ctrl-C may come up at the very start of a call, and end it
        atexit.register(_finish_all)
    earlier_hook, earlier_exit = sys.excepthook, sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        global _exit_code, _error
        _exit_code, _error = 1, describe_error(error)
        earlier_hook(kind, error, traceback)

    def exit(status: Any = None, /) -> NoReturn:
        global _exit_code
        # Elsewhere it ends that thread only; in a notebook it ends nothing.
        if threading.current_thread() is threading.main_thread() and not notebook.is_active():
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
    while True:
        try:
            with signals.held():
                _take_error_kept_from_us()
                for run in current.active():
                    run.end(_exit_code, _error)
            return
        except (KeyboardInterrupt, SystemExit):
            continue  # a signal came just before or in between; the process is ending anyway


def _take_error_kept_from_us() -> None:
    """Take the exception that ended the process from where Python leaves it, if a later excepthook did not call ours.

    A prompt, which sets `sys.ps1`, leaves those there that ended nothing.
    """
    global _exit_code, _error
    error = getattr(sys, "last_value", None)
    if not isinstance(error, BaseException) or error is _last_value or _error is not None:
        return
    if not hasattr(sys, "ps1") and not notebook.is_active():
        _exit_code, _error = 1, describe_error(error)

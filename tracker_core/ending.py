"""Notice how the process ends, so that runs left open get their state: finished, or failed with the reason."""

from __future__ import annotations

import atexit
import sys
from types import TracebackType
from typing import Any, NoReturn

from . import current
from .describe import describe_error
from .records import RunError

_exit_code = 0
_error: RunError | None = None
_is_installed = False


def install() -> None:
    """Hook into the interpreter's ways of ending, once. Hooks that others installed are called as before."""
    global _is_installed
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
        _exit_code = status if isinstance(status, int) else int(status is not None)
        earlier_exit(status)

    sys.excepthook, sys.exit = excepthook, exit


def _finish_all() -> None:
    for run in current.active():
        run.end(_exit_code, _error)

"""Know an interactive IPython session (a notebook, Colab, the ipython prompt) without importing IPython."""

from __future__ import annotations

import sys
from typing import Any

from . import current
from .control import RunStopped

_watched: Any = None


def shell() -> Any:
    """Return the IPython shell that runs this process's cells, or None."""
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    return get_ipython() if callable(get_ipython) else None


def is_active() -> bool:
    """Say whether this process runs cells: its errors and exits end cells, not the process."""
    return shell() is not None


def watch_cells() -> None:
    """Have the errors of cells noted in the active runs, which they do not end."""
    global _watched
    running = shell()
    if running is None or running is _watched:
        return
    _watched = running
    running.events.register("post_run_cell", _note_error)


def _note_error(result: Any) -> None:
    error = getattr(result, "error_in_exec", None)
    if not isinstance(error, BaseException):
        return
    for run in current.active():
        if isinstance(error, RunStopped) and error.run == run.path:
            run.end(1, None)  # it is this run that somebody wanted to end, not only a cell
        else:
            run.note_error(error)

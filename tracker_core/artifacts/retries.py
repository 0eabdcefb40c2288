"""What could not be kept while a run lasted is tried again at its end, for so long and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any

from ..say import warn


def retry(attempts: Sequence[Callable[[], None]], lock: AbstractContextManager[Any], timeout_s: float) -> None:
    """Call each once, holding the lock; return after `timeout_s` at the latest, whatever one waits for.

    They raise nothing. What is being tried then goes on in a thread of its own; the rest is not tried.
    """
    deadline_s = monotonic() + timeout_s
    n_done = 0

    def work() -> None:
        nonlocal n_done
        with lock:
            for again in attempts:
                if monotonic() >= deadline_s:
                    return
                again()
                n_done += 1

    if timeout_s > 0:
        thread = threading.Thread(target=work, name="tracker-artifacts", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            work()
        else:
            thread.join(min(timeout_s, threading.TIMEOUT_MAX))
    if n_done < len(attempts):
        left = f"{len(attempts) - n_done} artifacts that could not be kept are not kept at the end either"
        remedy = f"set finish_timeout_s for more time than {timeout_s:g} s" if timeout_s > 0 else "log them again"
        warn(f"{left}: there was no time. Remedy: {remedy}")

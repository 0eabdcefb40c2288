"""Notice the signals that end training jobs, without changing what they do.

While a run is active, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are watched where Python knows what they would do: the
default action, or a handler written in Python. A signal that is ignored, or handled by C code (faulthandler, a data
loader's workers), is left alone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from . import current

WATCHED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")

_Handler = Callable[[int, FrameType | None], Any]

_n_holds = 0
_waiting: list[tuple[_Handler, int, FrameType | None]] = []


class Watch:
    """Our handler of one signal: tells the active runs of it, then does what would have been done without us.

    Where it stands for the default action, a watch of another signal than SIGTERM compares equal to `signal.SIG_DFL`.
    Code that installs a handler only where none is there, as Lightning does to requeue SLURM jobs, then does so.
    SIGTERM is not among these: Lightning composes its handler with an earlier one, which is how we hear of it.

    Args:
        number: the signal.
        earlier: the handler that was there: callable, or `signal.SIG_DFL`.
    """

    def __init__(self, number: int, earlier: Any) -> None:
        self.number = number
        self.name = signal.Signals(number).name
        self.earlier = earlier

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if _n_holds:
            _waiting.append((self, number, frame))
            return
        # Somebody who installed a handler after us and calls us as the earlier one decides what happens.
        is_in_charge = signal.getsignal(number) is self
        for run in current.active():
            run.note_signal(self.name)
        if callable(self.earlier):
            self.earlier(number, frame)
        elif is_in_charge and os.getpid() != 1:  # the kernel spares process 1 of a container the default action
            self._end_process()

    def _end_process(self) -> None:
        """End the runs, then the process, so that its parent sees which signal it was."""
        if any(run.call_after_write(self._end_process) for run in current.active()):
            return  # the record that the signal came in the middle of must be whole first
        try:
            for run in current.active():
                run.end(128 + self.number, None, signal=self.name)
        finally:
            signal.signal(self.number, signal.SIG_DFL)
            os.kill(os.getpid(), self.number)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return other is signal.SIG_DFL and self.earlier == signal.SIG_DFL and self.name != "SIGTERM"

    def __hash__(self) -> int:
        return hash(self.number)


def install() -> None:
    """Watch the signals that are not watched yet. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    caught = _caught_by_the_process()
    for name in WATCHED:
        number = getattr(signal, name, None)
        if number is None:
            continue
        earlier = signal.getsignal(number)
        is_default = earlier is signal.SIG_DFL
        if isinstance(earlier, Watch) or (not is_default and not callable(earlier)):
            continue
        if is_default and _may_be_handled_in_c(number, caught):
            continue
        signal.signal(number, Watch(number, earlier))


def uninstall() -> None:
    """Put back the handlers that were there, where ours are still the installed ones. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in WATCHED:
        number = getattr(signal, name, None)
        watch = None if number is None else signal.getsignal(number)
        if isinstance(watch, Watch):
            signal.signal(watch.number, watch.earlier)


def let_go_after_fork() -> None:
    """In a forked child: a signal does at once what it did before there was a run."""
    global _n_holds
    _n_holds = 0
    _waiting.clear()
    uninstall()


def _caught_by_the_process() -> int | None:
    """Return the kernel's mask of signals with a handler, of any language; None where it is not to be had."""
    try:
        with open("/proc/self/status", "rb") as file:
            status = file.read()
        return int(status.partition(b"SigCgt:")[2].split(None, 1)[0], 16)
    except (OSError, ValueError, IndexError):
        return None


def _may_be_handled_in_c(number: int, caught: int | None) -> bool:
    """Say whether C code may handle a signal of which Python thinks that it has the default action."""
    if caught is None:
        return number not in (getattr(signal, "SIGTERM", None), getattr(signal, "SIGHUP", None))
    return bool(caught >> (number - 1) & 1)


class _HeldInterrupt:
    """Stands in for the handler of Ctrl-C while a run ends; later it is what it stands in for."""

    def __init__(self, earlier: _Handler) -> None:
        self.earlier = earlier

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if _n_holds:
            _waiting.append((self.earlier, number, frame))
        else:
            self.earlier(number, frame)


@contextmanager
def held() -> Iterator[None]:
    """Let the watched signals and Ctrl-C wait for the end of the block, so that they cannot break it off."""
    global _n_holds
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.getsignal(signal.SIGINT)
    interrupt = _HeldInterrupt(earlier) if callable(earlier) else None
    _n_holds += 1
    try:
        if interrupt is not None:
            signal.signal(signal.SIGINT, interrupt)
        yield
    finally:
        _n_holds -= 1
        installed = signal.getsignal(signal.SIGINT)
        if isinstance(installed, _HeldInterrupt) and installed is interrupt:
            signal.signal(signal.SIGINT, installed.earlier)
        while _waiting and not _n_holds:
            handler, number, frame = _waiting.pop(0)
            handler(number, frame)

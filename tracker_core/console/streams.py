"""See what the process writes to `sys.stdout` and `sys.stderr`, and change nothing about it.

The text stream itself stays; only its attribute `write` is put in front of the type's method. So the identity and type
of `sys.stdout` are what they were, everything but `write` is untouched, and whoever took hold of the stream before us
(a `logging.StreamHandler`, a Tee, colorama) is seen as well; replacing `sys.stdout` by a wrapper would miss those. A
stream that takes no attributes is replaced by a stand-in that passes everything on.

The original write comes first, and what it returns or raises is the caller's. Not seen, because Python does not write
it here: what C code and child processes write to file descriptors 1 and 2, and `sys.stdout.buffer.write`. `tracker run`
records those too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from .recorder import STDERR, STDOUT


class Feedable(Protocol):
    """What takes the text; `ConsoleRecorder`, and what a test puts in its place."""

    def feed(self, stream: int, text: str) -> None:
        """Take a text; must not raise."""


_lock = threading.RLock()
_feeds: tuple[Callable[[int, str], None], ...] = ()
_recorders: tuple[Feedable, ...] = ()
_hooks: list[_Hook] = []
_writing = threading.local()
_watches_forks = False


def attach(recorder: Feedable) -> None:
    """Feed `recorder` with everything that is written to stdout and stderr from now on."""
    with _lock:
        _watch_forks()
        _hook("stdout", STDOUT)
        if sys.stderr is not sys.stdout:
            _hook("stderr", STDERR)
        if recorder not in _recorders:
            _set_recorders((*_recorders, recorder))


def detach(recorder: Feedable) -> None:
    """Stop feeding `recorder`; with the last one the streams are put back, unless others have changed them since."""
    with _lock:
        _set_recorders(tuple(other for other in _recorders if other is not recorder))
        if not _recorders:
            _hooks[:] = [hook for hook in _hooks if not hook.remove()]


def _set_recorders(recorders: tuple[Feedable, ...]) -> None:
    global _recorders, _feeds
    _recorders = recorders
    _feeds = tuple(recorder.feed for recorder in recorders)


def _hook(name: str, stream: int) -> None:
    """Hook the stream `sys.<name>`, unless that is done."""
    target = getattr(sys, name, None)
    if target is None or not callable(getattr(target, "write", None)) or isinstance(target, _StandIn):
        return  # pythonw has no streams; a stand-in of ours is hooked
    for hook in _hooks:
        if hook.target is target and hook.is_in_place():
            return
    _hooks.append(_Hook(name, target, stream))


class _Hook:
    """Our `write` of one stream. Without recorders it only passes on."""

    def __init__(self, name: str, target: Any, stream: int) -> None:
        self.target = target
        self._name = name
        self._write = _watched(target.write, stream)
        self._stand_in: _StandIn | None = None
        try:
            target.write = self._write
        except (AttributeError, TypeError):
            self._stand_in = _StandIn(target, self._write)
            setattr(sys, name, self._stand_in)

    def is_in_place(self) -> bool:
        """Say whether what is written still comes by here: our `write` is there, or another one before it."""
        if self._stand_in is not None:
            return getattr(sys, self._name, None) is self._stand_in
        return "write" in getattr(self.target, "__dict__", {})

    def remove(self) -> bool:
        """Put the stream back; False where others have put something over ours, which then stays, without effect."""
        if self._stand_in is not None:
            if getattr(sys, self._name, None) is self._stand_in:
                setattr(sys, self._name, self.target)
            return True
        if not self.is_in_place():
            return True
        if self.target.__dict__["write"] is not self._write:
            return False
        del self.target.write
        return True


def _watched(write: Callable[[str], Any], stream: int) -> Callable[[str], Any]:
    """Return a `write` that also feeds the recorders."""

    def watched_write(text: str, /) -> Any:
        if not _feeds:
            return write(text)
        outer: str | None = getattr(_writing, "text", None)
        _writing.text = text
        try:
            result = write(text)
        finally:
            _writing.text = outer
        # A stream that writes to another one that is watched too (a Tee, stderr sent to stdout) is recorded once.
        if isinstance(text, str) and (outer is None or text not in outer):
            for feed in _feeds:
                feed(stream, text)
        return result

    return watched_write


class _StandIn:
    """Takes the place of a stream whose `write` cannot be set."""

    def __init__(self, target: Any, write: Callable[[str], Any]) -> None:
        self._target = target
        self.write = write

    def writelines(self, lines: Any, /) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __iter__(self) -> Any:
        return iter(self._target)

    def __enter__(self) -> Any:
        self._target.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._target.__exit__(*error)


def _watch_forks() -> None:
    """See to it, once in a process, that forked children pass everything through."""
    global _watches_forks
    if not _watches_forks and hasattr(os, "register_at_fork"):
        _watches_forks = True
        os.register_at_fork(after_in_child=_abandon)


def _abandon() -> None:
    global _lock
    _lock = threading.RLock()
    _set_recorders(())

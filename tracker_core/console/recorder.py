"""Record what a run prints: take text from any thread at little cost, and let a thread of our own make records of it.

`feed` only appends to a bounded buffer. The thread runs the text through a terminal per stream and records lines as
they appear, at most every half second, and lines written over and over (progress bars) at most every two. While it
masks and writes it holds no lock that `feed` needs: a print never waits for a disk, and a warning printed in the middle
of all this cannot deadlock.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic, time_ns

from ..records import Console, ConsoleLine, Record
from ..say import warn
from .bound import ConsoleBound, line_bytes
from .buffer import TextBuffer
from .line_masks import LineMasker
from .terminal import Terminal

STDOUT, STDERR = 1, 2
INTERVAL_S = 0.5
REWRITE_INTERVAL_S = 2.0
STOP_TIMEOUT_S = 1.0
_GATHER_S = 0.02
_COUNT_INTERVAL_S = 10.0
_RECORD_BYTES = 48_000

_own_threads: set[int] = set()  # what they print is about recording, and must not be recorded in turn
_opened: set[ConsoleRecorder] = set()
_watches_forks = False


class ConsoleRecorder:
    """Records the output of one run. `feed` is thread-safe and may be called from signal handlers.

    A forked child records nothing: there `feed` and `stop` do nothing.

    Args:
        put: takes each record; it may block and may print.
        mask: returns a text without secrets.
        max_bytes: how much text is recorded. Of what comes after, the last 1,000 lines are recorded by `stop`.
    """

    def __init__(self, put: Callable[[Record], None], mask: Callable[[str], str], max_bytes: int) -> None:
        self._put = put
        new_number = itertools.count().__next__
        self._terminals = {STDOUT: Terminal(new_number), STDERR: Terminal(new_number)}
        self._masker = LineMasker(mask)
        self._bound = ConsoleBound(max_bytes)
        self._is_on = False
        self._buffer = TextBuffer()
        self._thread: threading.Thread | None = None
        self._work_lock = threading.RLock()  # held by whoever turns text into records
        self._outbox: deque[Record] = deque()
        self._n_seen = 0  # lines with lower numbers are known: what comes of them is a rewrite
        self._rewrites: dict[int, ConsoleLine] = {}
        self._last_s = self._last_rewrite_s = self._last_count_s = 0.0

    def feed(self, stream: int, text: str) -> None:
        """Take text that was written to stdout (1) or stderr (2). Never waits for I/O, never raises."""
        if self._is_on and threading.get_ident() not in _own_threads:
            self._buffer.add(time_ns(), stream, text)

    def open(self) -> None:
        """Begin to take text, which costs less than `start`; it waits to be recorded after `start`, or by `stop`."""
        _watch_forks()
        self._is_on = True
        _opened.add(self)

    def start(self) -> None:
        """Begin to record."""
        self.open()
        thread = threading.Thread(target=self._work, name="tracker-console", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is ending, or there can be no more threads; `stop` records what was fed
        self._thread = thread

    def stop(self) -> None:
        """Record what is left, within a second. A second call does nothing."""
        if not self._is_on:
            return
        self._is_on = False
        _opened.discard(self)
        self._buffer.close()
        deadline_s = monotonic() + STOP_TIMEOUT_S
        # In this thread: called from a signal handler, it may hold a lock for which our thread waits in `put`.
        if self._work_lock.acquire(timeout=STOP_TIMEOUT_S):
            try:
                self._take_last(deadline_s)
            finally:
                self._work_lock.release()
            self._put_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline_s - monotonic()))

    def abandon(self) -> None:
        """In a forked child: let go of what the parent records."""
        self._is_on = False
        self._buffer, self._work_lock = TextBuffer(), threading.RLock()  # the parent's threads may hold the old locks
        self._outbox.clear()
        self._thread = None

    # The thread

    def _work(self) -> None:
        _own_threads.add(threading.get_ident())
        try:
            while self._is_on:
                self._wait()
                is_more = True
                while self._is_on and is_more:
                    is_more = self._take_slice()
                    self._put_all()
        except Exception as error:  # noqa: BLE001
            self._is_on = False
            warn(f"the console is no longer recorded: {error!r}; everything else is")
        finally:
            _own_threads.discard(threading.get_ident())

    def _wait(self) -> None:
        """Wait until there is something to record, and long enough that records are made every `INTERVAL_S`."""
        rewrite_in_s = max(0.0, self._last_rewrite_s + REWRITE_INTERVAL_S - monotonic())
        self._buffer.wait(rewrite_in_s if self._rewrites else -1)
        if self._is_on:
            self._buffer.gather(max(_GATHER_S, self._last_s + INTERVAL_S - monotonic()))
        self._last_s = monotonic()

    def _take_slice(self) -> bool:
        """Turn the oldest text into records in the outbox. Says whether there was any."""
        with self._work_lock:
            printed = self._buffer.take()
            for printed_ns, stream, text in printed:
                self._terminals.get(stream, self._terminals[STDOUT]).write(text, printed_ns)
            self._post(self._bound.admit(self._new_lines()))
            now_s = monotonic()
            if self._rewrites and now_s - self._last_rewrite_s >= REWRITE_INTERVAL_S:
                self._last_rewrite_s = now_s
                self._post_rewrites()
            if now_s - self._last_count_s >= _COUNT_INTERVAL_S:
                self._last_count_s = now_s
                self._post_n_left_out()
        return bool(printed)

    def _take_last(self, deadline_s: float) -> None:
        while self._take_slice() and monotonic() < deadline_s:
            pass
        self._buffer.drop()  # empty, unless time is up
        self._post_rewrites()
        self._post(self._bound.take_tail())
        self._post_n_left_out()

    def _new_lines(self) -> list[ConsoleLine]:
        """Return the lines that are new; rewritten ones are held back."""
        new = []
        for stream, terminal in self._terminals.items():
            for number, stamp_ns, text in terminal.take_changed():
                line = ConsoleLine(number, stamp_ns, stream, text)
                if number >= self._n_seen:
                    new.append(line)
                else:
                    self._rewrites[number] = line
        new.sort(key=lambda line: line.number)
        if new:
            self._n_seen = new[-1].number + 1
        return new

    def _post_rewrites(self) -> None:
        self._post(self._bound.admit(self._rewrites.values()))
        self._rewrites.clear()

    def _post_n_left_out(self) -> None:
        n_left_out = self._bound.take_n_left_out() + self._buffer.take_n_overflowed()
        if n_left_out:
            self._outbox.append(Console(wall_time_ns=time_ns(), n_left_out=n_left_out))

    def _post(self, lines: Iterable[ConsoleLine]) -> None:
        """Put lines into the outbox, masked, as records of bounded size."""
        batch: list[ConsoleLine] = []
        n_bytes = 0
        for line in map(self._masker.line, lines):
            size = line_bytes(line)
            if batch and n_bytes + size > _RECORD_BYTES:
                self._outbox.append(Console(wall_time_ns=time_ns(), lines=batch))
                batch, n_bytes = [], 0
            batch.append(line)
            n_bytes += size
        if batch:
            self._outbox.append(Console(wall_time_ns=time_ns(), lines=batch))

    def _put_all(self) -> None:
        while self._outbox:
            try:
                record = self._outbox.popleft()
            except IndexError:  # the other thread that puts was quicker
                return
            self._put(record)


def _watch_forks() -> None:
    """Let recorders go in forked children, once in a process."""
    global _watches_forks
    if not _watches_forks and hasattr(os, "register_at_fork"):
        _watches_forks = True
        os.register_at_fork(after_in_child=_abandon_all)


def _abandon_all() -> None:
    for recorder in list(_opened):
        recorder.abandon()
    _opened.clear()
    _own_threads.clear()

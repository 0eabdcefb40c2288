"""What was printed and waits to be recorded: bounded, and filled by any thread, signal handler or finalizer."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

MAX_CHARS = 16 << 20
MANY_CHARS = 1 << 20
SLICE_CHARS = 1 << 18
_ITEM_OVERHEAD_CHARS = 64


Printed = tuple[int, int, str]  # wall time in ns, stream, text as it was written


class TextBuffer:
    """Texts in the order in which they were added. One thread takes them out."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant: a signal handler may print in the middle of `add`
        self._items: deque[Printed] = deque()
        self._n_chars = 0
        self._n_overflowed = 0
        # A lock used as a flag that a thread can wait for: setting it is one call, which nothing can interrupt. An
        # Event or a Condition would deadlock where a signal handler prints in the middle of setting it.
        self._flag = threading.Lock()
        self._flag.acquire()
        self._is_flag_set = False
        self._is_closing = False

    def add(self, time_ns: int, stream: int, text: str) -> None:
        """Append a text; what there is no room for is counted."""
        with self._lock:
            self._n_chars += len(text) + _ITEM_OVERHEAD_CHARS
            if self._n_chars > MAX_CHARS:
                text = self._cut(text)
                if not text:
                    return
            self._items.append((time_ns, stream, text))
        if not self._is_flag_set or self._n_chars > MANY_CHARS:
            self.wake()

    def _cut(self, text: str) -> str:
        """Return the whole lines that there is room for, and count the others."""
        room = len(text) - (self._n_chars - MAX_CHARS)
        kept = text[: text.rfind("\n", 0, room) + 1] if room > 0 else ""
        self._n_overflowed += text.count("\n", len(kept))
        self._n_chars -= len(text) - len(kept) + (0 if kept else _ITEM_OVERHEAD_CHARS)
        return kept

    def take(self) -> list[Printed]:
        """Take out about `SLICE_CHARS` of the oldest text, cut at line ends; [] where there is nothing."""
        taken: list[Printed] = []
        n_chars = 0
        with self._lock:
            while self._items and n_chars < SLICE_CHARS:
                time_ns, stream, text = self._items.popleft()
                end = _slice_end(text)
                if end < len(text):
                    self._items.appendleft((time_ns, stream, text[end:]))
                    n_chars -= _ITEM_OVERHEAD_CHARS
                taken.append((time_ns, stream, text[:end]))
                n_chars += end + _ITEM_OVERHEAD_CHARS
            self._n_chars -= n_chars
        return taken

    def take_n_overflowed(self) -> int:
        """Return how many lines found no room since the last call."""
        with self._lock:
            n, self._n_overflowed = self._n_overflowed, 0
        return n

    def drop(self) -> None:
        """Forget what waits, and count it as overflowed."""
        with self._lock:
            self._n_overflowed += sum(text.count("\n") for _, _, text in self._items)
            self._items.clear()
            self._n_chars = 0

    def close(self) -> None:
        """End every wait, now and from now on."""
        self._is_closing = True
        self.wake()

    def wake(self) -> None:
        """End the wait of the thread that takes texts out, now or when it begins."""
        self._is_flag_set = True
        try:
            self._flag.release()
        except RuntimeError:
            pass  # it is set

    def wait(self, timeout_s: float = -1) -> None:
        """Wait until there is a text; -1 waits for ever."""
        if not self._is_flag_set and not self._is_closing:
            self._flag.acquire(timeout=timeout_s)

    def gather(self, timeout_s: float) -> None:
        """Wait for more of what is being printed, but no longer once there is much."""
        until_s = monotonic() + timeout_s
        while self._n_chars <= MANY_CHARS and not self._is_closing and (left_s := until_s - monotonic()) > 0:
            self._flag.acquire(timeout=left_s)
        self._is_flag_set = False  # before the texts are taken out: those added from now on set it again


def _slice_end(text: str) -> int:
    """Return where to cut a text: never within a line, since half a secret would not be recognised as one."""
    if len(text) <= SLICE_CHARS:
        return len(text)
    return text.rfind("\n", 0, SLICE_CHARS) + 1 or text.find("\n", SLICE_CHARS) + 1 or len(text)

"""The change feed: one thread follows the folder and tells all listeners what changed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec

from ..query.folder import Change, LocalFolder

LISTENED_INTERVAL_S = 0.5
IDLE_INTERVAL_S = 1.0
KEEP_ALIVE_S = 15.0
_HELD_NOTICES = 1000

_log = logging.getLogger(__name__)


class ChangeNotice(msgspec.Struct):
    """What changed in one run."""

    project: str
    run: str
    kinds: list[str]


class ChangeNotices(msgspec.Struct):
    """The data of one `change` event."""

    changes: list[ChangeNotice]


@dataclass(frozen=True, slots=True)
class _Notice:
    number: int
    changes: list[Change]


class ChangeFeed:
    """Refreshes a folder in a thread of its own and keeps the latest changes for listeners. Thread-safe.

    At most one notice per `LISTENED_INTERVAL_S`; what changed meanwhile is in one notice. Without listeners the folder
    is refreshed every `IDLE_INTERVAL_S`.

    Attributes:
        on_look: called after each look at the folder with the time (monotonic) at which that began.
    """

    def __init__(self, folder: LocalFolder) -> None:
        self._folder = folder
        # Numbers begin at the clock, so that those of an earlier server are known to be past.
        self._number = self._oldest = time.time_ns() // 1_000_000
        self._held: deque[_Notice] = deque()
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_nudged = False
        self._is_closed = False
        self.on_look: Callable[[float], object] | None = None
        self._thread = threading.Thread(target=self._follow, name="tracker-change-feed", daemon=True)

    def start(self) -> None:
        """Begin to follow the folder."""
        self._thread.start()

    def nudge(self) -> None:
        """Say that there is something new in the folder: it is looked at soon, whether anybody listens or not."""
        self._is_nudged = True
        self._wake.set()

    def end_streams(self) -> None:
        """End all streams, and the thread after its present look at the folder."""
        with self._lock:
            self._is_closed = True
            self._call_listeners()
        self._wake.set()

    def close(self) -> None:
        """End all streams and the thread."""
        self.end_streams()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def publish(self, changes: list[Change]) -> None:
        """Hand changes to every listener."""
        with self._lock:
            self._number += 1
            self._held.append(_Notice(self._number, changes))
            while len(self._held) > _HELD_NOTICES:
                self._oldest = self._held.popleft().number
            self._call_listeners()

    async def stream(
        self,
        after: int | None,
        sees: Callable[[str], bool] = lambda project: True,
        is_welcome: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the feed as server-sent events.

        Args:
            after: from behind this notice on; None: from now on.
            sees: says of a project whether the listener may know of it.
            is_welcome: says whether the listener may still listen; asked at every notice and every `KEEP_ALIVE_S`.
        """
        event = asyncio.Event()
        with self._lock:
            self._listeners[event] = asyncio.get_running_loop()
            seen = self._number if after is None else after
        self._wake.set()
        try:
            yield b"retry: 2000\n\n"
            while not self._is_closed and (is_welcome is None or await is_welcome()):
                event.clear()
                chunk, seen = self._events_after(seen, sees)
                if chunk:
                    yield chunk
                try:
                    await asyncio.wait_for(event.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                del self._listeners[event]

    def _events_after(self, seen: int, sees: Callable[[str], bool]) -> tuple[bytes, int]:
        with self._lock:
            number = self._number
            is_lost = seen < self._oldest or seen > number
            changes = [change for notice in self._held if notice.number > seen for change in notice.changes]
            changes = [change for change in changes if sees(change.project)]
        if is_lost:
            return b"id: %d\nevent: reset\ndata: {}\n\n" % number, number
        if not changes:
            return b"", seen
        data = msgspec.json.encode(ChangeNotices(coalesce(changes)))
        return b"id: %d\nevent: change\ndata: %s\n\n" % (number, data), number

    def _call_listeners(self) -> None:
        for event, loop in self._listeners.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def _follow(self) -> None:
        while not self._is_closed:
            began = time.monotonic()
            self._is_nudged = False
            try:
                changes = self._folder.refresh()
                if self.on_look is not None:
                    self.on_look(began)
            except Exception:  # noqa: BLE001  a feed that ended without a word would freeze every open page
                _log.exception("refreshing %s failed; trying again", self._folder.path)
                changes = []
            if changes:
                self.publish(changes)
            took = time.monotonic() - began
            self._wake.clear()
            # A folder that is slow to look at may take half of the time, not all of it.
            pause = max(LISTENED_INTERVAL_S - took, took)
            if not (self._listeners or self._is_nudged or self._is_closed):
                self._wake.wait(max(pause, IDLE_INTERVAL_S - took))
            self._sleep(pause - (time.monotonic() - began - took))

    def _sleep(self, seconds: float) -> None:
        """Wait, also when a new listener comes, so that notices keep their distance; ends early on close."""
        deadline = time.monotonic() + seconds
        while not self._is_closed and (left := deadline - time.monotonic()) > 0:
            self._wake.wait(left)
            if not self._is_closed:
                self._wake.clear()


def coalesce(changes: Iterable[Change]) -> list[ChangeNotice]:
    """Return one notice per run, with all kinds of change."""
    kinds: dict[tuple[str, str], set[str]] = {}
    for change in changes:
        kinds.setdefault((change.project, change.run), set()).update(change.kinds)
    return [ChangeNotice(project, run, sorted(found)) for (project, run), found in kinds.items()]

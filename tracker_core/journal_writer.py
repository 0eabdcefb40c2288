"""Write one session's journal while training runs: directly while the disk behaves, through a queue while it does not.

The normal case is one `write` inside the caller. After an error, or a write slower than a setting, records wait in a
bounded queue that a thread drains, so that training never waits for a disk; such times, and rows that found no place,
are recorded in the journal itself. The same thread flushes to the device, sends heartbeats, and puts the file back
where someone deleted it.
"""

from __future__ import annotations

import contextlib
import errno
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from .journal_file import JournalFile, RowLayout
from .journal_format import Kind
from .records import KIND_OF, Clock, Dropped, Heartbeat, Record, Suspended, encode

_ITEM_OVERHEAD_BYTES = 400
_DRAIN_INTERVAL_S = 0.05
_RETRY_MAX_S = 5.0
_LOOK_MIN_S, _LOOK_MAX_S = 0.01, 1.0
_CLOCK_JUMP_NS = 1_000_000_000
_TICK_S = 0.9
_ROW_KINDS = frozenset([Kind.ROW, Kind.ROW_MAP, Kind.SYSTEM, Kind.CONSOLE])


class _Row(NamedTuple):
    layout: RowLayout
    step: int
    now_ns: int
    values: tuple[object, ...]

    @property
    def kind(self) -> int:
        return self.layout.kind

    @property
    def n_bytes(self) -> int:
        return self.layout.record_bytes + _ITEM_OVERHEAD_BYTES


class _Body(NamedTuple):
    kind: int
    body: bytes
    now_ns: int

    @property
    def n_bytes(self) -> int:
        return len(self.body) + _ITEM_OVERHEAD_BYTES


class JournalWriter:
    """The journal of one session.

    Callers of `put_row` hold `lock`; the other methods take it. Thread-safe, and safe against a signal handler that
    logs in the middle of `put_row`. After a fork only `abandon` may be called in the child.

    Args:
        file: the file to write; opened here, or by the thread while it cannot be.
        warn: called once per cause of trouble with one line for the user.
        clock: nanoseconds since the Unix epoch; watched for jumps against the monotonic clock.

    Attributes:
        each_second: called by the thread about once a second, whatever the disk does; must not raise.
    """

    def __init__(
        self,
        file: JournalFile,
        warn: Callable[[str], None],
        *,
        fsync_interval_s: float = 1.0,
        heartbeat_interval_s: float = 10.0,
        slow_write_s: float = 0.1,
        queue_max_bytes: int = 64 << 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        # Fewer than 30 attributes in all: beyond that CPython (3.11) keeps them in a dict that is slower to read.
        self.lock = threading.RLock()
        self.n_dropped = 0
        self.each_second: list[Callable[[], None]] = []
        self._file = file
        self._warn = warn
        self._warned: set[str] = set()
        self._fsync_interval_s = fsync_interval_s
        self._heartbeat_interval_s = heartbeat_interval_s
        self._slow_write_s = slow_write_s
        self._queue_max_bytes = queue_max_bytes
        self._queue: deque[_Row | _Body] = deque()
        self._is_queueing = False
        self._queue_bytes = 0
        self._suspended = Suspended(wall_time_ns=0, cause="", began_ns=0, ended_ns=0, n_queued=0)
        self._dropped: Dropped | None = None
        self._must_reopen = False
        self._is_writing = False
        self._was_interrupted = False
        self._must_close = False
        self._after_write: Callable[[], None] | None = None
        self._deadline_s = math.inf
        self._synced_sequence = 0
        self._last_sync_s = monotonic()
        self._last_record_s = monotonic()
        self._retry_s = _DRAIN_INTERVAL_S
        self._clock = clock
        self._clock_offset_ns = clock() - time.monotonic_ns()
        self._closing = threading.Event()
        try:
            file.open()
        except OSError as error:
            self._must_reopen = True
            self._suspend(str(error))
        self._thread = self._new_thread()

    @property
    def path(self) -> str:
        return self._file.path

    def call_after_write(self, call: Callable[[], None]) -> bool:
        """Say whether the caller is a signal handler in the middle of a write; if so, `call` follows that write."""
        if not self._is_writing or not self.lock.acquire(blocking=False):
            return False  # no write, or another thread's
        self._after_write, self._was_interrupted = call, True
        self.lock.release()
        return True

    def put_row(self, layout: RowLayout, step: int, now_ns: int, values: tuple[object, ...]) -> None:
        """Append one packed row; the caller holds `lock`. Never raises OSError.

        Raises:
            struct.error: a value does not fit its column; nothing was written.
        """
        if self._is_queueing or self._is_writing:
            layout.pack(0, 0, 0, step, now_ns, *values)
            self._enqueue(_Row(layout, step, now_ns, values))
            return
        began_s = monotonic()
        self._is_writing = True  # no call from here to `try`: a signal handler may raise at any call
        try:
            self._file.put_row(layout, step, now_ns, values)
        except OSError as error:
            self._fail(error)
            self._enqueue(_Row(layout, step, now_ns, values))
        finally:
            self._is_writing = False
            if self._was_interrupted:
                self._catch_up()
        if monotonic() - began_s > self._slow_write_s:
            self._suspend_slow()

    def put(self, record: Record) -> None:
        """Append a record of any other kind. Never raises OSError.

        Raises:
            TypeError, OverflowError: it holds a value that msgpack has no form for.
        """
        body = encode(record)
        with self.lock:
            self._put_body(_Body(KIND_OF[type(record)], body, record.wall_time_ns))

    def _put_body(self, item: _Body) -> None:
        if self._is_queueing or self._is_writing:
            self._enqueue(item)
            return
        began_s = monotonic()
        self._is_writing = True
        try:
            self._file.put(item.kind, item.body)
        except OSError as error:
            self._fail(error)
            self._enqueue(item)
        finally:
            self._is_writing = False
            if self._was_interrupted:
                self._catch_up()
        self._last_record_s = monotonic()
        if self._last_record_s - began_s > self._slow_write_s:
            self._suspend_slow()

    # Trouble: the queue

    def _fail(self, error: OSError) -> None:
        self._file.cut_back()
        if error.errno == errno.ESTALE:
            self._file.lose_handle()
        self._must_reopen = self._must_reopen or not self._file.is_handle_good()
        self._suspend(str(error))

    def _suspend_slow(self) -> None:
        self._suspend(f"a write to {self.path} took longer than {self._slow_write_s:g} s")

    def _suspend(self, cause: str) -> None:
        """From now on rows wait in memory, until the thread has written them all."""
        self._is_queueing = True
        if not self._suspended.cause:
            self._suspended = Suspended(wall_time_ns=0, cause=cause, began_ns=time.time_ns(), ended_ns=0, n_queued=0)
        self._warn_once(
            cause,
            f"rows wait in memory (at most {self._queue_max_bytes >> 20} MiB) because: {cause}. "
            "Training goes on; rows are written as soon as the disk takes them",
        )

    def _warn_once(self, cause: str, message: str) -> None:
        if cause not in self._warned and len(self._warned) < 20:
            self._warned.add(cause)
            self._warn(message)

    def _enqueue(self, item: _Row | _Body) -> None:
        if self._is_writing:  # a signal handler logs in the middle of a write, whose end writes this too
            self._is_queueing = self._was_interrupted = True
        # Rows are dropped first: what else there is to record (config, state) is small and says more.
        limit = self._queue_max_bytes if item.kind in _ROW_KINDS else 2 * self._queue_max_bytes
        if self._queue_bytes + item.n_bytes > limit:
            self._drop(item)
            return
        self._queue.append(item)
        self._queue_bytes += item.n_bytes
        self._suspended.n_queued += 1

    def _catch_up(self) -> None:
        """After a write: write what a signal handler put in the middle of it. The caller holds the lock."""
        self._was_interrupted = False
        if not self._suspended.cause:
            self._drain()
        if self._is_queueing and not self._suspended.cause:
            self._suspend_slow()
        if self._must_close:
            self._closing.set()
        if self._after_write is not None:
            call, self._after_write = self._after_write, None
            call()

    def _drop(self, item: _Row | _Body) -> None:
        self.n_dropped += 1
        if self._dropped is None:
            self._dropped = Dropped(
                wall_time_ns=0, n_rows=0, first_ns=item.now_ns, last_ns=0, cause=self._suspended.cause
            )
        self._dropped.n_rows += 1
        self._dropped.last_ns = item.now_ns
        self._warn_once("full", "memory for waiting rows is full; rows are being dropped, and counted")

    # The thread

    def _new_thread(self) -> threading.Thread:
        """Start the thread. Where there can be no more threads, rows are written without, and not flushed."""
        thread = threading.Thread(target=self._work, name="tracker-journal", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            message = f"rows are written to {self.path}, but flushed to the device only at the end, because: {error}"
            self._warn_once("thread", message)
        return thread

    def _work(self) -> None:
        look_s = max(_LOOK_MIN_S, min(_LOOK_MAX_S, self._fsync_interval_s))
        ticked_s = 0.0
        while not self._closing.wait(self._retry_s if self._is_queueing else look_s):
            with contextlib.suppress(MemoryError):  # the training may give some back
                if self._is_queueing:
                    self._drain()
                else:
                    self._keep_up()
            if monotonic() - ticked_s >= _TICK_S:
                ticked_s = monotonic()
                for call in tuple(self.each_second):
                    call()
        self._write_last()

    def _keep_up(self) -> None:
        """Flush what is new, prove life, and notice a deleted file and a clock that was set."""
        self._watch_clock()
        if not self._keep_at_its_path():
            return
        if monotonic() - self._last_sync_s >= self._fsync_interval_s:
            self._sync()
        if monotonic() - self._last_record_s >= self._heartbeat_interval_s:
            self.put(Heartbeat(wall_time_ns=time.time_ns()))

    def _watch_clock(self) -> None:
        """Record a jump of the wall clock, so that gaps and overlaps in the times of rows can be explained."""
        offset_ns = self._clock() - time.monotonic_ns()
        jumped_ns = offset_ns - self._clock_offset_ns
        self._clock_offset_ns = offset_ns
        if abs(jumped_ns) >= _CLOCK_JUMP_NS:
            self.put(Clock(wall_time_ns=self._clock(), jumped_ns=jumped_ns))

    def _keep_at_its_path(self) -> bool:
        if self._file.is_at_its_path():
            return True
        with self.lock:
            self._must_reopen = True
            self._suspend(f"{self.path} was deleted or moved, or its handle was closed; it is opened anew")
        return False

    def _sync(self) -> None:
        sequence = self._file.next_sequence
        if sequence == self._synced_sequence:
            return
        self._last_sync_s = monotonic()
        try:
            self._file.sync()
        except OSError as error:
            self._warn_once(f"fsync {error.errno}", f"the device did not confirm a flush of {self.path}: {error}")
            return
        self._synced_sequence = sequence
        self._last_record_s = monotonic()

    def _drain(self) -> None:
        """Write what waits, oldest first; on success go back to direct writing."""
        try:
            if self._must_reopen:
                self._file.open()
                self._must_reopen = False
            self._drain_all()
            self._retry_s = _DRAIN_INTERVAL_S
        except OSError as error:
            self._fail(error)
            self._retry_s = min(2 * self._retry_s, _RETRY_MAX_S)

    def _drain_all(self) -> None:
        write_s = 0.0
        while monotonic() < self._deadline_s:
            with self.lock:
                if not self._queue:
                    if write_s > self._slow_write_s:
                        return
                    self._put_notices()
                    if not self._queue:  # no call from here on: a signal handler may log at any call
                        self._is_queueing = False
                        self._queue_bytes = 0
                        return
            item = self._queue[0]
            if item.kind == Kind.STATE:
                self._put_notices()  # a closing state is the last record
            began_s = monotonic()
            if isinstance(item, _Row):
                self._file.put_row(*item)
            else:
                self._file.put(item.kind, item.body)
            write_s = monotonic() - began_s
            with self.lock:
                self._queue.popleft()
                self._queue_bytes -= item.n_bytes

    def _put_notices(self) -> None:
        """Record for how long rows waited and how many were dropped."""
        now_ns = time.time_ns()
        if self._suspended.cause:
            self._suspended.wall_time_ns = self._suspended.ended_ns = now_ns
            self._file.put(Kind.SUSPENDED, encode(self._suspended))
            self._suspended.cause = ""
        if self._dropped is not None:
            self._dropped.wall_time_ns = now_ns
            self._file.put(Kind.DROPPED, encode(self._dropped))
            self._dropped = None

    # The end

    def close(self, timeout_s: float = 10.0) -> int:
        """Write what waits, flush and close, within `timeout_s`. Returns how many rows were lost, with those dropped.

        The thread does it, so that the process can end even where a write hangs in the kernel.
        """
        self._deadline_s = monotonic() + timeout_s
        if self._is_writing:  # called by a signal handler in the middle of a write, whose end sets `_closing`
            self._must_close = self._was_interrupted = True
            return self.n_dropped
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        elif self._file.is_open or self._must_reopen:
            self._write_last()
        return self.n_dropped + sum(item.kind in _ROW_KINDS for item in tuple(self._queue))

    def _write_last(self) -> None:
        if not self._is_queueing:
            self._keep_at_its_path()
        while self._is_queueing:
            self._drain()
            if not self._is_queueing or monotonic() + _DRAIN_INTERVAL_S > self._deadline_s:
                break
            time.sleep(_DRAIN_INTERVAL_S)
        self._sync()
        self._file.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's file without writing to it."""
        self._file.close()

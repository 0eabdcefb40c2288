"""Carry what a launched command prints to where it would have gone, at once and unchanged, and tell a recorder of it.

A stream that would go to a terminal is given one of its own (a pty), so that colours and progress bars stay.
"""

from __future__ import annotations

import codecs
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

STDOUT, STDERR = 1, 2
_READ_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; Python names it from 3.10 on there only
_LAST_WAIT_MS = 100
_LOOK_MS = 250
# A recorder's thread takes a few million bytes a second, and while it works it slows the threads that carry.
_WINDOW_BYTES = 768 << 10
_WINDOW_S = 0.5
_HELD_BYTES = 8 << 20

Feed = Callable[[int, str], None]


class RecordedStream:
    """What a recorder gets of one stream: all of it, but no faster than it can keep up with.

    What comes faster waits, up to a bound, beyond which the oldest lines are left out and counted: a recorder that
    worked on all of it would slow the threads that carry the bytes. Not thread-safe.

    Args:
        number: 1 for stdout, 2 for stderr.
        feed: called with the number and text.
        on_left_out: called with the number of lines that are missing before what is fed next.
    """

    def __init__(self, number: int, feed: Feed, on_left_out: Callable[[int], None]) -> None:
        self._number = number
        self._feed = feed
        self._on_left_out = on_left_out
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._room = _WINDOW_BYTES
        self._window_end_s = 0.0
        self._held: deque[bytes] = deque()
        self._n_held = 0
        self._n_left_out = 0
        self._is_in_line = False

    def take(self, data: bytes) -> None:
        """Take what was read."""
        self._held.append(data)
        self._n_held += len(data)
        while self._n_held > _HELD_BYTES and len(self._held) > 1:
            self._leave_out(self._held.popleft())
        self.pass_on()

    def pass_on(self) -> None:
        """Feed what there is room for by now."""
        now_s = monotonic()
        if now_s >= self._window_end_s:
            self._window_end_s = now_s + _WINDOW_S
            self._room = _WINDOW_BYTES
        while self._held and self._room > 0:
            self._pass(self._held.popleft())

    def end(self) -> None:
        """Feed all that is left."""
        while self._held:
            self._pass(self._held.popleft())
        if last := self._decoder.decode(b"", final=True):
            self._feed(self._number, last)

    def _pass(self, data: bytes) -> None:
        n_bytes = len(data)
        if self._n_left_out:
            data = data[data.find(b"\n") + 1 :]
            self._on_left_out(self._n_left_out)
            self._n_left_out = 0
        self._n_held -= n_bytes
        self._room -= n_bytes
        self._is_in_line = not data.endswith(b"\n")
        if text := self._decoder.decode(data):
            self._feed(self._number, text)

    def _leave_out(self, data: bytes) -> None:
        if not self._n_left_out:
            self._decoder.reset()
            if self._is_in_line:  # the beginning of a line whose rest is left out
                self._feed(self._number, "\n")
        self._n_held -= len(data)
        self._n_left_out += data.count(b"\n") + 1


class OutputStream:
    """One stream of the command: `child_fd` is what the command writes to, `target_fd` where the bytes go on to.

    Args:
        target_fd: the launcher's own stream.
        recorded: is told of what is read; None where nothing is recorded.
    """

    def __init__(self, target_fd: int, recorded: RecordedStream | None) -> None:
        self.target_fd = target_fd
        self.recorded = recorded
        self.is_terminal = os.isatty(target_fd)
        self.read_fd, self.child_fd = _open_terminal(target_fd) if self.is_terminal else _open_pipe()
        os.set_blocking(self.read_fd, False)

    def carry(self) -> bool:
        """Carry on all that there is to read; say whether there may be more later."""
        while True:
            try:
                data = os.read(self.read_fd, _READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:  # of a terminal, once nobody has it open any more
                data = b""
            is_open = bool(data) and self._write(data)
            if data and self.recorded is not None:
                self.recorded.take(data)
            if not is_open:
                self.close()
                return False

    def _write(self, data: bytes) -> bool:
        """Write everything; say whether the target still takes it."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.target_fd, view) :]
            except BlockingIOError:
                select.select([], [self.target_fd], [])
            except OSError:  # nobody reads it any more; the command is to find out as it would have
                return False
        return True

    def follow_size(self) -> bool:
        """Give the command's terminal the size of ours; say whether that is a change."""
        if not self.is_terminal:
            return False
        import fcntl
        import termios

        try:
            size = fcntl.ioctl(self.target_fd, termios.TIOCGWINSZ, bytes(8))
            if fcntl.ioctl(self.read_fd, termios.TIOCGWINSZ, bytes(8)) == size:
                return False
            fcntl.ioctl(self.read_fd, termios.TIOCSWINSZ, size)
        except OSError:
            return False
        return True

    def close_child_end(self) -> None:
        """Let go of the command's end, once the command has it."""
        os.close(self.child_fd)

    def close(self) -> None:
        os.close(self.read_fd)


class OutputPump(threading.Thread):
    """Carries streams in a thread: those that share a target in one, so that the order of their texts is kept.

    Args:
        streams: carried until they end, or until `finish`.
    """

    def __init__(self, streams: list[OutputStream]) -> None:
        super().__init__(name="tracker-output", daemon=True)
        self._streams = {stream.read_fd: stream for stream in streams}
        self._recorded = [stream.recorded for stream in streams if stream.recorded is not None]
        self._is_last = threading.Event()

    def run(self) -> None:
        poll = select.poll()
        for fd in self._streams:
            poll.register(fd, select.POLLIN)
        while self._streams:
            is_last = self._is_last.is_set()
            ready = poll.poll(_LAST_WAIT_MS if is_last else _LOOK_MS)
            if is_last and not ready:
                break  # something that the command left running has its streams still open
            for fd, _ in ready:
                if not self._streams[fd].carry():
                    poll.unregister(fd)
                    del self._streams[fd]
            for recorded in self._recorded:
                recorded.pass_on()
        for recorded in self._recorded:
            recorded.end()

    def finish(self) -> None:
        """Carry on what the command, which has ended, printed last."""
        self._is_last.set()
        self.join()


def make_pumps(stdout: OutputStream, stderr: OutputStream) -> list[OutputPump]:
    """Return the pumps for the two streams: one where both go to the same place, else one each."""
    if os.path.sameopenfile(stdout.target_fd, stderr.target_fd):
        return [OutputPump([stdout, stderr])]
    return [OutputPump([stdout]), OutputPump([stderr])]


def _open_pipe() -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    try:
        import fcntl

        fcntl.fcntl(write_fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, OSError):
        pass  # it has the size that the system gives it
    return read_fd, write_fd


def _open_terminal(like_fd: int) -> tuple[int, int]:
    """Open a terminal of the size and kind of another, that leaves all bytes as they are."""
    import fcntl
    import termios

    master, slave = os.openpty()
    modes = termios.tcgetattr(like_fd)
    modes[1] &= ~termios.OPOST  # the terminal behind does what is to be done about line ends
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, fcntl.ioctl(like_fd, termios.TIOCGWINSZ, bytes(8)))
    return master, slave

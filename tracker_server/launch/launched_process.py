"""Start a command in a process group of its own, pass signals and the terminal on to it, and wait for its end.

The group gets each signal exactly once. Where the command is interactive (stdin and stdout are our terminal, and we are
in its foreground), the group becomes the terminal's foreground group as in a shell, and Ctrl-C goes to it alone.
Otherwise every signal that we get is passed on.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Mapping, Sequence

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGTSTP")
_WATCHED = (*_FORWARDED, "SIGCONT", "SIGCHLD", "SIGWINCH")
# Python ignores some of these, and we ignore SIGTTOU; the command gets what it would have without us.
_RESET = ("SIGPIPE", "SIGXFSZ", "SIGXFZ", "SIGTTOU")
_TERMINAL_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU) if hasattr(signal, "SIGTSTP") else ()
_TERMINAL_FD = 0
_LOOK_S = 0.5


class LaunchedProcess:
    """A command that runs. Made and used in the main thread, whose signal handlers are set for it.

    Args:
        command: the words, the first of which is looked up in PATH.
        environ: its environment.
        fds: what it gets as stdout and stderr.
        on_signal: called with the name of each signal that is passed on to it.
        on_look: called now and then; says whether the terminal's size has changed.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        fds: tuple[int, int],
        on_signal: Callable[[str], None],
        on_look: Callable[[], bool],
    ) -> None:
        self._on_signal = on_signal
        self._on_look = on_look
        self._wake_fd = _watch_signals()
        self._is_foreground = _is_ours_in_foreground()
        self.pid = _spawn(command, environ, fds)
        if self._is_foreground:
            self._hand_over_terminal()
            self.send(signal.SIGCONT)  # it may have asked for the terminal, and been stopped, before it had it

    def wait(self) -> int:
        """Wait for the end; return the exit code, or minus the number of the signal that ended it."""
        try:
            while True:
                status = self._status()
                if status is not None:
                    return os.waitstatus_to_exitcode(status)
                select.select([self._wake_fd], [], [], _LOOK_S)
                for number in _take_signals(self._wake_fd):
                    self._handle(number)
                if self._on_look():
                    self.send(signal.SIGWINCH)
        finally:
            if self._is_foreground:
                _give_terminal_to(os.getpgrp())

    def end_like_it(self, number: int) -> None:
        """End this process by the signal that ended the command, so that whoever started us sees that."""
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.set_wakeup_fd(-1)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        # Without us, Ctrl-C in a terminal would have gone to all of our group: to the script that runs us too.
        os.kill(0 if number == signal.SIGINT and self._is_foreground else os.getpid(), number)

    def _status(self) -> int | None:
        while True:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:  # somebody else waited for it; how it ended is lost
                return 0
            if pid == 0:
                return None
            if not os.WIFSTOPPED(status):
                return status
            self._stop_too(os.WSTOPSIG(status))

    def _handle(self, number: int) -> None:
        name = signal.Signals(number).name
        if name in _FORWARDED:
            if number != signal.SIGTSTP:
                self._on_signal(name)
            self.send(number)
        elif name == "SIGCONT":
            if self._is_foreground and _is_ours_in_foreground():
                self._hand_over_terminal()
            self.send(number)

    def send(self, number: int) -> None:
        """Send a signal to the command and all of its group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has just ended, or runs as another user

    def _stop_too(self, number: int) -> None:
        """The command was stopped, as by Ctrl-Z: stop too, so that the shell takes over. SIGCONT wakes both."""
        if number not in _TERMINAL_STOPS:
            return
        has_terminal = self._is_foreground and os.tcgetpgrp(_TERMINAL_FD) == self.pid
        if has_terminal and number != signal.SIGTSTP:
            self.send(signal.SIGCONT)
            return
        if has_terminal:
            _give_terminal_to(os.getpgrp())
        os.kill(0 if has_terminal else os.getpid(), signal.SIGSTOP)

    def _hand_over_terminal(self) -> None:
        _give_terminal_to(self.pid)


def _watch_signals() -> int:
    """Have the numbers of signals that come written to a pipe; return its end to read. Ignored ones stay ignored."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for name in _WATCHED:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _do_nothing)
    return read_fd


def _do_nothing(number: int, frame: object) -> None:
    """Stand for a handler: that the signal came is told by the pipe."""


def _take_signals(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def _is_ours_in_foreground() -> bool:
    try:
        return os.isatty(_TERMINAL_FD) and os.isatty(1) and os.tcgetpgrp(_TERMINAL_FD) == os.getpgrp()
    except OSError:
        return False


def _give_terminal_to(group: int) -> None:
    earlier = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(_TERMINAL_FD, group)
    except OSError:
        pass  # the terminal, or the group, is gone
    finally:
        signal.signal(signal.SIGTTOU, earlier)


def _spawn(command: Sequence[str], environ: Mapping[str, str], fds: tuple[int, int]) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fds[0], 1), (os.POSIX_SPAWN_DUP2, fds[1], 2)]
    reset = [getattr(signal, name) for name in _RESET if hasattr(signal, name)]

    def spawn(words: list[str]) -> int:
        return os.posix_spawnp(words[0], words, environ, file_actions=actions, setpgroup=0, setsigdef=reset)

    try:
        return spawn(list(command))
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    return spawn(["/bin/sh", *command])  # a script without "#!", as in execvp(3)

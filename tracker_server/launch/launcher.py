"""Run any command as a run: its output, its end, the machine meanwhile. What it logs itself goes to the same run."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any

import tracker_core
from tracker_core.capture.environment import capture
from tracker_core.capture.masking import masker_for
from tracker_core.console.recorder import ConsoleRecorder
from tracker_core.files import FileKeeper
from tracker_core.records import Console, Environment, Record, RunError
from tracker_core.say import say, warn
from tracker_core.settings import Settings, env_name
from tracker_core.start import launch
from tracker_core.system.sampler import SystemSampler

from . import out_of_memory
from .launched_output import STDERR, STDOUT, OutputStream, RecordedStream, make_pumps
from .launched_process import LaunchedProcess
from .launched_stop import LaunchedStop

if TYPE_CHECKING:
    from tracker_core.run import Run

_SWITCH_INTERVAL_S = 0.0001
_CAPTURE_WAIT_S = 5.0
_LOOK_S = 0.5
_NOT_FOUND, _NOT_EXECUTABLE, _SIGNAL_BASE = 127, 126, 128
# Of the Python that runs `tracker run`, which need not be the command's.
_OF_THIS_PYTHON = frozenset(["python", "packages", "frameworks"])


def launch_command(command: Sequence[str], settings: Settings) -> int:
    """Run a command as a run; return its exit code. Where a signal ended it, that ends this process too.

    Args:
        command: the command and its arguments.
        settings: of the run.

    Raises:
        UsageError: a setting is not what it must be.
    """
    found, code = _find_program(command[0])
    if not found:
        return code
    if settings.mode == "disabled":
        os.execvp(command[0], list(command))
    run = launch(settings)
    if not hasattr(os, "posix_spawn"):
        return _run_without_console(run, command)
    return _Launch(run, command, settings).run_to_end()


class _Launch:
    """One command under one run."""

    def __init__(self, run: Run, command: Sequence[str], settings: Settings) -> None:
        self._run = run
        self._command = command
        self._settings = settings
        self._masker = masker_for(settings)
        self._console: ConsoleRecorder | None = None
        self._memory_kills = out_of_memory.count_kills()

    def run_to_end(self) -> int:
        _open_missing_streams()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)  # the output must not wait for the thread that records it
        self._start_console()
        stdout, stderr = OutputStream(1, self._recorded(STDOUT)), OutputStream(2, self._recorded(STDERR))
        try:
            process = self._start(stdout, stderr)
        except OSError as error:
            return self._end_unstarted(error)
        stdout.close_child_end()
        stderr.close_child_end()
        pumps = make_pumps(stdout, stderr)
        for pump in pumps:
            pump.start()
        sampler, capturing = self._start_sampler(process.pid), self._start_capture()
        status = process.wait()
        for pump in pumps:
            pump.finish()
        sampler.stop()
        capturing.join(_CAPTURE_WAIT_S)
        self._end(status)
        if status < 0:
            process.end_like_it(-status)
        return status if status >= 0 else _SIGNAL_BASE - status

    def _start(self, stdout: OutputStream, stderr: OutputStream) -> LaunchedProcess:
        stop: LaunchedStop | None = None

        def look() -> bool:
            if stop is not None:
                stop.look()
            return [stdout.follow_size(), stderr.follow_size()].count(True) > 0

        environ = child_environment(os.environ, self._run)
        fds = stdout.child_fd, stderr.child_fd
        process = LaunchedProcess(self._command, environ, fds, self._run.note_signal, look)
        stop = LaunchedStop(self._run, self._settings.stop_grace_s, process.send)
        return process

    def _start_console(self) -> None:
        if self._settings.console != "off":
            max_bytes = self._settings.console_max_mib << 20
            self._console = ConsoleRecorder(self._run.record, self._masker.text, max_bytes)
            self._console.start()

    def _recorded(self, number: int) -> RecordedStream | None:
        if self._console is None:
            return None
        return RecordedStream(number, self._console.feed, self._leave_out)

    def _leave_out(self, n_lines: int) -> None:
        self._run.record(Console(wall_time_ns=time_ns(), n_left_out=n_lines))

    def _start_sampler(self, pid: int) -> SystemSampler:
        folder = os.path.dirname(self._run.dir)
        sampler = SystemSampler(self._run.record_system, self._settings.system_interval_s, folder, pid=pid)
        sampler.start()
        return sampler

    def _start_capture(self) -> threading.Thread:
        thread = threading.Thread(target=self._capture, name="tracker-capture", daemon=True)
        if self._settings.capture_environment:
            _pose_as(self._command)
            thread.start()
        else:
            thread.run = lambda: None  # type: ignore[method-assign]
            thread.start()
        return thread

    def _capture(self) -> None:
        keeper = FileKeeper(self._run.dir, self._run.record)
        capture(self._record_environment, keeper, self._settings, self._masker)

    def _record_environment(self, record: Record) -> None:
        if isinstance(record, Environment):
            values = {key: value for key, value in record.values.items() if key not in _OF_THIS_PYTHON}
            if not values:
                return
            record = Environment(wall_time_ns=record.wall_time_ns, values=values)
        self._run.record(record)

    def _end(self, status: int) -> None:
        if self._console is not None:
            self._console.stop()
        name = signal.Signals(-status).name if status < 0 else ""
        self._run.end(status if status >= 0 else _SIGNAL_BASE - status, self._memory_error(status), signal=name)

    def _memory_error(self, status: int) -> RunError | None:
        if status not in (-signal.SIGKILL, _SIGNAL_BASE + signal.SIGKILL):
            return None
        message = out_of_memory.describe_kill(self._memory_kills, out_of_memory.count_kills())
        return RunError(type="OutOfMemory", message=message) if message else None

    def _end_unstarted(self, error: OSError) -> int:
        code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
        say(f"{self._command[0]} cannot be run: {error.strerror}")
        self._run.end(code, RunError(type=type(error).__name__, message=str(error)))
        return code


def child_environment(environ: Mapping[str, str], run: Run) -> dict[str, str]:
    """Return the environment of the command: it leads processes that log to the run, and autoload to frameworks."""
    autoload = os.path.join(os.path.dirname(os.path.abspath(tracker_core.__file__)), "autoload")
    earlier = environ.get("PYTHONPATH")
    return {
        "PYTHONUNBUFFERED": "1",
        **environ,
        "PYTHONPATH": f"{autoload}{os.pathsep}{earlier}" if earlier else autoload,
        env_name("run_id"): run.id,
        env_name("project"): run.project,
        env_name("dir"): os.path.dirname(os.path.dirname(os.path.dirname(run.dir))),
        env_name("launcher"): run.session_id,
    }


def _find_program(name: str) -> tuple[bool, int]:
    """Say whether there is such a program; if not, tell the user and return the exit code that shells give then."""
    if shutil.which(name) is not None:
        return True, 0
    is_there = os.sep in name and os.path.exists(name)
    what = "is a folder" if os.path.isdir(name) else "is not executable; remedy: chmod +x"
    say(f"{name}: {what if is_there else 'command not found'}")
    return False, _NOT_EXECUTABLE if is_there else _NOT_FOUND


def _open_missing_streams() -> None:
    """Open stdin, stdout and stderr where they are closed, so that nothing else gets their numbers."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _pose_as(command: Sequence[str]) -> None:
    """Let this process look like the command where it looks at itself to say what was run."""
    sys.orig_argv[:] = command
    script = next((word for word in command[1:] if os.path.isfile(word) and not word.startswith("-")), "")
    main: Any = sys.modules["__main__"]
    main.__spec__, main.__file__ = None, os.path.abspath(script) if script else ""


def _run_without_console(run: Run, command: Sequence[str]) -> int:
    """Run a command where there are no process groups (Windows): only its end is recorded."""
    import subprocess

    warn("on this system `tracker run` records how the command ends, not what it prints")
    process = subprocess.Popen(command, env=child_environment(os.environ, run))
    stop = LaunchedStop(run, run.settings.stop_grace_s, process.send_signal)  # each of them ends it at once there
    while True:
        try:
            code = process.wait(_LOOK_S)
            break
        except KeyboardInterrupt:
            continue  # the command got it too
        except subprocess.TimeoutExpired:
            stop.look()
    run.record(Environment(wall_time_ns=time_ns(), values={"command": masker_for(run.settings).command(list(command))}))
    run.end(code, None)
    return code

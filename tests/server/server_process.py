"""`tracker server` as a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
_STARTED = re.compile(r"Tracker server for .* at (\S+)")
_KEY = re.compile(r"tk_[0-9A-Za-z]{36}")
_START_S = 60.0


class ServerProcess:
    """One process; `with` waits until it answers and ends it.

    Attributes:
        base_url: its address.
        output: what it has printed so far.
    """

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environ: str) -> None:
        command = [sys.executable, "-m", "tracker_server.cli", "server", "--dir", str(folder), "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ}
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder.parent,
            env=environment,
        )
        self.output = ""
        self.base_url = ""
        self._news = threading.Condition()
        self._hold = threading.Event()
        self._hold.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._hold.wait()
            with self._news:
                self.output += line
                self._news.notify_all()

    def pause_reading(self, until: threading.Event) -> None:
        """Read nothing of what it prints until that is set."""
        self._hold = until

    def wait_for(self, text: str, timeout_s: float = _START_S) -> None:
        """Wait until it has printed something."""
        with self._news:
            assert self._news.wait_for(lambda: text in self.output, timeout_s), self.output

    @property
    def key(self) -> str | None:
        """The key that it has printed, if it has."""
        found = _KEY.search(self.output)
        return found[0] if found else None

    def stop(self, how: int = signal.SIGTERM, timeout_s: float = 40.0) -> int:
        """Send a signal, wait for the end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout_s)
        self._thread.join(10)
        return code

    def __enter__(self) -> ServerProcess:
        self.wait_for("Stop the server with Ctrl-C.")
        found = _STARTED.search(self.output)
        assert found, self.output
        self.base_url = found[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self._thread.join(10)

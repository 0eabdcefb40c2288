"""A real `tracker server` in a process of its own, to be killed and started again."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import child_process
import requests
from training import wait_until

_START_S = 60.0
_KEY = re.compile(r"\btk_[0-9A-Za-z_]+")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealServer:
    """A server with a folder or a database, at a port that stays the same.

    Args:
        folder: its data.
        database_url: its database; "" for files of the folder.
        key: of an admin, where one was made before.
        prefix: a command that runs the server's, such as one that mounts a small disk.
        **environ: more of its environment.

    Attributes:
        key: of the admin, which it prints at its first start.
    """

    def __init__(
        self, folder: Path, database_url: str = "", key: str = "", prefix: tuple[str, ...] = (), **environ: str
    ) -> None:
        self.folder, self.database_url, self.key, self.prefix = folder, database_url, key, prefix
        self.port = free_port()
        self.environ = environ
        self._log = folder.parent / f"server-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> RealServer:
        """Start it; returns once it is ready."""
        self.begin()
        self.wait()
        return self

    def begin(self) -> None:
        """Start it and do not wait."""
        command = [*self.prefix, sys.executable, "-m", "tracker_server.cli", "server", "--port", str(self.port)]
        command += ["--dir", str(self.folder)]
        command += ["--database-url", self.database_url] if self.database_url else []
        environ = child_process.environment(PYTHONUNBUFFERED="1", **self.environ)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder.parent, env=environ)

    def wait(self) -> None:
        """Return once it is ready."""
        deadline_s = time.monotonic() + _START_S
        while not self.is_ready():
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline_s, self.log()
            time.sleep(0.01)
        if not self.key:
            wait_until(lambda: _KEY.search(self.log()))
            found = _KEY.search(self.log())
            assert found is not None
            self.key = found.group()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=10).ok
        except requests.RequestException:
            return False

    def log(self) -> str:
        """Return what it has printed."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM, as an administrator does."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            self.process = None

    def __enter__(self) -> RealServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

"""A `tracker server` in a process of its own for the benchmarks of sync, and what it needs while it runs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parent.parent
_START_S = 60.0
_KEY = re.compile(rb"tk_[0-9A-Za-z_]+")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """Start PostgreSQL as the tests do, but as careful as it is by default; yields the address of an empty database."""
    sys.path.insert(0, str(ROOT))
    from tests.postgres import PostgresServer, bindir

    programs = bindir()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    server = PostgresServer(programs, folder, {"listen_addresses": "127.0.0.1"})
    try:
        server.start()
        yield server.new_store()
    finally:
        server.stop()
        shutil.rmtree(folder)


class TrackerServer:
    """One `tracker server`.

    Args:
        folder: where its data and its log are.
        database_url: its database. Default: files of the folder.
        port: where it listens. Default: a free one.

    Attributes:
        key: the admin key that it printed at its first start.
    """

    def __init__(self, folder: Path, database_url: str = "", port: int = 0, key: str = "") -> None:
        self.folder, self.database_url = folder, database_url
        self.port, self.key = port or free_port(), key
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder.parent / f"server-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process:
        """Its process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> TrackerServer:
        """Start it; returns once it answers."""
        command = [sys.executable, "-m", "tracker_server.cli", "server", "--port", str(self.port)]
        command += ["--dir", str(self.folder)]
        command += ["--database-url", self.database_url] if self.database_url else []
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environ)
        deadline_s = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.02)
        if not self.key:
            self.key = _KEY.findall(self.log.read_bytes())[0].decode()
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """End it without a warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it as an administrator does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> TrackerServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass
class Usage:
    """Watches a process from a thread: its memory and processor time.

    Attributes:
        rss_mib: resident memory, one number a sample.
        cpu_share: processor time over the time watched, of one core.
        load: load averages of the machine over one minute.
    """

    process: psutil.Process
    rss_mib: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    cpu_share: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Usage:
        self._began = (time.monotonic(), self._cpu_s())
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        began_s, began_cpu_s = self._began
        with contextlib.suppress(psutil.Error):  # it has ended
            self.cpu_share = (self._cpu_s() - began_cpu_s) / (time.monotonic() - began_s)

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def _watch(self) -> None:
        with contextlib.suppress(psutil.Error):
            while True:
                self.rss_mib.append(self.process.memory_info().rss / 2**20)
                self.load.append(os.getloadavg()[0])
                if self._end.wait(0.2):
                    return


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

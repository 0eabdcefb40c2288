"""A server in a thread behind the fault proxy, and senders that talk to it, step by step, by a clock of the test's."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from fault_proxy import FaultProxy

from tracker_core.api import Api
from tracker_core.sync.sender import Sender
from tracker_core.sync.transport import Transport
from tracker_server.http.server import TrackerServer, run_server_in_background

_MAX_STEPS = 200


class Clock:
    """Seconds that never go back; waits are jumped over."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class World:
    """One server, one proxy before it.

    Attributes:
        folder: the server's tracker folder.
        api: of that folder.
        clock: of all senders.
        proxy: what senders talk to.
    """

    def __init__(self, folder: Path, timeout_s: float = 5.0) -> None:
        self.folder = folder
        self.clock = Clock()
        self.timeout_s = timeout_s
        self._server: TrackerServer | None = None
        self.key = ""
        self.start_server()
        self.proxy = FaultProxy(self._port()).start()
        self.api = Api(dir=folder)

    def start_server(self) -> None:
        """Start the server where there is none."""
        if self._server is None:
            self._server = run_server_in_background(self.folder)
            self.key = self.key or str(self._server.admin_key)
        if hasattr(self, "proxy"):
            self.proxy.target_port = self._port()

    def hide_server(self) -> None:
        """Let nobody be there for the proxy, until `start_server`."""
        self.proxy.target_port = 1

    def stop_server(self) -> None:
        """Stop the server; the proxy finds nobody there."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _port(self) -> int:
        assert self._server is not None
        return int(self._server.port)

    def new_sender(self, folder: Path, **changes: object) -> Sender:
        """Return a sender of a folder, through the proxy."""
        transport = Transport(self.proxy.url, self.key, timeout_s=self.timeout_s, deadline_s=4 * self.timeout_s)
        options = {"first_wait_s": 0.001, "most_wait_s": 0.01, "transport": transport, "clock": self.clock, **changes}
        return Sender(str(folder), self.proxy.url, self.key, **options)

    def forget(self, folder: Path) -> None:
        """Remove what a sender remembers."""
        shutil.rmtree(folder / "sync", ignore_errors=True)

    def step(self, sender: Sender) -> None:
        """Let a sender do one round, and jump over the wait that it asks for."""
        self.clock.ahead_s += sender.step()

    def drain(self, sender: Sender) -> None:
        """Step until nothing is left, and once more for what was quiet."""
        for _ in range(_MAX_STEPS):
            sender.wake()
            self.step(sender)
            if sender.status.state == "ok" and not sender.left_bytes and not sender.status.troubles:
                return
            self.clock.ahead_s += 60 if sender.status.troubles else 0
        raise AssertionError(f"{sender.left_bytes} bytes are left: {sender.status}")

    def close(self) -> None:
        self.proxy.stop()
        self.stop_server()
        self.api.close()

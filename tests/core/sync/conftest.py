"""A real server for the tests of a module, and what sends to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answering import AnsweringProxy
from step_clock import Clock

from tracker_core.sync.sender import Sender
from tracker_core.sync.transport import Transport
from tracker_server.http.server import TrackerServer, run_server_in_background


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_CONFIG_DIR", str(tmp_path / "no-config"))


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path_factory.mktemp("server") / ".tracker")
    yield running
    running.close()


@pytest.fixture(scope="module")
def module_key(module_server: TrackerServer) -> str:
    return str(module_server.admin_key)


@pytest.fixture
def proxy(module_server: TrackerServer) -> Iterator[AnsweringProxy]:
    """Passes on to the server, unless the test says what to answer instead."""
    there = AnsweringProxy(module_server.base_url)
    yield there
    there.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sender_to(module_key: str, clock: Clock) -> Iterator[Callable[..., Sender]]:
    """Return `sender_to(folder, url)`: a sender that gives up waiting for a server after two seconds."""
    made: list[Sender] = []

    def make(folder: Path | str, url: str, key: str | None = None, **options: Any) -> Sender:
        transport = Transport(url, key or module_key, timeout_s=10.0)
        options = {"clock": clock, "transport": transport, **options}
        made.append(Sender(str(folder), url, key or module_key, **options))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


@pytest.fixture
def drain(clock: Clock) -> Callable[..., None]:
    """Return `drain(sender)`: step, and jump over waits, until nothing is left."""

    def run(sender: Sender, n_steps: int = 100) -> None:
        for _ in range(n_steps):
            clock.ahead_s += sender.step()
            if sender.status.state == "ok" and not sender.has_left:
                return
        raise AssertionError(f"{sender.left_bytes} bytes are left: {sender.status}")

    return run

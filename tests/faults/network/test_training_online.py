"""Whole trainings with a server named: real processes, the real background sender, faults of both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import child_process
import comparison
import psutil
import pytest
from real_server import RealServer, free_port
from sent_journals import assert_same_bytes, assert_same_story
from sync_world import World
from training import Ledger, wait_until

from tracker_core.sync.sender_status import SenderStatus, read_statuses
from tracker_core.sync.wake_pipe import wake_sender

N_ROWS = 2000


class Training:
    """A training that logs known rows, in a process of its own, and the sender that it starts."""

    def __init__(self, folder: Path, ledger: Path, url: str, key: str, **options: object) -> None:
        self.folder, self.ledger = folder, Ledger(ledger)
        self.url, self.key = url, key
        environ = {"TRACKER_BASE_URL": url, "TRACKER_API_KEY": key, "TRACKER_SYNC_INTERVAL_S": "0.1"}
        environ["TRACKER_HEARTBEAT_INTERVAL_S"] = "0.5"  # looks as often for its sender
        self.process = comparison.start(folder, ledger, N_ROWS, environ=environ, **options)

    @property
    def status(self) -> SenderStatus | None:
        return next((status for _, status in read_statuses(str(self.folder))), None)

    def sender_pid(self) -> int:
        """Return the process of the sender, once it has said which it is."""
        wait_until(lambda: self.status is not None and self.status.is_running)
        assert self.status is not None
        return self.status.pid

    def all_sent(self) -> None:
        """Wait until the background sender says that nothing is left."""

        def is_done() -> bool:
            status = self.status
            return status is not None and status.state == "ok" and not status.bytes_left and status.contact_ns > 0

        wait_until(is_done, timeout_s=60)

    def sync(self) -> None:
        """Send what is left by the command."""
        environ = child_process.environment(TRACKER_BASE_URL=self.url, TRACKER_API_KEY=self.key)
        command = [sys.executable, "-m", "tracker_server.cli", "sync", str(self.folder)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        status = self.status
        if status is not None and status.is_running:
            os.kill(status.pid, signal.SIGKILL)
            wait_until(lambda: not psutil.pid_exists(status.pid))


@pytest.fixture
def started() -> Iterator[list[Training]]:
    """Trainings to be ended in the end."""
    found: list[Training] = []
    yield found
    for training in found:
        training.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server of its own for each test: all trainings have the same run."""
    (tmp_path / "there").mkdir()
    there = World(tmp_path / "there" / ".tracker")
    yield there
    there.close()


def must_equal(training: Training, server: Path) -> None:
    """Check that nothing is lost, locally and on the server."""
    kept = comparison.compare(training.folder, training.ledger)
    assert kept.n_lost == 0
    assert kept.n_dropped == 0
    assert_same_bytes(training.folder, server)
    assert_same_story(training.folder, server)


@pytest.mark.fault("F11")
def test_the_sender_is_killed_and_started_again(world: World, folder: Path, tmp_path: Path, started: list) -> None:
    go_on = tmp_path / "go_on"
    training = Training(folder, tmp_path / "ledger", world.proxy.url, world.key, pause_s=0.005, wait_for=str(go_on))
    started.append(training)
    for _ in range(2):
        pid = training.sender_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: training.sender_pid() != pid)
    go_on.touch()
    _, stderr = training.process.communicate(timeout=120)
    assert training.process.returncode == 0, stderr
    training.all_sent()
    must_equal(training, world.folder)


@pytest.mark.fault("F1", "F25")
def test_a_killed_training_is_sent_whole(folder: Path, tmp_path: Path, started: list) -> None:
    """The server is not there while it trains; the sender outlives the training and sends what is on disk."""
    (tmp_path / "server").mkdir()
    server = RealServer(tmp_path / "server" / ".tracker").start()
    try:
        server.kill()
        training = Training(folder, tmp_path / "ledger", server.url, server.key, pause_s=0.005)
        started.append(training)
        training.sender_pid()
        wait_until(lambda: training.ledger.n_returned() > N_ROWS // 4)
        training.process.kill()
        training.process.communicate()
        server.start()
        wake_sender(read_statuses(str(folder))[0][0])  # it has waited for the server ever longer
        training.all_sent()
        must_equal(training, server.folder)
    finally:
        server.kill()


@pytest.mark.fault("F25", "F27")
@pytest.mark.parametrize("how", ["absent", "black hole"])
def test_a_training_ends_in_time_without_its_server(
    world: World, folder: Path, tmp_path: Path, started: list, how: str
) -> None:
    """`finish` waits no longer than it may, and says what is left; `tracker sync` sends it later."""
    dead = f"http://127.0.0.1:{free_port()}"
    url = dead if how == "absent" else world.proxy.url
    world.proxy.is_deaf = how != "absent"
    training = Training(folder, tmp_path / "ledger", url, world.key, sync_timeout_s=1.0)
    started.append(training)
    _, stderr = training.process.communicate(timeout=60)
    assert training.process.returncode == 0, stderr
    assert training.ledger.longest_s() < 5
    world.proxy.heal()
    training.close()
    training.url = world.proxy.url
    training.sync()
    must_equal(training, world.folder)

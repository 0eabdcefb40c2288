"""Two servers of one database behind a real nginx, killed in turn while real senders send: nothing lost, none twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sent_journals import LocalJournal, rows_of
from training import wait_until

from tests.server.sync_client import SyncClient
from tests.server.test_behind_nginx import World, world  # noqa: F401
from tracker_core.sync.sender import Sender

N_SENDERS = 3


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    return [tmp_path / f"machine{n}" / ".tracker" for n in range(N_SENDERS)]


class Machine:
    """A machine that trains and sends, from a thread."""

    def __init__(self, place: Path, world: World, n: int) -> None:  # noqa: F811
        self.journal = LocalJournal(place, f"run{n}")
        url, key = world.nginx.base_url, world.key or ""
        self.sender = Sender(str(place), url, key, first_wait_s=0.02, most_wait_s=0.2, interval_s=0.02)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._end.wait(min(self.sender.step(), 0.2)):
            if not self.journal.is_closed and self.sender.left_bytes < 1 << 20:
                self.journal.log(50)

    def is_done(self) -> bool:
        return self.journal.is_closed and self.sender.status.state == "ok" and not self.sender.left_bytes

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.sender.close()


@pytest.fixture
def machines(places: list[Path], world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Machine]]:  # noqa: F811
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.nginx.certificate))
    running = [Machine(place, world, n) for n, place in enumerate(places)]
    yield running
    for machine in running:
        machine.close()


def _wait_for_rows(machines: list[Machine], n_rows: int) -> None:
    """Wait until every machine has logged so many more rows."""
    goals = [(machine, machine.journal.n_rows + n_rows) for machine in machines]
    wait_until(lambda: all(machine.journal.n_rows >= goal for machine, goal in goals))


def kill_in_turn(world: World, machines: list[Machine], n_kills: int) -> None:  # noqa: F811
    for i in range(n_kills):
        _wait_for_rows(machines, 500)
        victim = i % 2
        world.servers[victim].process.kill()
        _wait_for_rows(machines, 500)
        world.servers[victim].__exit__(None, None, None)
        world.servers[victim] = world.start(victim)
    for machine in machines:
        machine._end.set()
        machine._thread.join()
        machine.journal.end()
        machine._end.clear()
        machine._thread = threading.Thread(target=machine._work)
        machine._thread.start()
    wait_until(lambda: all(machine.is_done() for machine in machines), timeout_s=60)


@pytest.mark.long
@pytest.mark.fault("F32")
def test_servers_killed_in_turn_behind_nginx(world: World, machines: list[Machine]) -> None:  # noqa: F811
    kill_in_turn(world, machines, n_kills=6)
    direct = SyncClient(world.servers[0].base_url, world.key)
    for n, machine in enumerate(machines):
        expected = [row[3]["loss"][1] for row in rows_of(machine.journal.path)]
        assert len(expected) == machine.journal.n_rows
        path = f"/api/v1/projects/sent/runs/run{n}/series"

        def whole(path: str = path, n_rows: int = len(expected)) -> bool:
            reply = direct.http.get(path, params={"key": "n"})
            return bool(reply.is_success and reply.json()["values"] == list(range(n_rows)))

        wait_until(whole, timeout_s=60)
    direct.close()

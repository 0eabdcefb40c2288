"""A real server that is killed, full or beset by stuck clients keeps all that it acknowledged, and gets the rest."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import child_process
import pytest
from real_server import RealServer
from sent_journals import LocalJournal, assert_same_bytes, assert_same_items, assert_same_story
from training import wait_until

from tracker_core.sync.sender import Sender


@contextmanager
def sending(folder: Path, server: RealServer) -> Iterator[Sender]:
    """Send from a thread, as the helper process does, with short waits."""
    sender = Sender(str(folder), server.url, server.key, first_wait_s=0.01, most_wait_s=0.1, interval_s=0.01)
    end = threading.Event()

    def work() -> None:
        while not end.wait(min(sender.step(), 0.2)):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sender
    finally:
        end.set()
        thread.join()
        sender.close()


def must_arrive(journals: list[LocalJournal], sender: Sender, folder: Path, server: Path) -> None:
    for journal in journals:
        journal.end()
    wait_until(lambda: all(_is_there(journal, server) for journal in journals), timeout_s=60)
    wait_until(lambda: sender.status.state == "ok" and not sender.left_bytes, timeout_s=60)
    assert_same_bytes(folder, server)


def _is_there(journal: LocalJournal, server: Path) -> bool:
    there = server / journal.name
    return there.exists() and there.stat().st_size == journal.path.stat().st_size


def _acked(sender: Sender, journal: LocalJournal) -> int:
    """Return how many bytes of a journal are acknowledged."""
    for run in list(sender.followed.values()):
        for followed in list(run.journals.values()):
            if followed.name.session == journal.session.hex():
                return max(0, followed.acked)
    return 0


def kill_again_and_again(tmp_path: Path, n_kills: int, seed: int) -> None:
    draw = random.Random(seed)
    folder, there = tmp_path / "client" / ".tracker", tmp_path / "server" / ".tracker"
    (tmp_path / "server").mkdir()
    journals = [LocalJournal(folder, run) for run in ("a", "b", "c")]
    with RealServer(there) as server, sending(folder, server) as sender:
        for _ in range(n_kills):
            wait_until(lambda: all(_acked(sender, journal) for journal in journals))
            stop = threading.Event()
            timer = threading.Timer(draw.uniform(0.0, 0.3), stop.set)
            timer.start()
            while not stop.wait(0.005):
                for journal in journals:
                    journal.log(20)
                journals[0].log(1, text_bytes=30_000)
            acked = {journal.name: _acked(sender, journal) for journal in journals}
            server.kill()
            for name, n_bytes in acked.items():
                n_kept = (there / name).stat().st_size if n_bytes else 0
                assert n_kept >= n_bytes, "what was acknowledged is there"
            assert_prefix(folder, there)
            server.start()
        must_arrive(journals, sender, folder, there)
    assert_same_story(folder, there)


def assert_prefix(folder: Path, there: Path) -> None:
    """Check that what a server has is how the local journals begin."""
    for path in there.rglob("*.journal"):
        kept = path.read_bytes()
        assert (folder / path.relative_to(there)).read_bytes()[: len(kept)] == kept


@pytest.mark.fault("F32")
def test_a_server_killed_while_it_takes_runs_in(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 3, seed=1)


@pytest.mark.long
@pytest.mark.fault("F32")
@pytest.mark.parametrize("seed", range(4))
def test_a_server_killed_over_and_over_while_it_takes_runs_in(tmp_path: Path, seed: int) -> None:
    kill_again_and_again(tmp_path, 25, seed)


def _ends(server: RealServer) -> bool:
    """Say whether the process is about to be gone."""
    assert server.process is not None
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.fault("F32")
@pytest.mark.parametrize(("calls", "when"), [("fdatasync", 4), ("write,pwrite64", 1), ("fsync", 2)])
def test_a_server_killed_at_a_system_call(tmp_path: Path, calls: str, when: int) -> None:
    folder, there = tmp_path / "client" / ".tracker", tmp_path / "server" / ".tracker"
    (tmp_path / "server").mkdir()
    journals = [LocalJournal(folder, run) for run in ("a", "b")]
    with RealServer(there) as server, sending(folder, server) as sender:
        assert server.process is not None
        prefix = child_process.strace_prefix(f"{calls}:signal=SIGKILL:when={when}")
        tracer = subprocess.Popen([*prefix, "-p", str(server.process.pid)])
        n_runs = 0
        while server.process.poll() is None:
            if tracer.poll() is not None and not _ends(server):
                child_process.missing("the right to trace a running process")
            journals[0].log(50)
            if n_runs < 50:  # new runs are new folders, which are flushed too
                n_runs += 1
                journals.append(LocalJournal(folder, f"new{n_runs}"))
            wait_until(lambda: server.process.poll() is not None or sender.left_bytes < 20_000)
        tracer.wait()
        server.kill()
        assert_prefix(folder, there)
        server.start()
        must_arrive(journals, sender, folder, there)
    assert_same_story(folder, there)


@pytest.mark.fault("F16", "F32")
def test_a_server_whose_disk_is_full(tmp_path: Path) -> None:
    """Answers that it has no room, acknowledges nothing that it has not kept, and goes on when there is room again."""
    folder, place = tmp_path / "client" / ".tracker", tmp_path / "server"
    place.mkdir()
    mount = f'mount -t tmpfs -o size=3m tmpfs {place} && exec "$@"'
    prefix = (*child_process.mount_prefix(), "sh", "-c", mount, "sh")
    journals = [LocalJournal(folder, run) for run in ("a", "b")]
    server = RealServer(place / ".tracker", prefix=prefix)
    server._log = tmp_path / "server.log"
    with server:
        assert server.process is not None
        inside = Path(f"/proc/{server.process.pid}/root") / str(place / ".tracker").lstrip("/")
        with sending(folder, server) as sender:
            for _ in range(20):
                for journal in journals:
                    journal.log(100)
                    journal.log(2, text_bytes=100_000)
            wait_until(lambda: sender.status.state == "waiting", timeout_s=60)
            assert "503" in sender.status.error or "507" in sender.status.error, sender.status.error
            for journal in journals:
                kept = (inside / journal.name).read_bytes() if (inside / journal.name).exists() else b""
                assert journal.path.read_bytes()[: len(kept)] == kept
            assert sender.left_bytes
            enter = ["nsenter", "-t", str(server.process.pid), "-m"]
            enter += ["-U", "--preserve-credentials"] if "-Urm" in prefix else []
            subprocess.run([*enter, "mount", "-o", "remount,size=200m", str(place)], check=True)
            sender.try_now()
            must_arrive(journals, sender, folder, inside)
        copy = tmp_path / "copy"
        shutil.copytree(inside, copy / ".tracker")
    assert_same_items(folder, copy / ".tracker")
    assert_same_story(folder, copy / ".tracker")


@pytest.mark.fault("F35")
def test_stuck_clients_do_not_hurt_others(tmp_path: Path) -> None:
    folder, there = tmp_path / "client" / ".tracker", tmp_path / "server" / ".tracker"
    (tmp_path / "server").mkdir()
    journals = [LocalJournal(folder, run) for run in ("a", "b")]
    with RealServer(there) as server:
        stuck = [_stuck_client(server, i) for i in range(60)]
        try:
            with sending(folder, server) as sender:
                for _ in range(10):
                    for journal in journals:
                        journal.log(200)
                must_arrive(journals, sender, folder, there)
                assert sender.status.error == ""
            assert server.is_ready()
        finally:
            for one in stuck:
                one.close()
    assert_same_story(folder, there)


def _stuck_client(server: RealServer, i: int) -> socket.socket:
    """Return a connection over which a request comes only in part, and then nothing more."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /api/v1/sync/blocks HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    if i % 3 == 0:
        connection.sendall(head[: 5 + i].encode())
        return connection
    head += (
        f"Authorization: Bearer {server.key}\r\nContent-Type: application/msgpack\r\nContent-Length: 4000000\r\n\r\n"
    )
    body = os.urandom(i * 1000) if i % 3 == 1 else b""
    connection.sendall(head.encode() + body)
    return connection

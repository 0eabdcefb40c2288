"""`tracker server` as a process: its start, what it prints, its end, kills, TLS, and two processes of one database."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from tracker_core.errors import UsageError
from tracker_server.catalog.decisions import by_me
from tracker_server.http.server import ServerOptions, TrackerServer, run_server_in_background
from tracker_server.query.folder import LocalFolder
from tracker_server.query.folder_status import folder_status

from .conftest import Journal
from .server_process import ServerProcess
from .sync_client import SYNC, SyncClient, name_of, part


def filled(folder: Path, n_rows: int = 200, **session: object) -> Journal:
    journal = Journal(folder, **session)
    for step in range(n_rows):
        journal.row(step, loss=step / 2)
    return journal


def shown(sender: SyncClient, wait_until, n_points: int) -> list[float]:
    """Wait until a run's chart has so many points, and return them."""

    def points() -> list[float] | None:
        reply = sender.http.get("/api/v1/projects/p/runs/a/series", params={"key": "loss"})
        return reply.json()["values"] if reply.is_success and len(reply.json()["values"]) >= n_points else None

    return wait_until(points, timeout_s=60)


def test_a_first_start_prints_the_address_an_admin_key_once_and_how_to_send_runs(tmp_path):
    with ServerProcess(tmp_path / "served") as server:
        key = server.key
        assert key and f"tracker login {server.base_url}" in server.output and "TRACKER_API_KEY" in server.output
        sender = SyncClient(server.base_url, key)
        assert sender.hello().scope == "admin"
        sender.close()
        assert server.stop() == 0
        assert server.output.count(key) == 1
    kept = b"".join(path.read_bytes() for path in (tmp_path / "served").rglob("*") if path.is_file())
    assert key.encode() not in kept
    with ServerProcess(tmp_path / "served") as server:
        assert server.key is None
        assert httpx.get(f"{server.base_url}/api/v1/projects", headers={"Authorization": f"Bearer {key}"}).is_success


def test_each_request_leaves_a_line_of_json(tmp_path):
    with ServerProcess(tmp_path / "served") as server:
        httpx.get(f"{server.base_url}/health", headers={"X-Request-ID": "look-for-me"})
        server.wait_for("look-for-me")
        line = next(line for line in server.output.splitlines() if "look-for-me" in line)
        assert json.loads(line)["route"] == "/health"


def test_a_taken_port_is_an_error_that_says_so(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = ServerProcess(tmp_path / "served", port=taken.getsockname()[1])
        assert process.process.wait(60) == 2
        process.wait_for("taken; name another with --port")


def test_other_machines_reach_it_only_where_there_is_a_key(tmp_path):
    first = TrackerServer(ServerOptions(str(tmp_path / "served"), host="0.0.0.0", port=0))
    assert first.admin_key is not None and first.is_open_plainly
    first.keys.revoke("first admin key", by_me())
    first.close()
    with pytest.raises(UsageError, match="and no key"):
        TrackerServer(ServerOptions(str(tmp_path / "served"), host="0.0.0.0", port=0))
    TrackerServer(ServerOptions(str(tmp_path / "served"), host="localhost", port=0)).close()


def test_a_request_that_is_being_answered_is_finished_and_all_is_sealed_at_the_end(tmp_path):
    journal = filled(tmp_path / "training")
    journal.end()
    data, name = Path(journal.path).read_bytes(), name_of(journal)
    with ServerProcess(tmp_path / "served") as server:
        sender = SyncClient(server.base_url, server.key)
        sender.send(journal.path, name)
        with socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), 30) as connection:
            body = b"\x81\xa8journals\x90"
            lines = [f"POST {SYNC}/state HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.key}"]
            lines += ["Content-Type: application/msgpack", f"Content-Length: {len(body)}", "", ""]
            connection.sendall("\r\n".join(lines).encode() + body[:3])
            server.process.send_signal(signal.SIGTERM)
            wait_for_status(sender, "/ready", 503)
            connection.sendall(body[3:])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert server.stop() == 0
        sender.close()
    assert folder_status(str(tmp_path / "served")).n_unsealed == 0
    assert (tmp_path / "served" / "runs" / "p" / "a" / Path(journal.path).name).read_bytes() == data


def wait_for_status(sender: SyncClient, path: str, status: int) -> None:
    deadline, pause = time.monotonic() + 20, threading.Event()
    while sender.http.get(path).status_code != status:
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_an_end_does_not_wait_for_a_client_that_does_nothing(tmp_path):
    with (
        ServerProcess(tmp_path / "served") as server,
        socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), 30) as idle,
    ):
        idle.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(1 << 16)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("has_database", [False, True], ids=["folder", "database"])
def test_killed_while_it_takes_blocks_it_has_every_acknowledged_byte_once(tmp_path, has_database, request, wait_until):
    url = ["--database-url", request.getfixturevalue("database_url")] if has_database else []
    journal = filled(tmp_path / "training", 20_000)
    data, name = Path(journal.path).read_bytes(), name_of(journal)
    key, acked = None, 0
    for turn in range(2):
        with ServerProcess(tmp_path / "served", *url) as server:
            key = key or server.key
            sender = SyncClient(server.base_url, key)
            state = sender.state(name)[0]
            assert state.size_bytes >= acked and not state.trouble
            acked = state.size_bytes
            killer = threading.Timer(0.05 + 0.1 * turn, server.process.kill)
            killer.start()
            try:
                while acked < len(data):
                    ack = sender.blocks(part(name, data, acked, 3001)).acks[0]
                    assert not ack.trouble
                    acked = ack.size_bytes
            except httpx.TransportError:
                pass
            killer.join()
            sender.close()
    with ServerProcess(tmp_path / "served", *url) as server:
        sender = SyncClient(server.base_url, key)
        assert sender.state(name)[0].size_bytes >= acked
        assert sender.send(journal.path, name).size_bytes == len(data)
        assert shown(sender, wait_until, 20_000) == [step / 2 for step in range(20_000)]
        assert sender.http.get("/api/v1/projects/p/runs/a").json()["health"]["n_damaged"] == 0
        sender.close()


def test_it_serves_tls_with_a_certificate_and_its_key(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    made = subprocess.run([*command.split(), "-keyout", key, "-out", certificate], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is not installed")
    running = run_server_in_background(
        tmp_path / "served", tls_certificate=os.fspath(certificate), tls_key=os.fspath(key)
    )
    assert running.base_url.startswith("https://") and not running.is_open_plainly
    sender = SyncClient(running.base_url, running.admin_key, verify=ssl.create_default_context(cafile=certificate))
    assert sender.hello().scope == "admin"
    with pytest.raises(httpx.ConnectError):
        SyncClient(running.base_url, running.admin_key).hello()
    with pytest.raises(httpx.TransportError):
        httpx.get(running.base_url.replace("https", "http") + "/health")
    sender.close()
    running.close()


@pytest.mark.parametrize("given", [{"tls_certificate": "x.pem"}, {"tls_key": "x.pem"}])
def test_half_of_what_tls_needs_is_an_error(tmp_path, given):
    with pytest.raises(UsageError, match="name both files"):
        TrackerServer(ServerOptions(str(tmp_path / "served"), port=0, **given))


def test_a_certificate_that_cannot_be_read_is_an_error_before_anything_is_served(tmp_path):
    process = ServerProcess(tmp_path / "served", "--tls-certificate", "no.pem", "--tls-key", "no.pem")
    assert process.process.wait(60) == 2
    process.wait_for("no.pem")


def test_two_processes_of_one_database_share_runs_keys_and_work(tmp_path, database_url, wait_until):
    first = run_server_in_background(tmp_path / "served", database_url)
    other = run_server_in_background(tmp_path / "served", database_url)
    assert first.admin_key and other.admin_key is None and first.server_id == other.server_id
    journal = filled(tmp_path / "training", 5000)
    data, name = Path(journal.path).read_bytes(), name_of(journal)
    senders = [SyncClient(server.base_url, first.admin_key) for server in (first, other)]
    done = 0
    for turn in range(100):
        done = senders[turn % 2].blocks(part(name, data, done, 5001)).acks[0].size_bytes
        if done == len(data):
            break
    for sender in senders:
        values = wait_until(
            lambda s=sender: (
                (r := s.http.get("/api/v1/projects/p/runs/a/series", params={"key": "loss"})).is_success
                and len(r.json()["values"]) == 5000
                and r.json()["values"]
            ),
            timeout_s=30,
        )
        assert values == [step / 2 for step in range(5000)]
        sender.close()
    first.close()
    other.close()


def test_the_folder_of_a_server_is_a_tracker_folder_like_any_other(tmp_path):
    running = run_server_in_background(tmp_path / "served")
    journal = filled(tmp_path / "training")
    sender = SyncClient(running.base_url, running.admin_key)
    sender.send(journal.path, name_of(journal))
    sender.close()
    running.close()
    folder = LocalFolder(tmp_path / "served", is_writer=False)
    folder.refresh()
    assert folder.series("p", "a", "loss").values.tolist() == [step / 2 for step in range(200)]
    folder.close()


def test_a_log_that_nobody_reads_holds_up_no_request(tmp_path):
    server = ServerProcess(tmp_path / "served")
    with server:
        hold = threading.Event()
        server.pause_reading(hold)
        with httpx.Client(base_url=server.base_url, timeout=30) as client:
            for _ in range(1500):  # of about 200 bytes each, and a pipe holds 64 KiB
                assert client.get("/health").status_code == 200
        hold.set()
        assert server.stop() == 0

"""Two `tracker server` processes of one PostgreSQL database behind a real nginx with the example's configuration."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.postgres import PostgresServer

from .conftest import Journal
from .server_process import ServerProcess
from .sync_client import SyncClient, name_of, part

EXAMPLE = Path(__file__).parents[2] / "examples" / "nginx" / "tracker.conf"
HOST = "tracker.example.com"
N_ROWS = 4000


class Nginx:
    """One nginx with a folder and a port of its own."""

    def __init__(self, program: str, folder: Path, upstreams: list[int]) -> None:
        self.port = _free_port()
        folder.mkdir()
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={HOST}"
        command += f" -addext subjectAltName=DNS:{HOST},IP:127.0.0.1 -keyout {key} -out {certificate}"
        subprocess.run(command.split(), check=True, capture_output=True)
        text = EXAMPLE.read_text()
        for given, port in zip((7080, 7081), upstreams, strict=True):
            text = text.replace(f"127.0.0.1:{given}", f"127.0.0.1:{port}")
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
        text = re.sub(r"(ssl_certificate\s+)\S+;", rf"\g<1>{certificate};", text)
        text = re.sub(r"(ssl_certificate_key\s+)\S+;", rf"\g<1>{key};", text)
        paths = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.getuid() == 0 else ""
        main = f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        config = folder / "nginx.conf"
        config.write_text(f"{main} events {{}} http {{ access_log off; {paths}\n{text}\n}}")
        self.certificate = certificate
        self.process = subprocess.Popen([program, "-p", str(folder), "-c", str(config)])
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, (folder / "error.log").read_text()

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class World:
    """The two servers and what is in front of them."""

    def __init__(self, folder: Path, url: str, program: str) -> None:
        self.folder, self.url = folder, url
        self.servers = [self.start(0)]  # the first makes the key
        self.key = self.servers[0].key
        self.servers.append(self.start(0))
        self.ports = [int(server.base_url.rpartition(":")[2]) for server in self.servers]
        self.nginx = Nginx(program, folder / "nginx", self.ports)

    def start(self, port: int) -> ServerProcess:
        arguments = ["--database-url", self.url, "--trusted-proxy", "127.0.0.1"]
        environ = {"TRACKER_ALLOWED_HOSTS": HOST}
        server = ServerProcess(self.folder / "served", *arguments, port=port, **environ)
        return server.__enter__()

    def client(self) -> SyncClient:
        trusted = ssl.create_default_context(cafile=self.nginx.certificate)
        sender = SyncClient(self.nginx.base_url, self.key, verify=trusted)
        sender.http.headers["Host"] = HOST
        return sender

    def close(self) -> None:
        self.nginx.close()
        for server in self.servers:
            server.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path, postgres: PostgresServer) -> Iterator[World]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        message = "nginx or openssl is not installed (Debian: apt-get install nginx-light openssl)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    made = World(tmp_path, postgres.new_store(), program)
    yield made
    made.close()


def test_the_example_serves_senders_and_says_who_they_are(world):
    sender = world.client()
    assert sender.hello().scope == "admin"
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Request-ID": "forged"}
    reply = sender.http.get("/api/v1/projects", headers=forged)
    assert reply.status_code == 200 and len(reply.headers["x-request-id"]) == 32
    for server in world.servers:
        if reply.headers["x-request-id"] in server.output:
            assert '"client": "127.0.0.1"' in server.output and "203.0.113.9" not in server.output
    assert sender.http.get("/health", headers={"Host": "evil.example"}).status_code == 403
    assert sender.http.post("/api/v1/sync/blocks", content=bytes(10 << 20)).status_code == 413
    assert sender.http.post("/api/v1/exact/artifacts/commit", content=bytes(10 << 20)).status_code in (400, 422)
    assert sender.http.get("/metrics").status_code == 200
    sender.close()


def test_a_process_killed_under_load_loses_nothing(world, tmp_path, wait_until):
    journals = [Journal(tmp_path / "training", run=f"r{i}") for i in range(6)]
    for journal in journals:
        for step in range(N_ROWS):
            journal.row(step, loss=step / 2)
    troubles: list[str] = []
    killed = threading.Event()

    def send(number: int) -> None:
        sender, journal = world.client(), journals[number]
        data, name = Path(journal.path).read_bytes(), name_of(journal, run=f"r{number}")
        done = 0
        while done < len(data):
            try:
                ack = sender.blocks(part(name, data, done, 4001)).acks[0]
            except (httpx.TransportError, AssertionError):  # what a sender tries again
                done = _state(sender, name)
                continue
            if ack.trouble or ack.size_bytes < done:
                troubles.append(f"{ack}")
                return
            done = ack.size_bytes
            if number == 0 and done > len(data) // 3 and not killed.is_set():
                world.servers[1].process.kill()
                killed.set()
        sender.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(journals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not troubles and killed.is_set() and not any(thread.is_alive() for thread in threads)
    world.servers[1].__exit__(None, None, None)
    world.servers[1] = world.start(world.ports[1])
    direct = SyncClient(world.servers[1].base_url, world.key)
    for number in range(len(journals)):
        path = f"/api/v1/projects/p/runs/r{number}/series"

        def whole(path: str = path) -> bool:
            reply = direct.http.get(path, params={"key": "loss"})
            return reply.is_success and reply.json()["values"] == [step / 2 for step in range(N_ROWS)]

        wait_until(whole, timeout_s=60)
    direct.close()


def _state(sender: SyncClient, name) -> int:
    deadline, pause = time.monotonic() + 60, threading.Event()
    while True:
        try:
            return sender.state(name)[0].size_bytes
        except (httpx.TransportError, AssertionError):
            assert time.monotonic() < deadline
            pause.wait(0.05)

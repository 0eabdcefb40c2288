"""A real S3 server for tests, moto's in a process of its own: one a session, a fresh bucket for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_START_S = 60.0


class ObjectStoreServer:
    """One running server.

    Attributes:
        address: where it listens.
        environment: the variables by which a client finds it.
    """

    def __init__(self, program: str) -> None:
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.environment: Mapping[str, str] = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "key-of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "AWS_REGION": "us-east-1",
        }
        self._numbers = itertools.count()
        command = [program, "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        deadline, pause = time.monotonic() + _START_S, threading.Event()
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.address}/moto-api/", timeout=5).close()
                return
            except OSError:
                pause.wait(0.05)
        self.stop()
        raise AssertionError("moto's server did not start")

    def new_bucket(self) -> str:
        """Return the name of a new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        urllib.request.urlopen(urllib.request.Request(f"{self.address}/{name}", method="PUT"), timeout=30).close()
        return name

    def stop(self) -> None:
        """Stop at once."""
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStoreServer]:
    """A running S3 server; the test is skipped where moto is not installed, except in continuous integration."""
    beside = Path(sys.executable).with_name("moto_server")
    program = str(beside) if beside.exists() else shutil.which("moto_server")
    if program is None:
        message = "moto's server is not installed (pip install 'moto[server]')"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    server = ObjectStoreServer(program)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3_url(object_store: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a place in a new bucket, such as `blobs_url` takes; the environment says how to reach it."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.new_bucket()}/some/prefix"

"""A real PostgreSQL for tests: one server a session in a temporary folder, a fresh database for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3cret-of-the-tests"
_START_S = 60.0
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "50",
}


class PostgresServer:
    """One running server.

    Args:
        bindir: where its programs are.
        folder: where everything of it will be.
        options: settings of the server. Default: fast, and careless about a loss of power.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, bindir: Path, folder: Path, options: Mapping[str, str] = _OPTIONS) -> None:
        self._bindir = bindir
        self._options = options
        self._folder = folder
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._template = ""
        self.port = _free_port()

    def start(self) -> None:
        """Make a cluster whose own order of text is not by code point, and start it."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        _give_away(self._folder, password)
        options = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", "--username=tracker", "--encoding=UTF8"]
        options += ["--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8"]
        data = self._folder / "data"
        subprocess.run(
            [self._bindir / "initdb", "-D", data, *options], check=True, stdout=subprocess.DEVNULL, **_user()
        )
        arguments = [f"-c{name}={value}" for name, value in self._options.items()]
        arguments += [f"-cunix_socket_directories={self._folder}", f"-p{self.port}"]
        with open(self._folder / "log", "wb") as log:
            command = [self._bindir / "postgres", "-D", data, *arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **_user())
        self._wait()

    def _wait(self) -> None:
        deadline, pause = time.monotonic() + _START_S, threading.Event()
        while time.monotonic() < deadline:
            if subprocess.run([self._bindir / "pg_isready", "-q", "-h127.0.0.1", f"-p{self.port}"]).returncode == 0:
                return
            pause.wait(0.05)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        """Stop at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # its fast way: others are cut off
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def url(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://tracker:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def new_database(self) -> str:
        """Return the address of a new, empty database."""
        return self.url(self._create(f"test_{next(self._numbers)}", "template0"))

    def new_store(self) -> str:
        """Return the address of a new database with the tables of the tracker."""
        if not self._template:
            from tracker_server.store.store_migrate import open_database

            self._template = "tracker_template"
            open_database(self.url(self._create(self._template, "template0"))).close()
        return self.url(self._create(f"test_{next(self._numbers)}", self._template))

    def _create(self, name: str, template: str) -> str:
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def execute(self, statement: str) -> None:
        """Execute one statement as the owner of the server."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def bindir() -> Path | None:
    """Return the folder of PostgreSQL's server programs, or None where it is not installed."""
    found = shutil.which("pg_config")
    told = subprocess.run([found, "--bindir"], capture_output=True, text=True).stdout.strip() if found else ""
    folders = [Path(told)] if told else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user() -> dict[str, Any]:
    """Return how to start a program as somebody else where we are root, as whom PostgreSQL refuses to run."""
    if os.getuid() != 0:
        return {}
    import pwd  # not there on Windows

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"}


def _give_away(*paths: Path) -> None:
    user = _user().get("user")
    for path in paths:
        if user:
            shutil.chown(path, user)
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server; the test is skipped where none is installed, except in continuous integration."""
    programs = bindir() if hasattr(os, "getuid") else None
    if programs is None:
        message = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    # Not below pytest's own folder, into which nobody but us may look.
    folder = Path(tempfile.mkdtemp(prefix="tracker-postgres-", dir="/tmp"))
    server = PostgresServer(programs, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> str:
    """The address of a database without tables."""
    return postgres.new_database()


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """The address of a database with the tables of the tracker, and nothing in them."""
    return postgres.new_store()

"""What the server's tests share: tracker folders with journals made record by record, and a real server."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from blake3 import blake3

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.paths import journal_path
from tracker_core.records import (
    KIND_OF,
    Config,
    Console,
    ConsoleLine,
    Environment,
    File,
    Record,
    RowMap,
    Session,
    State,
    Summary,
    encode,
)
from tracker_server.http.ui_server import UiServer, run_in_background

T0_NS = 1_700_000_000_000_000_000


class Journal:
    """A journal being written, as the process that trains would, with a clock that the test sets."""

    def __init__(self, folder: Path, run: str = "a", project: str = "p", writer: str = "main", **session: Any) -> None:
        self.session = secrets.token_bytes(16)
        self.path = journal_path(str(folder), project, run, writer, self.session)
        self.now_ns = T0_NS
        self._layouts: dict[tuple[tuple[str, ...], str, int], RowLayout] = {}
        self._file = JournalFile(self.path, self.session)
        self._file.open()
        fields = {"run": run, "project": project, "writer": writer, **session}
        self.put(Session(wall_time_ns=self.now_ns, session=self.session.hex(), **fields))

    @property
    def name(self) -> str:
        return "/".join(Path(self.path).parts[-3:])

    def put(self, record: Record) -> None:
        self._file.put(KIND_OF[type(record)], encode(record))

    def row(self, step: int, codes: str = "", **values: Any) -> None:
        """Write one row; without `codes` as the writer would: d for float, q for int, a map for anything else."""
        self.now_ns += 1_000_000
        found = codes or "".join({float: "d", int: "q", bool: "?"}.get(type(v), "o") for v in values.values())
        if "o" in found:
            self.put(RowMap(wall_time_ns=self.now_ns, step=step, values=values))
            return
        self._put_packed((tuple(values), found, Kind.ROW), step, tuple(values.values()))

    def system(self, step: int = 0, **values: float) -> None:
        """Write one sample of the machine; `cpu=1.0` is the metric system/cpu."""
        self.now_ns += 1_000_000
        keys = tuple(f"system/{name}" for name in values)
        self._put_packed((keys, "d" * len(keys), Kind.SYSTEM), step, tuple(values.values()))

    def _put_packed(self, key: tuple[tuple[str, ...], str, int], step: int, values: tuple[Any, ...]) -> None:
        layout = self._layouts.setdefault(key, RowLayout(*key))
        self._file.put_row(layout, step, self.now_ns, values)

    def lines(self, *texts: str, first: int, stream: int = 1, n_left_out: int = 0) -> None:
        """Write lines of output, numbered from `first` on."""
        self.now_ns += 1_000_000
        lines = [ConsoleLine(first + i, self.now_ns, stream, text) for i, text in enumerate(texts)]
        self.put(Console(wall_time_ns=self.now_ns, lines=lines, n_left_out=n_left_out))

    def environment(self, **values: Any) -> None:
        self.put(Environment(wall_time_ns=self.now_ns, values=values))

    def file(self, path: str, content: bytes, kind: str = "file") -> str:
        """Keep a file with the run, as the writer would; return its digest."""
        self.now_ns += 1_000_000
        digest = blake3(content).hexdigest()
        kept = Path(self.path).parent / "files" / digest
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(content)
        self.put(File(wall_time_ns=self.now_ns, path=path, digest=digest, size_bytes=len(content), kind=kind))
        return digest

    def config(self, **values: Any) -> None:
        self.put(Config(wall_time_ns=self.now_ns, values=values))

    def summary(self, **values: Any) -> None:
        self.put(Summary(wall_time_ns=self.now_ns, values=values))

    def end(self, state: str = "finished", **fields: Any) -> None:
        self.put(State(wall_time_ns=self.now_ns, state=state, **fields))
        self._file.close()


@pytest.fixture
def tracker_dir(tmp_path: Path) -> Path:
    return tmp_path / ".tracker"


@pytest.fixture
def server(tracker_dir: Path) -> Iterator[UiServer]:
    running = run_in_background(tracker_dir)
    yield running
    running.close()


@pytest.fixture
def client(server: UiServer) -> Iterator[httpx.Client]:
    """A browser that has followed the login link."""
    with httpx.Client(base_url=server.base_url, timeout=10.0) as signed_in:
        assert signed_in.get(server.login_url()).status_code == 303
        yield signed_in


@pytest.fixture(scope="module")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiServer]:
    """One server for all tests of a module that only ask."""
    running = run_in_background(tmp_path_factory.mktemp("quiet") / ".tracker")
    yield running
    running.close()


@pytest.fixture(scope="module")
def quiet_client(quiet_server: UiServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=quiet_server.base_url, timeout=10.0) as signed_in:
        assert signed_in.get(quiet_server.login_url()).status_code == 303
        yield signed_in


@pytest.fixture(scope="module")
def filled_client(quiet_server: UiServer, quiet_client: httpx.Client) -> httpx.Client:
    """A client of a server that has one run, p/a."""
    journal = Journal(Path(quiet_server.folder.path))
    for step in range(2000):
        journal.row(step, loss=float(step), acc=step)
    journal.end()
    quiet_server.folder.refresh()
    return quiet_client


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], Any]:
    def wait(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
        deadline, pause = time.monotonic() + timeout_s, threading.Event()
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            pause.wait(0.01)
        raise AssertionError("not within the time allowed")

    return wait

"""What a server goes on with while others have what it needs: the catalog, the folder, the database's connections."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tracker_core.sync.wire import BlocksRequest
from tracker_server.catalog.decisions import CatalogError, by_me
from tracker_server.catalog.run_removal import archive_runs, delete_runs
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.query.folder import LocalFolder
from tracker_server.query.open_folder import open_folder
from tracker_server.store import store_catalog_postgres, store_postgres

from .conftest import Journal
from .sync_client import SyncClient, name_of, part

# In the middle of a transaction whose pages are in the file already, as with a device that takes long to flush them.
_WRITES_CATALOG = """
import fcntl, os, sqlite3, sys
lock = os.open(sys.argv[1] + "/catalog.lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
catalog = sqlite3.connect(sys.argv[1] + "/catalog.sqlite", isolation_level=None)
catalog.execute("PRAGMA cache_size=1")
catalog.execute("BEGIN IMMEDIATE")
catalog.execute("CREATE TABLE other (x)")
catalog.executemany("INSERT INTO other VALUES (?)", [("y" * 3000,)] * 300)
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path / "served")
    yield running
    running.close()


def write_runs(folder: Path | str, *run_ids: str) -> None:
    for run_id in run_ids:
        journal = Journal(Path(folder), run_id)
        for step in range(20):
            journal.row(step, loss=float(step))
        journal.end()


def get(server: TrackerServer, path: str, timeout_s: float = 60.0) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.admin_key}"}
    return httpx.get(f"{server.base_url}/api/v1{path}", headers=headers, timeout=timeout_s)


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_catalog_that_somebody_takes_long_to_write_does_not_keep_others_from_reading_runs(
    server: TrackerServer, wait_until: Callable[..., Any]
) -> None:
    write_runs(server.folder.path, "a", "b")
    server.folder.refresh()
    delete_runs(server.folder, [("p", "b")], by_me())
    command = [sys.executable, "-c", _WRITES_CATALOG, server.folder.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None and writer.stdout.readline() == "written\n"
            began_s = time.monotonic()
            # The catalog is looked at for the key and for the runs, by each request and by the feed besides.
            for _ in range(2):
                assert get(server, "/exact/projects/p/runs/a").status_code == 200
                assert [run["id"] for run in get(server, "/projects/p/runs").json()["runs"]] == ["a"]
            # It took more than 15 s for one look.
            assert time.monotonic() - began_s < 12.0
            assert writer.poll() is None
        finally:
            writer.kill()
    archive_runs(server.folder, [("p", "a")], by_me())
    wait_until(lambda: get(server, "/projects/p/runs?archived=only").json()["runs"])


def test_senders_are_served_while_all_that_others_ask_for_waits_for_the_folder(
    server: TrackerServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    write_runs(server.folder.path, "a")
    server.folder.refresh()
    journal = Journal(tmp_path / "training", "sent")
    journal.row(0, loss=1.0)
    sender = SyncClient(server.base_url, server.admin_key)
    with ThreadPoolExecutor(60) as readers:
        with server.folder.found("p"):
            asked = [readers.submit(get, server, "/projects/p/runs") for _ in range(60)]
            wait_until(lambda: b"tracker_http_requests_running 60.0" in server.metrics.text(), 30.0)
            # What is known of keys is asked for anew every second.
            wait_until(lambda: server.keys.age_s > 1.5, 30.0)
            assert sender.hello().scope == "admin"
            data = Path(journal.path).read_bytes()
            assert sender.blocks(part(name_of(journal, "sent"), data)).acks[0].size_bytes == len(data)
            assert not any(one.done() for one in asked)
        assert {one.result().status_code for one in asked} == {200}
    sender.close()


def test_a_chart_is_drawn_although_a_run_of_it_is_deleted_meanwhile(tracker_dir: Path) -> None:
    write_runs(tracker_dir, "a", "b")
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    known = folder.known_runs

    def known_before(project: str, run_ids: Any) -> list[str]:
        found = known(project, run_ids)
        if delete_runs(folder, [("p", "b")], by_me()):
            folder.refresh()
        return found

    folder.known_runs = known_before  # type: ignore[method-assign]
    assert [line.id for line in draw(folder, "p", ChartRequest(["a", "b"], metric="loss")).lines] == ["a"]
    folder.close()


# -- PostgreSQL: there are 15 connections


def test_who_waits_to_decide_leaves_the_connections_to_others(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_catalog_postgres, "_LOCK_TIMEOUT_S", 1.0)
    write_runs(tmp_path / ".tracker", "a")
    folder = open_folder(tmp_path, database_url)
    folder.refresh()
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(20) as deciders:
        other.execute(f"SELECT pg_advisory_xact_lock({store_catalog_postgres._LOCK})")
        waiting = [deciders.submit(folder.catalog.archive, [("p", "a")], by_me()) for _ in range(20)]
        for _ in range(20):
            folder.refresh()
            assert folder.database.engine.pool.checkedout() <= 1  # type: ignore[attr-defined]
        for one in waiting:
            with pytest.raises(CatalogError, match=r"nothing was changed|try again"):
                one.result(timeout=60)
    assert folder.catalog.archive([("p", "a")], by_me()) == [("p", "a")]
    folder.close()


def test_a_server_whose_connections_are_all_in_use_says_so_and_goes_on_when_one_is_free(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(store_postgres, "_POOL_TIMEOUT_S", 0.2)
    server = run_server_in_background(tmp_path / "served", database_url)
    journal = Journal(tmp_path / "training", "sent")
    journal.row(0, loss=1.0)
    data = Path(journal.path).read_bytes()
    sender = SyncClient(server.base_url, server.admin_key)
    engine = server.folder.database.engine  # type: ignore[attr-defined]
    held: list[Any] = []
    try:
        wait_until(lambda: get(server, "/projects").status_code == 200)
        wait_until(lambda: _take(engine, held) == 15)
        wait_until(lambda: server.keys.age_s > 1.5)
        body = {"runs": ["sent"]}
        replies = [get(server, "/projects"), get(server, "/projects/p/runs"), get(server, "/keys")]
        replies.append(sender.http.post("/api/v1/projects/p/runs/archive", json=body))
        replies.append(sender.post("blocks", BlocksRequest([part(name_of(journal, "sent"), data)])))
        assert [reply.status_code for reply in replies] == [503] * 5, [reply.text for reply in replies]
    finally:
        for connection in held:
            connection.close()
    assert sender.blocks(part(name_of(journal, "sent"), data)).acks[0].size_bytes == len(data)
    wait_until(lambda: get(server, "/projects/p/runs").json().get("runs"), 30.0)
    sender.close()
    server.close()


def _take(engine: Any, held: list[Any]) -> int:
    """Take one more connection of the pool where there is one; return how many are taken."""
    with contextlib.suppress(PoolTimeoutError):
        held.append(engine.connect())
    return len(held)

"""A run that is only at the server goes on elsewhere: its step, config, names and attempt come from there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracker_core
from tracker_core import current
from tracker_core.api import Api, ApiRun
from tracker_core.errors import UsageError
from tracker_core.journal_reader import read_session
from tracker_core.run import Run
from tracker_server.http.server import TrackerServer, run_server_in_background


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRACKER_SYNC_INTERVAL_S", "0.1")
    monkeypatch.setenv("TRACKER_SYNC_TIMEOUT_S", "60")
    yield
    for run in current.active():
        run.finish(quiet=True)


@pytest.fixture(params=["folder", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackerServer]:
    database_url = request.getfixturevalue("database_url") if request.param == "postgres" else None
    running = run_server_in_background(tmp_path / "server" / ".tracker", database_url)
    monkeypatch.setenv("TRACKER_BASE_URL", running.base_url)
    monkeypatch.setenv("TRACKER_API_KEY", running.admin_key)
    yield running
    running.close()


def begin(folder: Path, **arguments: Any) -> Run:
    run = tracker_core.init(**{"project": "p", "dir": folder, **arguments})
    assert isinstance(run, Run)
    return run


def on_a(tmp_path: Path, n: int = 20, **arguments: Any) -> Run:
    """Leave a run at the server that machine "a" made, and take away what that machine has."""
    run = begin(tmp_path / "a", **{"id": "r", "config": {"lr": 0.1, "big": 1 << 62}, **arguments})
    run.define_metric("x", summary="max")
    for n_logged in range(n):
        if n_logged == 15:
            run.config["lr"] = 0.2
        run.log(
            {"x": float(n_logged), "n": n_logged, "text": f"row {n_logged}"} if n_logged % 5 == 0 else {"n": n_logged}
        )
    run.finish(exit_code=1)
    return run


def at(server: TrackerServer, path: str) -> ApiRun:
    return Api(base_url=server.base_url, api_key=server.admin_key).run(path)


def test_resume_goes_on_with_step_config_names_and_attempt(server: TrackerServer, tmp_path: Path) -> None:
    first = on_a(tmp_path, name="mine", tags=["t"], group="g")
    run = begin(tmp_path / "b", id="r", resume="must", config={"new": 1})
    assert (run.step, run.name, run.tags, run.group, run.resumed) == (20, first.name, ("t",), "g", True)
    assert dict(run.config) == {"lr": 0.2, "big": 1 << 62, "new": 1}
    run.log({"n": 100})
    run.finish()
    found = at(server, "p/r")
    assert (found.view.attempt, found.state, found.view.n_rows) == (1, "finished", 21)
    assert list(found.series("n").values) == [*range(20), 100]


def test_an_id_without_resume_is_the_next_attempt_of_what_the_server_has(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    run = begin(tmp_path / "b", id="r")
    run.log({"n": -1})
    run.finish()
    found = at(server, "p/r")
    assert found.view.attempt == 2 and list(found.series("n").values) == [-1]
    assert list(found.series("n", "@1").values) == list(range(20))


def test_the_further_one_of_folder_and_server_counts(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    elsewhere = begin(tmp_path / "b", id="r", resume="must", config={"lr": 7.0})
    elsewhere.log({"n": 20})
    elsewhere.finish()
    back = begin(tmp_path / "a", id="r", resume="must")
    assert (back.step, back.config["lr"], back.config["big"]) == (21, 7.0, 1 << 62)
    assert back._session.counter == 3
    back.log({"n": 21})
    back.finish()
    assert list(at(server, "p/r").series("n").values) == list(range(22))


def test_never_and_must_ask_the_server(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    with pytest.raises(UsageError, match="has already"):
        begin(tmp_path / "b", id="r", resume="never")
    with pytest.raises(UsageError, match="does not have"):
        begin(tmp_path / "b", id="other", resume="must")
    with pytest.raises(UsageError, match="nor the server"):
        begin(tmp_path / "b", fork_from="other?_step=1")


def test_a_fork_of_a_run_that_only_the_server_has(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    child = begin(tmp_path / "b", fork_from="r?_step=12", id="child")
    assert child.step == 13
    child.log({"n": -1})
    child.finish()
    expected = at(server, "p/r").history()[:13]
    for found in (at(server, "p/child"), Api(tmp_path / "b").run("p/child")):
        assert found.history()[:13] == expected and list(found.series("n").values)[-1] == -1
        assert found.forked_from == "p/r?_step=12" and found.summary["x"] == {"max": 10.0}
    if not server_has_database(server):
        assert at(server, "p/child").config == {"lr": 0.1, "big": 1 << 62}
    assert [fork.id for fork in at(server, "p/r").forks] == ["child"]


def server_has_database(server: TrackerServer) -> bool:
    """Say whether journals are kept only until they are sealed, so that config is that of now."""
    return bool(server.folder.database.has_tail)


def test_a_rewind_of_a_run_that_only_the_server_has(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    run = begin(tmp_path / "b", resume_from="r?_step=3")
    assert (run.step, run._session.attempt) == (4, 2)
    run.log({"n": -1})
    run.finish()
    found = at(server, "p/r")
    assert list(found.series("n").values) == [0, 1, 2, 3, -1]
    assert list(found.series("n", "@1").values) == list(range(20))


def test_two_machines_that_resume_one_id_at_once_keep_all_rows(server: TrackerServer, tmp_path: Path) -> None:
    on_a(tmp_path)
    runs = [begin(tmp_path / name, id="r", resume="must", reinit="create_new") for name in ("b", "c")]
    for n in range(10):
        for place, run in enumerate(runs):
            run.log({"n": 1000 * (place + 1) + n})
    for run in runs:
        run.finish()
    values = list(at(server, "p/r").series("n").values)
    assert sorted(values) == [*range(20), *range(1000, 1010), *range(2000, 2010)]
    assert len({session.session for session in at(server, "p/r").view.sessions}) == 3


def test_a_server_that_is_away_is_told_of_once_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKER_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TRACKER_API_KEY", "k")
    monkeypatch.setenv("TRACKER_SYNC_TIMEOUT_S", "0")
    for arguments in ({"id": "a", "resume": "must"}, {"fork_from": "b?_step=3"}, {"resume_from": "c?_step=3"}):
        run = begin(tmp_path / ".tracker", **arguments)  # type: ignore[arg-type]
        run.log({"n": 1})
        run.finish()
        assert capfd.readouterr().err.count("could not be asked") == 1
    assert {run.state for run in Api(tmp_path / ".tracker").runs()} == {"finished"}


def test_a_server_that_says_nothing_delays_init_by_no_more_than_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        monkeypatch.setenv("TRACKER_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("TRACKER_API_KEY", "k")
        monkeypatch.setenv("TRACKER_INIT_TIMEOUT_S", "0.5")
        monkeypatch.setenv("TRACKER_SYNC_TIMEOUT_S", "0")
        began_s = time.monotonic()
        run = begin(tmp_path / ".tracker", id="a", resume="allow")
        assert time.monotonic() - began_s < 10
        run.finish()


def test_a_fork_gets_its_history_when_the_server_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = run_server_in_background(tmp_path / "server" / ".tracker", port=port)
    monkeypatch.setenv("TRACKER_BASE_URL", server.base_url)
    monkeypatch.setenv("TRACKER_API_KEY", server.admin_key)
    on_a(tmp_path)
    server.close()
    child = begin(tmp_path / "b", fork_from="r?_step=5", id="child")
    again = run_server_in_background(tmp_path / "server" / ".tracker", port=port)
    wait_until(lambda: any(is_inherited(path) for path in (tmp_path / "b").rglob("*.journal")))
    child.finish()
    assert list(Api(tmp_path / "b").run("p/child").series("n").values) == [0, 1, 2, 3, 4, 5]
    again.close()


def is_inherited(path: Path) -> bool:
    session = read_session(str(path))
    return session is not None and session.inherited

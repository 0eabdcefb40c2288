"""What one machine logs is used on another, through a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracker_core
from tracker_core import Api, Artifact
from tracker_core.run import Run
from tracker_server.http.server import TrackerServer, run_server_in_background


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path / "server" / ".tracker")
    yield running
    running.close()


@pytest.fixture
def machine(tmp_path: Path, server: TrackerServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Return what begins a run on a machine of a name, sent to the server."""
    monkeypatch.setenv("TRACKER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TRACKER_ARTIFACT_DIR", str(tmp_path / "artifacts"))

    def begin(name: str, **settings: Any) -> Run:
        values = {"quiet": True, "base_url": server.base_url, "api_key": server.admin_key, "sync_timeout_s": 60.0}
        run = tracker_core.init("digits", dir=tmp_path / name, mode="online", settings={**values, **settings})
        assert isinstance(run, Run)
        return run

    return begin


def drafted(content: str, name: str = "data") -> Artifact:
    artifact = Artifact(name, "dataset", metadata={"rows": len(content)})
    with artifact.new_file("x.txt") as file:
        file.write(content)
    return artifact


def test_what_one_machine_logs_another_uses(
    machine: Callable[..., Run], server: TrackerServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with machine("one") as first:
        logged = first.log_artifact(drafted("content"), aliases=["best"])
        assert logged.version == "v0"
    api = Api(base_url=server.base_url, api_key=server.admin_key)
    wait_until(lambda: api.artifact_exists("digits/data:best"), timeout_s=60)
    with machine("two") as second:
        used = second.use_artifact("data:best")
        assert (used.id, used.metadata) == (logged.id, {"rows": 7})
        assert Path(used.file(tmp_path / "here")).read_text() == "content"
        assert used.logged_by().id == first.id  # type: ignore[union-attr]
    wait_until(lambda: [one.id for one in api.artifact("digits/data").used_by()] == [second.id], timeout_s=60)
    api.close()


def test_a_version_that_is_not_sent_yet_is_the_latest_where_it_was_logged(
    machine: Callable[..., Run], server: TrackerServer, wait_until: Callable[..., Any]
) -> None:
    with machine("one") as run:
        run.log_artifact(drafted("old"))
    api = Api(base_url=server.base_url, api_key=server.admin_key)
    wait_until(lambda: api.artifact_exists("digits/data"), timeout_s=60)
    api.close()
    with machine("one", sync_interval_s=3600.0) as run:
        new = run.log_artifact(drafted("new"))
        assert run.use_artifact("data").id == new.id
        assert run.use_artifact("data:v0").get_entry("x.txt").read() == b"old"


def test_a_link_and_a_later_alias_reach_the_server(
    machine: Callable[..., Run], server: TrackerServer, wait_until: Callable[..., Any]
) -> None:
    with machine("one") as run:
        logged = run.log_artifact(drafted("content"))
        run.link_artifact(logged, "model-registry/M", aliases=["candidate"])
        logged.aliases.append("later")
        logged.save()
    api = Api(base_url=server.base_url, api_key=server.admin_key)
    wait_until(lambda: api.artifact_exists("digits/data:later"), timeout_s=60)
    wait_until(lambda: api.artifact_exists("model-registry/M:candidate"), timeout_s=60)
    api.close()


def test_a_version_deleted_on_the_server_is_no_newer_one(
    machine: Callable[..., Run], server: TrackerServer, wait_until: Callable[..., Any]
) -> None:
    with machine("one") as first:
        first.log_artifact(drafted("old"))
    api = Api(base_url=server.base_url, api_key=server.admin_key)
    wait_until(lambda: api.artifact_exists("digits/data:v0"), timeout_s=60)
    with machine("two") as second:
        newer = second.log_artifact(drafted("new"))
    wait_until(lambda: api.artifact_exists("digits/data:v1"), timeout_s=60)
    api.artifact("digits/data:v0").delete()
    with machine("one") as again:
        assert again.use_artifact("data").id == newer.id
    api.close()

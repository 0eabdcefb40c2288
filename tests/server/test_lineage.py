"""Where a run's history comes from, which runs it went on in, and how each of its processes fares."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker_server.catalog.decisions import by_me
from tracker_server.http.server import run_server_in_background
from tracker_server.query.folder import LocalFolder

from .conftest import Journal


def family(folder: Path) -> None:
    """Make p/a, its forks p/b and q/c, and p/d, which was forked from a run of a similar name."""
    parent = Journal(folder)
    parent.row(0, loss=1.0)
    parent.end()
    for project, run, origin in [("p", "b", "p/a"), ("q", "c", "p/a"), ("p", "d", "xp/a"), ("p", "e", "p/a2")]:
        Journal(folder, run, project, counter=0, inherited=True, forked_from=f"{origin}?_step=3").end()
        child = Journal(folder, run, project, forked_from=f"{origin}?_step=3", name=f"child {run}")
        child.row(4, loss=2.0)
        child.end()


def branched(detail: dict[str, Any]) -> tuple[Any, Any]:
    return detail["forked_from"], sorted(detail["forks"], key=lambda fork: fork["run"])


def test_a_run_tells_where_it_comes_from_and_what_came_of_it(client: httpx.Client, tracker_dir: Path) -> None:
    family(tracker_dir)
    client.get("/api/v1/runs")
    parent = client.get("/api/v1/projects/p/runs/a").json()
    assert branched(parent) == (
        None,
        [
            {"project": "p", "run": "b", "name": "child b", "step": 3},
            {"project": "q", "run": "c", "name": "child c", "step": 3},
        ],
    )
    child = client.get("/api/v1/projects/p/runs/b").json()
    assert branched(child) == ({"project": "p", "run": "a", "step": 3}, [])
    assert (child["state"], child["n_rows"]) == ("finished", 1)


def test_a_key_for_one_project_sees_no_forks_in_others(tmp_path: Path) -> None:
    folder = tmp_path / ".tracker"
    family(folder)
    server = run_server_in_background(folder)
    for project, expected in [("p", ["b"]), (None, ["b", "c"])]:
        secret, _ = server.keys.create(f"reads {project}", "read", project, by_me(""))
        with httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {secret}"}) as client:
            detail = client.get("/api/v1/projects/p/runs/a").json()
        assert [fork["run"] for fork in branched(detail)[1]] == expected
    server.close()


def views(folder: LocalFolder) -> list[Any]:
    folder.refresh()
    found = []
    for view in folder.runs():
        writers = folder.details(view.project, view.id).writers
        found.append((view.id, view.forked_from, view.state, [(one.writer, one.state, one.n_rows) for one in writers]))
    return sorted(found)


def test_a_settled_run_shows_the_same(tracker_dir: Path) -> None:
    family(tracker_dir)
    rank = Journal(tracker_dir, "b", writer="rank1", node="0", host="h")
    rank.row(4, loss=3.0)
    rank.end("failed")
    live = LocalFolder(tracker_dir, is_writer=False)
    expected = views(live)
    live.close()
    assert ("b", "p/a?_step=3", "finished", [("main", "finished", 1), ("rank1", "failed", 1)]) in expected
    settling = LocalFolder(tracker_dir, settle_after_s=-1.0)
    settling.refresh()
    assert all(settling._runs.is_settled(key) for key in settling._runs)
    assert views(settling) == expected
    settling.close()


def test_what_was_inherited_says_nothing_of_how_the_run_ended(tracker_dir: Path) -> None:
    Journal(tracker_dir, counter=0, inherited=True, forked_from="p/z?_step=3").end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    assert folder.run("p", "a").state == "running", "its own journal may be on its way"
    folder.close()
    late = LocalFolder(tracker_dir, heartbeat_timeout_s=1e-9)
    late.refresh()
    assert late.run("p", "a").state == "crashed"
    late.close()


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_each_process_has_a_state_of_its_own_and_the_primary_one_decides(
    client: httpx.Client, tracker_dir: Path, state: str
) -> None:
    began_s = time.time()
    Journal(tracker_dir, node="0", host="left").row(0, loss=1.0)
    Journal(tracker_dir, writer="rank10", node="1", host="right").row(0, loss=1.0)
    rank = Journal(tracker_dir, writer="rank2", node="1", host="right")
    rank.row(0, loss=1.0)
    rank.end(state)
    detail = client.get("/api/v1/projects/p/runs/a").json()
    assert detail["state"] == "running"
    assert [(one["writer"], one["host"], one["node"], one["state"]) for one in detail["writers"]] == [
        ("main", "left", "0", "running"),
        ("rank2", "right", "1", state),
        ("rank10", "right", "1", "running"),
    ]
    assert all(one["n_rows"] == 1 and one["n_damaged"] == one["n_dropped"] == 0 for one in detail["writers"])
    assert detail["writers"][0]["last_seen_s"] >= began_s - 5


def test_older_attempts_are_read_as_writers(client: httpx.Client, tracker_dir: Path) -> None:
    for attempt in (1, 2, 3):
        for writer in ("main", "rank1"):
            journal = Journal(tracker_dir, writer=writer, attempt=attempt, counter=attempt)
            journal.row(0, loss=float(attempt) + (writer == "rank1") / 2)
            journal.system(cpu=float(attempt))
            journal.lines(f"{writer} {attempt}", first=0)
            journal.end()

    def asked(part: str, **params: str) -> Any:
        reply = client.get(f"/api/v1/projects/p/runs/a{part}", params=params)
        return reply.json() if reply.status_code == 200 else reply.status_code

    for writer, loss in [("@1", 1.0), ("rank1@2", 2.5), ("main@3", 3.0), ("rank1", 3.5)]:
        assert asked("/series", key="loss", writer=writer)["values"] == [loss]
    assert asked("/series", key="loss", writer="@4") == 404
    assert asked("/series", key="loss", writer="main@x") == 404
    assert asked("/console", writer="rank1@1")["lines"][0]["text"] == "rank1 1"
    assert asked("", writer="@2")["system_metrics"][0]["last"] == 2.0

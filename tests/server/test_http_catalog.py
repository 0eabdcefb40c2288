"""The routes that delete and archive runs, on a real server."""

from __future__ import annotations

import httpx
import pytest

from tracker_server.catalog.decisions import By
from tracker_server.catalog.trash_keeper import TrashKeeper
from tracker_server.http.routes_catalog import RunsChanged, TrashList

from .test_http import API, RUNS, Events, wait_for_run
from .test_run_removal import A, write_run

TRASH = f"{API}/projects/p/trash"


def changed(reply: httpx.Response) -> int:
    assert reply.status_code == 200, reply.text
    return reply.json()["changed"]


def listed(client: httpx.Client, **query: str) -> list[str]:
    return sorted(run["id"] for run in client.get(RUNS, params=query).json()["runs"])


@pytest.fixture
def two_runs(client, tracker_dir, wait_until):
    write_run(tracker_dir)
    write_run(tracker_dir, "b")
    wait_for_run(client, wait_until, "a")
    wait_for_run(client, wait_until, "b")
    return client


def test_a_deleted_run_is_in_the_trash_and_comes_back(two_runs):
    client = two_runs
    assert changed(client.post(f"{RUNS}/delete", json={"runs": ["a"], "why": "no use"})) == 1
    assert listed(client) == ["b"]
    assert client.get(f"{RUNS}/a").status_code == 404
    (run,) = client.get(TRASH).json()["runs"]
    assert (run["id"], run["project"], run["state"], run["why"]) == ("a", "p", "finished", "no use")
    assert run["size_bytes"] > 0 and run["removed_s"] - run["deleted_s"] == pytest.approx(30 * 86_400)
    assert client.get(f"{API}/projects/other/trash").json() == {"runs": []}
    assert changed(client.post(f"{RUNS}/delete", json={"runs": ["a"]})) == 0
    assert changed(client.post(f"{RUNS}/undelete", json={"runs": ["a"]})) == 1
    assert listed(client) == ["a", "b"]


def test_an_archived_run_can_be_taken_out_again(two_runs, server):
    client = two_runs
    assert changed(client.post(f"{RUNS}/archive", json={"runs": ["a", "b"]})) == 2
    assert server.folder.catalog.decisions.archived.keys() == {("p", "a"), ("p", "b")}
    assert listed(client) == [] and listed(client, archived="only") == listed(client, archived="true") == ["a", "b"]
    assert client.get(f"{RUNS}/a").status_code == 200
    assert changed(client.post(f"{RUNS}/unarchive", json={"runs": ["b"]})) == 1
    assert server.folder.catalog.decisions.archived.keys() == {("p", "a")}
    assert (listed(client), listed(client, archived="only")) == (["b"], ["a"])


def test_pages_are_told_at_once(two_runs):
    client = two_runs
    events = Events(client)
    client.post(f"{RUNS}/delete", json={"runs": ["a"]})
    events.wait_for(lambda event: "removed" in event["data"])
    client.post(f"{RUNS}/archive", json={"runs": ["b"]})
    events.wait_for(lambda event: "archived" in event["data"])


def test_a_run_that_is_being_written_needs_force(client, tracker_dir, wait_until):
    write_run(tracker_dir, end=False)
    wait_for_run(client, wait_until)
    reply = client.post(f"{RUNS}/delete", json={"runs": ["a"]})
    assert reply.status_code == 422
    assert "still being written" in reply.json()["error"]["got"]
    assert changed(client.post(f"{RUNS}/delete", json={"runs": ["a"], "force": True})) == 1


@pytest.mark.parametrize("action", ["delete", "undelete", "archive", "unarchive"])
def test_bad_requests_change_nothing(two_runs, action):
    client = two_runs
    address = f"{RUNS}/{action}"
    assert client.post(address, json={"runs": ["a", "nowhere"]}).status_code == 404
    assert client.post(address, json={"runs": "a"}).status_code == 422
    assert client.post(address, json={}).status_code == 422
    assert client.post(address, content=b"{").status_code == 400
    assert client.post(address, content=b"x" * (2 << 20)).status_code == 413
    assert client.get(address).status_code in (404, 405)
    assert listed(client) == ["a", "b"]
    assert changed(client.post(address, json={"runs": []})) == 0


@pytest.mark.parametrize("action", ["delete", "undelete", "archive", "unarchive"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_another_site_can_decide_nothing(two_runs, action, headers):
    client = two_runs
    assert client.post(f"{RUNS}/{action}", json={"runs": ["a"]}, headers=headers).status_code == 403
    assert listed(client) == ["a", "b"]


def test_a_stranger_can_decide_nothing(two_runs, server):
    with httpx.Client(base_url=server.base_url) as stranger:
        for action in ("delete", "undelete", "archive", "unarchive"):
            assert stranger.post(f"{RUNS}/{action}", json={"runs": ["a"]}).status_code == 401
        assert stranger.get(TRASH).status_code == 401
    assert listed(two_runs) == ["a", "b"]


def test_replies_are_described(quiet_client):
    schemas = quiet_client.get(f"{API}/openapi.json").json()["components"]["schemas"]
    assert {RunsChanged.__name__, TrashList.__name__, "RunChoice"} <= schemas.keys()


def test_a_catalog_that_cannot_be_written_is_told(two_runs, tracker_dir):
    (tracker_dir / "catalog.sqlite").write_bytes(b"x" * 5000)
    reply = two_runs.post(f"{RUNS}/archive", json={"runs": ["a"]})
    assert reply.status_code == 503
    assert "a damaged file" in reply.json()["error"]["got"]


def test_a_served_folder_removes_what_was_deleted_long_ago(two_runs, server, tracker_dir):
    folder = server.folder
    long_ago = By("ada", 1_000_000_000, "")
    from tracker_server.catalog.run_removal import delete_runs

    delete_runs(folder, [A], long_ago)
    two_runs.post(f"{RUNS}/delete", json={"runs": ["b"]})
    assert TrashKeeper(folder, 30.0).look().runs == [A]
    assert not (tracker_dir / "runs" / "p" / "a").exists()
    assert (tracker_dir / "runs" / "p" / "b").exists()

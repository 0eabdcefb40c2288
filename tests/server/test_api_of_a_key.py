"""What `Api` shows and does with a key that is not for everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tracker_core.api import Api
from tracker_core.errors import NotFoundError
from tracker_core.remote.server_errors import NotPermittedError, WrongKeyError
from tracker_server.catalog.decisions import by_me
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.query.row_reader import Row
from tracker_server.remote.exact_wire import row_frames

from .conftest import Journal

OpenWith = Callable[[str, str | None], Api]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[TrackerServer, OpenWith]]:
    """A server with the runs p/a, p/b and q/a, and what opens it with a new key of a scope for a project."""
    folder = tmp_path / ".tracker"
    for project, run in (("p", "a"), ("p", "b"), ("q", "a")):
        journal = Journal(folder, run=run, project=project)
        journal.row(0, loss=1.0)
        journal.end()
    server = run_server_in_background(folder)

    def open_with(scope: str, project: str | None) -> Api:
        secret, _ = server.keys.create(f"{scope} of {project}", scope, project, by_me())
        return Api(base_url=server.base_url, api_key=secret)

    yield server, open_with
    server.close()


def test_a_key_of_one_project_sees_no_other(keyed):
    _, open_with = keyed
    api = open_with("read", "p")
    assert api.projects() == ["p"] and {run.path for run in api.runs()} == {"p/a", "p/b"}
    assert api.run("a").path == "p/a" and {run.id for run in api.runs("p", {"$or": [{"id": "a"}]})} == {"a"}
    with pytest.raises(NotFoundError, match=r"'q' is not in .*it has \['p'\]"):
        api.runs("q")
    with pytest.raises(NotPermittedError, match="project 'q'"):
        api.run("q/a")
    assert len(api.runs(filters={"config.x": {"$in": [[1]]}})) == 0


def test_where_a_server_keeps_a_run_is_not_told(keyed):
    server, _ = keyed
    headers = {"Authorization": f"Bearer {server.admin_key}"}
    reply = httpx.get(f"{server.base_url}/api/v1/projects/p/runs/a", headers=headers)
    assert reply.status_code == 200 and server.folder.path not in reply.text


def test_a_key_that_reads_changes_nothing(keyed):
    server, open_with = keyed
    run = open_with("read", "p").run("p/a")
    for change in (run.archive, run.delete, run.stop):
        with pytest.raises(NotPermittedError):
            change()
    assert not run.archived and Api(base_url=server.base_url, api_key=server.admin_key).trash() == []


def test_a_key_that_writes_deletes_into_the_trash_and_not_for_good(keyed):
    server, open_with = keyed
    api, admin = open_with("write", "p"), Api(base_url=server.base_url, api_key=server.admin_key)
    api.run("p/a").delete(why="bad")
    admin.run("q/a").delete()
    [deleted] = api.trash()
    assert (deleted.path, deleted.deleted_by) == ("p/a", "write of p") and len(admin.trash()) == 2
    with pytest.raises(NotPermittedError, match="may not do this"):
        api.source.empty_trash()
    deleted.undelete()
    assert admin.source.empty_trash().runs == [("q", "a")] and api.run("p/a").state == "finished"


def test_a_key_that_is_revoked_is_refused_at_once(keyed):
    server, open_with = keyed
    api = open_with("read", "p")
    assert api.projects() == ["p"]
    server.keys.revoke("read of p", by_me())
    with pytest.raises(WrongKeyError, match="does not know"):
        api.projects()


def test_rows_are_sent_while_they_are_read():
    n_read = 0

    def rows():
        nonlocal n_read
        for step in range(10**9):
            n_read += 1
            yield Row(step, step, {"loss": float(step)})

    frames = row_frames(rows())
    first = next(frames)
    assert n_read <= 2000 and len(first) < 100_000
    next(frames)
    assert n_read <= 4000

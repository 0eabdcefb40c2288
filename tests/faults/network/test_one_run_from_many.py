"""One run that several machines send, that is deleted while it is sent, or whose clocks are wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from fault_proxy import LOST_REPLY, NONE
from sent_journals import LocalJournal, assert_same_bytes, rows_of
from sync_world import World

from tracker_core.api import Api
from tracker_core.sync.sender import Sender


@pytest.fixture
def project(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    yield f"q{abs(hash(request.node.nodeid)):x}"
    world.proxy.heal()


def steps_of(api: Api, path: str) -> list[int]:
    return [row["_step"] for row in api.run(path).scan_history()]


@pytest.mark.fault("F9")
def test_two_machines_go_on_with_one_run(world: World, project: str, tmp_path: Path) -> None:
    """Neither knows of the other; both journals are there, byte for byte, and no row counts twice."""
    places = [tmp_path / name / ".tracker" for name in ("first", "second")]
    first = LocalJournal(places[0], "shared", project=project)
    first.log(30)
    first.end("crashed")
    journals = [LocalJournal(place, "shared", project=project, counter=2, attempt=1, resumed=True) for place in places]
    senders = [world.new_sender(place) for place in places]
    world.proxy.rule = lambda request: LOST_REPLY if len(world.proxy.seen) % 3 == 0 else NONE
    for n in range(6):
        for journal, sender in zip(journals, senders, strict=True):
            journal.log(10 + n)
            sender.wake()
            world.step(sender)
    world.proxy.heal()
    for journal, sender in zip(journals, senders, strict=True):
        journal.end()
        world.drain(sender)
        sender.close()
    for place in places:
        assert_same_bytes(place, world.folder)
    n_there = sum(len(rows_of(path)) for path in world.folder.rglob("*.journal") if project in path.parts)
    assert n_there == 30 + sum(journal.n_rows for journal in journals)
    steps = {row["_step"] for row in world.api.run(f"{project}/shared").scan_history()}
    assert steps == set(range(max(30, *(journal.n_rows for journal in journals))))


@pytest.mark.fault("F36")
@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_clocks_that_are_an_hour_off(world: World, project: str, folder: Path, jump_s: int) -> None:
    """Steps and rows are in order of writing; a run that is being written is not taken for a dead one."""
    journal = LocalJournal(folder, "a", project=project)
    sender = world.new_sender(folder)
    for _ in range(3):
        journal.log(20)
        time_ns = journal.path.stat().st_mtime_ns + jump_s * 10**9
        os.utime(journal.path, ns=(time_ns, time_ns))
        sender.wake()
        world.step(sender)
    assert world.api.run(f"{project}/a").state == "running"
    assert steps_of(world.api, f"{project}/a") == list(range(60))
    journal.end()
    world.drain(sender)
    assert world.api.run(f"{project}/a").state == "finished"
    assert_same_bytes(folder, world.folder)
    sender.close()


@pytest.mark.fault("F36")
def test_a_run_that_died_long_ago_is_crashed_as_soon_as_it_is_there(world: World, project: str, folder: Path) -> None:
    journal = LocalJournal(folder, "a", project=project)
    journal.log(20)
    time_ns = journal.path.stat().st_mtime_ns - 3600 * 10**9
    os.utime(journal.path, ns=(time_ns, time_ns))
    sender = world.new_sender(folder)
    world.drain(sender)
    assert world.api.run(f"{project}/a").state == "crashed"
    sender.close()


def decide(world: World, project: str, action: str, **more: object) -> None:
    """Delete or undelete the runs "a" of a project on the server."""
    reply = requests.post(
        f"{world.proxy.url}/api/v1/projects/{project}/runs/{action}",
        json={"runs": ["a"], **more},
        headers={"Authorization": f"Bearer {world.key}"},
        timeout=30,
    )
    assert reply.ok, reply.text


def runs_of(world: World, project: str) -> list[str]:
    return sorted(run.id for run in world.api.runs(project))


@pytest.mark.fault("F29")
def test_a_run_deleted_on_the_server_while_it_is_sent(world: World, project: str, folder: Path) -> None:
    """It stays deleted, and the other runs of its folder are sent on. Undeleted, it gets all of its rows."""
    journals = [LocalJournal(folder, run, project=project) for run in ("a", "b")]
    sender = world.new_sender(folder)

    def log_and_send(one: Sender) -> None:
        for journal in journals:
            journal.log(50)
        one.wake()
        world.step(one)

    log_and_send(sender)
    decide(world, project, "delete", force=True)
    for _ in range(3):
        log_and_send(sender)
    assert runs_of(world, project) == ["b"]
    assert "deleted" in sender.status.troubles[f"{project}/a"]
    assert steps_of(world.api, f"{project}/b") == list(range(200))
    sender.close()
    decide(world, project, "undelete")
    sender = world.new_sender(folder)
    for journal in journals:
        journal.end()
    world.drain(sender)
    assert_same_bytes(folder, world.folder)
    assert runs_of(world, project) == ["a", "b"]
    assert steps_of(world.api, f"{project}/a") == list(range(200))
    sender.close()

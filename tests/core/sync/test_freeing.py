"""Removing local runs that a server has: only those that ended, are old enough, and are wholly there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from written import Written, keep_file

from tracker_core.sync.freeing import free_old_runs
from tracker_core.sync.sender import Sender
from tracker_core.sync.sender_status import SenderStatus, this_process
from tracker_server.catalog.decisions import by_me
from tracker_server.catalog.run_removal import delete_runs
from tracker_server.http.server import TrackerServer

Make = Callable[..., Sender]
Drain = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path) -> str:
    return tmp_path.name[-60:]


def make_old(journal: Written, days: float = 10) -> Written:
    then = time.time() - days * 86_400
    os.utime(journal.path, (then, then))
    return journal


def is_here(journal: Written) -> bool:
    return journal.path.exists()


def test_an_old_run_that_is_wholly_there_is_removed_here_and_only_such_a_one(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain
) -> None:
    old = make_old(Written(folder, "old", project).rows(4000).end())
    keep_file(old, b"kept")
    data = old.data
    young = make_old(Written(folder, "young", project).rows(10).end(), days=1)
    own = this_process(SenderStatus())  # the process that writes it is this one
    alive = {"pid": own.pid, "boot_id": own.boot_id, "process_start": own.process_start}
    running = make_old(Written(folder, "running", project, **alive).rows(10))
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    torn = make_old(Written(folder, "torn", project).rows(10))
    drain(sender)
    with torn.path.open("ab") as file:
        file.write(b"half a record")
    make_old(torn)
    assert free_old_runs(sender, 5) == [(project, "old")]
    assert not old.path.parent.exists()
    assert is_here(young) and is_here(running) and is_here(torn)
    assert old.at(module_server.folder.path).read_bytes() == data
    assert not [name for name in os.listdir(folder / "runs" / project) if name.startswith(".")]
    assert free_old_runs(sender, 5) == []
    drain(sender)


def test_a_run_of_which_the_server_lost_something_is_not_removed(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain
) -> None:
    journals = [make_old(Written(folder, run, project).rows(4000).end()) for run in ("short", "other", "file", "gone")]
    short, other, with_file = journals[:3]
    digest = keep_file(with_file, b"kept")
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    server = module_server.folder.path
    short.at(server).write_bytes(short.data[:-100])
    changed = bytearray(other.data)
    changed[-30] ^= 1
    other.at(server).write_bytes(changed)
    (with_file.at(server).parent / "files" / digest).unlink()
    delete_runs(module_server.folder, [(project, "gone")], by_me("a test"), force=True)
    assert free_old_runs(sender, 5) == []
    assert all(map(is_here, journals))


def test_without_an_answer_nothing_is_removed(
    folder: Path, project: str, sender_to: Make, drain: Drain, tmp_path: Path
) -> None:
    from tracker_server.http.server import run_server_in_background

    server = run_server_in_background(tmp_path / "own")
    journal = make_old(Written(folder, project=project).rows(10).end())
    sender = sender_to(folder, server.base_url, server.admin_key)
    drain(sender)
    server.close()
    assert free_old_runs(sender, 5) == [] and is_here(journal)


def test_a_run_that_was_never_sent_is_not_removed(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain
) -> None:
    sent = make_old(Written(folder, "sent", project).rows(10).end())
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    local = make_old(Written(folder, "local", project).rows(10).end())
    later = make_old(Written(folder, "sent", project, "rank1").rows(10).end())  # of the same run, not sent yet
    assert free_old_runs(sender, 5) == []
    assert is_here(sent) and is_here(local) and is_here(later)


def test_nothing_is_removed_from_a_folder_that_is_a_servers_own(
    project: str, module_server: TrackerServer, sender_to: Make, drain: Drain
) -> None:
    folder = Path(module_server.folder.path)
    journal = make_old(Written(folder, project=project).rows(10).end())
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    assert free_old_runs(sender, 5) == [] and is_here(journal)

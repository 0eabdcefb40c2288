"""What others are told of a run's sending."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from written import Written, keep_file

from tracker_core.sync.sender import Sender
from tracker_core.sync.sender_lock import SenderLock, is_sender_running
from tracker_core.sync.sender_status import read_status, this_process, write_status
from tracker_core.sync.sync_folder import shown_address, sync_folder, want, wanted_runs
from tracker_core.sync.sync_state import syncs_of_run, trouble_of_senders
from tracker_server.doctor.doctor_sync import check_sync
from tracker_server.http.server import TrackerServer

Make = Callable[..., Sender]
Drain = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path) -> str:
    return tmp_path.name[-60:]


def test_what_is_left_of_a_run_is_what_is_on_disk_less_what_the_server_keeps(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain
) -> None:
    journal = Written(folder, project=project).rows(100)
    assert syncs_of_run(str(folder), project, "a") == []
    sender = sender_to(folder, module_server.base_url, is_helper=True)
    drain(sender)
    (found,) = syncs_of_run(str(folder), project, "a")
    assert (found.address, found.bytes_left, found.state, found.pid) == (module_server.base_url, 0, "ok", os.getpid())
    assert abs(found.contact_ns - time.time_ns()) < 600e9
    before = len(journal.data)
    journal.rows(10)
    keep_file(journal, b"x" * 1000)
    (found,) = syncs_of_run(str(folder), project, "a")
    assert found.bytes_left == len(journal.data) - before + 1000
    drain(sender)
    journal.end()
    drain(sender)
    sender.close()
    (found,) = syncs_of_run(str(folder), project, "a")
    assert (found.bytes_left, found.pid) == (0, 0)
    assert not next(iter(check_sync(str(folder)))).remedy


def test_a_refused_sender_is_told_to_the_dashboard_and_the_doctor(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make
) -> None:
    journal = Written(folder, project=project).rows(100)
    sender = sender_to(folder, module_server.base_url, "tk_wrong", is_helper=True)
    want(sender.sync_folder, (project, "a"))
    sender.step()
    (found,) = syncs_of_run(str(folder), project, "a")
    assert found.state == "refused" and "401" in found.message and found.bytes_left == len(journal.data)
    (finding,) = check_sync(str(folder))
    assert finding.level == "fault" and "refuses the key" in finding.text and "tracker login" in finding.remedy


def test_a_sender_that_is_long_away_or_was_killed_is_told(
    folder: Path, project: str, sender_to: Make, module_server: TrackerServer
) -> None:
    Written(folder, project=project).rows(100)
    sender = sender_to(folder, "http://127.0.0.1:9", "k", is_helper=True)
    sender.step()
    assert trouble_of_senders(str(folder)) == []  # it has been away for a moment only
    status = read_status(sender.sync_folder)
    assert status is not None and status.state == "waiting"
    write_status(sender.sync_folder, msgspec.structs.replace(status, since_ns=status.since_ns - 2 * 3600 * 10**9))
    ((_, text),) = trouble_of_senders(str(folder))
    assert text.startswith("for 2.0 h: ")
    assert next(iter(check_sync(str(folder)))).level == "warning"
    write_status(sender.sync_folder, msgspec.structs.replace(status, pid=999_999_999))
    assert trouble_of_senders(str(folder))[0][1] == "no process sends what is left"


def test_the_lock_is_had_by_one_and_let_go_of(folder: Path) -> None:
    there = str(folder / "sync" / "x")
    assert not is_sender_running(there)
    first, second = SenderLock(there), SenderLock(there)
    assert first.take() and not second.take(0.1)
    assert is_sender_running(there)
    first.release()
    assert not is_sender_running(there) and second.take()
    second.release()


def test_a_status_of_a_process_that_is_gone_counts_as_not_running(folder: Path) -> None:
    from tracker_core.sync.sender_status import SenderStatus

    own = this_process(SenderStatus())
    assert own.is_running
    assert not msgspec.structs.replace(own, process_start="1").is_running
    assert not msgspec.structs.replace(own, boot_id="another").is_running
    recent = msgspec.structs.replace(own, boot_id="another", updated_ns=time.time_ns())
    assert recent.is_running  # of another machine: it wrote lately


def test_servers_and_keys_have_folders_of_their_own(folder: Path) -> None:
    urls = ("http://a:1", "http://a:1/", "HTTP://A:1", "http://b:1")
    found = [sync_folder(str(folder), url, "k") for url in urls]
    assert len(set(found)) == 2 and found[0] != sync_folder(str(folder), "http://a:1", "other")
    assert shown_address("https://user:secret@host:1/x?key=1") == "https://host:1/x"


def test_runs_are_wanted_once(folder: Path) -> None:
    there = str(folder / "sync" / "x")
    for _ in range(2):
        want(there, ("my%2Fproject", "r1"))
    assert list(wanted_runs(there)) == [("my%2Fproject", "r1")]

"""What a sender brings to a real server: all of it, once, whatever the server has already."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from answering import AnsweringProxy
from step_clock import Clock
from written import Written, keep_file, steps_of

from tracker_core.control import read_order
from tracker_core.sync.acked import Acked
from tracker_core.sync.sender import Sender
from tracker_core.sync.sync_folder import sync_folder
from tracker_server.catalog.decisions import by_me
from tracker_server.catalog.run_removal import delete_runs
from tracker_server.http.server import TrackerServer

Make = Callable[..., Sender]
Drain = Callable[..., None]


@pytest.fixture
def there(module_server: TrackerServer, tmp_path: Path) -> Callable[[Written], Path]:
    """Return a function that says where the server keeps a journal."""
    return lambda journal: journal.at(module_server.folder.path)


@pytest.fixture
def project(tmp_path: Path) -> str:
    """A project that no other test of the module uses."""
    return tmp_path.name[-60:]


def test_journals_and_files_arrive_byte_for_byte(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journals = [Written(folder, run, project).rows(3000).end() for run in ("a", "b")]
    journals.append(Written(folder, "a", project, "rank1").rows(10).end())
    contents = (b"x" * 100, b"", os.urandom(9 << 20))
    digests = [keep_file(journals[0], content) for content in contents]
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    for journal in journals:
        assert there(journal).read_bytes() == journal.data
    for digest, content in zip(digests, contents, strict=True):
        assert (there(journals[0]).parent / "files" / digest).read_bytes() == content
    assert sender.n_sent_bytes == sum(len(journal.data) for journal in journals) + sum(map(len, contents))


def test_nothing_is_sent_twice_also_by_a_sender_that_remembers_nothing(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain
) -> None:
    journal = Written(folder, project=project).rows(3000).end()
    keep_file(journal, b"kept")
    drain(sender_to(folder, proxy.url))
    shutil.rmtree(folder / "sync")
    proxy.seen.clear()
    again = sender_to(folder, proxy.url)
    drain(again)
    assert again.n_sent_bytes <= 256, "the end, which is compared"
    assert "files" not in proxy.routes()


def test_a_run_may_be_written_meanwhile_and_only_whole_records_are_sent(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(5)
    sender = sender_to(folder, module_server.base_url)
    for n_rows in (1, 4000, 3):
        journal.rows(n_rows)
        whole = journal.data
        with journal.path.open("ab") as file:
            file.write(b"\x1a\x00\x03half a row")
        drain(sender)
        assert there(journal).read_bytes() == whole
        journal.file.cut_back()
    journal.end()
    drain(sender)
    assert there(journal).read_bytes() == journal.data


def test_where_the_server_has_other_bytes_the_whole_file_follows_them_once(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(4000)
    drain(sender_to(folder, module_server.base_url))
    # As after a stale handle on a network drive: the file goes on shorter than it was.
    size = len(journal.data) - 1000
    kept = journal.data[:size]
    journal.path.write_bytes(kept)
    journal.file.cut_back()
    journal.rows(600).end()
    for _ in range(3):  # with what is remembered, and without
        sender = sender_to(folder, module_server.base_url)
        drain(sender)
        sender.close()
    assert steps_of(there(journal)) == list(range(4600))
    assert len(there(journal).read_bytes()) < 2.2 * len(journal.data)
    size_before = len(there(journal).read_bytes())
    drain(sender_to(folder, module_server.base_url))
    assert len(there(journal).read_bytes()) == size_before


def test_a_journal_that_grew_differently_is_known_by_the_end_of_what_is_there(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(4000)
    drain(sender_to(folder, module_server.base_url))
    copy = there(journal)
    data = bytearray(copy.read_bytes())
    data[-40] ^= 1  # the server's disk kept something else
    copy.write_bytes(data)
    shutil.rmtree(folder / "sync")
    journal.rows(1).end()
    drain(sender_to(folder, module_server.base_url))
    assert steps_of(copy)[-1] == 4000 and sorted(set(steps_of(copy))) == list(range(4001))


def test_a_server_that_has_more_than_the_file_needs_nothing(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(4000)
    drain(sender_to(folder, module_server.base_url))
    data = journal.data
    shutil.copytree(folder, folder.parent / "older")
    older = folder.parent / "older" / journal.path.relative_to(folder)
    older.write_bytes(data[:-26])
    shutil.rmtree(folder.parent / "older" / "sync")
    drain(sender_to(folder.parent / "older", module_server.base_url))
    assert there(journal).read_bytes() == data


def test_a_server_that_lost_what_it_had_gets_it_again(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(4000)
    digest = keep_file(journal, b"weights")
    first = sender_to(folder, module_server.base_url)
    drain(first)
    there(journal).write_bytes(journal.data[:100])
    (there(journal).parent / "files" / digest).unlink()
    journal.rows(10)
    drain(first)  # learns of it by a gap
    assert there(journal).read_bytes() == journal.data
    there(journal).unlink()
    drain(sender_to(folder, module_server.base_url))  # learns of it by asking
    assert there(journal).read_bytes() == journal.data
    assert (there(journal).parent / "files" / digest).exists()


def test_a_run_that_the_key_is_not_for_stops_no_other(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    key, _ = module_server.keys.create(f"only {project}", "write", project, by_me("a test"))
    other = Written(folder, "x", f"{project}2").rows(10)
    keep_file(other, b"no")
    own = Written(folder, "y", project).rows(10)
    keep_file(own, b"yes")
    sender = sender_to(folder, module_server.base_url, key)
    drain(sender)
    assert there(own).read_bytes() == own.data and not there(other).exists()
    assert "may not write" in sender.status.troubles[f"{project}2/x"]
    assert list(sender.status.troubles) == [f"{project}2/x"]


def test_a_journal_with_a_wrong_first_record_stops_no_other(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    odd, good = Written(folder, "odd", project).rows(10), Written(folder, "good", project).rows(10)
    data = bytearray(odd.data)
    data[60] ^= 255  # the SESSION record is damaged: what the journal is called says only its place
    odd.path.write_bytes(data)
    empty = odd.path.with_name(f"main.{'0' * 32}.journal")
    empty.write_bytes(b"")
    copied = good.path.parent.with_name("copied") / good.path.name
    copied.parent.mkdir()
    copied.write_bytes(good.data)  # somebody copied a run's folder: it is the run "good" all the same
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    assert "part of another run" in sender.status.troubles[f"{project}/copied"]
    assert there(good).read_bytes() == good.data
    assert not (there(odd).parent / empty.name).exists()


def test_of_a_run_deleted_there_nothing_more_is_sent(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(10)
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    module_server.folder.refresh()
    delete_runs(module_server.folder, [(project, "a")], by_me("a test"), force=True)
    journal.rows(10).end()
    drain(sender)
    assert "deleted" in sender.status.troubles[f"{project}/a"]
    assert len(there(journal).read_bytes()) < len(journal.data)


def test_a_run_is_as_old_there_as_it_is_here(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, there: Callable[..., Path]
) -> None:
    dead = Written(folder, "dead", project).rows(10)
    two_days_ago = time.time() - 2 * 86_400
    os.utime(dead.path, (two_days_ago, two_days_ago))
    drain(sender_to(folder, module_server.base_url))
    assert abs(there(dead).stat().st_mtime - two_days_ago) < 60


def test_a_wall_clock_that_steps_back_an_hour_holds_nothing_up(
    folder: Path,
    project: str,
    proxy: AnsweringProxy,
    sender_to: Make,
    drain: Drain,
    there: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Written(folder, project=project).rows(10)
    sender = sender_to(folder, proxy.url)
    drain(sender)
    real_s, real_ns = time.time, time.time_ns
    proxy.seen.clear()
    for hours in (-1, 3):
        monkeypatch.setattr(time, "time", lambda hours=hours: real_s() + 3600 * hours)
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: real_ns() + 3600 * hours * 10**9)
        journal.rows(10)
        drain(sender)
        assert there(journal).read_bytes() == journal.data
    monkeypatch.undo()
    ages_s = [part.age_s for route, body in proxy.seen if route == "blocks" for part in body.parts]
    assert len(ages_s) == 2 and max(ages_s) < 60  # as alive as it is, whatever the clock says


@contextmanager
def opened_below(folder: Path) -> Iterator[list[str]]:
    """Collect what this process opens or lists below a folder."""
    seen: list[str] = []
    is_on = True

    def hook(event: str, args: tuple[object, ...]) -> None:
        if is_on and event in ("open", "os.listdir", "os.scandir") and str(args[0]).startswith(str(folder)):
            seen.append(str(args[0]))

    sys.addaudithook(hook)
    yield seen
    is_on = False


def test_runs_that_are_wholly_there_are_looked_at_rarely(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, clock: Clock
) -> None:
    for number in range(100):
        Written(folder, f"r{number}", project).end()
    live = Written(folder, "live", project).rows(1)
    sender = sender_to(folder, module_server.base_url)
    drain(sender)
    sender.step()
    with opened_below(folder / "runs" / project) as opened:
        for _ in range(5):
            live.rows(1)
            clock.ahead_s += sender.step()
    of_old = [path for path in opened if f"{os.sep}r" in path.removeprefix(str(folder / "runs" / project))]
    assert not of_old and any("live" in path for path in opened)
    Written(folder, "r7", project, "rank1").end()  # one of them goes on after all
    clock.ahead_s += 61
    drain(sender)
    assert sum(len(run.journals) for run in sender.followed.values()) == 102


def test_what_is_remembered_is_small_and_right(
    folder: Path, project: str, module_server: TrackerServer, module_key: str, sender_to: Make, drain: Drain
) -> None:
    journal = Written(folder, project=project)
    sender = sender_to(folder, module_server.base_url)
    for _ in range(50):
        journal.rows(10)
        drain(sender)
    acked = Acked(sync_folder(str(folder), module_server.base_url, module_key))
    acked.read()
    assert acked.of((project, "a")).journals[journal.path.name].acked == len(journal.data)
    acked.compact()
    lines = (folder / "sync").glob("*/acked.txt").__next__().read_text().splitlines()
    assert len(lines) == 1


def test_an_order_to_stop_reaches_the_run_it_is_for_and_no_other(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, drain: Drain, proxy: AnsweringProxy
) -> None:
    import msgspec
    from answering import Answer

    from tracker_core.sync.wire import BlocksReply, Order

    journal = Written(folder, project=project).rows(10)
    other = Written(folder.parent / "elsewhere", "b", project).rows(1)
    session = journal.name.session

    def with_orders(route: str, body: object, reply: Answer) -> Answer:
        if route != "blocks":
            return reply
        said = msgspec.msgpack.decode(reply.body, type=BlocksReply)
        said.orders = [
            Order(project, "a", [session], "stop", "ann", "too slow", 5),
            Order(project, "b", [other.name.session], "stop", "eve", "", 6),
            Order("../..", "a", [session], "stop", "eve", "", 6),
        ]
        return Answer(200, reply.headers, msgspec.msgpack.encode(said))

    proxy.change = with_orders
    drain(sender_to(folder, proxy.url))
    order = read_order(str(journal.path.parent))
    assert order is not None and (order.by, order.why, order.sessions) == ("ann", "too slow", [session])
    assert len(list(folder.rglob("stop.json"))) == 1
    assert not list((folder.parent / "elsewhere").rglob("stop.json"))


def test_senders_at_work_on_one_run_at_the_same_time_bring_it_once(
    folder: Path, project: str, module_server: TrackerServer, module_key: str, there: Callable[..., Path]
) -> None:
    journal = Written(folder, project=project).rows(10)
    digest = keep_file(journal, os.urandom(5 << 20))
    ending = threading.Event()

    def send() -> None:
        sender = Sender(str(folder), module_server.base_url, module_key)
        is_over = False
        while not is_over:
            has_ended = ending.is_set()
            sender.step()
            is_over = has_ended and not sender.has_left
        sender.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        journal.rows(500)
    journal.end()
    ending.set()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert there(journal).read_bytes() == journal.data
    assert (there(journal).parent / "files" / digest).stat().st_size == 5 << 20

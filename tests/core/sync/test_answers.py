"""What a sender makes of answers: only a tracker's own acknowledgement, and one that can be true, counts as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from answering import REPLY_HEADERS, Answer, AnsweringProxy, packed, tracker_error
from step_clock import Clock
from written import Written, keep_file

from tracker_core.sync.backoff import Backoff
from tracker_core.sync.sender import Sender
from tracker_core.sync.wire import BlocksReply, JournalAck, JournalName
from tracker_server.http.server import TrackerServer

Make = Callable[..., Sender]
Drain = Callable[..., None]

_PAGE = b"<!DOCTYPE html><title>Welcome</title>"
_NO_ANSWERS = {
    "a page": Answer(200, {"Content-Type": "text/html"}, _PAGE),
    "a redirect": Answer(302, {"Location": "http://portal.invalid/"}, b""),
    "a redirect with the header": Answer(307, {**REPLY_HEADERS, "Location": "http://portal.invalid/"}, b""),
    "a good body without the header": Answer(200, {"Content-Type": REPLY_HEADERS["Content-Type"]}, b"\x80"),
    "another content type": Answer(200, {**REPLY_HEADERS, "Content-Type": "application/json"}, b"{}"),
    "another protocol": Answer(200, {**REPLY_HEADERS, "X-Tracker-Protocol": "2"}, b"\x80"),
    "no msgpack": Answer(200, REPLY_HEADERS, b"\xc1\xc1"),
    "another struct": Answer(200, REPLY_HEADERS, msgspec.msgpack.encode({"acks": 5})),
    "nothing": Answer(200, REPLY_HEADERS, b""),
    "no content": Answer(204, REPLY_HEADERS, b""),
    "404": Answer(404, {"Content-Type": "text/plain"}, b"no"),
    "500": tracker_error(500),
    "502": Answer(502, {"Content-Type": "text/html"}, _PAGE),
    "429": tracker_error(429),
    "400 of a proxy": Answer(400, {"Content-Type": "text/html"}, _PAGE),
    "a very long body": Answer(200, REPLY_HEADERS, b"\x00" * (17 << 20)),
}


@pytest.fixture
def project(tmp_path: Path) -> str:
    return tmp_path.name[-60:]


@pytest.mark.parametrize(
    ("what", "from_the_start"),
    [*[(what, True) for what in _NO_ANSWERS], ("a page", False), ("another struct", False), ("500", False)],
)
def test_this_is_never_taken_for_an_acknowledgement(
    what: str,
    from_the_start: bool,
    folder: Path,
    project: str,
    proxy: AnsweringProxy,
    sender_to: Make,
    drain: Drain,
    clock: Clock,
    module_server: TrackerServer,
) -> None:
    journal = Written(folder, project=project).rows(10)
    keep_file(journal, b"kept")
    sender = sender_to(folder, proxy.url)
    if not from_the_start:
        drain(sender)
        journal.rows(10)
        keep_file(journal, b"kept later")
    left = len(journal.data) if from_the_start else 260
    proxy.always(_NO_ANSWERS[what])
    for _ in range(3):
        clock.ahead_s += sender.step()
        assert sender.status.state == "waiting" and sender.status.error
        assert sender.left_bytes >= left
    proxy.heal()
    drain(sender)
    assert journal.at(module_server.folder.path).read_bytes() == journal.data


def _false(change: Callable[[JournalAck, Any], list[JournalAck]]) -> Callable[[str, Any, Answer], Answer]:
    def changed(route: str, body: Any, reply: Answer) -> Answer:
        if route != "blocks" or not body.parts:
            return reply
        said = msgspec.msgpack.decode(reply.body, type=BlocksReply)
        return packed(BlocksReply(change(said.acks[0], body), said.orders))

    return changed


_OTHER = JournalAck(JournalName("p", "other", "main", "0" * 32), 99)
_FALSE_ACKS: dict[str, Callable[[JournalAck, Any], list[JournalAck]]] = {
    "none": lambda ack, body: [],
    "twice": lambda ack, body: [ack, ack],
    "another journal's": lambda ack, body: [_OTHER],
    "one too many": lambda ack, body: [
        ack,
        _OTHER,
    ],
    "negative": lambda ack, body: [msgspec.structs.replace(ack, size_bytes=-1)],
    "beyond all files": lambda ack, body: [msgspec.structs.replace(ack, size_bytes=1 << 63)],
}


@pytest.mark.parametrize("what", _FALSE_ACKS)
def test_an_acknowledgement_that_cannot_be_true_is_not_believed(
    what: str, folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain, clock: Clock
) -> None:
    journal = Written(folder, project=project).rows(10)
    sender = sender_to(folder, proxy.url)
    proxy.change = _false(_FALSE_ACKS[what])
    for _ in range(3):
        clock.ahead_s += sender.step()
        assert sender.status.state == "waiting" and sender.left_bytes == len(journal.data)
    proxy.heal()
    drain(sender)


def test_a_size_larger_than_the_file_counts_no_further_than_the_file(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain, module_server: TrackerServer
) -> None:
    journal = Written(folder, project=project).rows(10)
    sender = sender_to(folder, proxy.url)
    proxy.change = _false(lambda ack, body: [msgspec.structs.replace(ack, size_bytes=1 << 40)])
    drain(sender)
    journal.rows(3000)  # what is new then is sent nevertheless
    proxy.heal()
    drain(sender)
    assert journal.at(module_server.folder.path).read_bytes() == journal.data


def test_a_server_that_takes_nothing_is_not_asked_without_a_pause(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, clock: Clock
) -> None:
    Written(folder, project=project).rows(10)
    sender = sender_to(folder, proxy.url)
    proxy.answer = lambda route, body: (
        packed(BlocksReply([JournalAck(body.parts[0].journal, 0)])) if route == "blocks" and body.parts else None
    )
    for _ in range(20):
        clock.ahead_s += max(sender.step(), 0.1)
    assert 1 < proxy.routes().count("blocks") < 15
    assert sender.left_bytes


def test_a_request_too_large_for_a_proxy_is_made_smaller(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain, module_server: TrackerServer
) -> None:
    journal = Written(folder, project=project).rows(100_000)
    proxy.answer = lambda route, body: (
        Answer(413, {"Content-Type": "text/html"}, _PAGE)
        if route == "blocks" and sum(len(part.data) for part in body.parts) > 150_000
        else None
    )
    sender = sender_to(folder, proxy.url)
    drain(sender)
    assert journal.at(module_server.folder.path).read_bytes() == journal.data
    sizes = [sum(len(part.data) for part in body.parts) for route, body in proxy.seen if route == "blocks"]
    assert len([size for size in sizes if size > 150_000]) < 10  # it is learned once


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_journal_that_the_server_trips_over_holds_up_no_other(
    status: int,
    folder: Path,
    project: str,
    proxy: AnsweringProxy,
    sender_to: Make,
    clock: Clock,
    module_server: TrackerServer,
) -> None:
    journals = [Written(folder, f"r{number}", project).rows(50) for number in range(9)]
    bad = journals[4].name

    def trip(route: str, body: Any) -> Answer | None:
        is_bad = route == "blocks" and any(part.journal == bad for part in body.parts)
        return tracker_error(status) if is_bad else None

    proxy.answer = trip
    sender = sender_to(folder, proxy.url)
    for _ in range(8):
        clock.ahead_s += 5 + sender.step()
    for journal in journals:
        assert journal.at(module_server.folder.path).exists() == (journal.name != bad)
    journals[0].rows(10)  # and goes on holding up nothing
    for _ in range(4):
        clock.ahead_s += sender.step()
    assert journals[0].at(module_server.folder.path).read_bytes() == journals[0].data
    if status != 500:
        assert list(sender.status.troubles) == [f"{project}/r4"]


def test_a_server_that_always_breaks_off_is_away_and_no_journal_is_blamed(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain, clock: Clock
) -> None:
    for number in range(4):
        Written(folder, f"r{number}", project).rows(5)
    sender = sender_to(folder, proxy.url)
    proxy.answer = lambda route, body: tracker_error(500) if route == "blocks" else None
    for _ in range(12):
        clock.ahead_s += sender.step()
    assert sender.status.state == "waiting" and not sender.status.troubles
    proxy.heal()
    clock.ahead_s += sender.step()
    drain(sender, n_steps=2)


def test_a_refused_key_is_said_and_tried_again_every_minute(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make, proxy: AnsweringProxy, clock: Clock
) -> None:
    Written(folder, project=project).rows(5)
    sender = sender_to(folder, proxy.url, "tk_wrong")
    assert sender.step() == 60
    assert sender.status.state == "refused" and "refuses the key (401)" in sender.status.error
    n_asked = len(proxy.seen)
    assert 0 < sender.step() <= 60 and len(proxy.seen) == n_asked
    clock.ahead_s += 61
    sender.step()
    assert len(proxy.seen) == n_asked + 1


def test_a_key_that_may_only_read_is_refused(
    folder: Path, project: str, module_server: TrackerServer, sender_to: Make
) -> None:
    from tracker_server.catalog.decisions import by_me

    key, _ = module_server.keys.create(f"reader {project}", "read", None, by_me("a test"))
    Written(folder, project=project).rows(5)
    sender = sender_to(folder, module_server.base_url, key)
    sender.step()
    assert sender.status.state == "refused" and "only read" in sender.status.error


@pytest.mark.parametrize(("header", "least_s", "most_s"), [("20", 20, 81), ("100000", 300, 300), ("soon", 0, 60)])
def test_retry_after_is_honoured_within_bounds(
    header: str, least_s: float, most_s: float, folder: Path, proxy: AnsweringProxy, sender_to: Make
) -> None:
    Written(folder).rows(5)
    proxy.always(tracker_error(503, **{"Retry-After": header}))
    assert least_s <= sender_to(folder, proxy.url).step() <= most_s


def test_waits_grow_to_a_bound_with_full_jitter() -> None:
    longest = Backoff(0.5, 60.0, lambda low, high: high)
    assert [longest.next_s() for _ in range(10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    longest.reset()
    assert longest.next_s() == 0.5
    drawn = [Backoff(0.5, 60.0).next_s() for _ in range(200)]
    assert 0.05 <= min(drawn) < 0.2 and 0.4 < max(drawn) <= 0.5


def test_the_key_goes_to_no_other_place(folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make) -> None:
    Written(folder, project=project).rows(5)
    other = AnsweringProxy(proxy.url)
    proxy.always(Answer(307, {**REPLY_HEADERS, "Location": f"{other.url}/api/v1/sync/hello"}, b""))
    sender_to(folder, proxy.url).step()
    assert not other.seen
    other.close()


def test_another_server_at_the_address_gets_everything(
    folder: Path, project: str, tmp_path: Path, proxy: AnsweringProxy, sender_to: Make, drain: Drain, clock: Clock
) -> None:
    from tracker_server.http.server import run_server_in_background

    journal = Written(folder, project=project).rows(500).end()
    digest = keep_file(journal, b"kept")
    sender = sender_to(folder, proxy.url)
    drain(sender)
    new = run_server_in_background(tmp_path / "new")
    try:
        proxy.target_url, proxy.target_key = new.base_url, str(new.admin_key)
        clock.ahead_s += 700  # it says hello again now and then
        clock.ahead_s += sender.step()
        drain(sender)
        copy = journal.at(str(tmp_path / "new"))
        assert copy.read_bytes() == journal.data and (copy.parent / "files" / digest).exists()
    finally:
        new.close()


def test_files_that_the_server_refuses_hold_up_neither_rows_nor_other_files(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, clock: Clock, module_server: TrackerServer
) -> None:
    journals = [Written(folder, f"r{number}", project).rows(5) for number in range(3)]
    digests = [keep_file(journal, journal.name.run.encode()) for journal in journals]

    def refuse(route: str, body: Any) -> Answer | None:
        if route == "missing" and digests[0].encode() in body:
            return tracker_error(422)
        return tracker_error(413) if route == "files" and body == b"r1" else None

    proxy.answer = refuse
    sender = sender_to(folder, proxy.url)
    for _ in range(12):
        clock.ahead_s += sender.step()
    folders = [journal.at(module_server.folder.path).parent / "files" for journal in journals]
    assert [(at / digest).exists() for at, digest in zip(folders, digests, strict=True)] == [False, False, True]
    assert sorted(sender.status.troubles) == [f"{project}/r0", f"{project}/r1"]
    assert sender.status.state == "ok" and not sender.has_left
    journals[0].rows(5)
    clock.ahead_s += sender.step()
    assert journals[0].at(module_server.folder.path).read_bytes() == journals[0].data


def test_a_file_goes_on_where_it_broke_off_and_what_is_not_its_digest_is_given_up(
    folder: Path, project: str, proxy: AnsweringProxy, sender_to: Make, drain: Drain, clock: Clock
) -> None:
    journal = Written(folder, project=project).rows(5)
    digest = keep_file(journal, bytes(11 << 20))
    sender = sender_to(folder, proxy.url)
    n_files = 0

    def break_off(route: str, body: Any) -> Answer | None:
        nonlocal n_files
        n_files += route == "files"
        return Answer(502, {}, b"") if route == "files" and n_files == 2 else None

    proxy.answer = break_off
    drain(sender)
    sent = [len(body) for route, body in proxy.seen if route == "files"]
    assert sent == [4 << 20, 4 << 20, 4 << 20, 3 << 20]  # the second one twice
    wrong = journal.path.parent / "files" / ("0" * 64)
    wrong.write_bytes(b"not what its name says")
    for _ in range(10):
        clock.ahead_s += sender.step()
    assert "does not take it" in sender.status.troubles[f"{project}/a"]
    assert digest in sender.followed[project, "a"].acked_files

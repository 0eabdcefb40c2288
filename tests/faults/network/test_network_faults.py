"""Whatever the network does, the server ends with what the journals hold, and the sender says what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from fault_proxy import LOST_REPLY, NONE, SILENCE, Fault, FullBacklog, Request, portal, status
from sent_journals import LocalJournal, assert_same_bytes, assert_same_items, assert_same_story
from sync_world import World

from tracker_core.sync.sender import Sender
from tracker_core.sync.transport import Transport
from tracker_core.sync.wire import CONTENT_TYPE, PROTOCOL_HEADER, BlocksRequest

BLOCKS = "/api/v1/sync/blocks"


class Sending:
    """A folder with runs of one project, and its sender."""

    def __init__(self, world: World, folder: Path, project: str) -> None:
        self.world, self.folder, self.project = world, folder, project
        self.journals = [self.begin("a"), self.begin("b")]
        self.sender = world.new_sender(folder)

    def begin(self, run: str) -> LocalJournal:
        return LocalJournal(self.folder, run, project=self.project)

    def log(self, n_rows: int = 200) -> None:
        for journal in self.journals:
            journal.log(n_rows)

    def step(self, n_steps: int = 1) -> None:
        for _ in range(n_steps):
            self.sender.wake()
            self.world.step(self.sender)

    def must_arrive(self) -> None:
        """Let the network recover; everything arrives, once, and nothing else is there."""
        self.world.proxy.heal()
        self.world.start_server()
        for journal in self.journals:
            journal.log(3)
            journal.end()
        self.world.drain(self.sender)
        assert_same_bytes(self.folder, self.world.folder)
        assert_same_story(self.folder, self.world.api, self.project)
        assert self.sender.status.troubles == {}


@pytest.fixture
def sending(world: World, folder: Path, request: pytest.FixtureRequest) -> Iterator[Sending]:
    there = Sending(world, folder, f"p{abs(hash(request.node.nodeid)):x}")
    yield there
    there.sender.close()
    world.proxy.heal()
    world.start_server()


@pytest.mark.fault("F25")
def test_a_server_that_is_not_there_yet(sending: Sending) -> None:
    sending.world.stop_server()
    for _ in range(4):
        sending.log(20)
        sending.step()
        assert sending.sender.status.state == "waiting"
        assert sending.sender.left_bytes
    sending.must_arrive()


@pytest.mark.fault("F25")
def test_a_server_that_goes_and_comes_back(sending: Sending) -> None:
    for _ in range(3):
        sending.log(50)
        sending.step()
        sending.world.stop_server()
        sending.log(50)
        sending.step(2)
        sending.world.start_server()
    sending.must_arrive()


@pytest.mark.fault("F26")
@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504, 507])
@pytest.mark.parametrize("when", ["from the start", "in the middle"])
def test_status(sending: Sending, code: int, when: str) -> None:
    if when == "in the middle":
        sending.log()
        sending.step()
    sending.world.proxy.always(status(code))
    for _ in range(3):
        sending.log()
        sending.step()
    assert sending.sender.left_bytes or sending.sender.status.troubles
    sending.must_arrive()


@pytest.mark.fault("F26")
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_within_bounds(sending: Sending, code: int) -> None:
    sending.log()
    sending.world.proxy.add(status(code, retry_after="7"), status(code, retry_after="86400000"))
    wait_s = sending.sender.step()
    assert 6 < wait_s <= 8
    n_requests = len(sending.world.proxy.seen)
    assert 5 < sending.sender.step() <= 8, "it does not try before"
    assert len(sending.world.proxy.seen) == n_requests
    sending.world.clock.ahead_s += wait_s
    assert 60 < sending.sender.step() <= 600, "no answer stops a sender for a day"
    sending.sender.try_now()
    sending.must_arrive()


@pytest.mark.fault("F26")
def test_a_refused_key_is_said_and_tried_again(sending: Sending) -> None:
    sending.log()
    sending.world.proxy.always(status(401))
    wait_s = sending.sender.step()
    assert sending.sender.status.state == "refused"
    assert "key" in sending.sender.status.error
    assert sending.world.key not in sending.sender.status.error
    assert 30 <= wait_s <= 120
    sending.world.clock.ahead_s += wait_s
    sending.must_arrive()


@pytest.mark.fault("F26")
@pytest.mark.parametrize("n_bytes", [140_000, 300_000])
def test_413_makes_requests_smaller(sending: Sending, n_bytes: int) -> None:
    for journal in sending.journals:
        for _ in range(30):
            journal.log(1, text_bytes=60_000)

    def answer(request: Request) -> Fault:
        return status(413) if len(request.body) > n_bytes else NONE

    sending.world.proxy.rule = answer
    for _ in range(100):
        sending.step()
        if not sending.sender.left_bytes:
            break
    assert not sending.sender.left_bytes, sending.sender.status
    sending.must_arrive()


@pytest.mark.fault("F26")
@pytest.mark.parametrize("code", [400, 422, 500])
def test_a_run_that_the_server_chokes_on_stops_no_other(sending: Sending, code: int) -> None:
    bad = sending.begin("bad")
    bad.log(100)
    sending.log()

    def answer(request: Request) -> Fault:
        return _tracker_status(code) if "bad" in runs_in(request) else NONE

    sending.world.proxy.rule = answer
    sending.step(40)
    left = [run for run, n_bytes in sending.sender.status.runs.items() if n_bytes]
    assert left in ([], [f"{sending.project}/bad"])
    for journal in sending.journals:
        assert (sending.world.folder / journal.path.relative_to(sending.folder)).exists()
    sending.journals.append(bad)
    sending.world.proxy.heal()
    sending.world.clock.ahead_s += 3600
    sending.must_arrive()


def runs_in(request: Request) -> set[str]:
    """Return the runs whose blocks a request brings."""
    if request.path != BLOCKS:
        return set()
    body = request.body
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        body = zstandard.ZstdDecompressor().decompress(body)
    return {part.journal.run for part in msgspec.msgpack.decode(body, type=BlocksRequest).parts}


def _tracker_status(code: int) -> Fault:
    head = f"HTTP/1.1 {code} No\r\nContent-Type: {CONTENT_TYPE}\r\n{PROTOCOL_HEADER}: 1\r\nContent-Length: 2\r\n\r\nno"
    return Fault(answer=head.encode())


@pytest.fixture
def short(world: World) -> Iterator[None]:
    """Time limits that a test can wait for."""
    before, world.timeout_s = world.timeout_s, 0.4
    yield
    world.timeout_s = before


@pytest.mark.fault("F27")
@pytest.mark.parametrize("fault", ["deaf", "half-open", "full backlog"])
def test_black_hole(short: None, sending: Sending, fault: str) -> None:
    sending.sender.close()
    sending.sender = sending.world.new_sender(sending.folder)
    sending.log()
    if fault == "half-open":
        sending.step()
        sending.log()
        sending.world.proxy.always(SILENCE)
    elif fault == "deaf":
        sending.world.proxy.is_deaf = True
    began_s = time.monotonic()
    if fault == "full backlog":
        with FullBacklog() as hole:
            transport = Transport(hole.url, sending.world.key, timeout_s=0.4)
            lost = Sender(str(sending.folder), hole.url, sending.world.key, transport=transport)
            lost.step()
            assert lost.status.state == "waiting"
            lost.close()
    else:
        sending.step()
        assert sending.sender.status.state == "waiting"
    assert time.monotonic() - began_s < 20, "a silent server is given up in the time set"
    sending.sender.close()
    sending.world.timeout_s = 20.0
    sending.sender = sending.world.new_sender(sending.folder)
    sending.must_arrive()


@pytest.mark.fault("F27")
def test_one_byte_a_second(short: None, sending: Sending) -> None:
    sending.sender.close()
    sending.sender = sending.world.new_sender(sending.folder)
    sending.log()
    sending.world.proxy.always(Fault(bytes_per_s=5))  # a reply would take a minute, and no read of it is ever late
    began_s = time.monotonic()
    sending.step()
    assert sending.sender.status.state == "waiting"
    assert time.monotonic() - began_s < 30
    sending.sender.close()
    sending.world.timeout_s = 20.0
    sending.sender = sending.world.new_sender(sending.folder)
    sending.must_arrive()


@pytest.mark.fault("F27")
def test_reset_at_any_byte_of_a_request(sending: Sending) -> None:
    for k in [*range(0, 600, 37), 5_000, 20_000]:
        sending.log(50)
        sending.world.proxy.add(Fault(request_bytes=k))
        sending.step()
    sending.must_arrive()


@pytest.mark.fault("F27", "F28")
def test_reset_at_any_byte_of_a_reply(sending: Sending) -> None:
    for k in range(0, 400, 23):
        sending.log(50)
        sending.step()  # the next request brings blocks
        sending.log(50)
        sending.world.proxy.add(Fault(reply_bytes=k))
        sending.step()
    sending.must_arrive()


@pytest.mark.fault("F28")
@pytest.mark.parametrize("path", ["hello", "state", "blocks"])
def test_replies_lost_after_the_server_has_committed(sending: Sending, path: str) -> None:
    sending.log()

    def lose(request: Request) -> Fault:
        return LOST_REPLY if request.path.endswith(path) else NONE

    sending.world.proxy.rule = lose
    for _ in range(4):
        sending.log()
        sending.step()
        assert sending.sender.status.state == "waiting"
    sending.must_arrive()


@pytest.mark.fault("F29")
@pytest.mark.parametrize("copies", [2, 5])
def test_duplicates(sending: Sending, copies: int) -> None:
    sending.world.proxy.always(Fault(copies=copies))
    for _ in range(4):
        sending.log()
        sending.step()
    sending.must_arrive()


@pytest.mark.fault("F29")
@pytest.mark.parametrize("held_for", [1, 2, 5])
def test_requests_that_arrive_late_and_out_of_order(sending: Sending, held_for: int) -> None:
    n_seen = 0

    def hold(request: Request) -> Fault:
        nonlocal n_seen
        n_seen += 1
        return Fault(held_for=held_for) if request.path == BLOCKS and n_seen % 2 else NONE

    sending.world.proxy.rule = hold
    for _ in range(10):
        sending.log(100)
        for journal in sending.journals:
            journal.log(1, text_bytes=100_000)
        sending.step()
    sending.must_arrive()
    sending.world.proxy.release()
    assert_same_bytes(sending.folder, sending.world.folder)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("fault", [Fault(held_for=1), Fault(held_for=3), Fault(request_bytes=100_000), LOST_REPLY])
def test_a_long_backlog_of_which_every_third_request_is_lost(sending: Sending, fault: Fault) -> None:
    for journal in sending.journals:
        for _ in range(60):
            journal.log(1, text_bytes=60_000)
    n_blocks = 0

    def answer(request: Request) -> Fault:
        nonlocal n_blocks
        n_blocks += request.path == BLOCKS
        return fault if request.path == BLOCKS and n_blocks % 3 == 1 else NONE

    sending.world.proxy.rule = answer
    sending.step(6)
    sending.must_arrive()
    sending.world.proxy.release()
    assert_same_bytes(sending.folder, sending.world.folder)


@pytest.mark.fault("F29", "F32")
@pytest.mark.parametrize("n_bytes", [None, 0, 500, 2000])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_server_that_has_less_than_it_acknowledged(sending: Sending, n_bytes: int | None, is_restarted: bool) -> None:
    """It came back from an older backup: what is missing there is sent once more, without a gap."""
    sending.log(100)
    sending.step(2)
    for journal in sending.journals:
        there = sending.world.folder / journal.path.relative_to(sending.folder)
        if n_bytes is None:
            there.unlink()
        else:
            os.truncate(there, n_bytes)
    if is_restarted:
        sending.sender.close()
        sending.sender = sending.world.new_sender(sending.folder)
    sending.log(10)
    sending.must_arrive()


@pytest.mark.fault("F30")
@pytest.mark.parametrize("code", [200, 302, 307, 511])
def test_captive_portal(sending: Sending, code: int) -> None:
    sending.log()
    sending.step()
    sending.world.proxy.always(portal(code))
    sending.log()
    sending.step(3)
    assert sending.sender.status.state == "waiting"
    assert sending.sender.left_bytes
    assert all(request.path.startswith("/api/v1/sync/") for request in sending.world.proxy.seen), "none is followed"
    sending.must_arrive()


@pytest.mark.fault("F30")
def test_a_portal_that_answers_with_an_ack_of_another_server_is_not_believed(sending: Sending) -> None:
    """Too much acknowledged, or of journals that nobody asked about: bytes are sent until they are there."""
    sending.log()
    sending.step()
    sending.log()
    sending.world.proxy.always(_tracker_status(200))
    sending.step(2)
    assert sending.sender.left_bytes
    sending.must_arrive()


@pytest.mark.fault("F29")
@pytest.mark.parametrize("mishap", ["torn", "deleted", "made anew", "torn and gone on with"])
def test_a_journal_that_changes_while_it_is_sent(sending: Sending, mishap: str) -> None:
    journal = sending.journals[0]
    journal.log(30)
    sending.step()
    if mishap.startswith("torn"):
        journal.tear(90)
        sending.step()
        journal.mend()
        if mishap.endswith("with"):
            journal.log(30)
    else:
        journal.delete()
        if mishap == "deleted":
            sending.step()
        journal.log(5)
        journal.make_anew()
    sending.step()
    sending.must_arrive()


@pytest.mark.fault("F23", "F29")
@pytest.mark.parametrize("n_bytes", [1, 700, 1500])
@pytest.mark.parametrize("is_seen_shorter", [True, False])
def test_a_journal_that_lost_its_end_and_is_gone_on_with(sending: Sending, n_bytes: int, is_seen_shorter: bool) -> None:
    """The server has bytes that the file has no longer; what is written after is there too, and nothing twice."""
    journal = sending.journals[0]
    journal.log(30)
    sending.step()
    journal.go_on_shorter(n_bytes)
    if is_seen_shorter:
        sending.step()
    journal.log(100)
    sending.step()
    sending.world.drain(sending.sender)
    assert_same_items(sending.folder, sending.world.folder)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("n_bytes", [10, 52, 72, 90, 111])
def test_a_write_that_is_torn_anywhere_is_not_sent_in_part(sending: Sending, n_bytes: int) -> None:
    journal = sending.journals[0]
    journal.log(30)
    sending.step()
    journal.tear(n_bytes)
    sending.step()
    sending.world.drain(sending.sender)
    journal.mend()
    journal.log(1)  # shorter than what was torn, or longer
    sending.step()
    sending.must_arrive()

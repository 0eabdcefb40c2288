"""What a sink says it keeps is what it keeps: each byte once, in order, whatever is sent, cut off or killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.ingest.block_sink import PostedPart, SinkFullError
from tracker_server.ingest.folder_sink import FolderSink
from tracker_server.ingest.tail_sink import TailSink
from tracker_server.store.store_poisoned import poisoned_journals
from tracker_server.store.store_postgres import PostgresIndex
from tracker_server.store.store_tail import read, tail_states

NAME = "p/a/main.0123456789abcdef0123456789abcdef.journal"
BYTES = random.Random(1).randbytes(20_000)
NS = 10**9
ROOT = Path(__file__).parents[2]


class FolderTarget:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink = FolderSink(str(folder))

    def content(self, name: str = NAME) -> bytes:
        path = self.folder / "runs" / name
        return path.read_bytes() if path.exists() else b""

    def modified_ns(self, name: str = NAME) -> int:
        return (self.folder / "runs" / name).stat().st_mtime_ns


class TailTarget:
    def __init__(self, url: str) -> None:
        self.database = PostgresIndex(url)
        self.sink = TailSink(self.database)

    def _state(self, connection, name):
        return next((state for state in tail_states(connection) if state.path == name), None)

    def content(self, name: str = NAME) -> bytes:
        with self.database.reading().transaction() as connection:
            state = self._state(connection, name)
            return read(connection, state.tail_id, 0, 1 << 30) if state else b""

    def modified_ns(self, name: str = NAME) -> int:
        with self.database.reading().transaction() as connection:
            return self._state(connection, name).modified_ns

    def poisoned(self) -> int:
        with self.database.reading().transaction() as connection:
            return len(poisoned_journals(connection))


@pytest.fixture(params=["folder", "database"])
def target(request, tmp_path):
    if request.param == "folder":
        yield FolderTarget(tmp_path / "served")
        return
    made = TailTarget(request.getfixturevalue("database_url"))
    yield made
    made.database.close()


def post(target, *pieces: tuple[int, bytes], name: str = NAME, at_ns: int = NS):
    return target.sink.take({name: [PostedPart(offset, data, at_ns) for offset, data in pieces]})[name]


def test_parts_in_order_are_kept_as_one(target):
    for start in range(0, len(BYTES), 3000):
        kept = post(target, (start, BYTES[start : start + 3000]))
        assert (kept.size_bytes, kept.trouble) == (min(start + 3000, len(BYTES)), "")
    assert target.content() == BYTES and target.sink.sizes([NAME, "p/b/x"]) == {NAME: len(BYTES), "p/b/x": 0}


def test_what_is_sent_again_adds_only_what_is_new(target):
    assert post(target, (0, BYTES[:1000])).n_new_bytes == 1000
    assert post(target, (0, BYTES[:1000])).n_new_bytes == 0
    again = post(target, (0, BYTES[:600]), (300, BYTES[300:1500]), (100, BYTES[100:400]))
    assert (again.size_bytes, again.trouble) == (1500, "") and target.content() == BYTES[:1500]


def test_a_part_behind_the_end_is_a_gap_and_begins_nothing(target):
    assert post(target, (5, b"x")) == post(target, (5, b"x")) and post(target, (5, b"x")).trouble == "gap"
    assert target.sink.sizes([NAME]) == {NAME: 0} and target.content() == b""
    post(target, (0, BYTES[:100]))
    kept = post(target, (50, BYTES[50:200]), (300, BYTES[300:400]))
    assert (kept.size_bytes, kept.trouble) == (200, "gap") and target.content() == BYTES[:200]


def test_other_bytes_are_told_and_the_whole_may_be_sent_behind_them(target):
    post(target, (0, BYTES[:100]))
    other = bytes([BYTES[0] ^ 1]) + BYTES[1:200]
    kept = post(target, (0, other))
    assert (kept.size_bytes, kept.trouble) == (100, "differs") and "0 to 200" in kept.reason
    assert target.content() == BYTES[:100]
    assert post(target, (100, other)).trouble == "" and target.content() == BYTES[:100] + other
    if isinstance(target, TailTarget):
        assert target.poisoned() == 0


def test_one_journal_that_differs_keeps_no_other_back(target):
    post(target, (0, b"first"))
    names = [NAME, NAME.replace("/a/", "/b/")]
    kept = target.sink.take({name: [PostedPart(0, b"other", NS)] for name in names})
    assert [kept[name].trouble for name in names] == ["differs", ""] and target.content(names[1]) == b"other"


def test_the_time_of_a_journal_is_that_of_its_last_sign_of_life_and_never_goes_back(target):
    post(target, (0, b"one"), at_ns=5 * NS)
    assert abs(target.modified_ns() - 5 * NS) < 1000
    post(target, (3, b"two"), at_ns=9 * NS)
    post(target, (6, b"three"), at_ns=7 * NS)
    assert abs(target.modified_ns() - 9 * NS) < 1000


def test_many_at_once_to_one_journal_and_to_many(target):
    names = [NAME, *(NAME.replace("/a/", f"/r{i}/") for i in range(4))]
    starts = list(range(0, len(BYTES), 2000))

    def send(turn: int) -> None:
        order = random.Random(turn)
        while True:
            short = [name for name, size in target.sink.sizes(names).items() if size < len(BYTES)]
            if not short:
                return
            name = order.choice(short)
            start = order.choice([s for s in starts if s <= target.sink.sizes([name])[name]])
            kept = post(target, (start, BYTES[start : start + order.randrange(1, 5000)]), name=name)
            assert kept.trouble == ""

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, range(4)))
    assert {target.content(name) for name in names} == {BYTES}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.booleans()), max_size=25))
def test_any_sequence_of_parts_leaves_a_prefix_of_what_was_written(tmp_path_factory, moves):
    target = FolderTarget(tmp_path_factory.mktemp("any") / "served")
    whole, held = BYTES[:100], 0
    for offset, n_bytes, is_wrong in moves:
        data = whole[offset : offset + n_bytes]
        sent = bytes(byte ^ 1 for byte in data) if is_wrong else data
        kept = post(target, (offset, sent))
        if offset > held:
            expected, held = "gap", held
        elif is_wrong and offset < held and data:
            expected = "differs"
        elif is_wrong and data:
            return  # other bytes for a place that has none yet are what is written
        else:
            expected, held = "", max(held, offset + len(data))
        assert (kept.trouble, kept.size_bytes) == (expected, held)
        assert target.content() == whole[:held]


# -- folders


def test_a_file_that_was_torn_by_a_kill_is_gone_on_with_where_it_ends(tmp_path):
    target = FolderTarget(tmp_path / "served")
    post(target, (0, BYTES[:1000]))
    with open(target.folder / "runs" / NAME, "ab") as file:
        file.write(BYTES[1000:1017])  # as much as got there of the next part
    later = FolderTarget(tmp_path / "served")
    assert later.sink.sizes([NAME]) == {NAME: 1017}
    kept = post(later, (1000, BYTES[1000:3000]))
    assert (kept.size_bytes, kept.trouble) == (3000, "") and later.content() == BYTES[:3000]


KILLED = """
import sys
from tracker_server.ingest.block_sink import PostedPart
from tracker_server.ingest.folder_sink import FolderSink
sink, data = FolderSink(sys.argv[1]), bytes(range(256)) * 4096
for turn in range(10_000):
    kept = sink.take({sys.argv[2]: [PostedPart(turn * len(data), data, 0)]})
    print(kept[sys.argv[2]].size_bytes, flush=True)
"""


def test_what_was_acknowledged_is_there_after_a_kill_and_the_rest_is_a_prefix(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "served"), NAME]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        told = [int(process.stdout.readline()) for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout if line.endswith("\n")]
    data = bytes(range(256)) * 4096
    target = FolderTarget(tmp_path / "served")
    size = target.sink.sizes([NAME])[NAME]
    assert size >= told[-1] and target.content() == (data * (size // len(data) + 1))[:size]


def test_a_full_disk_is_told_and_leaves_the_file_as_it_was(tmp_path):
    resource = pytest.importorskip("resource")
    target = FolderTarget(tmp_path / "served")
    post(target, (0, BYTES[:1000]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
        with pytest.raises(SinkFullError):
            post(target, (1000, BYTES[1000:3000]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert target.content() == BYTES[:1000] and post(target, (1000, BYTES[1000:3000])).size_bytes == 3000


def test_a_link_in_the_place_of_a_journal_is_not_followed_and_keeps_no_other_journal_back(tmp_path):
    target = FolderTarget(tmp_path / "served")
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    path = target.folder / "runs" / NAME
    path.parent.mkdir(parents=True)
    path.symlink_to(outside)
    other = NAME.replace("/a/", "/b/")
    assert other != NAME
    parts = [PostedPart(0, b"text", 1)]
    kept = target.sink.take({NAME: parts, other: parts})
    assert kept[NAME].trouble == "refused" and kept[other].size_bytes == 4
    assert outside.read_bytes() == b""


def test_two_processes_of_one_folder_append_one_after_the_other(tmp_path):
    first, other = FolderTarget(tmp_path / "served"), FolderTarget(tmp_path / "served")
    gate = threading.Barrier(2)

    def send(target) -> None:
        gate.wait()
        for start in range(0, len(BYTES), 500):
            assert post(target, (start, BYTES[start : start + 500])).trouble == ""

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(send, [first, other]))
    assert first.content() == BYTES


def test_what_is_acknowledged_was_flushed_to_the_device(tmp_path, monkeypatch):
    from tracker_server.ingest import folder_sink

    flushed: list[int] = []
    real = folder_sink._sync_data
    monkeypatch.setattr(folder_sink, "_sync_data", lambda fd: (flushed.append(os.fstat(fd).st_size), real(fd)))
    target = FolderTarget(tmp_path / "served")
    for start in (0, 1000, 1000):
        post(target, (start, BYTES[start : start + 1000]))
    assert flushed == [1000, 2000]
    FolderTarget(tmp_path / "served").sink.sizes([NAME])  # another process does not know what was flushed before
    assert flushed == [1000, 2000, 2000]


def test_what_could_not_be_flushed_is_not_kept_and_has_to_come_again(tmp_path, monkeypatch):
    from tracker_server.ingest import folder_sink

    target = FolderTarget(tmp_path / "served")
    post(target, (0, BYTES[:100]))

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(folder_sink, "_sync_data", fail)
        with pytest.raises(SinkFullError):
            post(target, (100, BYTES[100:300]))
    assert target.sink.sizes([NAME]) == {NAME: 100} and target.content() == BYTES[:100]
    assert post(target, (100, BYTES[100:300])).size_bytes == 300


def test_a_journal_that_its_process_writes_in_the_servers_own_folder_is_never_cut(tmp_path, monkeypatch):
    from tracker_server.ingest import folder_sink

    target = FolderTarget(tmp_path / "served")
    post(target, (0, BYTES[:100]))
    path = target.folder / "runs" / NAME
    later = FolderTarget(tmp_path / "served")

    def fail(fd: int) -> None:
        with open(path, "ab") as file:  # its process goes on meanwhile
            file.write(BYTES[100:150])
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(folder_sink, "_sync_data", fail)
        with pytest.raises(SinkFullError):
            post(later, (0, BYTES[:100]))
    assert target.content() == BYTES[:150]

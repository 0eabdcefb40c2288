"""The tail table: each byte of a journal once, in order, however often and by however many it is sent."""

from __future__ import annotations

import threading

import pytest

from tracker_server.store import store_tail
from tracker_server.store.store_poisoned import poisoned_journals
from tracker_server.store.store_tail import (
    Block,
    TailState,
    append,
    claim,
    drop_sealed,
    hold,
    read,
    read_new,
    release,
    tail_states,
)
from tracker_server.store.store_write import index_writer

PATH = "p/a/main.00.journal"
BYTES = bytes(range(256)) * 40


@pytest.fixture
def database(store):
    found = store.database()
    yield found
    found.close()


def send(database, *pieces: tuple[int, bytes], path: str = PATH) -> int:
    with index_writer(database) as writer, writer.transaction() as connection:
        return append(connection, [Block(path, offset, data, 5) for offset, data in pieces])[path]


def state_of(database, path: str = PATH) -> TailState:
    with database.reading().transaction() as connection:
        return next(state for state in tail_states(connection) if state.path == path)


def content(database, path: str = PATH, offset: int = 0, n_bytes: int = 1 << 30) -> bytes:
    with database.reading().transaction() as connection:
        return read(connection, state_of(database, path).tail_id, offset, n_bytes)


def test_blocks_in_order_are_read_as_one(database):
    for start in range(0, len(BYTES), 1000):
        assert send(database, (start, BYTES[start : start + 1000])) == min(start + 1000, len(BYTES))
    assert content(database) == BYTES and state_of(database).size_bytes == len(BYTES)
    for offset, n_bytes in ((0, 1), (999, 2), (1000, 1000), (1500, 4000), (len(BYTES) - 1, 99), (len(BYTES), 5)):
        assert content(database, offset=offset, n_bytes=n_bytes) == BYTES[offset : offset + n_bytes]


def test_a_block_sent_again_changes_nothing(database):
    for _ in range(3):
        assert send(database, (0, BYTES[:3000]), (3000, BYTES[3000:4000])) == 4000
    assert content(database) == BYTES[:4000]


def test_blocks_cut_at_other_places_by_another_process_add_only_what_is_new(database):
    send(database, (0, BYTES[:1000]))
    assert send(database, (500, BYTES[500:1700])) == 1700
    assert send(database, (0, BYTES[:900]), (900, BYTES[900:2000])) == 2000
    assert send(database, (0, BYTES[:600]), (300, BYTES[300:2500]), (100, BYTES[100:400])) == 2500
    assert content(database) == BYTES[:2500]


def test_a_block_behind_a_gap_is_not_taken(database):
    assert send(database, (0, BYTES[:100])) == 100
    assert send(database, (200, BYTES[200:300])) == 100
    assert content(database) == BYTES[:100] and state_of(database).trouble is None


@pytest.mark.parametrize("place", [0, 99, 50])
def test_other_bytes_at_the_same_place_are_refused_and_named(database, place):
    send(database, (0, BYTES[:100]))
    other = bytearray(BYTES[:200])
    other[place] ^= 1
    with index_writer(database) as writer, writer.transaction() as connection:
        good = "p/good/main.00.journal"
        sizes = append(connection, [Block(PATH, 0, bytes(other), 5), Block(good, 0, b"good", 5)])
    assert sizes == {PATH: 100, good: 4} and content(database) == BYTES[:100]
    assert "differ" in (state_of(database).trouble or "")
    with database.reading().transaction() as connection:
        assert [poisoned.path for poisoned in poisoned_journals(connection)] == [PATH]


def test_other_bytes_within_one_call_are_refused(database):
    assert send(database, (0, BYTES[:100]), (50, BYTES[:100])) == 0
    assert "differ" in (state_of(database).trouble or "")


def test_a_transaction_that_is_not_committed_leaves_nothing(database):
    with pytest.raises(ZeroDivisionError), index_writer(database) as writer, writer.transaction() as connection:
        append(connection, [Block(PATH, 0, BYTES, 5)])
        raise ZeroDivisionError
    assert send(database, (0, BYTES[:10])) == 10 and content(database) == BYTES[:10]


def test_what_is_sealed_is_deleted_but_not_the_block_in_which_reading_may_begin_again(database):
    for start in range(0, 4000, 1000):
        send(database, (start, BYTES[start : start + 1000]))
    with index_writer(database) as writer, writer.transaction() as connection:
        drop_sealed(connection, hold(connection, PATH), 2700, 2500, False)
    state = state_of(database)
    assert (state.first_offset, state.resume_offset, state.size_bytes, state.is_done) == (2000, 2500, 4000, False)
    assert content(database, offset=2500, n_bytes=700) == BYTES[2500:3200] and content(database, offset=1500) == b""
    assert send(database, (0, BYTES[:1000]), (1000, BYTES[1000:4500])) == 4500
    with index_writer(database) as writer, writer.transaction() as connection:
        drop_sealed(connection, hold(connection, PATH), 4500, 4200, True)
    assert state_of(database).is_done and content(database, offset=4200) == BYTES[4200:4500]
    assert send(database, (4500, b"more")) == 4504 and not state_of(database).is_done


def test_what_is_kept_of_journals_that_ended_long_ago_is_deleted(database):
    other = "p/b/main.00.journal"
    for path in (PATH, other):
        send(database, (0, BYTES[:3000]), path=path)
    with index_writer(database) as writer, writer.transaction() as connection:
        drop_sealed(connection, hold(connection, PATH), 3000, 2900, True)
        drop_sealed(connection, hold(connection, other), 2000, 1900, False)
        store_tail.prune(connection, 5)
    assert content(database) == BYTES[:3000]
    with index_writer(database) as writer, writer.transaction() as connection:
        store_tail.prune(connection, 6)
    assert content(database, offset=2950) == b"" and content(database, other, 1900) == BYTES[1900:3000]
    assert send(database, (0, BYTES[:3500])) == 3500 and content(database, offset=3000) == BYTES[3000:3500]


def test_a_journal_is_claimed_by_one_until_that_is_over(database):
    paths = [PATH, "p/b/main.00.journal"]
    for path in paths:
        send(database, (0, b"x"), path=path)
    with index_writer(database) as writer, writer.transaction() as connection:
        assert claim(connection, paths, "one") == set(paths)
        assert claim(connection, paths, "one") == set(paths)
        assert claim(connection, paths, "two") == set()
        assert store_tail.claims(connection) == {"one": 2}
        assert claim(connection, paths[:1], "one", for_s=-1) == {PATH}
        assert claim(connection, paths, "two") == {PATH}
        release(connection, "two")
        assert claim(connection, paths, "one") == set(paths)
        assert claim(connection, ["p/never/there.journal"], "one") == set()


def test_many_senders_at_once_add_each_byte_once(store):
    store.database().close()
    paths = [f"p/run{index}/main.00.journal" for index in range(5)]

    def work(step: int) -> None:
        database = store.database()
        at = 0
        while at < len(BYTES):
            with index_writer(database) as writer:
                if writer is None:
                    continue
                with writer.transaction() as connection:
                    blocks = [Block(path, at, BYTES[at : at + step], 5) for path in (paths, paths[::-1])[step % 2]]
                    sizes = append(connection, blocks)
            at = min(sizes.values())
        database.close()

    threads = [threading.Thread(target=work, args=(step,)) for step in (700, 1001, 1300, 2003)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    database = store.database()
    assert all(content(database, path) == BYTES for path in paths)
    with database.reading().transaction() as connection:
        assert poisoned_journals(connection) == []
    database.close()


def test_what_came_of_several_journals_is_read_at_once(database):
    paths = [f"p/r{i}/main.00.journal" for i in range(3)]
    for path in paths:
        send(database, (0, BYTES[:100]), path=path)
    ends = {state_of(database, path).tail_id: 100 for path in paths}
    for path in paths[:2]:
        send(database, (100, BYTES[100:200]), path=path)
        send(database, (200, BYTES[200:250]), path=path)
    with database.reading().transaction() as connection:
        found = read_new(connection, ends)
        assert read_new(connection, {}) == {}
    assert found == dict.fromkeys(list(ends)[:2], BYTES[100:250])

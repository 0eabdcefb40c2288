"""Append, seal, delete: what is written to a store is there once, whoever writes it and however often."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from tracker_server.ingest.console_chunks import ConsoleChunk
from tracker_server.ingest.kept_files import KeptFile
from tracker_server.ingest.row_blocks import RowBlock
from tracker_server.store.store_poisoned import poisoned_journals
from tracker_server.store.store_read import IndexReader
from tracker_server.store.store_tail import Block, append, sizes_of
from tracker_server.store.store_write import Seal, encode_chunks, index_writer

PATH = "p/a/main.00.journal"
FIELDS = [("step", "<i8"), ("wall_time_ns", "<i8"), ("c0", "<f8")]


def rows(first: int, stop: int, key: str = "loss") -> RowBlock:
    data = np.zeros(stop - first, FIELDS)
    data["step"] = data["wall_time_ns"] = data["c0"] = np.arange(first, stop)
    return RowBlock((key,), "d", np.arange(first, stop), data)


def seal(first: int, stop: int, path: str = PATH, **changes: object) -> Seal:
    whole = Seal(path, first, stop * 10, stop, False, b"fold", encode_chunks([rows(first, stop)]), [], [])
    return replace(whole, **changes)


def write(database, *seals: Seal, removed: tuple[str, ...] = ()) -> set[str] | None:
    arrive(database, *seals)
    with index_writer(database) as writer:
        assert writer is not None
        return writer.write(seals, removed)


def arrive(database, *seals: Seal) -> None:
    """Where journals come by a tail table, nothing is sealed of one that is not there."""
    if database.has_tail:
        with index_writer(database) as writer, writer.transaction() as connection:
            append(connection, [Block(path, 0, b"journal", 5) for path in {seal.path for seal in seals}])


def sealed_steps(database, path: str = PATH) -> list[int]:
    reader = IndexReader(database)
    keys = reader.keys_in_order(path)
    found = [reader.rows(chunk_id, keys.build) for chunk_id, _, _ in keys.chunks]
    reader.close()
    return [int(step) for part in found if part is not None for step in part.steps]


@pytest.fixture
def database(store):
    found = store.database()
    yield found
    found.close()


def test_a_store_with_nothing_in_it_knows_no_journal(database):
    reader = IndexReader(database)
    assert reader.paths() == [] and reader.journals([PATH]) == {} and reader.ends([PATH]) == {}
    assert reader.keys_in_order(PATH).chunks == []
    reader.close()


def test_seals_that_follow_one_another_are_read_in_order(database):
    assert write(database, seal(0, 10)) == {PATH} and write(database, seal(10, 25)) == {PATH}
    assert sealed_steps(database) == list(range(25))
    reader = IndexReader(database)
    found = reader.journals([PATH, "p/a/other.00.journal"])
    assert list(found) == [PATH] and reader.ends([PATH]) == {PATH: 25} and reader.paths() == [PATH]
    assert (found[PATH].sealed_offset, found[PATH].next_sequence, found[PATH].fold) == (250, 25, b"fold")
    reader.close()


def test_a_seal_given_twice_is_applied_once(database):
    assert write(database, seal(0, 10)) == {PATH}
    assert write(database, seal(0, 10)) == set()
    assert sealed_steps(database) == list(range(10))


def test_a_seal_behind_a_gap_is_not_applied(database):
    assert write(database, seal(5, 10)) == set()
    assert write(database, seal(0, 5)) == {PATH} and write(database, seal(6, 10)) == set()
    assert sealed_steps(database) == list(range(5))


def test_one_write_takes_seals_of_many_journals_and_of_one_twice(database):
    seals = [seal(0, 3, f"p/run{index}/main.00.journal") for index in range(20)]
    assert write(database, *seals, *seals[:5]) == {one.path for one in seals}
    assert all(sealed_steps(database, one.path) == [0, 1, 2] for one in seals)


def test_a_removed_journal_leaves_nothing_and_may_come_again(database):
    other = "p/b/main.00.journal"
    write(database, seal(0, 10), seal(0, 4, other))
    assert write(database, removed=(PATH, "p/never/there.journal")) == set()
    assert sealed_steps(database) == [] and sealed_steps(database, other) == [0, 1, 2, 3]
    assert write(database, seal(0, 7)) == {PATH} and sealed_steps(database) == list(range(7))


def test_a_journal_that_is_forgotten_leaves_nothing_and_is_sealed_only_if_it_comes_again(database):
    write(database, seal(0, 10))
    with index_writer(database) as writer:
        assert writer.forget([PATH, "p/never/there.journal"], [("p", "a")])
        assert writer.write([seal(0, 3)], []) == (set() if database.has_tail else {PATH})
    with database.reading().transaction() as connection:
        assert sizes_of(connection, [PATH]) == {}
    write(database, seal(0, 3))
    assert sealed_steps(database) == [0, 1, 2]


def test_removing_and_sealing_anew_in_one_write_leaves_only_the_new(database):
    write(database, seal(0, 10))
    assert write(database, seal(0, 3), removed=(PATH,)) == {PATH}
    assert sealed_steps(database) == [0, 1, 2]


def test_output_and_files_come_back_as_given(database):
    lines = ConsoleChunk(0, 9, 5, 6, 2, b"", b"times", b"streams", b"text")
    kept = KeptFile("models/\x00weights.bin", "ab" * 32, 2**40, "file", 17)
    write(database, seal(0, 10, console=[lines], files=[(4, kept)]))
    reader = IndexReader(database)
    found = reader.console(PATH)
    assert [(chunk.first_number, chunk.last_number, chunk.last_sequence) for chunk in found.chunks] == [(5, 6, 9)]
    assert reader.files(PATH).files == [kept] and reader.files(PATH).next_sequence == 10
    reader.close()


KEYS = ["a\x00b", "\ue000", "\ue000\x00\ue001", "ä/ß", "Z", "a", "日本", "x" * 5000, "%s", "'"]


@pytest.mark.parametrize("key", KEYS)
def test_a_metric_of_any_name_is_found_by_it(database, key):
    chunks = encode_chunks([rows(0, 3, key), rows(0, 3, key + "_")])
    assert write(database, seal(0, 3, chunks=chunks)) == {PATH}
    reader = IndexReader(database)
    keys = reader.keys_in_order(PATH)
    names = {name for chunk_id, _, _ in keys.chunks for name in reader.rows(chunk_id, keys.build).columns}
    reader.close()
    assert names == {key, key + "_"}


def test_what_cannot_be_stored_of_one_journal_stops_no_other(database):
    bad, good = "p/bad/main.00.journal", "p/good/main.00.journal"
    arrive(database, seal(0, 3, bad), seal(0, 3, good))
    with index_writer(database) as writer:
        assert writer.write([seal(0, 3, bad, sealed_offset=2**70), seal(0, 3, good)], []) == {good}
        assert list(writer.refused) == [bad]
    assert sealed_steps(database, bad) == [] and sealed_steps(database, good) == [0, 1, 2]
    with database.reading().transaction() as connection:
        (poisoned,) = poisoned_journals(connection)
    assert poisoned.path == bad and poisoned.reason.startswith("cannot be sealed")
    assert write(database, seal(0, 3, bad)) == {bad} and sealed_steps(database, bad) == [0, 1, 2]
    with database.reading().transaction() as connection:
        assert poisoned_journals(connection) == []


def test_a_name_longer_than_a_database_can_find_stops_no_other_journal(database):
    long_name = "".join(chr(0x4E00 + (index * 7919) % 20_000) for index in range(3000))
    bad, good = "p/bad/main.00.journal", "p/good/main.00.journal"
    named = seal(0, 3, bad, chunks=encode_chunks([rows(0, 3, long_name)]))
    assert write(database, named, seal(0, 3, good)) >= {good}
    assert sealed_steps(database, good) == [0, 1, 2]


def test_of_writers_at_once_one_seals_each_part(store):
    store.database().close()
    n_parts, applied = 12, []

    def work() -> None:
        database = store.database()
        done = 0
        arrive(database, seal(0, 5))
        while done < n_parts:
            with index_writer(database) as writer:
                if writer is not None:
                    applied.extend((path, done) for path in writer.write([seal(done * 5, done * 5 + 5)], []) or ())
            reader = IndexReader(database)
            done = reader.ends([PATH]).get(PATH, 0) // 5
            reader.close()
        database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    database = store.database()
    assert sealed_steps(database) == list(range(n_parts * 5))
    assert sorted(part for _, part in applied) == list(range(n_parts))
    database.close()


def test_a_reader_sees_one_state_throughout_a_transaction(database):
    write(database, seal(0, 3))
    arrive(database, seal(0, 3, "p/x/main.00.journal"))
    reader = IndexReader(database)
    with reader.transaction() as connection:
        before = len(poisoned_journals(connection))
        with index_writer(database) as writer:
            writer.write([seal(0, 3, "p/x/main.00.journal", sealed_offset=2**70)], [])
        assert len(poisoned_journals(connection)) == before == 0
    with reader.transaction() as connection:
        assert len(poisoned_journals(connection)) == 1
    reader.close()

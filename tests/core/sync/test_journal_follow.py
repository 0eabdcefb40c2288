"""Up to where a journal may be sent while it is being written."""

from __future__ import annotations

from pathlib import Path

from written import Written

from tracker_core.journal_format import FRAME_OVERHEAD_BYTES, HEADER_BYTES, MAX_BLOCK_BYTES
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Config, Schema, encode
from tracker_core.sync.journal_follow import JournalFollow

_SCHEMA_BYTES = len(encode(Schema(0, "d", ["loss"]))) + FRAME_OVERHEAD_BYTES


def follow_of(journal: Written) -> JournalFollow:
    found = JournalFollow(str(journal.path), journal.session.hex())
    found.look()
    return found


def end_by_reader(path: Path) -> int:
    reader = JournalReader(str(path))
    reader.read()
    return reader.offset


def test_the_end_is_behind_the_last_intact_record_at_whatever_byte_the_file_ends(folder: Path) -> None:
    journal = Written(folder).rows(2500)  # two blocks
    data = journal.data
    assert len(data) > MAX_BLOCK_BYTES
    places = [*range(400), *range(MAX_BLOCK_BYTES - 200, MAX_BLOCK_BYTES + 300), *range(len(data) - 99, len(data) + 1)]
    for n_bytes in places:
        journal.path.write_bytes(data[:n_bytes])
        found = follow_of(journal)
        whole = end_by_reader(journal.path)
        # A block's header without a record, and a schema without its row, are not sent: a failed write takes them back.
        assert whole - found.end in (0, HEADER_BYTES, _SCHEMA_BYTES, HEADER_BYTES + _SCHEMA_BYTES), n_bytes
        assert found.end <= n_bytes
        assert data[: found.end] == found.read(0, 1 << 20)


def test_looking_again_and_again_finds_what_one_look_finds(folder: Path) -> None:
    journal = Written(folder)
    following = follow_of(journal)
    for n_rows in (1, 2, 700, 1, 3000, 5, 20_000, 1):
        journal.rows(n_rows)
        following.look()
        assert following.end == follow_of(journal).end == journal.path.stat().st_size


def test_a_torn_tail_is_left_out_and_what_follows_it_is_not(folder: Path) -> None:
    journal = Written(folder).rows(10)
    following = follow_of(journal)
    whole = following.end
    with journal.path.open("ab") as file:
        file.write(b"\x1a\x00\x03 torn")
    following.look()
    assert following.end == whole < following.size
    journal.file.cut_back()
    journal.rows(1)
    following.look()
    assert following.end == journal.path.stat().st_size


def test_torn_bytes_that_could_not_be_taken_back_are_passed_over(folder: Path) -> None:
    journal = Written(folder).rows(10)
    with journal.path.open("ab") as file:
        file.write(b"torn" * 200_000)  # more than is looked at at once
    following = follow_of(journal)
    before = following.end
    assert before < following.size
    journal.file._room = 0  # as after a failed write: the next record opens a block
    journal.rows(3)
    following.look()
    assert following.end == following.size > before
    assert follow_of(journal).end == following.end


def test_a_long_record_of_many_fragments_is_whole(folder: Path) -> None:
    journal = Written(folder).rows(3)
    journal.put(Config(wall_time_ns=1, values={"text": "x" * 400_000}))
    assert follow_of(journal).end == journal.path.stat().st_size


def test_a_closing_state_is_seen_by_the_first_look_and_by_a_later_one(folder: Path) -> None:
    journal = Written(folder).rows(5000)
    following = follow_of(journal)
    assert not following.is_closed
    journal.end()
    following.look()
    assert following.is_closed and follow_of(journal).is_closed


def test_a_file_that_was_made_anew_or_cut_is_noticed(folder: Path) -> None:
    journal = Written(folder).rows(100)
    following = follow_of(journal)
    data = journal.data
    assert not following.look()
    journal.path.unlink()
    journal.path.write_bytes(data[:-1])
    assert following.look()
    journal.path.write_bytes(data[:300])
    assert following.look()
    assert following.end == follow_of(journal).end


def test_what_is_read_ends_with_a_block_where_there_is_more(folder: Path) -> None:
    journal = Written(folder).rows(20_000)
    following = follow_of(journal)
    offset, blocks = 0, []
    while offset < following.end:
        data = following.read(offset, 200_000)
        blocks.append(data)
        offset += len(data)
    assert b"".join(blocks) == journal.data
    assert all(block.startswith(b"\x89TRKJ") for block in blocks)


def test_a_journal_within_a_journal_is_not_taken_for_it(folder: Path) -> None:
    inner = Written(folder, run="b").rows(10).end()
    journal = Written(folder).rows(3)
    with journal.path.open("ab") as file:
        file.write(inner.data)  # of another session: bytes that are no record of this one
    following = follow_of(journal)
    assert following.end == end_by_reader(journal.path) and not following.is_closed

"""Promise b: recovery yields an exact prefix, plus every later intact block; damage is named and counted."""

from __future__ import annotations

import random
from pathlib import Path
from zlib import crc32

import pytest
from journal_model import (
    TIME_NS,
    Item,
    JournalMaker,
    WrittenJournal,
    items_of,
    record_item,
    row_item,
    rows_in,
    session_record,
    small_journal,
    total_lost,
)

from tracker_core import records
from tracker_core.journal_format import CRC, FORMAT_VERSION, HEADER_BYTES, MAX_BLOCK_BYTES
from tracker_core.journal_reader import JournalReader


def check_flip(journal: WrittenJournal, data: bytes, at: int, bit: int, target: Path) -> None:
    """Flip one bit and check that nothing but what the model allows is lost, and that nothing false is read."""
    target.write_bytes(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
    reader = JournalReader(str(target))
    batch = reader.read()
    items = items_of(batch)
    block = journal.block_of(at)
    inside = set(journal.sequences_of(block))
    for sequence, item in items.items():
        assert item == journal.items[sequence], f"flip of bit {bit} of byte {at} gave a false record {sequence}"
    missing = journal.items.keys() - items.keys()
    assert missing <= inside
    assert missing.isdisjoint(journal.items_before(at)) or at < journal.blocks[block][0] + HEADER_BYTES
    if block == len(journal.blocks) - 1:
        assert reader.n_tail_bytes > 0
    else:
        assert batch.damage
        first_lost = reader_first_lost(journal, block, at)
        assert total_lost(batch.damage) == journal.sequences_of(block).stop - first_lost
        damage = batch.damage[0]
        assert damage.offset <= at < damage.offset + damage.n_bytes
        assert damage.reason


def reader_first_lost(journal: WrittenJournal, block: int, at: int) -> int:
    """Return the first sequence number that a flip in a block takes away."""
    if at < journal.blocks[block][0] + HEADER_BYTES:
        return journal.sequences_of(block).start
    return next(sequence for sequence in journal.sequences_of(block) if journal.record_ends[sequence] > at)


def check_truncation(journal: WrittenJournal, data: bytes, size: int, target: Path) -> None:
    target.write_bytes(data[:size])
    reader = JournalReader(str(target))
    batch = reader.read()
    assert items_of(batch) == journal.items_before(size)
    assert batch.damage == []
    assert reader.offset + reader.n_tail_bytes == size


@pytest.mark.fault("F13")
def test_truncation_at_every_byte_gives_an_exact_prefix(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    for size in range(len(data) + 1):
        check_truncation(journal, data, size, tmp_path / "cut.journal")


@pytest.mark.fault("F14")
def test_flip_in_every_byte_loses_only_the_rest_of_its_block(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    bits = random.Random(7)
    for at in range(len(data)):
        check_flip(journal, data, at, bits.randrange(8), tmp_path / "flipped.journal")


@pytest.mark.fault("F14")
@pytest.mark.long
def test_flip_of_every_bit_loses_only_the_rest_of_its_block(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    for at in range(len(data)):
        for bit in range(8):
            check_flip(journal, data, at, bit, tmp_path / "flipped.journal")


def journal_of_blocks(path: Path, n_blocks: int = 3) -> WrittenJournal:
    """Write full blocks of 64 KiB, the last one not full, with text and numbers."""
    maker = JournalMaker(path)
    maker.record(session_record())
    step = 0
    while maker.file.block_index < n_blocks - 1:
        maker.row(step, "dddd", {f"m{i}": step / (i + 1) for i in range(4)}, TIME_NS + step)
        if step % 50 == 0:
            maker.record(records.RowMap(wall_time_ns=TIME_NS, step=step, values={"note": "x" * (step % 400)}))
        step += 1
    return maker.done()


def check_sampled_damage(tmp_path: Path, n_samples: int) -> None:
    journal = journal_of_blocks(tmp_path / "whole.journal")
    data = journal.data
    choose = random.Random(11)
    for at in choose.sample(range(len(data)), n_samples):
        check_truncation(journal, data, at, tmp_path / "cut.journal")
        check_flip(journal, data, at, choose.randrange(8), tmp_path / "flipped.journal")


@pytest.mark.fault("F13", "F14")
def test_sampled_damage_to_full_blocks(tmp_path: Path) -> None:
    check_sampled_damage(tmp_path, 30)


@pytest.mark.fault("F13", "F14")
@pytest.mark.long
def test_many_sampled_damages_to_full_blocks(tmp_path: Path) -> None:
    check_sampled_damage(tmp_path, 4000)


def read_bytes(tmp_path: Path, data: bytes) -> tuple[JournalReader, dict[int, Item], list[object], int]:
    target = tmp_path / "changed.journal"
    target.write_bytes(data)
    reader = JournalReader(str(target))
    batch = reader.read()
    return reader, items_of(batch), list(batch.damage), batch.n_unknown


@pytest.mark.fault("F15")
@pytest.mark.parametrize("n_zeros", [1, 7, 52, 4096, 100_000])
def test_zeroed_tail_is_no_record(tmp_path: Path, n_zeros: int) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    reader, items, damage, _ = read_bytes(tmp_path, journal.data + bytes(n_zeros))
    assert items == journal.items
    assert damage == []
    assert reader.n_tail_bytes == n_zeros


@pytest.mark.fault("F15")
@pytest.mark.parametrize("n_zeros", [1, 100])
def test_tail_overwritten_with_zeros_leaves_a_prefix(tmp_path: Path, n_zeros: int) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    _, items, _, _ = read_bytes(tmp_path, data[:-n_zeros] + bytes(n_zeros))
    assert items == journal.items_before(len(data) - n_zeros)


@pytest.mark.fault("F15")
def test_long_garbage_between_blocks_is_skipped_and_measured(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data, (start, _) = journal.data, journal.blocks[2]
    garbage = random.Random(3).randbytes(40 << 20)
    _, items, damage, _ = read_bytes(tmp_path, data[:start] + garbage + data[start:])
    assert items == journal.items
    assert [(d.offset, d.n_bytes) for d in damage] == [(start, len(garbage))]


@pytest.mark.fault("F15")
def test_appended_garbage_is_left_as_tail(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    reader, items, _, _ = read_bytes(tmp_path, journal.data + random.Random(3).randbytes(5000))
    assert items == journal.items
    assert reader.n_tail_bytes == 5000
    assert reader.is_closed


@pytest.mark.fault("F15")
def test_duplicated_blocks_are_delivered_once(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    for begin, end in journal.blocks:
        _, items, damage, _ = read_bytes(tmp_path, data[:end] + data[begin:end] + data[end:])
        assert items == journal.items
        assert damage == []


@pytest.mark.fault("F15")
def test_block_out_of_order_is_never_misread_and_is_counted(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    (b1, e1), (b2, e2) = journal.blocks[1:3]
    _, items, damage, _ = read_bytes(tmp_path, data[:b1] + data[b2:e2] + data[b1:e1] + data[e2:])
    assert items == {s: item for s, item in journal.items.items() if s not in journal.sequences_of(1)}
    assert total_lost(damage) == len(journal.sequences_of(1))


@pytest.mark.fault("F15")
def test_missing_block_is_counted(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    begin, end = journal.blocks[1]
    _, items, damage, _ = read_bytes(tmp_path, data[:begin] + data[end:])
    assert items == {s: item for s, item in journal.items.items() if s not in journal.sequences_of(1)}
    assert total_lost(damage) == len(journal.sequences_of(1))


@pytest.mark.fault("F24")
def test_block_of_a_newer_format_is_skipped_and_named(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = bytearray(journal.data)
    begin, _ = journal.blocks[1]
    data[begin + 8] = FORMAT_VERSION + 1
    rewrite_header_crc(data, begin)
    _, items, damage, _ = read_bytes(tmp_path, bytes(data))
    assert items == {s: item for s, item in journal.items.items() if s not in journal.sequences_of(1)}
    assert total_lost(damage) == len(journal.sequences_of(1))
    assert f"format {FORMAT_VERSION + 1}" in damage[0].reason


def rewrite_header_crc(data: bytearray, begin: int) -> None:
    end = begin + HEADER_BYTES - CRC.size
    data[end : end + CRC.size] = CRC.pack(crc32(bytes(data[begin:end])))


def test_block_of_another_session_is_no_part_of_this_journal(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    other = JournalMaker(tmp_path / "other.journal", session=b"another session!")
    other.record(session_record(run="other"))
    other.row(100, "d", {"loss": 666.0})
    foreign = other.done().data
    begin, _ = journal.blocks[2]
    data = journal.data
    _, items, damage, _ = read_bytes(tmp_path, data[:begin] + foreign + data[begin:])
    assert items == journal.items
    assert [(d.offset, d.n_bytes) for d in damage] == [(begin, len(foreign))]
    _, items, _, _ = read_bytes(tmp_path, data + foreign)
    assert items == journal.items


def test_journal_bytes_logged_as_text_are_only_text(tmp_path: Path) -> None:
    """Text that holds a whole other journal, torn off in its middle, must not be read as blocks."""
    other = JournalMaker(tmp_path / "other.journal", session=b"another session!")
    other.row(100, "d", {"loss": 666.0})
    text = other.done().data
    maker = JournalMaker(tmp_path / "outer.journal")
    maker.record(session_record())
    maker.raw(99, text * 3)
    outer = maker.done()
    whole = outer.data
    for size in range(outer.ends[0], len(whole) + 1):
        _, items, damage, _ = read_bytes(tmp_path, whole[:size])
        assert items == outer.items_before(size)
        assert damage == []


@pytest.mark.fault("F24")
def test_unknown_kinds_are_skipped_and_counted(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record())
    for kind in (0, 5, 77, 255):
        maker.raw(kind, b"?" * kind)
    maker.row(1, "d", {"x": 1.0})
    journal = maker.done()
    _, items, damage, n_unknown = read_bytes(tmp_path, journal.data)
    assert items == journal.items
    assert damage == []
    assert n_unknown == 4


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (1, b"\xc1 no msgpack"),
        (2, records.encode(records.Schema(0, "dz", ["a", "b"]))),
        (2, records.encode(records.Schema(0, "d", ["a", "b"]))),
        (3, b""),
        (3, b"\x07"),
        (3, b"\x07\x00" + bytes(30)),
        (4, b"\x91" * 5000),
        (18, b"\x01"),
        (18, b"\x04\x03\x00\x05\x00half"),
        (15, b"\x80"),
    ],
)
def test_senseless_but_intact_record_harms_nothing_else(tmp_path: Path, kind: int, body: bytes) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record())
    maker.row(0, "d", {"x": 0.5})
    maker.raw(kind, body)
    maker.record(records.Config(wall_time_ns=TIME_NS, values={"a": 1}))
    maker.new_block()
    maker.row(1, "d", {"x": 1.0})
    journal = maker.done()
    _, items, damage, n_unknown = read_bytes(tmp_path, journal.data)
    assert items == journal.items
    assert len(damage) + n_unknown == 1


def test_row_that_is_longer_than_its_schema_is_not_read_askew(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.row(0, "d", {"x": 0.5})
    maker.raw(3, bytes(2 + 8 + 8 + 16))
    maker.row(1, "d", {"x": 1.0})
    journal = maker.done()
    _, items, _, n_unknown = read_bytes(tmp_path, journal.data)
    assert items == journal.items
    assert n_unknown == 1


@pytest.mark.parametrize("n_bytes", [1, HEADER_BYTES, 70_000, 200_000])
def test_any_file_is_read_without_an_error(tmp_path: Path, n_bytes: int) -> None:
    for seed in range(20):
        _, items, _, _ = read_bytes(tmp_path, random.Random(seed).randbytes(n_bytes))
        assert items == {}


@pytest.mark.fault("F16")
def test_record_cut_in_fragments_survives_a_failed_first_try(tmp_path: Path) -> None:
    """A disk that fills in the middle of a long record leaves its first parts; the next try begins anew."""
    value = "y" * 150_000
    record = records.RowMap(wall_time_ns=TIME_NS, step=3, values={"long": value})
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record())
    maker.file.put(18, b"\x04" + b"\x00\x00" + b"\x03\x00" + records.encode(record)[: MAX_BLOCK_BYTES - 80])
    maker.new_block()
    maker.file.put(records.KIND_OF[records.RowMap], records.encode(record))
    maker.row(4, "d", {"x": 1.0})
    maker.file.close()
    _, items, damage, _ = read_bytes(tmp_path, (tmp_path / "a.journal").read_bytes())
    assert damage == []
    assert rows_in(items) == [record_item(record), row_item(4, TIME_NS, {"x": 1.0})]

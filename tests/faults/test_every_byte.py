"""A journal of full size, cut off at every byte, and with a bit flipped in every byte. Rows are compared as bytes."""

from __future__ import annotations

import random
from bisect import bisect_right
from pathlib import Path

import pytest
from journal_model import TIME_NS, JournalMaker, WrittenJournal

from tracker_core.journal_format import CRC, FRAME, FRAME_OVERHEAD_BYTES, HEADER_BYTES, Kind
from tracker_core.journal_reader import JournalReader

SHORT_STRIDE = 97  # coprime to the length of a row, so that every place in one is hit


class Model:
    """Two blocks of packed rows, the first one full: where each row ends, and its bytes."""

    def __init__(self, path: Path) -> None:
        maker = JournalMaker(path)
        step = 0
        while maker.file.block_index < 1 or step % 50:
            maker.row(step, "dq", {"loss": step / 7, "n": step}, TIME_NS + step)
            step += 1
        self.journal: WrittenJournal = maker.done()
        self.data = self.journal.data
        self.ends: list[int] = []
        self.rows: list[bytes] = []
        for start, end in self.journal.blocks:
            position = start + HEADER_BYTES
            while position < end:
                length, kind = FRAME.unpack_from(self.data, position)
                size = length + FRAME_OVERHEAD_BYTES
                if kind == Kind.ROW:
                    self.rows.append(self.data[position : position + size - CRC.size])
                    self.ends.append(position + size)
                position += size
        self.n_first = bisect_right(self.ends, self.journal.blocks[0][1])

    def read(self, path: Path) -> tuple[list[bytes], JournalReader, int]:
        """Return the rows that a file holds, the reader, and how many records it counts as lost."""
        reader = JournalReader(str(path))
        batch = reader.read()
        rows = []
        for group in batch.row_groups:
            packed = group.packed
            stride = len(packed) // len(group.sequences)
            rows += [packed[at : at + stride - CRC.size] for at in range(0, len(packed), stride)]
        return rows, reader, sum(damage.n_lost_records or 0 for damage in batch.damage)


def check_truncations(tmp_path: Path, stride: int) -> None:
    model = Model(tmp_path / "whole.journal")
    target = tmp_path / "cut.journal"
    for size in range(0, len(model.data) + 1, stride):
        target.write_bytes(model.data[:size])
        rows, reader, n_lost = model.read(target)
        assert rows == model.rows[: bisect_right(model.ends, size)], f"cut off at byte {size}"
        assert n_lost == 0
        assert reader.offset + reader.n_tail_bytes == size


def check_flips(tmp_path: Path, stride: int) -> None:
    model = Model(tmp_path / "whole.journal")
    target = tmp_path / "flipped.journal"
    bits = random.Random(14)
    (_, middle), _ = model.journal.blocks
    for at in range(0, len(model.data), stride):
        changed = bytearray(model.data)
        changed[at] ^= 1 << bits.randrange(8)
        target.write_bytes(changed)
        rows, _, n_lost = model.read(target)
        is_first = at < middle
        stop = model.n_first if is_first else len(model.rows)
        begin = 0 if is_first else model.n_first
        in_header = at < HEADER_BYTES or 0 <= at - middle < HEADER_BYTES
        n_kept = begin if in_header else max(begin, bisect_right(model.ends, at))
        assert rows == model.rows[:n_kept] + model.rows[stop:], f"a bit of byte {at} flipped"
        n_schemas = is_first and at < model.ends[0] - len(model.rows[0]) - CRC.size
        assert n_lost == ((stop - n_kept) + n_schemas if is_first else 0)


@pytest.mark.fault("F13")
def test_a_full_journal_cut_off_anywhere_is_an_exact_prefix(tmp_path: Path) -> None:
    check_truncations(tmp_path, SHORT_STRIDE)


@pytest.mark.fault("F14")
def test_a_bit_flipped_anywhere_in_a_full_journal_costs_the_rest_of_its_block(tmp_path: Path) -> None:
    check_flips(tmp_path, SHORT_STRIDE)


@pytest.mark.long
@pytest.mark.fault("F13")
def test_a_full_journal_cut_off_at_every_byte_is_an_exact_prefix(tmp_path: Path) -> None:
    check_truncations(tmp_path, 1)


@pytest.mark.long
@pytest.mark.fault("F14")
def test_a_bit_flipped_in_every_byte_of_a_full_journal_costs_the_rest_of_its_block(tmp_path: Path) -> None:
    check_flips(tmp_path, 1)

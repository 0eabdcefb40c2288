"""Reading a journal while it grows, going on where an earlier reader stopped, and records of every size."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from journal_model import (
    SESSION,
    TIME_NS,
    Item,
    JournalMaker,
    items_of,
    merge,
    read_items,
    row_item,
    rows_in,
    session_record,
    small_journal,
)

import tracker_core
from tracker_core import journal_file, records
from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import MAGIC, Kind, row_fields
from tracker_core.journal_reader import JournalReader, read_session


def read_growing(data: bytes, target: Path, n_bytes_each: int) -> tuple[dict[int, Item], list[object]]:
    """Read after every `n_bytes_each` bytes appended."""
    items: dict[int, Item] = {}
    damage: list[object] = []
    target.write_bytes(b"")
    reader = JournalReader(str(target))
    with target.open("ab", buffering=0) as file:
        for at in range(0, len(data), n_bytes_each):
            file.write(data[at : at + n_bytes_each])
            batch = reader.read()
            merge(items, batch)
            damage += batch.damage
    return items, damage


@pytest.mark.parametrize("n_bytes_each", [1, 3, 52, 64, 1000])
def test_reading_a_growing_file_equals_reading_it_at_once(tmp_path: Path, n_bytes_each: int) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    items, damage = read_growing(journal.data, tmp_path / "growing.journal", n_bytes_each)
    assert items == journal.items
    assert damage == []


@pytest.mark.parametrize("is_new_block", [False, True])
def test_a_reader_that_saw_a_failed_write_loses_nothing_of_what_is_written_in_its_place(
    tmp_path: Path, is_new_block: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    file = JournalFile(str(path), SESSION)
    file.open()
    file.put(Kind.SESSION, records.encode(session_record()))
    if is_new_block:
        file.cut_back()
    reader, items = JournalReader(str(path)), {}
    with monkeypatch.context() as full:
        full.setattr(journal_file, "_write", lambda fd, data: os.write(fd, data[:-3]))
        with pytest.raises(OSError, match="only a part"):
            file.put_row(RowLayout(("a",), "d"), 0, TIME_NS, (1.0,))
    merge(items, reader.read())  # it sees a schema, and the row that belongs to it torn
    file.cut_back()
    layout = RowLayout(("b", "c"), "dq")
    for step in range(3):
        file.put_row(layout, step, TIME_NS, (float(step), step))
    batch = reader.read()
    merge(items, batch)
    assert len(rows_in(items)) == 3 and batch.damage == []
    assert items == read_items(path)


def test_damage_in_a_growing_file_is_found_as_in_a_whole_one(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    choose = random.Random(5)
    for at in choose.sample(range(len(journal.data)), 40):
        data = bytearray(journal.data)
        data[at] ^= 1 << choose.randrange(8)
        (tmp_path / "damaged.journal").write_bytes(data)
        at_once = read_items(tmp_path / "damaged.journal")
        items, _ = read_growing(bytes(data), tmp_path / "growing.journal", 17)
        assert items == at_once


@pytest.mark.parametrize("max_bytes", [1, 60, 500, 70_000])
def test_reading_in_small_batches_equals_reading_at_once(tmp_path: Path, max_bytes: int) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record(notes="n" * 100_000))
    for step in range(2000):
        maker.row(step, "ddq", {"a": step * 0.5, "b": 1.0, "c": -step})
    journal = maker.done()
    reader = JournalReader(str(journal.path))
    items: dict[int, Item] = {}
    while reader.offset < len(journal.data):
        before = reader.offset
        merge(items, reader.read(max_bytes=max_bytes))
        assert reader.offset > before
    assert items == journal.items


def test_reader_that_begins_at_a_block_gives_exactly_the_rest(tmp_path: Path) -> None:
    journal = small_journal(tmp_path / "whole.journal")
    data = journal.data
    target = tmp_path / "growing.journal"
    for size in range(0, len(data) + 1, 5):
        target.write_bytes(data[:size])
        first = JournalReader(str(target))
        items = items_of(first.read())
        final = {s: item for s, item in items.items() if s < first.block_first_sequence}
        target.write_bytes(data)
        second = JournalReader(str(target), first.block_offset, first.block_first_sequence)
        rest = items_of(second.read())
        assert final.keys().isdisjoint(rest)
        assert final | rest == journal.items
        assert second.is_closed


def test_reader_that_begins_within_a_long_record_gives_it_whole(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record())
    maker.record(records.Config(wall_time_ns=TIME_NS, values={"long": "z" * 300_000}))
    maker.row(1, "d", {"x": 1.0})
    journal = maker.done()
    data = journal.data
    target = tmp_path / "growing.journal"
    for size in range(0, len(data), 9_973):
        target.write_bytes(data[:size])
        first = JournalReader(str(target))
        items = items_of(first.read())
        target.write_bytes(data)
        rest = items_of(JournalReader(str(target), first.block_offset, first.block_first_sequence).read())
        assert {s: i for s, i in items.items() if s < first.block_first_sequence} | rest == journal.items


def test_rows_of_one_schema_are_one_numpy_view(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    for step in range(5000):
        maker.row(step, "df?qQ", {"a": step / 3, "b": 0.5, "c": True, "d": -step, "e": 2**64 - 1}, TIME_NS + step)
    journal = maker.done()
    (group,) = JournalReader(str(journal.path)).read().row_groups
    view = np.frombuffer(group.packed, dtype=row_fields(group.codes))
    assert view["step"].tolist() == list(range(5000))
    assert view["wall_time_ns"].tolist() == [TIME_NS + step for step in range(5000)]
    assert view["c0"].tolist() == [step / 3 for step in range(5000)]
    assert view["c3"].tolist() == [-step for step in range(5000)]
    assert set(view["c4"].tolist()) == {2**64 - 1}
    assert view["c4"].dtype == np.uint64


def test_keys_and_texts_with_block_magic_do_not_disturb_reading(folder: Path) -> None:
    magic = MAGIC.decode("latin-1")
    run = tracker_core.init(dir=folder)
    for step in range(3000):
        run.log({magic: step * 0.5, f"{magic}/{magic}": step, "text": magic * 10} if step % 100 == 0 else {magic: 0.5})
    run.finish()
    (path,) = folder.rglob("*.journal")
    assert len(rows_in(read_items(path))) == 3000


def test_row_of_100_000_metrics_is_kept_whole(folder: Path) -> None:
    row = {f"layer{i}/gradient/norm": i / 7 for i in range(100_000)}
    run = tracker_core.init(dir=folder)
    for _ in range(2):
        run.log(row)
    run.finish()
    (path,) = folder.rglob("*.journal")
    batch = JournalReader(str(path)).read()
    assert batch.damage == []
    by_step: dict[int, dict[str, float]] = {0: {}, 1: {}}
    for group in batch.row_groups:
        for _, step, _, values in group.rows():
            by_step[step].update(zip(group.keys, values, strict=True))
    assert by_step == {0: row, 1: row}


@pytest.mark.parametrize("key_chars", [1, 1024])
def test_wide_rows_of_any_key_length_fit_their_blocks(folder: Path, key_chars: int) -> None:
    row = {f"{i:0{key_chars}d}\u00e9"[-key_chars:]: float(i) for i in range(10 if key_chars == 1 else 200)}
    run = tracker_core.init(dir=folder)
    for _ in range(30):
        run.log(row)
    run.finish()
    (path,) = folder.rglob("*.journal")
    kept = {key for group in JournalReader(str(path)).read().row_groups for key in group.keys}
    assert kept == row.keys()


def test_nested_and_tensor_rows_use_one_schema(folder: Path) -> None:
    """The commonest row of all, `{"loss": tensor}`, must cost no more bytes than a row of floats."""
    run = tracker_core.init(dir=folder)
    for step in range(1000):
        run.log({"train": {"loss": np.array(step / 2)}, "lr": 0.1})
    run.finish()
    (path,) = folder.rglob("*.journal")
    assert path.stat().st_size < 1000 * 60


@pytest.mark.parametrize("n_bytes", [0, 1, 65_000, 65_477, 65_478, 65_479, 65_536, 131_072, 1_000_000])
def test_record_of_any_length_is_read_back(tmp_path: Path, n_bytes: int) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record())
    maker.record(records.Summary(wall_time_ns=TIME_NS, values={"t": "t" * n_bytes}))
    maker.row(0, "d", {"x": 1.0})
    journal = maker.done()
    assert read_items(journal.path) == journal.items


def test_blocks_are_never_longer_than_64_kib(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    choose = random.Random(1)
    for step in range(3000):
        n = choose.randrange(1, 40)
        maker.row(step, "d" * n, {f"k{i}": float(i) for i in range(n)})
        if step % 100 == 0:
            maker.record(records.Config(wall_time_ns=TIME_NS, values={"c": "x" * choose.randrange(100_000)}))
    journal = maker.done()
    assert max(end - begin for begin, end in journal.blocks) <= 65_536
    assert read_items(journal.path) == journal.items


def test_session_is_read_from_the_first_records(tmp_path: Path) -> None:
    maker = JournalMaker(tmp_path / "a.journal")
    maker.record(session_record(notes="long " * 50_000))
    journal = maker.done()
    session = read_session(str(journal.path))
    assert session is not None
    assert session.session == SESSION.hex()
    assert session.notes == "long " * 50_000


def test_session_of_an_empty_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.journal").touch()
    assert read_session(str(tmp_path / "a.journal")) is None


def test_row_that_does_not_fit_its_column_leaves_no_trace(tmp_path: Path) -> None:
    file = JournalFile(str(tmp_path / "a.journal"), SESSION)
    file.open()
    layout = RowLayout(("n",), "q")
    file.put_row(layout, 0, TIME_NS, (1,))
    for value in (2**63, "text", None):
        with pytest.raises(struct.error):
            file.put_row(layout, 0, TIME_NS, (value,))
    file.put_row(layout, 0, TIME_NS, (2,))
    file.close()
    assert rows_in(read_items(file.path)) == [row_item(0, TIME_NS, {"n": 1}), row_item(0, TIME_NS, {"n": 2})]

"""What is done after rows were sealed: cells and longer chunks, in steps that a kill cannot hurt."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update

from tracker_server.charts import cell_pack, chart
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.ingest.row_blocks import RowBlock
from tracker_server.query.folder import LocalFolder
from tracker_server.query.series import join_parts
from tracker_server.store.store_cells import NO_CELLS, NOT_LOOKED_AT
from tracker_server.store.store_read import IndexReader
from tracker_server.store.store_schema import cell_column, cell_rows, row_chunk, value_chunk
from tracker_server.store.store_write import Seal, encode_chunks, index_writer

from .conftest import Journal
from .test_chart_cells import same_chart

PATH = "p/a/main.journal"
KEYS = ("loss", "count", "flag", "text")


def block_of(first: int, n: int, keys=KEYS) -> RowBlock:
    """Return rows with a column of each kind."""
    rng = np.random.default_rng(first)
    kinds = {"loss": "d", "count": "q", "flag": "?", "text": "o", "big": "Q", "half": "f"}
    formats = {"d": "<f8", "q": "<i8", "?": "?", "o": "O", "Q": "<u8", "f": "<f4"}
    codes = "".join(kinds[key] for key in keys)
    columns = [(f"c{index}", formats[code]) for index, code in enumerate(codes)]
    data = np.zeros(n, [("step", "<i8"), ("wall_time_ns", "<i8"), *columns])
    data["step"] = first + np.arange(n)
    data["wall_time_ns"] = 10**18 + 1000 * data["step"]
    made = {
        "d": rng.normal(size=n),
        "q": data["step"] * 3,
        "?": rng.random(n) < 0.5,
        "Q": 2**63 + data["step"].view("<u8"),
    }
    made |= {"f": rng.normal(size=n).astype("<f4"), "o": [f"text {step}" for step in data["step"].tolist()]}
    for index, code in enumerate(codes):
        data[f"c{index}"] = made[code]
    return RowBlock(tuple(keys), codes, first + np.arange(n), data)


def seal(folder: Path, blocks: list[RowBlock], first: int, stop: int, is_closed: bool = False) -> None:
    with index_writer(str(folder)) as writer:
        assert writer is not None
        assert writer.write([Seal(PATH, first, stop, stop, is_closed, b"", encode_chunks(blocks), [], [])], []) == {
            PATH
        }


def keep_up(folder: Path, path: str = PATH) -> None:
    with index_writer(str(folder)) as writer:
        assert writer is not None and not writer.keep_up([path], float("inf"))


def scalar(folder: Path, query):
    reader = IndexReader(str(folder))
    with reader.transaction() as connection:
        assert connection is not None
        found = connection.execute(query).scalar()
    reader.close()
    return found


def series(folder: Path, key: str):
    reader = IndexReader(str(folder))
    found = join_parts([reader.columns([PATH], key)[PATH].parts])
    reader.close()
    return found


def test_many_small_chunks_become_few_and_every_value_stays(tmp_path):
    keys = ("loss", "count", "flag", "text", "big", "half")
    for number in range(40):
        seal(tmp_path, [block_of(number * 50, 50, keys)], number * 50, number * 50 + 50)
    before = {key: series(tmp_path, key) for key in keys}
    assert scalar(tmp_path, select(func.count()).select_from(row_chunk)) == 40
    keep_up(tmp_path)
    assert scalar(tmp_path, select(func.count()).select_from(row_chunk)) == 1
    assert scalar(tmp_path, select(func.count()).select_from(value_chunk)) == len(keys)
    for key in keys:
        after = series(tmp_path, key)
        assert after.values.dtype == before[key].values.dtype
        assert after.values.tolist() == before[key].values.tolist()
        for name in ("steps", "wall_time_ns", "order"):
            assert np.array_equal(getattr(after, name), getattr(before[key], name))
    bounds = select(row_chunk.c.min_step + row_chunk.c.max_step)
    assert scalar(tmp_path, bounds) == 1999


def test_chunks_of_other_keys_between_them_do_not_matter(tmp_path):
    for number in range(20):
        first = number * 100
        blocks = [block_of(first, 50), block_of(first + 50, 50, ("loss", "count"))]
        seal(tmp_path, blocks, first, first + 100)
    expected = series(tmp_path, "loss")
    keep_up(tmp_path)
    assert scalar(tmp_path, select(func.count()).select_from(row_chunk)) == 2
    after = series(tmp_path, "loss")
    assert np.array_equal(after.order, expected.order) and np.array_equal(after.values, expected.values)


def test_a_chunk_in_cells_is_not_joined_with_one_that_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(cell_pack, "MIN_ROWS", 100)
    monkeypatch.setattr(cell_pack, "N_ROWS", 1000)
    for number in range(20):
        seal(tmp_path, [block_of(number * 60, 60, ("loss",))], number * 60, number * 60 + 60)
    keep_up(tmp_path)
    for number in range(20, 30):
        seal(tmp_path, [block_of(number * 60, 60, ("loss",))], number * 60, number * 60 + 60)
    keep_up(tmp_path)
    assert scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level < NO_CELLS)) == 1
    assert scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level == NOT_LOOKED_AT)) == 10
    assert len(series(tmp_path, "loss")) == 1800


def test_rows_of_a_closed_journal_get_their_cells_and_few_rows_get_none(tmp_path):
    seal(tmp_path, [block_of(0, 5000, ("loss",)), block_of(5000, 100, ("count",))], 0, 5100, is_closed=True)
    keep_up(tmp_path)
    assert scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level == 5)) == 1
    assert scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level == NO_CELLS)) == 1
    assert scalar(tmp_path, select(func.min(cell_rows.c.level))) == 5


def test_short_rows_of_cells_become_few_and_a_chart_stays_the_same(tracker_dir, monkeypatch):
    monkeypatch.setattr(cell_pack, "N_ROWS", 2048)
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    request = ChartRequest(["a"], "loss", n_buckets=100)
    rng = np.random.default_rng(0)
    values = np.where(rng.random(30_000) < 0.01, np.nan, np.cumsum(rng.normal(size=30_000)))
    for step, value in enumerate(values.tolist()):
        journal.row(step + int(rng.integers(-5, 5)), loss=value, other=1.0)
        if step % 2500 == 0:
            folder.refresh()
    folder.refresh()
    monkeypatch.setattr(chart, "MAX_WHOLE_POINTS", 1 << 60)
    expected = draw(folder, "p", request)
    monkeypatch.setattr(chart, "MAX_WHOLE_POINTS", -1)
    folder.close()
    per_level = select(func.count()).select_from(cell_rows).group_by(cell_rows.c.level).order_by(func.count().desc())
    assert scalar(tracker_dir, per_level) < 8 + 2
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    same_chart(draw(folder, "p", request), expected)
    folder.close()


@pytest.mark.parametrize("damaged", [(cell_column, "data"), (cell_rows, "places"), (value_chunk, "data")])
def test_damage_in_the_index_costs_speed_and_no_point(tracker_dir, monkeypatch, damaged):
    monkeypatch.setattr(chart, "MAX_WHOLE_POINTS", -1)
    journal = Journal(tracker_dir)
    for step in range(5000):
        journal.row(step, loss=float(step))
    journal.end()
    folder = LocalFolder(tracker_dir)
    folder.refresh()
    table, column = damaged
    with index_writer(str(tracker_dir)) as writer:
        assert writer is not None
        with writer.transaction() as connection:
            connection.execute(update(table).values(**{column: b"damaged"}))
    line = draw(folder, "p", ChartRequest(["a"], "loss", n_buckets=50)).lines[0]
    folder.close()
    assert line.cells.count.sum() == 5000 and line.cells.last.max() == 4999.0


def test_a_journal_that_is_dropped_takes_its_cells_with_it(tmp_path):
    seal(tmp_path, [block_of(0, 5000)], 0, 5000, is_closed=True)
    keep_up(tmp_path)
    with index_writer(str(tmp_path)) as writer:
        assert writer is not None and writer.write([], [PATH]) == set()
    for table in (cell_rows, cell_column, row_chunk, value_chunk):
        assert scalar(tmp_path, select(func.count()).select_from(table)) == 0


def test_a_step_does_not_take_in_more_than_it_should(tmp_path, monkeypatch):
    monkeypatch.setattr(cell_pack, "N_POINTS", 40_000)
    for number in range(8):
        seal(tmp_path, [block_of(number * 20_000, 20_000, ("loss",))], number * 20_000, (number + 1) * 20_000)
    with index_writer(str(tmp_path)) as writer:
        assert writer is not None
        assert writer.keep_up(None, 0.0), "one step, and more is left"
    waiting = scalar(tmp_path, select(func.sum(row_chunk.c.n_rows)).where(row_chunk.c.finest_level == NOT_LOOKED_AT))
    assert 100_000 <= waiting < 160_000
    keep_up(tmp_path)
    assert scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level == NOT_LOOKED_AT)) == 0


KILLED = """
    import os, signal, sys
    from sqlalchemy import event, Engine
    from tracker_server.store.store_write import index_writer
    left = [int(sys.argv[2])]

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with index_writer(sys.argv[1]) as writer:
        writer.keep_up(["p/a/main.journal"], float("inf"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_kill_at_any_statement_loses_nothing(tmp_path):
    for number in range(20):
        first = number * 300
        blocks = [block_of(first, 250), block_of(first + 250, 50, ("loss", "count"))]
        seal(tmp_path, blocks, first, first + 300, is_closed=number == 19)
    expected = {key: series(tmp_path, key) for key in KEYS}
    n_killed, limit = 0, 0
    while True:
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), str(limit)]
        code = subprocess.run(command, check=False).returncode
        for key in KEYS:
            found = series(tmp_path, key)
            assert found.values.tolist() == expected[key].values.tolist()
            assert np.array_equal(found.order, expected[key].order)
        n_in_cells = scalar(tmp_path, select(func.count()).select_from(cell_rows))
        assert (n_in_cells > 0) == (
            scalar(tmp_path, select(func.count()).where(row_chunk.c.finest_level < NO_CELLS)) > 0
        )
        if code == 0:
            break
        assert code == -signal.SIGKILL
        n_killed, limit = n_killed + 1, limit + 3
    assert n_killed > 5
    assert scalar(tmp_path, select(func.count()).select_from(row_chunk)) == 2


def test_what_a_killed_process_left_undone_is_done_by_the_next(tracker_dir, monkeypatch):
    log = Journal(tracker_dir)
    for step in range(5000):
        log.row(step, loss=float(step))
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    folder.refresh()
    log.end()
    with monkeypatch.context() as patch:
        patch.setattr("tracker_server.store.store_write.IndexWriter.keep_up", lambda *_: True)
        folder.refresh()
        folder.close()
    waiting = select(func.count()).where(row_chunk.c.finest_level == NOT_LOOKED_AT)
    assert scalar(tracker_dir, waiting) > 0
    LocalFolder(tracker_dir).refresh()
    assert scalar(tracker_dir, waiting) == 0
    assert scalar(tracker_dir, select(func.count()).select_from(cell_rows)) > 0


def test_refreshing_a_folder_makes_cells_and_joins_chunks(tracker_dir, monkeypatch):
    monkeypatch.setattr(cell_pack, "N_ROWS", 3000)
    monkeypatch.setattr(chart, "MAX_WHOLE_POINTS", -1)
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    for step in range(20_000):
        journal.row(step, loss=float(step % 97))
        if step % 500 == 0:
            folder.refresh()
    folder.refresh()
    n_chunks = scalar(tracker_dir, select(func.count()).select_from(row_chunk))
    assert n_chunks < 20
    assert scalar(tracker_dir, select(func.count()).select_from(cell_rows)) > 0
    line = draw(folder, "p", ChartRequest(["a"], "loss", n_buckets=100)).lines[0]
    assert line.cells.count.sum() == 20_000 and line.cells.max.max() == 96.0
    assert [row.step for row in folder.rows("p", "a")] == list(range(20_000))
    folder.close()


def test_rows_are_read_once_each_though_their_chunks_are_joined_meanwhile(tracker_dir, monkeypatch):
    journal = Journal(tracker_dir)
    folder = LocalFolder(tracker_dir, seal_bytes=1)
    with monkeypatch.context() as patch:
        patch.setattr("tracker_server.store.store_compact.MIN_CHUNKS", 1 << 30)
        for step in range(5000):
            journal.row(step, **{f"m{index}": float(step) for index in range(30)})
            if step % 200 == 199:
                folder.refresh()
    assert scalar(tracker_dir, select(func.count()).select_from(row_chunk)) >= 16
    rows = folder.rows("p", "a")
    steps = [next(rows).step for _ in range(700)]
    keep_up(tracker_dir, journal.name)
    assert scalar(tracker_dir, select(func.count()).select_from(row_chunk)) < 5
    steps += [row.step for row in rows]
    folder.close()
    assert steps == list(range(5000))

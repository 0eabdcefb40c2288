"""The index of long runs is small: everything in the file counted, rows of ten metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker_server.ingest.row_blocks import RowBlock
from tracker_server.store.store_read import IndexReader
from tracker_server.store.store_write import MAX_CHUNK_ROWS, Seal, encode_chunks, index_writer

N_ROWS = 40_000
PATH = "p/a/main.journal"
COLUMNS = {
    "random walk": lambda rng: np.cumsum(rng.normal(size=N_ROWS)),
    "float32-exact": lambda rng: np.exp(rng.normal(size=N_ROWS) / 10).astype(np.float32).astype(np.float64),
    "accuracy": lambda rng: rng.binomial(512, 0.7, N_ROWS) / 512,
    "constant": lambda rng: np.full(N_ROWS, 0.1),
}


def block_of(name: str) -> RowBlock:
    """Return rows of ten metrics, 5 ms apart but for a tenth."""
    rng = np.random.default_rng(3)
    fields = [("step", "<i8"), ("wall_time_ns", "<i8"), *((f"c{index}", "<f8") for index in range(10))]
    data = np.zeros(N_ROWS, fields)
    data["step"] = np.arange(N_ROWS)
    data["wall_time_ns"] = 1_790_000_000_123_456_789 + np.cumsum(rng.gamma(100, 5e4, N_ROWS).astype(np.int64))
    for index in range(10):
        data[f"c{index}"] = COLUMNS[name](rng)
    return RowBlock(tuple(f"m{index}" for index in range(10)), "d" * 10, np.arange(N_ROWS), data)


def write(folder: Path, block: RowBlock) -> None:
    with index_writer(str(folder)) as writer:
        assert writer is not None
        seal = Seal(PATH, 0, 1, len(block), True, b"", encode_chunks([block]), [], [])
        assert writer.write([seal], []) == {PATH}
        assert not writer.keep_up(None, float("inf"))


@pytest.mark.parametrize(
    ("name", "most"), [("random walk", 9.0), ("float32-exact", 5.0), ("accuracy", 2.5), ("constant", 1.0)]
)
def test_a_point_takes_few_bytes_with_everything_counted(tmp_path, name, most):
    write(tmp_path, block_of(name))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size / (N_ROWS * 10) <= most


def test_rows_are_cut_into_chunks_of_about_equal_length_and_come_back(tmp_path):
    block = block_of("random walk")
    chunks = encode_chunks([block])
    assert [chunk.n_rows for chunk in chunks] == [13_333, 13_333, 13_334] and N_ROWS > 2 * MAX_CHUNK_ROWS
    write(tmp_path, block)
    reader = IndexReader(str(tmp_path))
    parts = reader.columns([PATH], "m3")[PATH].parts
    reader.close()
    assert np.concatenate([part.values for part in parts]).tobytes() == block.column(3).tobytes()
    assert np.array_equal(np.concatenate([part.steps for part in parts]), block.steps)
    assert np.array_equal(np.concatenate([part.wall_time_ns for part in parts]), block.wall_time_ns)
    assert np.array_equal(np.concatenate([part.sequences() for part in parts]), block.sequences)


def test_no_rows_make_no_chunk():
    assert encode_chunks([block_of("constant").part(0, 0)]) == []

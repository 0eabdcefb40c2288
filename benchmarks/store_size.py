"""Measure how small points become in the index, and how fast they are packed and unpacked.

    python benchmarks/store_size.py [--quick]

Times are processor times of one thread, the best of three. Every column that is measured is unpacked again and compared
bit by bit.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from columns import data_sets, loss_curve, trained_rows, wall_times, widened
from log_cost_machine import describe_machine
from numpy.typing import NDArray
from rich.console import Console
from rich.markdown import Markdown
from tables import markdown_table, number

from tracker_server.codec import chunk_bytes
from tracker_server.codec.chunk_bytes import ByteReader
from tracker_server.codec.chunk_codec import decode_column, encode_column
from tracker_server.codec.chunk_planes import Transform, decode_words, encode_words
from tracker_server.ingest.row_blocks import RowBlock
from tracker_server.query.series import join_parts
from tracker_server.store import store_write
from tracker_server.store.store_read import IndexReader
from tracker_server.store.store_write import Seal, encode_chunks, index_writer

PAGE = Path(__file__).parent / "results" / "store_size.md"
CODES = {"f": "d", "i": "q", "b": "?"}
# What a point may take at most, rows of ten metrics, everything counted.
TARGETS = {"random walk, float64": 9.0, "loss curve, float32-exact": 5.0}
CHUNK_ROWS = (1024, 4096, 16_384, 65_536)
LEVELS = (-1, 1, 3, 6, 12)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one column in one form."""

    bytes_per_point: float
    encode_mpoints_s: float
    decode_mpoints_s: float

    def cell(self) -> str:
        """Return all three as text."""
        return f"{self.bytes_per_point:.2f} ({self.encode_mpoints_s:.0f}, {self.decode_mpoints_s:.0f})"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", dest="is_quick", action="store_true", help="few values; writes no page")
    n = 1 << 15 if parser.parse_args().is_quick else 1 << 18
    console = Console()
    sets = row_sets(n)
    with tempfile.TemporaryDirectory() as folder:
        machine = describe_machine(Path(folder))
        parts = [
            _introduction(),
            _stores(sets, Path(folder)),
            _forms(n),
            _lengths(sets, Path(folder)),
            _levels(sets),
            _notes(),
        ]
    page = "\n\n".join([*parts, "## Machine", "\n".join(f"- {name}: {value}" for name, value in machine.items())])
    console.print(Markdown(page))
    if n > 1 << 15:
        PAGE.write_text(page + "\n")


def row_sets(n: int) -> dict[str, dict[str, NDArray[Any]]]:
    """Return rows of ten metrics as columns by name, by what they are."""
    rng = np.random.default_rng(3)
    return {
        "random walk, float64": {f"m{i}": np.cumsum(rng.normal(size=n)) for i in range(10)},
        "loss curve, float32-exact": {f"m{i}": widened(loss_curve(n, rng)) for i in range(10)},
        "a classifier that was trained": trained_rows(n),
    }


def measured(values: NDArray[Any], n_rows: int, encode: Callable[..., bytes], decode: Callable[..., Any]) -> Cost:
    """Pack and unpack a column in parts of n rows."""
    parts = [values[start : start + n_rows] for start in range(0, len(values), n_rows)]
    encode_s, packed = _best(lambda: [encode(part) for part in parts])
    decode_s, back = _best(lambda: [decode(data, len(part)) for data, part in zip(packed, parts, strict=True)])
    if np.concatenate(back).tobytes() != values.tobytes():
        raise AssertionError("a column did not come back")
    n_points = len(values)
    return Cost(sum(map(len, packed)) / n_points, n_points / encode_s / 1e6, n_points / decode_s / 1e6)


def _best(work: Callable[[], Any]) -> tuple[float, Any]:
    times = []
    for _ in range(3):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return max(min(times), 1e-9), result


def _chosen(values: NDArray[Any], n_rows: int) -> Cost:
    code = CODES[values.dtype.kind]
    return measured(values, n_rows, lambda part: encode_column(part, code), decode_column)


def _simple_forms(dtype: np.dtype[Any]) -> dict[str, tuple[Callable[..., bytes], Callable[..., Any]]]:
    """Return what the chosen form is compared with: how to pack and unpack, by name."""
    size = dtype.itemsize
    pack, unpack = zstandard.ZstdCompressor(level=1).compress, zstandard.ZstdDecompressor().decompress

    def shuffle(values: NDArray[Any]) -> bytes:
        return pack(values.view(np.uint8).reshape(-1, size).T.tobytes())

    def unshuffle(data: bytes, n: int) -> NDArray[Any]:
        return np.frombuffer(unpack(data), np.uint8).reshape(size, n).T.copy().reshape(-1).view(dtype)

    forms = {
        "zstd": (lambda values: pack(values.tobytes()), lambda data, n: np.frombuffer(unpack(data), dtype)),
        "bytes transposed, zstd": (shuffle, unshuffle),
    }
    words = np.dtype(f"<u{size}")
    for transform in (Transform.PLAIN, Transform.DELTA, Transform.DELTA_OF_DELTA) if size == 8 else ():
        forms[f"planes, {transform.name.lower().replace('_', ' ')}"] = (
            lambda values, transform=transform: encode_words(values.view(words), transform),
            lambda data, n: decode_words(ByteReader(data), n, words).view(dtype),
        )
    return forms


def _forms(n: int) -> str:
    n_rows = store_write.MAX_CHUNK_ROWS
    names = list(_simple_forms(np.dtype("<f8")))
    lines = []
    for title, values in data_sets(n).items():
        simple = {name: measured(values, n_rows, *form).cell() for name, form in _simple_forms(values.dtype).items()}
        lines.append([title, *[simple.get(name, "-") for name in names], f"**{_chosen(values, n_rows).cell()}**"])
    table = markdown_table(["values", *names, "chosen by the data"], lines)
    return f"## Forms\n\nBytes a point (million points a second packed, unpacked), {n_rows:,} rows a chunk.\n\n{table}"


def _lengths(sets: dict[str, dict[str, NDArray[Any]]], folder: Path) -> str:
    lines = []
    for index, (title, columns) in enumerate(sets.items()):
        cells = []
        for n_rows in CHUNK_ROWS:
            with _setting(store_write, "MAX_CHUNK_ROWS", n_rows):
                size, *_ = _store(columns, folder / f"lengths-{index}-{n_rows}", 1 << 30)
            cells.append(f"{_of_rows(columns, n_rows).cell()}, index {size:.2f}")
        lines.append([title, *cells])
    table = markdown_table(["rows of ten metrics", *[f"{n_rows:,}" for n_rows in CHUNK_ROWS]], lines)
    head = f"As above, values only, at zstd level {chunk_bytes.LEVEL}; then bytes a point of the whole index."
    return f"## Rows a chunk\n\n{head}\n\n{table}"


def _levels(sets: dict[str, dict[str, NDArray[Any]]]) -> str:
    lines = []
    for title, columns in sets.items():
        cells = []
        for level in LEVELS:
            compressor = zstandard.ZstdCompressor(level=level)
            with _setting(chunk_bytes.coders, "compressor", compressor):
                cells.append(_of_rows(columns, store_write.MAX_CHUNK_ROWS).cell())
        lines.append([title, *cells])
    return f"## Level of zstd\n\nAs above, {store_write.MAX_CHUNK_ROWS:,} rows a chunk.\n\n" + markdown_table(
        ["rows of ten metrics", *map(str, LEVELS)], lines
    )


@contextmanager
def _setting(owner: Any, name: str, value: Any) -> Iterator[None]:
    usual = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, usual)


def _of_rows(columns: dict[str, NDArray[Any]], n_rows: int) -> Cost:
    costs = [_chosen(values, n_rows) for values in columns.values()]
    return Cost(
        float(np.mean([cost.bytes_per_point for cost in costs])),
        len(costs) / sum(1 / cost.encode_mpoints_s for cost in costs),
        len(costs) / sum(1 / cost.decode_mpoints_s for cost in costs),
    )


def _stores(sets: dict[str, dict[str, NDArray[Any]]], folder: Path) -> str:
    lines = []
    for index, (title, columns) in enumerate(sets.items()):
        # Sealed at once, as an old journal is, and as it grows: about every 10,000 rows.
        sizes = [_store(columns, folder / f"{index}-{n_rows}", n_rows) for n_rows in (1 << 30, 10_000)]
        short = {name: values[:20_000] for name, values in columns.items()}
        short_size, *_ = _store(short, folder / f"{index}-short", 500)
        target = TARGETS.get(title)
        room = f"{target - max(size for size, *_ in sizes):.2f} of {target:g}" if target else "-"
        size, shared, rate, read_ms = sizes[1]
        cells = [f"{value:.2f}" for value in (sizes[0][0], size, short_size, shared)]
        cells += [room, number(rate), f"{read_ms:.2f}"]
        lines.append([title, *cells])
    header = [
        "rows of ten metrics",
        "bytes a point, sealed at once",
        "sealed every 10,000 rows",
        "sealed every 500 rows",
        "of that steps, times, sequences",
        "room left",
        "million points a second, packed and written",
        "10,000 points read, ms",
    ]
    return "## The whole index\n\n" + markdown_table(header, lines)


def _store(columns: dict[str, NDArray[Any]], folder: Path, n_rows: int) -> tuple[float, float, float, float]:
    """Write an index; returns its bytes a point, of which shared, million points a second in, and ms to read."""
    folder.mkdir()
    block = _block(columns)
    n_points = len(block) * len(columns)
    shared, began = 0, time.process_time()
    with index_writer(str(folder)) as writer:
        assert writer is not None
        for start in range(0, len(block), n_rows):
            part = block.part(start, start + n_rows)
            chunks = encode_chunks([part])
            shared += sum(len(c.sequences) + len(c.steps) + len(c.wall_times) for c in chunks)
            stop = start + len(part)
            writer.write([Seal("run/main.journal", start, stop, stop, stop == len(block), b"", chunks, [], [])], [])
        writer.keep_up(["run/main.journal"], math.inf)
    rate = n_points / (time.process_time() - began) / 1e6
    size = sum(path.stat().st_size for path in folder.iterdir())
    return size / n_points, shared / n_points, rate, _read_ms(block)


def _read_ms(block: RowBlock) -> float:
    """Return the best time to read 10,000 rows of one metric, each time of another run, which nobody has read yet."""
    rows = RowBlock(block.keys[:1], block.codes[:1], block.sequences[:10_000], block.data[:10_000])
    paths, times = [f"run{index}/main.journal" for index in range(30)], []
    with tempfile.TemporaryDirectory() as folder:
        with index_writer(folder) as writer:
            assert writer is not None
            writer.write([Seal(path, 0, 1, len(rows), False, b"", encode_chunks([rows]), [], []) for path in paths], [])
        reader = IndexReader(folder)
        for path in paths:
            began = time.perf_counter()
            series = join_parts([reader.columns([path], rows.keys[0])[path].parts], with_order=False)
            times.append(time.perf_counter() - began)
            if series.values.tobytes() != rows.column(0).tobytes():
                raise AssertionError("a metric did not come back")
        reader.close()
    return statistics.median(times[1:]) * 1e3


def _block(columns: dict[str, NDArray[Any]]) -> RowBlock:
    codes = "".join(CODES[values.dtype.kind] for values in columns.values())
    n_rows = len(next(iter(columns.values())))
    rng = np.random.default_rng(5)
    fields: Sequence[Any] = [np.arange(n_rows), wall_times(n_rows, rng), *columns.values()]
    names = ["step", "wall_time_ns", *[f"c{index}" for index in range(len(columns))]]
    data = np.rec.fromarrays(fields, names=names).view(np.ndarray)
    # The session's other records take sequence numbers too.
    sequences = np.arange(n_rows) + np.arange(n_rows) // 3000
    return RowBlock(tuple(columns), codes, sequences, data)


def _introduction() -> str:
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"# How small a point is\n\nWritten by `python benchmarks/store_size.py` on {written}."


def _notes() -> str:
    return "\n".join(
        [
            "## What was chosen, and why",
            "",
            f"- {store_write.MAX_CHUNK_ROWS:,} rows a chunk: shorter ones pay more for their frames, Huffman tables and"
            " pages of SQLite; longer ones win little, and must be unpacked whole where a part is asked for.",
            f"- Level {chunk_bytes.LEVEL}: the planes leave nothing to be found that higher levels look for longer.",
            "- A form is chosen by trying the candidates on 2,048 values. See `docs/chunk_format.md`.",
            "- The whole index: the file with all its tables, pages, indexes and cells. The wall times are those of"
            " steps of 5 ms ± 10 %, in nanoseconds: 2.6 bytes of noise a row, which ten metrics share.",
            "- Sealed: how many rows a journal gave at once. What is logged fast is sealed about every 10,000 rows; 500"
            " are a short run, or one that falls silent now and then: its chunks pay more for frames and for SQLite.",
            "- Packed and written: from arrays in memory, with SQLite's part and the cells; not read from a journal.",
            "- Read: one metric's values, steps and times of a run that nobody has read yet, query included; wall time,"
            " the median of 29 runs.",
        ]
    )


if __name__ == "__main__":
    main()

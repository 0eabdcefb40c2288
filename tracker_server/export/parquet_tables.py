"""What the tables of a project's export hold, as Arrow schemas, and how rows become row groups."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import groupby, islice
from types import TracebackType
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..query.row_parts import RowPart
from ..query.run_console import ConsoleRow
from ..runs.run_view import json_number
from .export_formats import MissingLibraryError

# Large enough to be read fast, small enough that one is no burden: about 15 MiB of points in memory.
GROUP_ROWS = 1 << 18
_BATCH_LINES = 5000
_TIME = {"unit": "ns since 1970-01-01 00:00 UTC"}
# The partition run_id says the same, but many readers take one that looks like a number for a number.
_RUN = {"description": "id of the run, always as text"}
# Integers that mostly go on by the same amount; every reader named in docs/export.md knows this encoding.
_DELTA = ("row", "number", "step", "wall_time")


def arrow() -> Any:
    """Return pyarrow with its Parquet part.

    Raises:
        MissingLibraryError: it is not installed.
    """
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        remedy = "install it with: pip install pyarrow"
        raise MissingLibraryError(f"--parquet needs pyarrow, which is not installed; {remedy}") from error


def points_schema() -> Any:
    """Return the schema of the tables metrics and system: a row per logged value."""
    pa = arrow()
    words = pa.string()
    return pa.schema(
        [
            pa.field("run", words, nullable=False, metadata=_RUN),
            pa.field("writer", words, nullable=False, metadata={"description": "the process that logged it"}),
            pa.field("row", pa.int64(), nullable=False, metadata={"description": "the writer's rows, as logged"}),
            pa.field("key", words, nullable=False, metadata={"description": "name of the metric"}),
            pa.field("step", pa.int64(), nullable=False, metadata={"unit": "step"}),
            pa.field("wall_time", pa.timestamp("ns", tz="UTC"), nullable=False, metadata=_TIME),
            pa.field("value", pa.float64(), metadata={"description": "the number, null where none was logged"}),
            pa.field("value_int", pa.int64(), metadata={"description": "exactly, where an integer was logged"}),
            pa.field("value_json", pa.string(), metadata={"description": "what is no number, as JSON"}),
        ]
    )


def console_schema() -> Any:
    """Return the schema of the table console: a row per line of output."""
    pa = arrow()
    words = pa.string()
    return pa.schema(
        [
            pa.field("run", words, nullable=False, metadata=_RUN),
            pa.field("number", pa.int64(), nullable=False, metadata={"description": "of the line, from 0"}),
            pa.field("wall_time", pa.timestamp("ns", tz="UTC"), nullable=False, metadata=_TIME),
            pa.field("stream", words, nullable=False, metadata={"description": "stdout or stderr"}),
            pa.field("text", pa.string(), nullable=False, metadata={"description": "may hold ANSI colours"}),
        ]
    )


class TableFile:
    """A Parquet file that is written a row group at a time.

    Args:
        target: the file, open for writing.
        schema: an Arrow schema.
    """

    def __init__(self, target: BinaryIO, schema: Any) -> None:
        self._arrow = arrow()
        parquet = importlib.import_module("pyarrow.parquet")
        self.schema = schema
        self.n_rows = 0
        self._waiting: list[Any] = []
        self._n_waiting = 0
        delta = [name for name in _DELTA if name in schema.names]
        self._writer = parquet.ParquetWriter(
            target,
            schema,
            compression="zstd",
            use_dictionary=[name for name in schema.names if name not in delta],
            column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
        )

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def add(self, arrays: list[Any]) -> None:
        """Append rows, one array per column."""
        batch = self._arrow.RecordBatch.from_arrays(arrays, names=self.schema.names)
        self._waiting.append(batch)
        self._n_waiting += batch.num_rows
        self.n_rows += batch.num_rows
        if self._n_waiting >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = self._arrow.Table.from_batches(self._waiting).unify_dictionaries()
            self._writer.write_table(table.cast(self.schema), row_group_size=2 * GROUP_ROWS)
        self._waiting, self._n_waiting = [], 0


def point_arrays(run_id: str, part: RowPart) -> Iterator[list[Any]]:
    """Yield the columns of `points_schema` for the metrics of a part, some of them at a time."""
    pa = arrow()
    n_rows = len(part.places)
    for keys in _alike(part):
        n_points = n_rows * len(keys)
        places = np.repeat(np.arange(len(keys), dtype=np.int32), n_rows)
        yield [
            _repeated(run_id, n_points),
            _repeated(part.writer, n_points),
            pa.array(np.tile(part.places, len(keys))),
            pa.DictionaryArray.from_arrays(pa.array(places), pa.array(keys, pa.string())),
            pa.array(np.tile(part.steps, len(keys))),
            pa.array(np.tile(part.wall_time_ns, len(keys)), pa.timestamp("ns", tz="UTC")),
            *_values(np.concatenate([part.columns[key] for key in keys])),
        ]


def _alike(part: RowPart) -> Iterator[list[str]]:
    """Yield metrics whose values are of the same type, together with about as many points as a row group has."""
    n_keys = max(1, GROUP_ROWS // max(1, len(part.places)))
    for _, group in groupby(part.columns, key=lambda key: part.columns[key].dtype):
        while keys := list(islice(group, n_keys)):
            yield keys


def console_arrays(run_id: str, rows: Iterator[ConsoleRow]) -> Iterator[list[Any]]:
    """Yield the columns of `console_schema`."""
    pa = arrow()
    batch: list[ConsoleRow] = []

    def columns() -> list[Any]:
        return [
            _repeated(run_id, len(batch)),
            pa.array([row.number for row in batch], pa.int64()),
            pa.array([row.wall_time_ns for row in batch], pa.timestamp("ns", tz="UTC")),
            pa.array(["stderr" if row.stream == 2 else "stdout" for row in batch]).dictionary_encode(),
            pa.array([row.text for row in batch], pa.string()),
        ]

    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_LINES:
            yield columns()
            batch.clear()
    if batch:
        yield columns()


def json_text(value: Any) -> str:
    """Return a value as JSON; numbers that JSON does not have are "NaN", "Infinity" and "-Infinity"."""
    return msgspec.json.encode(json_number(value)).decode()


def _repeated(word: str, n_rows: int) -> Any:
    pa = arrow()
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([word], pa.string()))


def _values(values: NDArray[Any]) -> tuple[Any, Any, Any]:
    """Return the columns value, value_int and value_json of one metric."""
    pa = arrow()
    n_rows = len(values)
    no_json = pa.nulls(n_rows, pa.string())
    if values.dtype == object:
        return _mixed_values(values)
    if values.dtype.kind == "f":
        return pa.array(values.astype(np.float64)), pa.nulls(n_rows, pa.int64()), no_json
    integers = values.astype(np.int64)
    too_large = values > np.iinfo(np.int64).max if values.dtype == np.uint64 else np.zeros(n_rows, bool)
    exact = pa.array(integers, pa.int64(), mask=too_large)
    if too_large.any():
        no_json = pa.array([str(value) if over else None for value, over in zip(values, too_large, strict=True)])
    return pa.array(values.astype(np.float64)), exact, no_json


def _mixed_values(values: NDArray[Any]) -> tuple[Any, Any, Any]:
    pa = arrow()
    numbers: list[float | None] = []
    integers: list[int | None] = []
    texts: list[str | None] = []
    for value in values.tolist():
        is_number = isinstance(value, (int, float))
        is_int64 = isinstance(value, int) and -(1 << 63) <= value < 1 << 63
        numbers.append(float(value) if is_number else None)
        integers.append(int(value) if is_int64 else None)
        texts.append(None if is_number and not (isinstance(value, int) and not is_int64) else json_text(value))
    return pa.array(numbers, pa.float64()), pa.array(integers, pa.int64()), pa.array(texts, pa.string())

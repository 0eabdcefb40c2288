"""Tables written as CSV, JSON or Parquet, a part at a time."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable
from typing import Any, BinaryIO, Literal, Protocol

import msgspec

from tracker_core.errors import TrackerError

from ..runs.run_view import json_number
from .csv_cells import as_cell, seconds_text
from .export_tables import ExportTable, Type

Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "json", "parquet")


class MissingLibraryError(TrackerError):
    """A library that only this needs is not installed; the message says how to install it."""


class _Writer(Protocol):
    def rows(self, rows: list[list[Any]]) -> None: ...
    def end(self) -> None: ...


def write(table: ExportTable, format: Format, target: BinaryIO, told: Callable[[int], object]) -> int:
    """Write a table to `target` and return how many rows it has; `told` is called with the number so far.

    CSV has times in seconds with nine decimals and no cell that a spreadsheet takes for a formula. JSON is one array,
    one object a line, with times in seconds and "NaN", "Infinity" and "-Infinity" as text. Parquet has int64, double,
    timestamps in nanoseconds and text; what was logged with other values than numbers is JSON in text.

    Raises:
        MissingLibraryError: Parquet is wanted and pyarrow is not installed.
    """
    writers: dict[Format, Callable[[ExportTable, BinaryIO], _Writer]] = {
        "csv": _Csv,
        "json": _Json,
        "parquet": _Parquet,
    }
    put = writers[format](table, target)
    n_rows = 0
    for rows in table.parts:
        put.rows(rows)
        n_rows += len(rows)
        told(n_rows)
    put.end()
    return n_rows


class _Csv:
    def __init__(self, table: ExportTable, target: BinaryIO) -> None:
        self._types: list[Type] = [kind for _, kind in table.columns]
        self._target = target
        self._write([[as_cell(name) for name, _ in table.columns]])

    def rows(self, rows: list[list[Any]]) -> None:
        self._write([[_csv_cell(value, kind) for value, kind in zip(row, self._types, strict=True)] for row in rows])

    def end(self) -> None: ...

    def _write(self, rows: list[list[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        self._target.write(text.getvalue().encode())


def _csv_cell(value: Any, kind: Type) -> Any:
    if value is None:
        return ""
    if kind == "time":
        return seconds_text(value)
    return as_cell(value)


class _Json:
    def __init__(self, table: ExportTable, target: BinaryIO) -> None:
        self._columns = table.columns
        self._target = target
        self._before = b"[\n"

    def rows(self, rows: list[list[Any]]) -> None:
        for row in rows:
            fields = {
                name: msgspec.Raw(seconds_text(value).encode()) if kind == "time" else json_number(value)
                for (name, kind), value in zip(self._columns, row, strict=True)
                if value is not None
            }
            self._target.write(self._before + msgspec.json.encode(fields))
            self._before = b",\n"

    def end(self) -> None:
        self._target.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class _Parquet:
    def __init__(self, table: ExportTable, target: BinaryIO) -> None:
        try:
            pyarrow = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            remedy = "install it with: pip install pyarrow"
            raise MissingLibraryError(f"--format parquet needs pyarrow, which is not installed; {remedy}") from error
        types = {
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "time": pyarrow.timestamp("ns", tz="UTC"),
            "text": pyarrow.string(),
            "any": pyarrow.string(),
        }
        self._arrow = pyarrow
        self._types: list[Type] = [kind for _, kind in table.columns]
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in table.columns])
        self._writer = parquet.ParquetWriter(target, self._schema)

    def rows(self, rows: list[list[Any]]) -> None:
        columns = zip(zip(*rows, strict=True), self._types, self._schema, strict=True)
        arrays = [
            self._arrow.array([_parquet_cell(value, kind) for value in column], field.type)
            for column, kind, field in columns
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def end(self) -> None:
        self._writer.close()


def _parquet_cell(value: Any, kind: Type) -> Any:
    if kind == "any" and value is not None:
        return msgspec.json.encode(json_number(value)).decode()
    return value

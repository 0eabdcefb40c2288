"""A table as a Parquet file, written a part at a time, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UsageError
from .cells import KIND_KEY, arrow_cells, field_of, kind_of, plain_cell

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_KEY = b"tracker.table"
_ROWS_AT_ONCE = 8192
_NESTED_KINDS = ("json", "media")


def write_rows(target: str | BinaryIO, columns: list[str], rows: list[list[Any]], to_value: Callable[..., Any]) -> None:
    """Write rows as a Parquet file.

    Args:
        target: a path or an open file.
        columns: their names.
        rows: a cell for each column; rich values among them.
        to_value: called with a rich value and the column's name; keeps its files and returns its value, a dict.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [kind_of(plain_cell(row[index]) for row in rows) for index in range(len(columns))]
    fields = [field_of(name, kind) for name, kind in zip(columns, kinds, strict=True)]
    schema = pa.schema(fields, metadata={FORMAT_KEY: b"1"})
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for start in range(0, max(1, len(rows)), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            arrays = []
            for index, (field, kind) in enumerate(zip(fields, kinds, strict=True)):
                cells = [plain_cell(row[index]) for row in part]
                if kind == "media":
                    cells = [to_value(cell, field.name) for cell in cells]
                arrays.append(arrow_cells(cells, kind, field))
            if arrays:
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_arrow(target: str | BinaryIO, table: pa.Table) -> None:
    """Write an Arrow table, of a data frame, as a Parquet file."""
    import pyarrow.parquet as pq

    kept = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"pandas"}
    pq.write_table(
        table.replace_schema_metadata({**kept, FORMAT_KEY: b"1"}),
        target,
        compression="zstd",
        row_group_size=_ROWS_AT_ONCE,
    )


def read_table(data: bytes) -> pa.Table:
    """Return the Arrow table in the bytes of a Parquet file.

    Raises:
        UsageError: they are none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        got = f"bytes that are no Parquet file ({str(error)[:200]})"
        raise UsageError("Table", got, "a table that was logged", "log it anew") from None


def column_cells(table: pa.Table, index: int, to_object: Callable[[dict[str, Any]], Any]) -> Iterator[Any]:
    """Yield the cells of a column as they were logged; `to_object` makes a rich value of what stands for it."""
    field = table.schema.field(index)
    kind = (field.metadata or {}).get(KIND_KEY, b"").decode()
    for cell in table.column(index).to_pylist():
        if kind in _NESTED_KINDS and isinstance(cell, str):
            value = json.loads(cell)
            yield to_object(value) if kind == "media" and isinstance(value, dict) and "_type" in value else value
        else:
            yield cell

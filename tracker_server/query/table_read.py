"""Reads rows of a Parquet file that nobody vouches for, so that a small file cannot take much memory.

Text stays as the file has it: each distinct value once, and which rows hold it. A row costs no more than a number then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .table_cells import column_kind

_BATCH_ROWS = 8192
_MAX_BATCH_BYTES = 64 << 20
# Of the columns wanted of one row group, as the file says how large they are without compression.
_MAX_GROUP_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table that is read: `kinds` and `types` are those of its columns."""

    file: Any
    names: list[str]
    kinds: list[str]
    types: list[Any]
    n_rows: int


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of some rows: Arrow values and, where a value stands for several rows, each row's place among them."""

    values: Any
    places: NDArray[np.int64] | None = None

    def taken(self, rows: NDArray[np.int64]) -> Cells:
        """Return those of some rows."""
        import pyarrow as pa

        if self.places is None:
            return Cells(self.values.take(pa.array(rows)))
        used, places = np.unique(self.places[rows], return_inverse=True)
        return Cells(self.values.take(pa.array(used)), places)

    def n_bytes(self) -> int:
        """Return how large it is with each row's own value."""
        import pyarrow.compute as pc

        if self.places is None:
            return decoded_bytes(self.values)
        sizes: NDArray[np.int64] = pc.binary_length(self.values).fill_null(0).to_numpy(zero_copy_only=False)
        return int(sizes[self.places].sum(dtype=np.int64)) + 8 * len(self.places)

    def spread(self) -> Any:
        """Return an Arrow array with each row's own value."""
        import pyarrow as pa

        return self.values if self.places is None else self.values.take(pa.array(self.places))


@dataclass(frozen=True, slots=True)
class TableBatch:
    """Some rows that follow one another, of some columns."""

    n_rows: int
    columns: dict[int, Cells]

    def column(self, place: int) -> Cells:
        """Return a column of the table."""
        return self.columns[place]


def open_table(content: BinaryIO) -> OpenTable:
    """Open a Parquet file; its columns are told as the file declares them."""
    import pyarrow.parquet as pq

    plain = pq.ParquetFile(content)
    schema, metadata = plain.schema_arrow, plain.metadata
    leaves = [plain.schema.column(place).path for place in range(metadata.num_columns)]
    file = pq.ParquetFile(content, metadata=metadata, read_dictionary=leaves)
    kinds = [column_kind(field) for field in schema]
    return OpenTable(file, list(schema.names), kinds, [field.type for field in schema], metadata.num_rows)


def table_batches(
    table: OpenTable, columns: Sequence[int], row_groups: Sequence[int] | None = None
) -> Iterator[tuple[int, TableBatch]]:
    """Yield all rows of these columns, a few thousand at a time, with the place of the first of each in its groups.

    Raises:
        UsageError: it would take too much memory.
    """
    names = [table.names[column] for column in columns]
    selection = names if _are_plain(table.names) else None
    _bound_groups(table, set(names) if selection is not None else None, row_groups)
    read = table.types if selection is None else [table.types[column] for column in columns]
    n_rows = _batch_rows(read)
    place = 0
    for batch in table.file.iter_batches(n_rows, row_groups=row_groups, columns=selection, use_threads=False):
        found = {
            column: _cells_of(batch.column(at if selection is not None else column))
            for at, column in enumerate(columns)
        }
        yield place, TableBatch(batch.num_rows, found)
        place += batch.num_rows


def _are_plain(names: Sequence[str]) -> bool:
    """Say whether each name selects one column: the library takes a dot as the way into a nested one."""
    return len(set(names)) == len(names) and not any("." in name for name in names)


def _bound_groups(table: OpenTable, names: set[str] | None, row_groups: Sequence[int] | None) -> None:
    metadata, schema = table.file.metadata, table.file.schema
    leaves = [
        place
        for place in range(metadata.num_columns)
        if names is None or schema.column(place).path.partition(".")[0] in names
    ]
    for number in range(metadata.num_row_groups) if row_groups is None else row_groups:
        group = metadata.row_group(number)
        chunks = [group.column(place) for place in leaves]
        n_bytes = sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)
        if n_bytes > _MAX_GROUP_BYTES:
            raise _too_large(f"{n_bytes >> 20} MiB in a row group", _MAX_GROUP_BYTES)


def _batch_rows(types: Sequence[Any]) -> int:
    width = sum(_width(kind) for kind in types)
    if width > _MAX_BATCH_BYTES:
        raise _too_large(f"{width >> 20} MiB in each row", _MAX_BATCH_BYTES)
    return max(1, min(_BATCH_ROWS, _MAX_BATCH_BYTES // max(width, 1)))


def _width(kind: Any) -> int:
    """Return how many bytes a cell takes at least, even one that is missing."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _width(kind.storage_type)
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_fixed_size_binary(kind):
        return int(kind.byte_width)
    return 8 + sum(_width(kind.field(place).type) for place in range(kind.num_fields))


def _too_large(got: str, most: int) -> UsageError:
    remedy = "ask for other columns, or download it and look at it with another program"
    return UsageError("table", got, f"at most {most >> 20} MiB to read at once", remedy)


def _cells_of(array: Any) -> Cells:
    import pyarrow as pa

    if not pa.types.is_dictionary(array.type):
        return Cells(array)
    values, places = _distinct(array)
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return Cells(values, places)
    return Cells(values.take(pa.array(places)))


def _distinct(array: Any) -> tuple[Any, NDArray[np.int64]]:
    """Return each value that rows of a dictionary array hold once, also that it is missing, and each row's place."""
    import pyarrow as pa

    numbers = array.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    used, places = np.unique(numbers, return_inverse=True)
    return array.dictionary.take(pa.array(used, mask=used < 0)), places.astype(np.int64)


def decoded_bytes(array: Any) -> int:
    """Return how large an array is with each row's own values, nested ones too."""
    import pyarrow as pa

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return decoded_bytes(array.storage)
    if pa.types.is_dictionary(kind):
        return Cells(*_distinct(array)).n_bytes()
    if pa.types.is_struct(kind):
        return sum(decoded_bytes(part) for part in array.flatten())
    if pa.types.is_map(kind):
        begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return sum(decoded_bytes(part.slice(begin, end - begin)) for part in (array.keys, array.items))
    if pa.types.is_nested(kind) and hasattr(array, "flatten"):
        return 8 * len(array) + decoded_bytes(array.flatten())
    return int(array.nbytes)

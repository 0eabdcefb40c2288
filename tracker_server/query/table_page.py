"""A page of a logged table: which rows are shown, in which order, read from Parquet as far as it is needed.

Nothing of a table is trusted: what it would take to sort or to search is bounded, and what cannot be read is said.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .table_cells import column_kind, shown_cell
from .table_filter import TableCondition, row_mask

MAX_ROWS = 1000
MAX_COLUMNS = 200
# More rows are shown, but not sorted or searched here.
MAX_ORDERED_ROWS = 5_000_000
_MAX_SORT_BYTES = 512 << 20
_MAX_KEPT_BYTES = 64 << 20
_BATCH_ROWS = 8192


class TableOrder(msgspec.Struct, frozen=True):
    """By which column rows are sorted."""

    column: int
    is_descending: bool = False


class TableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a table is wanted. Columns are told by their place, from 0.

    Attributes:
        path: the table's file, as its value names it.
        first, limit: so many rows from this one on, of those that match, in order.
        sort: the most important column first; rows that are equal stay in their order.
        where: conditions that all hold.
        search: text that some column holds, in any case.
        columns: whose cells are wanted; None for the first `MAX_COLUMNS`.
        max_chars: longer text is cut.
    """

    path: str
    first: int = 0
    limit: int = 50
    sort: list[TableOrder] = []
    where: list[TableCondition] = []
    search: str = ""
    columns: list[int] | None = None
    max_chars: int = 500


class TableColumn(msgspec.Struct):
    """A column. `kind` is number, text, boolean, time, media or other."""

    name: str
    kind: str
    type: str


class TablePage(msgspec.Struct):
    """Rows of a table. `numbers` are their places in the file, `rows` the cells of `shown_columns`."""

    columns: list[TableColumn]
    n_rows: int
    n_matching: int
    first: int
    shown_columns: list[int]
    numbers: list[int]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class _OpenTable:
    file: Any
    names: list[str]
    kinds: list[str]
    n_rows: int


def table_page(content: BinaryIO, digest: str, request: TableRequest) -> TablePage:
    """Return a part of the Parquet file `content`; `digest` is that of its bytes.

    Raises:
        UsageError: it is no Parquet file, or what is wanted of it makes no sense or would take too much.
    """
    import pyarrow as pa

    try:
        return _page(content, digest, request)
    except (pa.ArrowException, OSError, OverflowError, MemoryError) as error:
        got, remedy = (
            f"a file that cannot be read: {str(error)[:300]}",
            "download it and look at it with another program",
        )
        raise UsageError(f"table {request.path[:200]!r}", got, "a table in Parquet", remedy) from None


def _page(content: BinaryIO, digest: str, request: TableRequest) -> TablePage:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(content)
    schema = file.schema_arrow
    table = _OpenTable(file, list(schema.names), [column_kind(field) for field in schema], file.metadata.num_rows)
    shown = _columns(table, request)
    order = None if _is_plain(request) else _order_of(table, digest, request)
    n_matching = table.n_rows if order is None else len(order)
    first = min(request.first, n_matching)
    stop = min(first + request.limit, n_matching)
    wanted = np.arange(first, stop, dtype=np.int64) if order is None else order[first:stop].astype(np.int64)
    columns = [
        TableColumn(name, kind, str(field.type)[:100])
        for name, kind, field in zip(table.names, table.kinds, schema, strict=True)
    ]
    rows = _rows_at(table, wanted, shown, request.max_chars)
    return TablePage(columns, table.n_rows, n_matching, first, shown, wanted.tolist(), rows)


def _is_plain(request: TableRequest) -> bool:
    return not request.sort and not request.where and not request.search.strip()


def _columns(table: _OpenTable, request: TableRequest) -> list[int]:
    shown = list(range(len(table.names)))[:MAX_COLUMNS] if request.columns is None else request.columns
    named = [*shown, *(order.column for order in request.sort), *(one.column for one in request.where)]
    if any(not 0 <= column < len(table.names) for column in named) or len(shown) > MAX_COLUMNS:
        got = f"the columns {named[:20]}"
        expected = f"places from 0 to {len(table.names) - 1}, at most {MAX_COLUMNS}"
        raise UsageError("columns of a table", got, expected, "ask for columns that it has")
    return shown


class _KeptOrders:
    """Orders of rows that were computed last, so that the next page of them is quick. Thread-safe."""

    def __init__(self) -> None:
        self.computing = threading.Lock()  # one at a time: it may take much memory
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, bytes], NDArray[np.int32]] = OrderedDict()

    def get(self, key: tuple[str, bytes]) -> NDArray[np.int32] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple[str, bytes], order: NDArray[np.int32]) -> None:
        with self._lock:
            self._kept[key] = order
            while sum(one.nbytes for one in self._kept.values()) > _MAX_KEPT_BYTES:
                self._kept.popitem(last=False)


_orders = _KeptOrders()


def _order_of(table: _OpenTable, digest: str, request: TableRequest) -> NDArray[np.int32]:
    """Return which rows match, in the order wanted, int32[n]."""
    if table.n_rows > MAX_ORDERED_ROWS:
        expected = f"at most {MAX_ORDERED_ROWS:,} rows to sort or to search"
        raise UsageError("table", f"{table.n_rows:,} rows", expected, "download it and look at it with another program")
    key = digest, msgspec.msgpack.encode((request.sort, request.where, request.search))
    known = _orders.get(key)
    if known is not None:
        return known
    with _orders.computing:
        order = _orders.get(key)
        if order is None:
            order = _computed(table, request)
            _orders.keep(key, order)
    return order


def _computed(table: _OpenTable, request: TableRequest) -> NDArray[np.int32]:
    import pyarrow as pa
    import pyarrow.compute as pc

    by = [order.column for order in request.sort]
    unsortable = [table.names[column] for column in by if table.kinds[column] in ("media", "other")]
    if unsortable:
        raise UsageError(
            "sort", f"the column {unsortable[0][:100]!r}", "numbers, text, times", "sort by another column"
        )
    searched = [place for place, kind in enumerate(table.kinds) if kind not in ("media", "other")]
    filtered = [one.column for one in request.where] + (searched if request.search.strip() else [])
    kept: list[Any] = []
    numbers: list[NDArray[np.int32]] = []
    n_bytes = 0
    for first, batch in _batches(table, sorted({*by, *filtered})):
        mask = row_mask(batch, table.kinds, request.where, searched, request.search)
        found = np.flatnonzero(mask) if mask is not None else np.arange(batch.n_rows)
        numbers.append((first + found).astype(np.int32))
        if by:
            part = pa.table([batch.column(column).take(pa.array(found)) for column in by], names=_sort_names(by))
            n_bytes += part.nbytes
            kept.append(part)
        if n_bytes > _MAX_SORT_BYTES:
            expected = f"at most {_MAX_SORT_BYTES >> 20} MiB of values to sort"
            raise UsageError("sort", "a column that holds more", expected, "sort by another column, or filter first")
    order = np.concatenate(numbers) if numbers else np.empty(0, np.int32)
    if not by or not len(order):
        return order
    names = _sort_names(by)
    keys = [
        (name, "descending" if one.is_descending else "ascending")
        for name, one in zip(names, request.sort, strict=True)
    ]
    in_order: NDArray[np.int32] = order[pc.sort_indices(pa.concat_tables(kept), sort_keys=keys).to_numpy()]
    return in_order


def _sort_names(by: Sequence[int]) -> list[str]:
    return [f"c{place}" for place in range(len(by))]


@dataclass(frozen=True, slots=True)
class TableBatch:
    """Some rows that follow one another, of some columns."""

    n_rows: int
    columns: dict[int, Any]

    def column(self, place: int) -> Any:
        """Return a column of the table as an Arrow array."""
        return self.columns[place]


def _batches(
    table: _OpenTable, columns: Sequence[int], row_groups: Sequence[int] | None = None
) -> Iterator[tuple[int, TableBatch]]:
    """Yield all rows of these columns, a few thousand at a time, with the place of the first of each in its groups."""
    names = [table.names[column] for column in columns]
    selection = names if _are_plain(table.names) else None
    place = 0
    for batch in table.file.iter_batches(_BATCH_ROWS, row_groups=row_groups, columns=selection, use_threads=False):
        found = {
            column: _plain_array(batch.column(at if selection is not None else column))
            for at, column in enumerate(columns)
        }
        yield place, TableBatch(batch.num_rows, found)
        place += batch.num_rows


def _are_plain(names: Sequence[str]) -> bool:
    """Say whether each name selects one column: the library takes a dot as the way into a nested one."""
    return len(set(names)) == len(names) and not any("." in name for name in names)


def _plain_array(array: Any) -> Any:
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _rows_at(table: _OpenTable, wanted: NDArray[np.int64], shown: Sequence[int], max_chars: int) -> list[list[Any]]:
    """Return the cells of the rows at these places, in this order."""
    import pyarrow as pa

    if not len(wanted):
        return []
    ends = np.cumsum([table.file.metadata.row_group(i).num_rows for i in range(table.file.num_row_groups)])
    groups = np.searchsorted(ends, wanted, side="right")
    rows: list[list[Any]] = [[] for _ in wanted]
    for group in np.unique(groups).tolist():
        begin = int(ends[group]) - table.file.metadata.row_group(group).num_rows
        mine = np.flatnonzero(groups == group)
        left = {int(wanted[index]) - begin: int(index) for index in mine}
        for first, batch in _batches(table, sorted(set(shown)), [group]):
            inside = [place for place in left if first <= place < first + batch.n_rows]
            if inside:
                taken = pa.array([place - first for place in inside])
                cells = [_cells(batch.column(at).take(taken), table.kinds[at], max_chars) for at in shown]
                for number, place in enumerate(inside):
                    rows[left.pop(place)] = [column[number] for column in cells]
            if not left:
                break
    return rows


def _cells(array: Any, kind: str, max_chars: int) -> list[Any]:
    return [shown_cell(value, kind, max_chars) for value in array.to_pylist()]

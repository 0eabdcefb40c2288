"""A page of a logged table: which rows are shown, in which order, read from Parquet as far as it is needed.

Nothing of a table is trusted: what it would take to sort or to search is bounded, and what cannot be read is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .table_cells import shown_cell
from .table_filter import TableCondition, row_mask
from .table_orders import KeptOrders
from .table_read import Cells, OpenTable, decoded_bytes, open_table, table_batches

MAX_ROWS = 1000
MAX_COLUMNS = 200
# More rows are shown, but not sorted or searched here.
MAX_ORDERED_ROWS = 5_000_000
_MAX_SORT_BYTES = 512 << 20
_MAX_PAGE_BYTES = 128 << 20
_MAX_CELL_BYTES = 64 << 20
_MAX_SORTED = 20
_MAX_CONDITIONS = 50
_MAX_WORDS = 20
_MAX_TEXT_CHARS = 10_000


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
    table = open_table(content)
    shown = _columns(table, request)
    order = None if _is_plain(request) else _order_of(table, digest, request)
    n_matching = table.n_rows if order is None else len(order)
    first = min(request.first, n_matching)
    stop = min(first + request.limit, n_matching)
    wanted = np.arange(first, stop, dtype=np.int64) if order is None else order[first:stop].astype(np.int64)
    columns = [
        TableColumn(name, kind, str(type_)[:100])
        for name, kind, type_ in zip(table.names, table.kinds, table.types, strict=True)
    ]
    rows = _rows_at(table, wanted, shown, request.max_chars)
    return TablePage(columns, table.n_rows, n_matching, first, shown, wanted.tolist(), rows)


def _is_plain(request: TableRequest) -> bool:
    return not request.sort and not request.where and not request.search.strip()


def _columns(table: OpenTable, request: TableRequest) -> list[int]:
    shown = list(range(len(table.names)))[:MAX_COLUMNS] if request.columns is None else request.columns
    named = [*shown, *(order.column for order in request.sort), *(one.column for one in request.where)]
    if any(not 0 <= column < len(table.names) for column in named) or len(shown) > MAX_COLUMNS:
        got = f"the columns {named[:20]}"
        expected = f"places from 0 to {len(table.names) - 1}, at most {MAX_COLUMNS}"
        raise UsageError("columns of a table", got, expected, "ask for columns that it has")
    return shown


_orders = KeptOrders()


def _order_of(table: OpenTable, digest: str, request: TableRequest) -> NDArray[np.int32]:
    """Return which rows match, in the order wanted, int32[n]."""
    if table.n_rows > MAX_ORDERED_ROWS:
        expected = f"at most {MAX_ORDERED_ROWS:,} rows to sort or to search"
        raise UsageError("table", f"{table.n_rows:,} rows", expected, "download it and look at it with another program")
    _bound_question(request)
    question = msgspec.msgpack.encode((request.sort, request.where, request.search))
    return _orders.order(digest, question, lambda: _computed(table, request))


def _bound_question(request: TableRequest) -> None:
    n_words = len(request.search.split())
    longest = max((len(one.value) for one in request.where if isinstance(one.value, str)), default=0)
    for where, n, most, what in (
        ("sort", len(request.sort), _MAX_SORTED, "columns"),
        ("where", len(request.where), _MAX_CONDITIONS, "conditions"),
        ("where", longest, _MAX_TEXT_CHARS, "characters in a value"),
        ("search", n_words, _MAX_WORDS, "words"),
        ("search", len(request.search), _MAX_TEXT_CHARS, "characters"),
    ):
        if n > most:
            raise UsageError(where, f"{n:,} {what}", f"at most {most:,}", "ask for less at a time")


def _computed(table: OpenTable, request: TableRequest) -> NDArray[np.int32]:
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
    for first, batch in table_batches(table, sorted({*by, *filtered})):
        mask = row_mask(batch, table.kinds, request.where, searched, request.search)
        found = np.flatnonzero(mask) if mask is not None else np.arange(batch.n_rows)
        numbers.append((first + found).astype(np.int32))
        if by:
            cells = [batch.column(column).taken(found) for column in by]
            n_bytes += sum(one.n_bytes() for one in cells)
            _bound_sorted(n_bytes)
            kept.append(pa.table([one.spread() for one in cells], names=_sort_names(by)))
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


def _bound_sorted(n_bytes: int) -> None:
    if n_bytes > _MAX_SORT_BYTES:
        expected = f"at most {_MAX_SORT_BYTES >> 20} MiB of values to sort"
        raise UsageError("sort", "a column that holds more", expected, "sort by another column, or filter first")


def _sort_names(by: Sequence[int]) -> list[str]:
    return [f"c{place}" for place in range(len(by))]


def _rows_at(table: OpenTable, wanted: NDArray[np.int64], shown: Sequence[int], max_chars: int) -> list[list[Any]]:
    """Return the cells of the rows at these places, in this order."""
    if not len(wanted):
        return []
    ends = np.cumsum([table.file.metadata.row_group(i).num_rows for i in range(table.file.num_row_groups)])
    groups = np.searchsorted(ends, wanted, side="right")
    rows: list[list[Any]] = [[] for _ in wanted]
    budget = _Budget()
    for group in np.unique(groups).tolist():
        begin = int(ends[group]) - table.file.metadata.row_group(group).num_rows
        mine = np.flatnonzero(groups == group)
        left = {int(wanted[index]) - begin: int(index) for index in mine}
        for first, batch in table_batches(table, sorted(set(shown)), [group]):
            inside = [place for place in left if first <= place < first + batch.n_rows]
            if inside:
                taken = np.array([place - first for place in inside], np.int64)
                cells = [_cells(batch.column(at).taken(taken), table.kinds[at], max_chars, budget) for at in shown]
                for number, place in enumerate(inside):
                    rows[left.pop(place)] = [column[number] for column in cells]
            if not left:
                break
    return rows


class _Budget:
    """How large the cells of a page may still be."""

    def __init__(self) -> None:
        self._n_left = _MAX_PAGE_BYTES

    def take(self, n_bytes: int) -> None:
        self._n_left -= n_bytes
        if self._n_left < 0:
            expected = f"at most {_MAX_PAGE_BYTES >> 20} MiB of cells at once"
            raise UsageError("rows of a table", "cells that hold more", expected, "ask for fewer rows or columns")


def _cells(cells: Cells, kind: str, max_chars: int, budget: _Budget) -> list[Any]:
    """Return the cells as they are shown; what is larger than they may be is never made."""
    shown: list[Any] = []
    if kind in ("number", "boolean", "time"):
        return [shown_cell(value, kind, max_chars) for value in cells.spread().to_pylist()]
    for place in range(len(cells.values)):
        n_bytes = decoded_bytes(cells.values.slice(place, 1))
        if n_bytes > _MAX_CELL_BYTES:
            expected = f"at most {_MAX_CELL_BYTES >> 20} MiB"
            raise UsageError("cell of a table", f"{n_bytes >> 20} MiB", expected, "ask for other columns or rows")
        shown.append(shown_cell(cells.values[place].as_py(), kind, max_chars))
    sizes = [_shown_bytes(cell) for cell in shown]
    places = range(len(shown)) if cells.places is None else cells.places.tolist()
    for place in places:
        budget.take(sizes[place])
    return [shown[place] for place in places]


def _shown_bytes(cell: Any) -> int:
    if isinstance(cell, str):
        return len(cell)
    return len(msgspec.json.encode(cell)) if isinstance(cell, (dict, list)) else 8

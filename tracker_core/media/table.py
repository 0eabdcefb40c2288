"""`Table`: rows and columns, with pictures and the like as cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from ..errors import UsageError
from ..rich import RichValue
from .place import Pending, Place, Target
from .table_files import CellFiles, TableContent

DEFAULT_COLUMNS = ("Input", "Output", "Expected")
LOG_MODES = ("IMMUTABLE", "MUTABLE", "INCREMENTAL")
_MOST_COLUMNS = 10_000
_MOST_NAME_CHARS = 1024
_CELL_BYTES = 64


class Table(RichValue):
    """A table to log, or to put into an artifact. Kept as a Parquet file.

    Args:
        columns: their names. Default: those of `dataframe`, else "Input", "Output", "Expected".
        data: rows, each a list with a cell for every column; a NumPy array of two axes; or a data frame.
        rows: the same as `data`, by its older name.
        dataframe: of pandas, Polars, or whatever else speaks Arrow's C stream.
        dtype: accepted for scripts written for wandb, as are `optional` and `allow_mixed_types`: a column may hold
            cells of several types.
        log_mode: "IMMUTABLE" and "MUTABLE" log all rows each time; "INCREMENTAL" those added since the last time.

    Raises:
        UsageError: a row has not one cell for each column, or an argument is not what it must be.
    """

    kind = "table"

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = "IMMUTABLE",
    ) -> None:
        self.log_mode = "IMMUTABLE" if log_mode is None else log_mode
        if self.log_mode not in LOG_MODES:
            raise UsageError("Table(log_mode=)", f"{log_mode!r:.100}", "one of " + ", ".join(LOG_MODES), "choose one")
        data = rows if data is None else data
        if dataframe is None and _is_frame(data):
            dataframe, data = data, None
        if dataframe is not None and data is not None:
            raise UsageError("Table()", "both data and dataframe", "one of the two", "leave the other out")
        self._n_logged = self._n_logged_bytes = 0
        self._pk = ""
        self._fks: dict[str, tuple[Table, str]] = {}
        if dataframe is not None:
            self._content = TableContent.of_frame(dataframe, None if columns is None else list(map(str, columns)))
        else:
            self._content = TableContent(_checked_columns(DEFAULT_COLUMNS if columns is None else columns))
            for row in _rows_of(data):
                self.add_data(*row)

    @classmethod
    def of_parquet(cls, data: bytes, read: Callable[[str], bytes] | None = None) -> Table:
        """Return the table in the bytes of a Parquet file; `read` gives the files of its media by their path.

        Raises:
            UsageError: they are no Parquet file.
        """
        table = cls(columns=[])
        table._content = TableContent.of_parquet(data, read)
        return table

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._content.columns

    @property
    def data(self) -> list[list[Any]]:
        """The rows, each a list of cells."""
        return self._content.rows

    def __len__(self) -> int:
        return self._content.n_rows

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows, columns {self.columns}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.columns, self.data) == (other.columns, other.data)

    __hash__ = RichValue.__hash__

    def add_data(self, *data: Any) -> None:
        """Add a row, a cell for each column. Raises UsageError where there are more or fewer."""
        if len(data) != len(self.columns):
            got, expected = f"{len(data)} cells", f"{len(self.columns)}, one for each of {self.columns}"
            raise UsageError("Table.add_data()", got, expected[:500], "pass a cell for every column, None for no value")
        self._content.add(data)

    def add_row(self, *row: Any) -> None:
        """Add a row, by the older name of `add_data`."""
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Add a column with a cell for every row.

        Args:
            name: of the column.
            data: its cells, a list or an array.
            optional: accepted for scripts written for wandb.

        Raises:
            UsageError: there is a column of this name, or there are more or fewer cells than rows.
        """
        cells = list(data)
        if self.columns and len(cells) != len(self):
            got, expected = f"{len(cells)} cells", f"{len(self)}, one for every row"
            raise UsageError("Table.add_column(data=)", got, expected, "pass None for no value")
        columns = _checked_columns([*self.columns, name])
        rows = self.data if self.columns else [[] for _ in cells]
        self._content = TableContent(columns)
        for row, cell in zip(rows, cells, strict=True):
            self._content.add([*row, cell])

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """Return the cells of a column as a list, or with convert_to="numpy" as an array.

        Raises:
            UsageError: there is no such column, or `convert_to` is something else.
        """
        if convert_to not in (None, "numpy"):
            raise UsageError("get_column(convert_to=)", f"{convert_to!r:.100}", '"numpy" or None', "choose one of them")
        index = self._index(name, "Table.get_column(name=)")
        cells = [row[index] for row in self.data]
        if convert_to is None:
            return cells
        import numpy as np

        return np.array(cells)

    def get_index(self) -> list[int]:
        """Return the numbers of the rows."""
        return list(range(len(self)))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield (number, cells) of every row."""
        yield from enumerate(self.data)

    def get_dataframe(self) -> Any:
        """Return a pandas DataFrame of the rows. Needs pandas."""
        return self._content.frame()

    def add_computed_columns(self, fn: Callable[[int, dict[str, Any]], dict[str, Any]]) -> None:
        """Add columns computed from each row: `fn(number, row as a dict)` returns a dict of new cells."""
        found = [fn(number, dict(zip(self.columns, row, strict=True))) for number, row in self.iterrows()]
        for name in dict.fromkeys(name for cells in found for name in cells):
            self.add_column(name, [cells.get(name) for cells in found])

    def set_pk(self, col_name: str) -> None:
        """Say which column names the rows; shown with the table."""
        self._index(col_name, "Table.set_pk(col_name=)")
        self._pk = col_name

    def set_fk(self, col_name: str, table: Table, table_col: str) -> None:
        """Say that a column names rows of another table. Kept in memory only."""
        self._index(col_name, "Table.set_fk(col_name=)")
        self._fks[col_name] = (table, table_col)

    def _index(self, name: str, where: str) -> int:
        if name not in self.columns:
            raise UsageError(where, f"{name!r:.200}", f"one of {self.columns}"[:500], "choose a column of the table")
        return self.columns.index(name)

    def write_into(self, file: BinaryIO, target: Target, place: Place) -> None:
        """Write the table as Parquet into an open file, and the files of its cells into `target`."""
        self._content.write(file, CellFiles(target, place).value)

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, "parquet")
        first = self._n_logged if self.log_mode == "INCREMENTAL" else 0
        content = self._content.snapshot(first)
        value: dict[str, Any] = {"_type": self.kind, "path": path, "n_rows": content.n_rows}
        value["columns"] = list(content.columns)
        if self.log_mode == "INCREMENTAL":
            value["log_mode"], value["first_row"] = self.log_mode, first
        if self._pk:
            value["primary_key"] = self._pk
        before = self._n_logged, self._n_logged_bytes
        all_bytes = self._content.cell_bytes()
        cell_bytes = all_bytes - (self._n_logged_bytes if first else 0)
        self._n_logged, self._n_logged_bytes = first + content.n_rows, all_bytes

        def write(target: Target, is_hurried: bool) -> bool:
            return content.keep(target, path, place, is_hurried)

        def take_back() -> None:
            self._n_logged, self._n_logged_bytes = before

        n_bytes = max(content.n_rows * len(content.columns) * _CELL_BYTES, cell_bytes) + content.media_bytes()
        return value, [Pending(n_bytes, write, take_back=take_back)]


def _checked_columns(columns: Any) -> list[str]:
    where = "Table(columns=)"
    if isinstance(columns, (str, bytes)) or not hasattr(columns, "__iter__"):
        raise UsageError(where, f"{columns!r:.100}", "a list of names", 'write columns=["image", "label"]')
    names = [str(name) for name in columns]
    if len(names) > _MOST_COLUMNS:
        raise UsageError(where, f"{len(names)} columns", f"at most {_MOST_COLUMNS}", "turn the table round")
    for name in names:
        if len(name) > _MOST_NAME_CHARS or name.encode(errors="replace").decode() != name:
            expected = f"valid text of at most {_MOST_NAME_CHARS} characters"
            raise UsageError(where, f"{name!a:.100}", expected, "choose a shorter name")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(where, f"{twice} more than once"[:300], "names of which none comes twice", "rename one")
    return names


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and (hasattr(data, "iloc") or hasattr(data, "__arrow_c_stream__"))


def _rows_of(data: Any) -> Iterator[Sequence[Any]]:
    where, remedy = "Table(data=)", "pass a list of rows, each a list with a cell for every column"
    if data is None:
        return
    if isinstance(data, Table):
        data = data.data
    if hasattr(data, "shape") and hasattr(data, "tolist"):
        if len(data.shape) != 2 or math.prod(data.shape) > 1 << 30:
            raise UsageError(where, f"an array of shape {tuple(data.shape)}", "two axes", remedy)
        data = data.tolist()
    if not isinstance(data, (list, tuple)):
        raise UsageError(where, f"a {type(data).__name__}", "a list of rows", remedy)
    for row in data:
        if hasattr(row, "tolist"):
            row = row.tolist()
        if not isinstance(row, (list, tuple)):
            raise UsageError(where, f"a row of type {type(row).__name__}", "rows that are lists", remedy)
        yield row

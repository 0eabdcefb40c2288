"""The rows of a table: in memory, from a data frame, or from a Parquet file; and the files that stand for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..rich import RichValue
from . import parquet
from .cells import n_bytes_of, taken
from .place import Place, Target

if TYPE_CHECKING:
    import pyarrow as pa


class TableContent:
    """Rows, or a data frame or Arrow table that becomes rows when somebody asks for these."""

    __slots__ = ("_arrow", "_cell_bytes", "_frame", "_has_media", "_read", "_rows", "columns")

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self._rows: list[list[Any]] | None = []
        self._frame: Any = None
        self._arrow: pa.Table | None = None
        self._read: Callable[[str], bytes] | None = None
        self._has_media = False
        self._cell_bytes = 0

    @classmethod
    def of_frame(cls, frame: Any, columns: list[str] | None) -> TableContent:
        """Return the content of a data frame as it is now; of `columns` only, where these are given."""
        if not (hasattr(frame, "iloc") or hasattr(frame, "__arrow_c_stream__")):
            got = f"a {type(frame).__name__}"
            raise UsageError("Table(dataframe=)", got, "a data frame of pandas or Polars", "pass other rows as data=")
        names = list(frame.columns if hasattr(frame, "columns") and hasattr(frame, "iloc") else _arrow_names(frame))
        content = cls([str(name) for name in names])
        if len(set(content.columns)) != len(content.columns):
            raise UsageError("Table(dataframe=)", "columns of equal names", "different names", "rename one of them")
        if columns is not None:
            missing = [name for name in columns if name not in content.columns]
            if missing:
                expected = f"some of {content.columns}"
                raise UsageError(
                    "Table(columns=)", f"{missing}"[:300], expected[:300], "name columns of the data frame"
                )
            frame = frame[[names[content.columns.index(name)] for name in columns]]
            content.columns = columns
        content._rows, content._frame = None, frame.copy() if hasattr(frame, "iloc") else frame
        return content

    @classmethod
    def of_parquet(cls, data: bytes, read: Callable[[str], bytes] | None) -> TableContent:
        """Return the content of a Parquet file."""
        arrow = parquet.read_table(data)
        content = cls(list(arrow.column_names))
        content._rows, content._arrow, content._read = None, arrow, read
        return content

    @property
    def n_rows(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        return len(self._frame) if self._frame is not None else int(self._arrow.num_rows if self._arrow else 0)

    @property
    def rows(self) -> list[list[Any]]:
        """All rows. What was a data frame is rows from now on."""
        if self._rows is None:
            if self._frame is not None:
                cells = _columns_of(self._frame)
            else:
                assert self._arrow is not None
                to_object = self._object
                cells = [
                    list(parquet.column_cells(self._arrow, index, to_object)) for index in range(len(self.columns))
                ]
            self._cell_bytes = self.cell_bytes()
            self._rows = [list(row) for row in zip(*cells, strict=True)]
            self._has_media = any(isinstance(cell, RichValue) for row in self._rows for cell in row)
            self._frame = self._arrow = None
        return self._rows

    def _object(self, value: dict[str, Any]) -> Any:
        from .values import from_value

        return value if self._read is None else from_value(value, self._read)

    def add(self, row: Iterable[Any]) -> None:
        """Append a row, its cells as they are at this moment."""
        cells = [taken(cell) for cell in row]
        self.rows.append(cells)
        self._cell_bytes += sum(map(n_bytes_of, cells))
        if not self._has_media:
            self._has_media = any(isinstance(cell, RichValue) for cell in cells)

    def frame(self) -> Any:
        """Return a pandas DataFrame."""
        import pandas as pd

        if self._frame is not None and hasattr(self._frame, "iloc"):
            return self._frame.copy()
        return pd.DataFrame(self.rows, columns=self.columns)

    def snapshot(self, first: int) -> TableContent:
        """Return the rows from `first` on; further rows that are added do not reach it."""
        copy = TableContent(list(self.columns))
        copy._frame, copy._arrow, copy._read, copy._has_media = self._frame, self._arrow, self._read, self._has_media
        copy._rows = self.rows[first:] if first or self._rows is not None else None
        if copy._rows is not None:
            copy._frame = copy._arrow = None
        return copy

    def cell_bytes(self) -> int:
        """Return about how much memory the cells hold, without pictures and the like."""
        if self._rows is not None:
            return self._cell_bytes
        if self._arrow is not None:
            return int(self._arrow.nbytes)
        if hasattr(self._frame, "memory_usage"):
            return int(self._frame.memory_usage(index=False, deep=True).sum())
        return int(self._frame.estimated_size() if hasattr(self._frame, "estimated_size") else 0)

    def media_bytes(self) -> int:
        """Return about how much memory pictures and the like among the cells hold."""
        if not self._has_media or self._rows is None:
            return 0
        return sum(cell.held_bytes() for row in self._rows for cell in row if isinstance(cell, RichValue))

    def keep(self, target: Target, path: str, place: Place, is_hurried: bool) -> bool:
        """Write the table and the files of its cells; say whether all of that could be done."""
        cells = CellFiles(target, place, is_hurried)
        is_kept = target.keep_media(path, lambda where: self.write(where, cells.value))
        return is_kept and cells.are_all_kept

    def write(self, where: Any, to_value: Callable[..., Any]) -> None:
        """Write the table as a Parquet file at a path or into an open file."""
        arrow = self._arrow if self._arrow is not None else _arrow_of(self._frame)
        if arrow is not None:
            parquet.write_arrow(where, arrow)
        else:
            parquet.write_rows(where, self.columns, self.rows, to_value)


class CellFiles:
    """Keeps the files of cells."""

    def __init__(self, target: Target, place: Place, is_hurried: bool = False) -> None:
        self._target, self._place, self._is_hurried = target, place, is_hurried
        self.are_all_kept = True

    def value(self, cell: Any, column: str) -> Any:
        """Return what stands for a rich value in the table, any other cell as it is."""
        if not isinstance(cell, RichValue):
            return cell
        value, pending = cell.describe(_CellPlace(self._place, column))
        for one in pending:
            if one.late is not None:
                value = one.late()
            elif not one.write(self._target, self._is_hurried):
                self.are_all_kept = False
        return value


class _CellPlace:
    """Names the files of cells by their column."""

    def __init__(self, place: Place, column: str) -> None:
        self._place = place
        self._column = column

    def path(self, kind: str, extension: str, part: str = "") -> str:
        return self._place.path(kind, extension, f"{self._column}-{part}" if part else self._column)


def _arrow_names(frame: Any) -> list[str]:
    if hasattr(frame, "column_names"):
        names: list[str] = frame.column_names
        return names
    return list(frame.columns)


def _columns_of(frame: Any) -> list[list[Any]]:
    """Return the cells of a data frame, column by column."""
    arrow = _arrow_of(frame)
    if arrow is not None:
        return [column.to_pylist() for column in arrow.columns]
    return [frame.iloc[:, index].tolist() for index in range(frame.shape[1])]


def _arrow_of(frame: Any) -> pa.Table | None:
    """Return a data frame as Arrow has it, None where a column holds what Arrow has no type for."""
    if frame is None:
        return None
    import pyarrow as pa

    try:
        if not hasattr(frame, "iloc"):
            return pa.table(frame)
        arrays = [_arrow_column(frame.iloc[:, index]) for index in range(frame.shape[1])]
        return pa.Table.from_arrays(arrays, names=[str(name) for name in frame.columns])
    except (pa.ArrowException, TypeError, ValueError):
        return None


def _arrow_column(series: Any) -> pa.Array:
    """Return a column of pandas as Arrow has it: NaN among numbers stays NaN, elsewhere it is a missing value."""
    import numpy as np
    import pyarrow as pa

    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
        return pa.array(series.to_numpy())
    return pa.array(series, from_pandas=True)

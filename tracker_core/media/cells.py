"""What the cells of a table's column are, and the column as Arrow has it.

A column of one kind is kept as that kind, exactly. A column of several kinds, or of lists and dicts, is kept as JSON
text (with NaN, Infinity and -Infinity as Python writes them), a column with pictures and the like as JSON text of their
values, whose files lie beside. The field's metadata "tracker.type" says which.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..rich import RichValue, as_rich
from .arrays import is_torch

if TYPE_CHECKING:
    import pyarrow as pa

KIND_KEY = b"tracker.type"
_EXACT_IN_FLOAT = 1 << 53
_INT64_MIN, _INT64_MAX, _UINT64_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
_MOST_ARRAY_VALUES = 100_000
_MOST_DEPTH = 200
_CELL_BYTES = 64
_JSON_KEYS = (str, int, float, bool, type(None))

_MOST_PART_BYTES = (1 << 31) - 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NUMPY_TYPES = {"int": "<i8", "uint": "<u8", "float": "<f8", "time": "<i8", "date": "<i4"}

_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
    bytes: "bytes",
    datetime.datetime: "time",
    datetime.date: "date",
    list: "json",
    tuple: "json",
    dict: "json",
}


_UNCHANGING = frozenset([bool, int, float, str, bytes, datetime.datetime, datetime.date])


def taken(cell: Any) -> Any:
    """Return a cell as it is at this moment: copies of arrays, tensors, lists and dicts, figures as pictures.

    Waits for no device.

    Raises:
        UsageError: lists and dicts lie in one another too deep, or without end.
    """
    if cell is None or type(cell) in _UNCHANGING or isinstance(cell, RichValue):
        return cell
    if is_torch(cell):
        return cell.detach().clone()
    if hasattr(cell, "shape") and callable(getattr(cell, "copy", None)) and not hasattr(cell, "iloc"):
        return cell.copy()
    rich = as_rich(cell)
    return _detached(cell) if rich is None else rich


def _detached(value: Any, depth: int = 0) -> Any:
    """Return a copy of nested lists and dicts and the arrays in them; keys that JSON has no form for are text."""
    if type(value) in _UNCHANGING or value is None:
        return value
    if depth > _MOST_DEPTH:
        got, expected = f"a cell nested more than {_MOST_DEPTH} deep", f"at most {_MOST_DEPTH} lists in one another"
        raise UsageError("Table.add_data()", got, expected, "pass json.dumps(...) of it, as text")
    if isinstance(value, dict):
        return {_json_key(key): _detached(one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        copied = [_detached(one, depth + 1) for one in value]
        return copied if isinstance(value, list) else tuple(copied)
    if isinstance(value, set):
        return set(value)
    if is_torch(value):
        return value.detach().clone()
    return value.copy() if hasattr(value, "shape") and hasattr(value, "copy") else value


def _json_key(key: Any) -> Any:
    return key if isinstance(key, _JSON_KEYS) else str(key)


def n_bytes_of(cell: Any) -> int:
    """Return about how much memory a taken cell holds; nothing for what a rich value does, which says so itself."""
    if isinstance(cell, (str, bytes)):
        return _CELL_BYTES + len(cell)
    if isinstance(cell, dict):
        return _CELL_BYTES + sum(n_bytes_of(key) + n_bytes_of(one) for key, one in cell.items())
    if isinstance(cell, (list, tuple)):
        return _CELL_BYTES + sum(map(n_bytes_of, cell))
    n_bytes = getattr(cell, "nbytes", 0)
    return _CELL_BYTES + (n_bytes if type(n_bytes) is int else 0)


def plain_cell(cell: Any) -> Any:
    """Return a cell with scalars of NumPy and the frameworks as Python ones, and figures as rich values."""
    if cell is None or type(cell) in _KINDS:
        return cell
    if isinstance(cell, RichValue):
        return cell
    shape = getattr(cell, "shape", None)
    if shape == () and callable(getattr(cell, "item", None)):
        return _scalar(cell)
    rich = as_rich(cell)
    if rich is not None:
        return rich
    if type(cell).__module__.startswith("pandas"):
        return _of_pandas(cell)
    return cell


def _scalar(cell: Any) -> Any:
    kind = getattr(getattr(cell, "dtype", None), "kind", "")  # torch's has none
    if kind in ("m", "M"):
        return cell.astype("datetime64[us]").item() if kind == "M" else str(cell)
    return cell.item()


def _of_pandas(cell: Any) -> Any:
    if type(cell).__name__ in ("NaTType", "NAType"):
        return None
    return cell.to_pydatetime() if hasattr(cell, "to_pydatetime") else cell


def kind_of(cells: Iterable[Any]) -> str:
    """Return what a column of plain cells is: null, bool, int, uint, float, text, bytes, time, date, media or json."""
    kinds: set[str] = set()
    lowest = highest = 0
    for cell in cells:
        if cell is None:
            continue
        kind = _KINDS.get(type(cell)) or _kind_of_subclass(cell)
        kinds.add(kind)
        if kind == "int":
            lowest, highest = min(lowest, cell), max(highest, cell)
    if "media" in kinds:
        return "media"
    if kinds == {"int"}:
        is_signed = lowest >= _INT64_MIN and highest <= _INT64_MAX
        return "int" if is_signed else "uint" if lowest >= 0 and highest <= _UINT64_MAX else "json"
    if kinds == {"int", "float"}:
        return "float" if max(-lowest, highest) <= _EXACT_IN_FLOAT else "json"
    return "null" if not kinds else kinds.pop() if len(kinds) == 1 else "json"


def _kind_of_subclass(cell: Any) -> str:
    if isinstance(cell, RichValue):
        return "media"
    for kind in (bool, int, float, str, bytes, datetime.datetime, datetime.date):
        if isinstance(cell, kind):
            return _KINDS[kind]
    return "json"


def field_of(name: str, kind: str) -> pa.Field:
    """Return the Arrow field of a column."""
    import pyarrow as pa

    types = {
        "null": pa.null(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "uint": pa.uint64(),
        "float": pa.float64(),
        "text": pa.string(),
        "bytes": pa.binary(),
        "time": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }
    return pa.field(name, types.get(kind, pa.string()), metadata={KIND_KEY: kind.encode()})


def arrow_cells(cells: list[Any], kind: str, field: pa.Field) -> pa.Array:
    """Return plain cells of a kind as an Arrow array; those of "media" are the values of rich values, as dicts.

    Made of its buffers, since `pyarrow.array` would import pandas, which takes memory, and the training's time.

    Raises:
        ValueError: they take more than 2 GiB.
    """
    import numpy as np
    import pyarrow as pa

    if kind == "null":
        return pa.nulls(len(cells))
    is_there = np.array([cell is not None for cell in cells], bool)
    validity = None if is_there.all() else _bits(is_there)
    if kind == "bool":
        values = [_bits(np.array([bool(cell) for cell in cells], bool))]
    elif kind in _NUMPY_TYPES:
        number = _TO_NUMBER.get(kind)
        plain = cells if number is None else [None if cell is None else number(cell) for cell in cells]
        values = [pa.py_buffer(np.array([0 if cell is None else cell for cell in plain], _NUMPY_TYPES[kind]))]
    else:
        data = [b"" if cell is None else _bytes_of(cell, kind) for cell in cells]
        offsets = np.cumsum([0, *map(len, data)], dtype=np.int64)
        if offsets[-1] > _MOST_PART_BYTES:
            raise ValueError(f"{len(cells)} cells of the column {field.name!r:.100} take more than 2 GiB")
        values = [pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(field.type, len(cells), [validity, *values])


def _bits(flags: Any) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _bytes_of(cell: Any, kind: str) -> bytes:
    if kind == "bytes":
        return bytes(cell)
    return (str(cell) if kind == "text" else json_text(cell)).encode(errors="replace")


def _microseconds(moment: datetime.datetime) -> int:
    """Return the time since 1970 of a moment; one without a time zone is taken as UTC."""
    utc = moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment.astimezone(datetime.UTC)
    return (utc - _EPOCH) // datetime.timedelta(microseconds=1)


def json_text(value: Any) -> str:
    """Return a cell as JSON text; what JSON has no form for is its `str`."""
    try:
        return _dumped(value)
    except TypeError:  # of a data frame, whose cells are taken as they are
        return _dumped(_detached(value))


def _dumped(value: Any) -> str:
    return json.dumps(value, default=_json_form, ensure_ascii=False, separators=(",", ":"))


def _json_form(value: Any) -> Any:
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        n_values = 1
        for n in value.shape:
            n_values *= n
        return value.tolist() if n_values <= _MOST_ARRAY_VALUES else f"array of shape {tuple(value.shape)}"
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return str(value)


_TO_NUMBER: dict[str, Callable[[Any], int]] = {
    "time": _microseconds,
    "date": lambda day: day.toordinal() - _EPOCH.toordinal(),
}

"""Which rows of a table match: conditions on columns, and text that any column holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .table_read import Cells, TableBatch

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "not contains", "empty", "not empty"]
_COMPARISONS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


class TableCondition(msgspec.Struct, frozen=True):
    """What the cells of a column are to be. A missing value is unequal to every other, and neither less nor greater."""

    column: int
    op: Operator
    value: str | int | float | bool | None = None


def row_mask(
    batch: TableBatch, kinds: Sequence[str], where: Sequence[TableCondition], searched: Sequence[int], search: str
) -> NDArray[np.bool_] | None:
    """Return which rows match, bool[n]; None for all.

    Raises:
        UsageError: a condition does not fit its column.
    """
    masks = []
    for one in where:
        cells = batch.column(one.column)
        masks.append(_spread(_condition(cells.values, kinds[one.column], one), cells))
    for word in search.split():
        holds = np.zeros(batch.n_rows, np.bool_)
        for place in searched:
            cells = batch.column(place)
            holds |= _spread(_holds(cells.values, word), cells)
        masks.append(holds)
    return np.logical_and.reduce(masks) if masks else None


def _spread(mask: NDArray[np.bool_], cells: Cells) -> NDArray[np.bool_]:
    return mask if cells.places is None else mask[cells.places]


def _condition(array: Any, kind: str, wanted: TableCondition) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    if wanted.op in ("empty", "not empty"):
        is_empty = _true(pc.is_null(array, nan_is_null=kind == "number"))
        if kind == "text":
            is_empty |= _true(pc.equal(array, ""))
        return is_empty if wanted.op == "empty" else ~is_empty
    if wanted.op in ("contains", "not contains"):
        holds = _holds(array, str(wanted.value))
        return holds if wanted.op == "contains" else ~holds
    if kind == "other" or (kind == "media" and wanted.op not in ("=", "!=")):
        raise UsageError("where", f"{wanted.op} on a column of another kind", "numbers, text, times", "use contains")
    mask = _compared(array, wanted.op, _scalar(array, kind, wanted))
    return mask | _true(pc.is_null(array)) if wanted.op == "!=" else mask


def _compared(array: Any, op: str, value: Any) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(array.type):
        return _true(getattr(pc, _COMPARISONS[op])(array, value))
    is_there = _true(pc.is_valid(array))
    if value != value:
        return is_there & np.bool_(op == "!=")
    # Exactly, in the column's own type: what lies between two integers, or beyond all, is moved to the nearest.
    lowest, highest = _range(array.type)
    if value < lowest or value > highest or value != int(value):
        if op in ("=", "!="):
            return is_there & np.bool_(op == "!=")
        is_less = op in ("<", "<=")
        if value < lowest or value > highest:
            return is_there & np.bool_((value > highest) == is_less)
        op, value = ("<=", math.floor(value)) if is_less else (">=", math.ceil(value))
    return _true(getattr(pc, _COMPARISONS[op])(array, pa.scalar(int(value), array.type)))


def _range(kind: Any) -> tuple[int, int]:
    import pyarrow as pa

    bits = kind.bit_width
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if pa.types.is_signed_integer(kind) else (0, (1 << bits) - 1)


def _scalar(array: Any, kind: str, wanted: TableCondition) -> Any:
    """Return the value compared with, in a type that the column can be compared with; a number for integers."""
    import pyarrow as pa

    value = wanted.value
    try:
        if kind == "boolean":
            return pa.scalar(value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()])
        if kind == "number":
            return _number(array.type, value)
        return _time(array.type, str(value)) if kind == "time" else pa.scalar(str(value))
    except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException):
        remedy = "write 0.5, true, or 2026-01-31 as the column has it"
        raise UsageError("where", repr(value)[:100], f"a value for a column of kind {kind}", remedy) from None


def _number(kind: Any, value: str | float | bool | None) -> Any:
    import pyarrow as pa

    if isinstance(value, str):
        value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
    if value is None or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 64):
        raise ValueError("no number that a column holds")
    if pa.types.is_integer(kind):
        return value
    return pa.scalar(float(value)) if pa.types.is_floating(kind) or isinstance(value, float) else pa.scalar(int(value))


def _time(kind: Any, text: str) -> Any:
    """Return a time in the type of a column. Where the column is of a zone and the text of none, it is UTC."""
    import pyarrow as pa

    try:
        return pa.scalar(text).cast(kind)
    except pa.ArrowException:
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            raise
        return pa.scalar(text).cast(pa.timestamp(kind.unit)).cast(kind)


def _holds(array: Any, text: str) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        texts = (
            array if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else array.cast("string")
        )
    except pa.ArrowException:
        return np.zeros(len(array), np.bool_)
    return _true(pc.match_substring(texts, text, ignore_case=True))


def _true(mask: Any) -> NDArray[np.bool_]:
    """Return where a mask is true; where it is not known it is not."""
    found: NDArray[np.bool_] = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return found

"""Which rows of a table match: conditions on columns, and text that any column holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

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


class Batch(Protocol):
    """Rows as Arrow arrays."""

    n_rows: int

    def column(self, place: int) -> Any:
        """Return a column."""


def row_mask(
    batch: Any, kinds: Sequence[str], where: Sequence[TableCondition], searched: Sequence[int], search: str
) -> NDArray[np.bool_] | None:
    """Return which rows match, bool[n]; None for all.

    Raises:
        UsageError: a condition does not fit its column.
    """
    masks = [_condition(batch.column(one.column), kinds[one.column], one) for one in where]
    for word in search.split():
        holds = np.zeros(batch.n_rows, np.bool_)
        for place in searched:
            holds |= _holds(batch.column(place), word)
        masks.append(holds)
    return np.logical_and.reduce(masks) if masks else None


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
    mask = _true(getattr(pc, _COMPARISONS[wanted.op])(array, _scalar(array, kind, wanted)))
    return mask | _true(pc.is_null(array)) if wanted.op == "!=" else mask


def _scalar(array: Any, kind: str, wanted: TableCondition) -> Any:
    """Return the value compared with, in a type that the column can be compared with."""
    import pyarrow as pa

    value = wanted.value
    try:
        if kind == "boolean":
            return pa.scalar(value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()])
        if kind == "number":
            return pa.scalar(value if isinstance(value, int) else float(value))  # type: ignore[arg-type]
        return pa.scalar(str(value)).cast(array.type) if kind == "time" else pa.scalar(str(value))
    except (ValueError, TypeError, KeyError, pa.ArrowException):
        remedy = "write 0.5, true, or 2026-01-31 as the column has it"
        raise UsageError("where", repr(value)[:100], f"a value for a column of kind {kind}", remedy) from None


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

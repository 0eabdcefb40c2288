"""Filters as Mongo-style dicts, and orders such as "-summary.val/loss", as users of wandb write them. Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from .filter_syntax import MAX_DEPTH
from .filter_tree import (
    AGGREGATES,
    FIELDS,
    TIME_FIELDS,
    Compare,
    Exists,
    Field,
    Filter,
    In,
    Key,
    Literal,
    Match,
    Not,
    Path,
    Scalar,
    all_of,
    any_of,
)
from .filter_values import PatternError, searcher, seconds_of
from .run_search import NEWEST_FIRST, Order, parse_order

_ALIASES = {
    "display_name": "name",
    "jobType": "job_type",
    "duration_s": "duration",
    "created_at": "created",
    "createdAt": "created",
    "created_ns": "created",
    "ended_ns": "ended",
}
_ROOTS = {
    "config": "config",
    "summary": "summary",
    "summary_metrics": "summary",
    "environment": "environment",
    "metadata": "environment",
}
_MONGO_FIELDS = (
    "id name project entity state group job_type tags notes host signal exit_code command forked_from"
    " display_name jobType duration_s created_at createdAt"
).split()
_ORDERINGS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


class _NotSimpleError(Exception):
    """The dict says something that the filter language has no words for."""


def tree_of_mongo(filters: Mapping[str, Any]) -> Filter | None:
    """Return the same filter as a tree, or None where `tracker_core.filters.matches` has to answer it."""
    try:
        return _conditions(filters, 0)
    except _NotSimpleError:
        return None


def order_of(text: str | None) -> Order:
    """Return the order that `Api.runs(order=)` means: KEY, KEY:desc, or as wandb has it "-created_at".

    Raises:
        SearchError: the text names no field or key.
    """
    if text is None:
        return NEWEST_FIRST
    name = text.lstrip("+-")
    path = _ordered_path(name)
    if path is not None:
        return Order(path, is_descending=text.startswith("-"))
    order = parse_order(name)
    return Order(order.path, is_descending=True) if text.startswith("-") else order


def _ordered_path(name: str) -> Path | None:
    head, _, rest = name.partition(".")
    if name in FIELDS or name in _ALIASES:
        return Field(_ALIASES.get(name, name))
    if head not in _ROOTS or not rest or "[" in rest or rest.endswith((":asc", ":desc")):
        return None
    key, _, last = rest.rpartition(".")
    if _ROOTS[head] == "summary" and key and last in AGGREGATES:
        return Key("summary", key, last)
    return Key(_ROOTS[head], rest)


def _conditions(filters: Mapping[str, Any], depth: int) -> Filter:
    if depth > MAX_DEPTH or (depth and not filters):
        raise _NotSimpleError
    return all_of([_condition(str(field), wanted, depth) for field, wanted in filters.items()])


def _condition(field: str, wanted: Any, depth: int) -> Filter:
    if field == "$not" and isinstance(wanted, Mapping):
        return Not(_conditions(wanted, depth + 1))
    if field in ("$and", "$or", "$nor"):
        if not isinstance(wanted, (list, tuple)) or not wanted or not all(isinstance(p, Mapping) for p in wanted):
            raise _NotSimpleError
        parts = [_conditions(part, depth + 1) for part in wanted]
        return all_of(parts) if field == "$and" else any_of(parts) if field == "$or" else Not(any_of(parts))
    path = _path(field)
    if not isinstance(wanted, Mapping):
        return _operator(path, "$eq", wanted)
    if not wanted:
        raise _NotSimpleError
    return all_of([_operator(path, str(name), operand) for name, operand in wanted.items()])


def _path(field: str) -> Path:
    head, _, rest = field.partition(".")
    if head in _ROOTS and rest:
        return Key(_ROOTS[head], rest.removesuffix(".value"))
    if field not in _MONGO_FIELDS:
        raise _NotSimpleError
    return Field(_ALIASES.get(field, field))


def _operator(path: Path, name: str, operand: Any) -> Filter:
    if isinstance(path, Field) and path.name in TIME_FIELDS:
        return _of_time(path, name, operand)
    if name in _ORDERINGS and isinstance(operand, (int, float, str)):
        return Compare(path, _ORDERINGS[name], Literal(_scalar(operand)))
    if name in ("$eq", "$ne"):
        same = Compare(path, "==", Literal(_scalar(operand)))
        return same if name == "$eq" else Not(same)
    if name in ("$in", "$nin") and isinstance(operand, (list, tuple, set, frozenset)):
        one_of = In(path, Literal(tuple(_scalar(option) for option in operand)))
        return one_of if name == "$in" else Not(one_of)
    if name == "$exists":
        return Exists(path) if operand else Not(Exists(path))
    if name == "$regex" and isinstance(operand, str):
        return _pattern(path, operand)
    raise _NotSimpleError


def _of_time(path: Field, name: str, operand: Any) -> Filter:
    if name not in _ORDERINGS or not isinstance(operand, str) or seconds_of(operand, time.time()) is None:
        raise _NotSimpleError
    return Compare(path, _ORDERINGS[name], Literal(operand))


def _pattern(path: Path, pattern: str) -> Match:
    try:
        searcher(pattern)
    except (PatternError, UnicodeEncodeError):
        raise _NotSimpleError from None
    return Match(path, pattern)


def _scalar(value: Any) -> Scalar:
    if type(value) not in (type(None), bool, int, float, str) or (isinstance(value, float) and math.isnan(value)):
        raise _NotSimpleError
    found: Scalar = value
    return found

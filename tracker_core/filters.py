"""Filter runs by Mongo-style dicts, as users of wandb write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .errors import UsageError


class Filterable(Protocol):
    """What filters look at."""

    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def summary(self) -> dict[str, Any]: ...
    @property
    def environment(self) -> dict[str, Any]: ...


_ALIASES = {"display_name": "name", "created_at": "created_ns", "createdAt": "created_ns", "jobType": "job_type"}
_FIELDS = (
    "id name display_name project entity state group job_type jobType tags notes host"
    " created_at createdAt created_ns ended_ns duration_s signal exit_code command forked_from"
).split()
# Where dotted names lead to.
_NESTED = {
    "config": "config",
    "summary": "summary",
    "summary_metrics": "summary",
    "environment": "environment",
    "metadata": "environment",
}
_MISSING = object()


def matches(run: Filterable, filters: Mapping[str, Any]) -> bool:
    """Say whether a run matches all conditions.

    Args:
        run: the run.
        filters: field -> value, or field -> {"$gt": x, ...}; "$and", "$or", "$nor" take lists, "$not" a dict. Fields:
            "state", "name", "config.lr", "config.model.depth", "summary.val/loss", "environment.git.commit" and the
            like. Operators: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $regex.

    Raises:
        UsageError: an operator or field does not exist.
    """
    return all(_matches_condition(run, field, condition) for field, condition in filters.items())


def _matches_condition(run: Filterable, field: str, condition: Any) -> bool:
    if field == "$and":
        return all(matches(run, part) for part in condition)
    if field == "$or":
        return any(matches(run, part) for part in condition)
    if field == "$nor":
        return not any(matches(run, part) for part in condition)
    if field == "$not":
        return not matches(run, condition)
    value = field_value(run, field)
    if isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition):
        return all(_operator(name)(value, operand) for name, operand in condition.items())
    return _equal(value, condition)


def field_value(run: Filterable, field: str) -> Any:
    """Return what a run holds at a dotted field, or a marker that equals nothing where it holds nothing there.

    Raises:
        UsageError: there is no such field.
    """
    head, _, rest = field.partition(".")
    if head in _NESTED and rest:
        return _descend(getattr(run, _NESTED[head]), rest.removesuffix(".value"))
    if field not in _FIELDS:
        expected = "config.NAME, summary.NAME, environment.NAME, or one of " + ", ".join(_FIELDS)
        raise UsageError("runs(filters=)", f"the field {field!r}", expected, f"did you mean 'config.{field}'?")
    return getattr(run, _ALIASES.get(field, field))


def _descend(values: Mapping[str, Any], path: str) -> Any:
    """Follow a dotted path; a name may itself hold dots."""
    if path in values:
        return values[path]
    for key, inner in values.items():
        if path.startswith(f"{key}.") and isinstance(inner, Mapping):
            return _descend(inner, path[len(key) + 1 :])
    return _MISSING


def _equal(value: Any, operand: Any) -> bool:
    if isinstance(value, (list, tuple)) and not isinstance(operand, (list, tuple)):
        return operand in value
    return bool(value == operand) and value is not _MISSING


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def operator(value: Any, operand: Any) -> bool:
        try:
            return value is not _MISSING and value is not None and compare(value, operand)
        except TypeError:
            return False  # text against a number: neither more nor less

    return operator


def _exists(value: Any, operand: Any) -> bool:
    return (value is not _MISSING) == bool(operand)


def _regex(value: Any, operand: str) -> bool:
    return isinstance(value, str) and re.search(operand, value) is not None


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda value, operand: not _equal(value, operand),
    "$gt": _ordered(lambda value, operand: bool(value > operand)),
    "$gte": _ordered(lambda value, operand: bool(value >= operand)),
    "$lt": _ordered(lambda value, operand: bool(value < operand)),
    "$lte": _ordered(lambda value, operand: bool(value <= operand)),
    "$in": lambda value, operand: any(_equal(value, option) for option in operand),
    "$nin": lambda value, operand: not any(_equal(value, option) for option in operand),
    "$exists": _exists,
    "$regex": _regex,
}


def _operator(name: str) -> Callable[[Any, Any], bool]:
    if name not in _OPERATORS:
        expected = "one of " + ", ".join(_OPERATORS)
        raise UsageError("runs(filters=)", f"the operator {name!r}", expected, "use one of these")
    return _OPERATORS[name]

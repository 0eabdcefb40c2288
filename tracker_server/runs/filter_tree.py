"""The tree that a run filter is: frozen, made by `filter_syntax.parse_filter`, read by whatever answers it. Pure.

Logic is two-valued, so that a filter means the same in memory and in SQL: each leaf is true or false of a run, never
unknown. A leaf is false where the run has no value to look at; only `Not` makes that true.

Equality of trees is that of their values: NaN is always the one object `math.nan`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

FIELDS = (
    "id name state group job_type tags notes host user command project entity attempt created ended duration"
    " n_rows exit_code signal forked_from"
).split()
TIME_FIELDS = ("created", "ended")
ROOTS = ("config", "summary", "environment")
AGGREGATES = ("last", "min", "max", "mean", "first")
ORDERINGS = ("<", "<=", ">", ">=")
NAME = re.compile(r"[^\W\d]\w*")

Scalar: TypeAlias = "bool | int | float | str | None"


@dataclass(frozen=True, slots=True)
class Field:
    """What every run has; `name` is one of `FIELDS`."""

    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """A value below one of `ROOTS`. `key` is flat: names joined by dots.

    With an `aggregate` it is that statistic of the metric `key`, or where the run has no such metric the summary's
    key "<key>.<aggregate>".
    """

    root: str
    key: str
    aggregate: str | None = None


Path: TypeAlias = Field | Key


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written; a tuple is a list."""

    value: Scalar | tuple[Scalar, ...]


Operand: TypeAlias = Path | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    """`path operator operand`; the operator is == or != or one of `ORDERINGS`."""

    path: Path
    operator: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class In:
    """`item in container`: a list, or a value that is a list or text."""

    item: Operand
    container: Operand
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """`path ~ pattern`: the pattern is found somewhere in the text, or in a text of the list."""

    path: Path
    pattern: str
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """The run has something at this path, be it None."""

    path: Path


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


@dataclass(frozen=True, slots=True)
class And:
    """Two parts or more, none an `And`; no parts at all is the filter that takes every run."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two parts or more, none an `Or`."""

    parts: tuple[Filter, ...]


Filter: TypeAlias = "Compare | In | Match | Exists | Not | And | Or"

EVERY_RUN = And(())


def all_of(parts: list[Filter]) -> Filter:
    """Return the filter that wants all of these."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(parts: list[Filter]) -> Filter:
    """Return the filter that wants one of these, which are at least one."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def format_filter(tree: Filter) -> str:
    """Return the text of a filter, which parses back to the same tree."""
    match tree:
        case Or(parts):
            return " or ".join(format_filter(part) for part in parts)
        case And(parts):
            return " and ".join(_bracketed(part, isinstance(part, Or)) for part in parts)
        case Not(part):
            return f"not {_bracketed(part, isinstance(part, (And, Or)))}"
        case Exists(path):
            return f"{format_path(path)} exists"
        case Match(path, pattern, is_negated):
            return f"{format_path(path)} {'!~' if is_negated else '~'} {_format_scalar(pattern)}"
        case In(item, container, is_negated):
            return f"{_format_operand(item)} {'not in' if is_negated else 'in'} {_format_operand(container)}"
        case Compare(path, operator, operand):
            if operand == Literal(None) and operator in ("==", "!="):
                return f"{format_path(path)} is {'not ' if operator == '!=' else ''}None"
            return f"{format_path(path)} {operator} {_format_operand(operand)}"


def format_path(path: Path) -> str:
    """Return the text of a field or key."""
    if isinstance(path, Field):
        return path.name
    parts = path.key.split(".")
    is_plain = all(NAME.fullmatch(part) for part in parts)
    reads_as_aggregate = path.root == "summary" and path.aggregate is None and len(parts) > 1
    if not is_plain or (reads_as_aggregate and parts[-1] in AGGREGATES):
        key = f"[{_format_scalar(path.key)}]"
    else:
        key = f".{path.key}"
    return f"{path.root}{key}" + (f".{path.aggregate}" if path.aggregate else "")


def _bracketed(part: Filter, is_needed: bool) -> str:
    return f"({format_filter(part)})" if is_needed else format_filter(part)


def _format_operand(operand: Operand) -> str:
    if not isinstance(operand, Literal):
        return format_path(operand)
    if isinstance(operand.value, tuple):
        return f"[{', '.join(_format_scalar(item) for item in operand.value)}]"
    return _format_scalar(operand.value)


def _format_scalar(value: Scalar) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)

"""Two values of a run compared with each other, as conditions on their rows in the store."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_

from ..runs.run_rows import CUT_TEXT, LIST, LONG_TEXT, MAPPING, NAN, NONE, TEXT

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compared(a: Any, operation: str, b: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return when `a` compares with `b`, the columns of two rows, and when the rows do not tell that."""
    if operation in _OPERATORS:
        return _ordered(a, operation, b), _is_cut(a, b)
    # Lists are equal to what they hold, and rows do not tell what that is.
    unknown = or_(_is_cut(a, b), and_(a.kind >= LIST, a.kind < NAN))
    if operation == "==":
        return _equal(a, b), unknown
    are_values = and_(a.kind != MAPPING, b.kind != MAPPING)
    return and_(are_values, ~_equal(a, b)), and_(are_values, unknown)


def _ordered(a: Any, operation: str, b: Any) -> ColumnElement[bool]:
    compare, strictly = _OPERATORS[operation], _OPERATORS[operation[0]]
    by_number = or_(strictly(a.number, b.number), and_(a.number == b.number, compare(a.residual, b.residual)))
    return or_(and_(_are_numbers(a, b), by_number), and_(_are_texts(a, b), compare(_whole(a), _whole(b))))


def _equal(a: Any, b: Any) -> ColumnElement[bool]:
    are_same_number = and_(_are_numbers(a, b), a.number == b.number, a.residual == b.residual)
    are_alike = and_(a.kind == b.kind, a.kind.in_([NAN, NONE]))
    return or_(are_same_number, and_(_are_texts(a, b), _whole(a) == _whole(b)), are_alike)


def _are_numbers(a: Any, b: Any) -> ColumnElement[bool]:
    return and_(a.kind < TEXT, b.kind < TEXT)


def _are_texts(a: Any, b: Any) -> ColumnElement[bool]:
    return and_(a.kind.between(TEXT, LONG_TEXT), b.kind.between(TEXT, LONG_TEXT))


def _is_cut(a: Any, b: Any) -> ColumnElement[bool]:
    """Return whether both are texts, one of which is not kept whole."""
    are_texts = and_(a.kind.between(TEXT, CUT_TEXT), b.kind.between(TEXT, CUT_TEXT))
    return and_(are_texts, or_(a.kind == CUT_TEXT, b.kind == CUT_TEXT))


def _whole(c: Any) -> ColumnElement[str]:
    return case((c.kind == TEXT, c.text), else_=c.text + c.rest)

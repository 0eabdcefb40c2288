"""A filter's tree as conditions on the table `run`, evaluated by the database.

Each condition is two: that which is true of no run that the filter refuses, and that which is true of every run that it
takes. Where they are one the database answers alone; where they differ, as with a text too long to be kept whole, only
the runs between the two are looked at in memory.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select, true

from ..runs.filter_match import value_matcher
from ..runs.filter_tree import TIME_FIELDS, And, Compare, Exists, Field, Filter, In, Literal, Match, Not, Or, Path
from ..runs.filter_values import seconds_of
from ..runs.run_rows import (
    CUT_LIST,
    CUT_TEXT,
    LIST,
    LONG_LIST,
    LONG_TEXT,
    MAPPING,
    MAX_REST_CHARACTERS,
    NAN,
    NONE,
    NOT_KEPT,
    OTHER,
    TEXT,
    Stored,
    given_text,
    plain_text,
    split_number,
    value_of,
)
from ..runs.run_search import N_TEXT_CHARACTERS
from .store_compare import compared
from .store_paths import Source, Sources
from .store_schema import run
from .store_sets import text_set

Condition: TypeAlias = ColumnElement[bool]
_Leaf: TypeAlias = Compare | In | Match

# Longer filters, which only `Api` can be given, are answered in memory.
MAX_LEAVES = 600
_MAX_OPTIONS = 10_000
_MAX_JOINED = 8
_KEPT_CHARACTERS = N_TEXT_CHARACTERS + MAX_REST_CHARACTERS
_ALL_EXACT = 1 << 53
_SURROGATE = re.compile("[\ud800-\udfff]")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
# A value of each kind that no parameter tells apart from others of its kind.
_KINDS_OF_ONE_VALUE: dict[int, Any] = {NAN: float("nan"), NONE: None, OTHER: b"", MAPPING: {}}


@dataclass(frozen=True, slots=True)
class Bounds:
    """A condition from both sides: `sure` implies what is meant, and that implies `maybe`."""

    sure: Condition
    maybe: Condition

    @property
    def is_exact(self) -> bool:
        return self.sure is self.maybe


def exactly(condition: Condition) -> Bounds:
    """Return the bounds of what the database can answer alone."""
    return Bounds(condition, condition)


_NEVER, _UNKNOWN = exactly(false()), Bounds(false(), true())


def filter_bounds(connection: Connection, tree: Filter, sources: Sources, now_s: float | None = None) -> Bounds:
    """Return the conditions on `run` that a filter means; `now_s` is what "2 days ago" counts from."""
    if _n_leaves(tree) > MAX_LEAVES:
        return _UNKNOWN
    return _Translator(connection, sources, time.time() if now_s is None else now_s).filter(tree)


def _n_leaves(tree: Filter) -> int:
    if isinstance(tree, Not):
        return _n_leaves(tree.part)
    return sum(map(_n_leaves, tree.parts)) if isinstance(tree, (And, Or)) else 1


def _all(parts: Sequence[Bounds]) -> Bounds:
    if len(parts) > _MAX_JOINED:
        parts = [_closed(part) for part in parts]
    sure = and_(true(), *(part.sure for part in parts))
    is_exact = all(part.is_exact for part in parts)
    return Bounds(sure, sure if is_exact else and_(true(), *(part.maybe for part in parts)))


def _closed(part: Bounds) -> Bounds:
    """Return the same, as what is tested of each run: PostgreSQL would look for the best order to join them all."""
    sure = part.sure.is_(true())
    return Bounds(sure, sure if part.is_exact else part.maybe.is_(true()))


def _any(parts: Sequence[Bounds]) -> Bounds:
    sure = or_(false(), *(part.sure for part in parts))
    is_exact = all(part.is_exact for part in parts)
    return Bounds(sure, sure if is_exact else or_(false(), *(part.maybe for part in parts)))


def _not(part: Bounds) -> Bounds:
    return exactly(not_(part.sure)) if part.is_exact else Bounds(not_(part.maybe), not_(part.sure))


class _Translator:
    def __init__(self, connection: Connection, sources: Sources, now_s: float) -> None:
        self._connection = connection
        self._sources = sources
        self._now_s = now_s
        self._n_options = 0

    def filter(self, tree: Filter) -> Bounds:
        match tree:
            case And(parts):
                return _all([self.filter(part) for part in parts])
            case Or(parts):
                return _any([self.filter(part) for part in parts])
            case Not(part):
                return _not(self.filter(part))
            case Exists(path):
                return self._at(path, lambda source: exactly(true()))
            case Compare(path, _, operand):
                if isinstance(operand, Literal):
                    return self._leaf(tree, path)
                return self._of_two(path, tree.operator, operand)
            case Match(path):
                return self._leaf(tree, path)
            case In(item, container):
                if isinstance(item, Literal) is isinstance(container, Literal):
                    return _UNKNOWN
                return self._leaf(tree, container if isinstance(item, Literal) else item)  # type: ignore[arg-type]

    def _at(self, path: Path, meant: Callable[[Source], Bounds]) -> Bounds:
        """Return the runs with a value at a path of which this is true."""
        source = self._sources.of(path)
        if source is None:
            return _UNKNOWN
        if source.is_empty:
            return _NEVER
        bounds = meant(source)
        sure = _runs_with(source, bounds.sure)
        return exactly(sure) if bounds.is_exact else Bounds(sure, _runs_with(source, bounds.maybe))

    def _of_two(self, path: Path, operation: str, other: Path) -> Bounds:
        """Return the runs whose values at two paths compare so."""
        one, two = self._sources.of(path), self._sources.of(other)
        if one is None or two is None:
            return _UNKNOWN
        if one.is_empty or two.is_empty:
            return _NEVER
        a, b = one.rows.alias(), two.rows.alias()
        true_of_both, unknown = compared(a.c, operation, b.c)
        both = select(a.c.run_pk).join(b, a.c.run_pk == b.c.run_pk).correlate(None)
        sure = run.c.run_pk.in_(both.where(true_of_both, not_(unknown)))
        return Bounds(sure, run.c.run_pk.in_(both.where(or_(true_of_both, unknown))))

    def _leaf(self, leaf: _Leaf, path: Path) -> Bounds:
        return self._at(path, lambda source: self._of_values(leaf, path, source))

    def _of_values(self, leaf: _Leaf, path: Path, source: Source) -> Bounds:
        """Return the values that make a comparison true, kind by kind."""
        matches, kind = value_matcher(leaf, self._now_s), source.rows.c.kind
        kinds = [one for one, value in _KINDS_OF_ONE_VALUE.items() if matches(value)]
        parts = [exactly(kind.in_(kinds))] if kinds else []
        if source.has_numbers:
            numbers = self._numbers(leaf, path, source)
            parts.append(_all([exactly(kind < TEXT), numbers]))
        if source.has_texts:
            texts = self._texts(leaf, path, source) or self._by_value(source, matches, TEXT, LONG_TEXT, CUT_TEXT)
            parts.append(_all([exactly(kind.between(TEXT, CUT_TEXT)), texts]))
        if source.has_lists:
            lists = self._by_value(source, matches, LIST, LONG_LIST, CUT_LIST)
            parts.append(_all([exactly(kind.between(LIST, CUT_LIST)), lists]))
        return _any(parts)

    # -- numbers

    def _numbers(self, leaf: _Leaf, path: Path, source: Source) -> Bounds:
        if isinstance(leaf, In) and isinstance(leaf.container, Literal):
            found = self._one_of_numbers(leaf.container.value, source)
            return _not(found) if leaf.is_negated else found
        if not isinstance(leaf, Compare):
            return _NEVER
        wanted = self._wanted(leaf, path)
        if not isinstance(wanted, (int, float)) or wanted != wanted:
            return exactly(true()) if leaf.operator == "!=" else _NEVER
        if leaf.operator == "!=":
            return exactly(not_(_compare_number(source, "==", wanted)))
        return exactly(_compare_number(source, leaf.operator, wanted))

    def _one_of_numbers(self, options: Any, source: Source) -> Bounds:
        numbers = {split_number(option) for option in options if isinstance(option, (int, float)) and option == option}
        self._n_options += len(numbers)
        if self._n_options > _MAX_OPTIONS:
            return _UNKNOWN
        c = source.rows.c
        plain = [number for number, residual in numbers if residual == 0 and abs(number) < _ALL_EXACT]
        others = [(number, residual) for number, residual in numbers if residual or abs(number) >= _ALL_EXACT]
        one_by_one = [and_(c.number == number, c.residual == residual) for number, residual in others]
        return exactly(or_(c.number.in_(plain), *one_by_one)) if len(others) <= MAX_LEAVES else _UNKNOWN

    def _wanted(self, leaf: Compare, path: Path) -> Any:
        value = leaf.operand.value if isinstance(leaf.operand, Literal) else None
        if isinstance(path, Field) and path.name in TIME_FIELDS and isinstance(value, str):
            return seconds_of(value, self._now_s)
        return value

    # -- texts

    def _texts(self, leaf: _Leaf, path: Path, source: Source) -> Bounds | None:
        """Return a condition on texts, or None where each has to be looked at."""
        if isinstance(leaf, In) and isinstance(leaf.container, Literal):
            found = self._one_of_texts(leaf.container.value, source)
            return _not(found) if leaf.is_negated else found
        if not isinstance(leaf, Compare):
            return None
        wanted = self._wanted(leaf, path)
        if not isinstance(wanted, str):
            return exactly(true()) if leaf.operator == "!=" else _NEVER
        if leaf.operator == "!=":
            return _not(_compare_text(source, "==", wanted))
        return _compare_text(source, leaf.operator, wanted)

    def _one_of_texts(self, options: Any, source: Source) -> Bounds:
        texts = [option for option in options if isinstance(option, str)]
        return self._is_text_in(source, texts, any(len(text) > _KEPT_CHARACTERS for text in texts))

    def _is_text_in(self, source: Source, texts: Iterable[str], is_cut_one_unknown: bool) -> Bounds:
        plain = sorted({plain_text(text) for text in texts if not _SURROGATE.search(text)})
        c, members = source.rows.c, text_set(self._connection, plain)
        found = or_(
            and_(c.kind == TEXT, c.text.in_(members)),
            and_(c.kind == LONG_TEXT, (c.text + c.rest).in_(members)) if source.has_long_texts else false(),
        )
        return Bounds(found, or_(found, c.kind == CUT_TEXT)) if is_cut_one_unknown else exactly(found)

    # -- values one by one

    def _by_value(self, source: Source, matches: Callable[[Any], bool], plain: int, long: int, cut: int) -> Bounds:
        """Return which texts, or lists, match: each that is there is looked at once, here."""
        c = source.rows.c
        query = select(c.kind, c.text, c.rest).where(c.kind.in_([plain, long])).distinct()
        sure: dict[int, list[str]] = {plain: [], long: []}
        unknown: dict[int, list[str]] = {plain: [], long: []}
        # In parts: to hold all at once takes longer.
        for kind, text, rest in self._connection.execute(query, execution_options={"yield_per": 1000}):
            kept = text if kind == plain else rest if kind == LONG_LIST else text + rest
            value = given_text(kept) if plain == TEXT else value_of(Stored(kind, None, 0, text, rest))
            if value is NOT_KEPT:
                unknown[kind].append(kept)
            elif matches(value):
                sure[kind].append(kept)
        found = self._is_kept_in(source, plain, long, sure)
        others = self._is_kept_in(source, plain, long, unknown) if any(unknown.values()) else false()
        if any(unknown.values()) or self._has_kind(source, cut):
            return Bounds(found, or_(found, others, c.kind == cut))
        return exactly(found)

    def _is_kept_in(self, source: Source, plain: int, long: int, kept: dict[int, list[str]]) -> Condition:
        c = source.rows.c
        whole = c.rest if long == LONG_LIST else c.text + c.rest
        parts = [
            and_(c.kind == kind, column.in_(text_set(self._connection, kept[kind])))
            for kind, column in ((plain, c.text), (long, whole))
            if kept[kind]
        ]
        return or_(false(), *parts)

    def _has_kind(self, source: Source, kind: int) -> bool:
        query = select(source.rows.c.run_pk).where(source.rows.c.kind == kind).limit(1)
        return self._connection.execute(query).first() is not None


def _runs_with(source: Source, condition: Condition) -> Condition:
    return run.c.run_pk.in_(select(source.rows.c.run_pk).where(condition).correlate(None))


def _compare_number(source: Source, comparison: str, wanted: float | int) -> Condition:
    """Return how the number at a path compares: by its float64, and where these are equal by the residual."""
    c, compare = source.rows.c, _OPERATORS[comparison]
    number, residual = split_number(wanted)
    if abs(number) < _ALL_EXACT:
        condition: Condition = compare(c.number, number)
        return condition
    if comparison == "==":
        return and_(c.number == number, c.residual == residual)
    return or_(_OPERATORS[comparison[0]](c.number, number), and_(c.number == number, compare(c.residual, residual)))


def _compare_text(source: Source, comparison: str, wanted: str) -> Bounds:
    c, compare = source.rows.c, _OPERATORS[comparison]
    if _SURROGATE.search(wanted):
        return _UNKNOWN
    text = plain_text(wanted)
    plain = and_(c.kind == TEXT, compare(c.text, text))
    if not source.has_long_texts:
        return exactly(plain)
    whole = compare(c.text + c.rest, text)
    if len(wanted) < _KEPT_CHARACTERS:  # what is cut off decides nothing
        return exactly(or_(plain, and_(c.kind > TEXT, whole)))
    sure = or_(plain, and_(c.kind == LONG_TEXT, whole))
    return Bounds(sure, or_(sure, c.kind == CUT_TEXT))

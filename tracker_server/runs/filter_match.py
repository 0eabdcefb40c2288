"""A run filter's tree becomes a function of a run: compiled once into closures, then asked of each run. Pure."""

from __future__ import annotations

import operator
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ..ingest.media_values import is_media
from .filter_tree import (
    TIME_FIELDS,
    And,
    Compare,
    Exists,
    Field,
    Filter,
    In,
    Literal,
    Match,
    Not,
    Operand,
    Or,
    Path,
)
from .filter_values import searcher, seconds_of
from .run_view import RunView

Environment: TypeAlias = Callable[[RunView], Mapping[str, Any]]
Reader: TypeAlias = Callable[[RunView], Any]
Matcher: TypeAlias = Callable[[RunView], bool]

MISSING: Any = object()
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS = (int, float)
_SCALARS = (str, int, float, type(None))


def no_environment(view: RunView) -> Mapping[str, Any]:
    """Return nothing, for filters that do not ask for the environment."""
    return {}


def compile_filter(tree: Filter, environment_of: Environment = no_environment, now_s: float | None = None) -> Matcher:
    """Return the function that says whether a run matches. It raises nothing, whatever the run holds.

    Args:
        tree: the filter.
        environment_of: gives the environment of a run. Asked only where the filter needs it.
        now_s: what "2 days ago" counts from, seconds since 1970. Default: the time of this call.
    """
    return _Compiler(environment_of, time.time() if now_s is None else now_s).filter(tree)


def value_matcher(leaf: Compare | In | Match, now_s: float) -> Callable[[Any], bool]:
    """Return the function that says whether a value at the only path of a comparison makes it true."""
    return _ValueCompiler(no_environment, now_s).filter(leaf)


def reader_of(path: Path, environment_of: Environment = no_environment) -> Reader:
    """Return the function that gives what a run holds at a path, or `MISSING`. Times are seconds since 1970.

    A mapping that holds something is no value, but the place of the values in it: it comes as it is.
    """
    if isinstance(path, Field):
        return _field_reader(path.name, environment_of)
    key = path.key
    if path.aggregate is not None:
        return _aggregate_reader(key, path.aggregate)
    if path.root != "environment" and "." not in key:
        return _top_level_reader(path.root, key)
    if path.root == "config":
        return lambda view: look_up(view.config, key)
    if path.root == "summary":
        return lambda view: look_up(view.summary, key)
    return lambda view: look_up(environment_of(view), key)


def look_up(values: Mapping[Any, Any], key: str) -> Any:
    """Return the value at a flat key, names joined by dots, or `MISSING`; a name may itself hold dots."""
    if key in values:
        return values[key]
    dot = key.find(".")
    while dot >= 0:
        inner = values.get(key[:dot])
        if isinstance(inner, dict) and not is_media(inner):
            found = look_up(inner, key[dot + 1 :])
            if found is not MISSING:
                return found
        dot = key.find(".", dot + 1)
    return MISSING


def _field_reader(name: str, environment_of: Environment) -> Reader:
    if name == "created":
        return lambda view: view.created_ns / 1e9
    if name == "ended":
        return lambda view: None if view.ended_ns is None else view.ended_ns / 1e9
    if name == "duration":
        return operator.attrgetter("duration_s")
    if name == "user":
        return lambda view: environment_of(view).get("user", "")
    if name == "command":
        return lambda view: _command(environment_of(view).get("command"))
    return operator.attrgetter(name)


def _top_level_reader(root: str, key: str) -> Reader:
    if root == "config":
        return lambda view: view.config.get(key, MISSING)
    return lambda view: view.summary.get(key, MISSING)


def _command(words: Any) -> str:
    return shlex.join(map(str, words)) if isinstance(words, list) else ""


def _aggregate_reader(key: str, aggregate: str) -> Reader:
    flat_key = f"{key}.{aggregate}"

    def read(view: RunView) -> Any:
        metric = view.metrics.get(key)
        return look_up(view.summary, flat_key) if metric is None else getattr(metric.stats, aggregate)

    return read


def is_value(value: Any) -> bool:
    """Say whether there is something to compare with: a mapping is no value, but the place of values."""
    return value is not MISSING and not isinstance(value, dict)


def equals(value: Any, other: Any) -> bool:
    """Say whether two values are equal: a list also to each thing in it, NaN also to NaN, True to 1."""
    if isinstance(value, list) and not isinstance(other, (list, tuple)):
        return any(_is_same(item, other) for item in value)
    if isinstance(value, list):
        return len(value) == len(other) and all(map(_is_same, value, other))
    return _is_same(value, other)


def _is_same(value: Any, other: Any) -> bool:
    if isinstance(value, dict) or value is MISSING:
        return False
    return bool(value == other) or (value != value and other != other)


class _Compiler:
    def __init__(self, environment_of: Environment, now_s: float) -> None:
        self._environment_of = environment_of
        self._now_s = now_s

    def filter(self, tree: Filter) -> Matcher:
        match tree:
            case And(parts):
                return _all([self.filter(part) for part in parts])
            case Or(parts):
                return _any([self.filter(part) for part in parts])
            case Not(part):
                matches = self.filter(part)
                return lambda view: not matches(view)
            case Exists(path):
                read = self._reader(path)
                return lambda view: read(view) is not MISSING
            case Compare(path, operation, operand):
                return self._compare(path, operation, operand)
            case In(item, container, is_negated):
                return self._is_in(item, container, is_negated)
            case Match(path, pattern, is_negated):
                return _pattern(self._reader(path), searcher(pattern), is_negated)

    def _reader(self, operand: Operand) -> Reader:
        if not isinstance(operand, Literal):
            return reader_of(operand, self._environment_of)
        value = operand.value
        return lambda view: value

    def _compare(self, path: Path, operation: str, operand: Operand) -> Matcher:
        read = self._reader(path)
        if isinstance(operand, Literal):
            value = operand.value
            if isinstance(path, Field) and path.name in TIME_FIELDS and isinstance(value, str):
                value = seconds_of(value, self._now_s)
            if operation in _COMPARISONS:
                return _ordered(read, _COMPARISONS[operation], value)
            return _equal(read, value, operation == "!=")
        other = self._reader(operand)
        if operation in _COMPARISONS:
            return _ordered_to(read, _COMPARISONS[operation], other)
        return _equal_to(read, other, operation == "!=")

    def _is_in(self, item: Operand, container: Operand, is_negated: bool) -> Matcher:
        read = self._reader(item)
        if isinstance(container, Literal):
            return _one_of(read, container.value, is_negated)
        read_container = self._reader(container)

        def matches(view: RunView) -> bool:
            value, values = read(view), read_container(view)
            if not is_value(value):
                return False
            if isinstance(values, str):
                return isinstance(value, str) and (value in values) is not is_negated
            return isinstance(values, list) and equals(values, value) is not is_negated

        return matches


class _ValueCompiler(_Compiler):
    """Makes functions of the value at a path in place of the run."""

    def _reader(self, operand: Operand) -> Reader:
        if isinstance(operand, Literal):
            return super()._reader(operand)
        return lambda value: value


def _all(parts: list[Matcher]) -> Matcher:
    if len(parts) == 2:
        first, second = parts
        return lambda view: first(view) and second(view)
    return lambda view: all(part(view) for part in parts)


def _any(parts: list[Matcher]) -> Matcher:
    return lambda view: any(part(view) for part in parts)


def _ordered(read: Reader, compare: Callable[[Any, Any], bool], wanted: Any) -> Matcher:
    if not isinstance(wanted, (*_NUMBERS, str)):
        return lambda view: False
    kinds: Any = str if isinstance(wanted, str) else _NUMBERS

    def matches(view: RunView) -> bool:
        value = read(view)
        return isinstance(value, kinds) and compare(value, wanted)

    return matches


def _ordered_to(read: Reader, compare: Callable[[Any, Any], bool], other: Reader) -> Matcher:
    def matches(view: RunView) -> bool:
        one, two = read(view), other(view)
        is_text = isinstance(one, str) and isinstance(two, str)
        return (is_text or (isinstance(one, _NUMBERS) and isinstance(two, _NUMBERS))) and compare(one, two)

    return matches


def _equal(read: Reader, wanted: Any, is_negated: bool) -> Matcher:
    def matches(view: RunView) -> bool:
        value = read(view)
        return is_value(value) and equals(value, wanted) is not is_negated

    return matches


def _equal_to(read: Reader, other: Reader, is_negated: bool) -> Matcher:
    def matches(view: RunView) -> bool:
        one, two = read(view), other(view)
        return is_value(one) and is_value(two) and equals(one, two) is not is_negated

    return matches


def _one_of(read: Reader, wanted: Any, is_negated: bool) -> Matcher:
    options = frozenset(wanted)
    has_nan = any(option != option for option in options)

    def is_option(value: Any) -> bool:
        if isinstance(value, list):
            return any(is_option(item) for item in value if not isinstance(item, list))
        return isinstance(value, _SCALARS) and (value in options or (has_nan and value != value))

    def matches(view: RunView) -> bool:
        value = read(view)
        return is_value(value) and is_option(value) is not is_negated

    return matches


def _pattern(read: Reader, search: Callable[[str], bool], is_negated: bool) -> Matcher:
    def matches(view: RunView) -> bool:
        value = read(view)
        if isinstance(value, str):
            return search(value) is not is_negated
        return isinstance(value, list) and _any_text(search, value) is not is_negated

    return matches


def _any_text(search: Callable[[str], bool], values: Iterable[Any]) -> bool:
    return any(isinstance(value, str) and search(value) for value in values)

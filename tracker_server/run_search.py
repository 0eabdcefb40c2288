"""Which runs match a filter, in which order, page by page. Pure.

Order: numbers, then text, then anything else, then NaN, then runs without a value; descending turns each of the first
three round, not their order. Ties go by start, then id, then project. Text counts by its first 200 characters.

A page ends with a cursor: the place of its last run in the order. The next page begins behind that place, so that runs
that are added meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from .filter_match import Environment, Reader, compile_filter, is_value, no_environment, reader_of
from .filter_syntax import SearchError, parse_filter, parse_path
from .filter_tree import Field, Filter, Path, format_path
from .run_view import RunView

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
_MAX_CURSOR_CHARACTERS = 4000
_N_TEXT_CHARACTERS = 200
_N_ITEMS = 50
_NUMBER, _TEXT, _OTHER, _NAN, _NONE = range(5)
_CURSOR_VERSION = 1

# The place of a run: kind and value of what it is sorted by, then what settles ties.
Place: TypeAlias = tuple[int, Any, int, str, str]
_Ranked: TypeAlias = tuple[int, Any, RunView]
_TIES = operator.attrgetter("created_ns", "id", "project")
_VALUE = operator.itemgetter(1)


@dataclass(frozen=True, slots=True)
class Order:
    """What runs are sorted by."""

    path: Path
    is_descending: bool = False


NEWEST_FIRST = Order(Field("created"), is_descending=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Runs that follow one another in the order; `n_matching` is of all pages, `next_cursor` None on the last."""

    runs: list[RunView]
    n_matching: int
    next_cursor: str | None


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    search: str
    kind: int
    value: str
    created_ns: int
    id: str
    project: str


def parse_order(text: str | None) -> Order:
    """Return the order that KEY, KEY:asc or KEY:desc means; None or "" is newest first.

    Raises:
        SearchError: the text names no field or key.
    """
    if text is None or not text.strip():
        return NEWEST_FIRST
    key, _, direction = text.rpartition(":")
    if direction.strip() in ("asc", "desc") and key.strip():
        return Order(parse_path(key), direction.strip() == "desc")
    return Order(parse_path(text))


def matching_runs(
    views: Iterable[RunView], tree: Filter, order: Order = NEWEST_FIRST, environment_of: Environment = no_environment
) -> list[RunView]:
    """Return the runs that match, in this order."""
    environment_of = _remembered(environment_of)
    matches = compile_filter(tree, environment_of)
    found = [view for view in views if matches(view)]
    return [view for _, _, view in _in_order(found, order, environment_of)]


def search_page(
    views: Iterable[RunView],
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    environment_of: Environment = no_environment,
) -> Page:
    """Return one page of the runs that match.

    Args:
        views: all runs.
        filter: see docs/filters.md; None or "" takes every run.
        sort: see `parse_order`.
        limit: at most so many, 1 to `MAX_LIMIT`. Default `DEFAULT_LIMIT`.
        cursor: the `next_cursor` of the page before, of the same filter and sort.
        environment_of: gives the environment of a run; asked at most once a run.

    Raises:
        SearchError: one of these is wrong.
    """
    size = _checked_limit(limit)
    tree, order = parse_filter(filter or ""), parse_order(sort)
    name = _search_name(filter or "", order)
    after = _place_of_cursor(cursor, name) if cursor else None
    environment_of = _remembered(environment_of)
    matches = compile_filter(tree, environment_of)
    ranked = _in_order([view for view in views if matches(view)], order, environment_of)
    first = _first_behind(ranked, after, order) if after else 0
    page = ranked[first : first + size]
    has_more = first + size < len(ranked)
    next_cursor = _cursor_of(_place(page[-1]), name) if has_more else None
    return Page([view for _, _, view in page], len(ranked), next_cursor)


def _checked_limit(limit: int | None) -> int:
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        got = str(limit) if abs(limit) < 1 << 64 else "a number far beyond"
        raise SearchError("limit", got, f"1 to {MAX_LIMIT}", "ask for the rest with the cursor of the page")
    return limit


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, float)):
        return (_NUMBER, value + 0) if value == value else (_NAN, 0)
    if isinstance(value, str):
        return _TEXT, value[:_N_TEXT_CHARACTERS]
    if value is None or not is_value(value):
        return _NONE, 0
    return _OTHER, str(value[:_N_ITEMS] if isinstance(value, list) else value)[:_N_TEXT_CHARACTERS]


def _in_order(views: Iterable[RunView], order: Order, environment_of: Environment) -> list[_Ranked]:
    read: Reader = reader_of(order.path, environment_of)
    kinds: dict[int, list[_Ranked]] = {}
    for view in sorted(views, key=_TIES):
        kind, value = _rank(read(view))
        kinds.setdefault(kind, []).append((kind, value, view))
    for found in kinds.values():
        found.sort(key=_VALUE, reverse=order.is_descending)  # stable: ties stay as they are
    return [item for kind in sorted(kinds) for item in kinds[kind]]


def _place(item: _Ranked) -> Place:
    kind, value, view = item
    return kind, value, view.created_ns, view.id, view.project


def _first_behind(ranked: Sequence[_Ranked], after: Place, order: Order) -> int:
    """Return where the first run behind a place is, by bisection."""
    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high) // 2
        if _compare(_place(ranked[middle]), after, order.is_descending) <= 0:
            low = middle + 1
        else:
            high = middle
    return low


def _compare(one: Place, two: Place, is_descending: bool) -> int:
    if one[0] == two[0] and one[1] != two[1]:
        return -1 if (one[1] < two[1]) is not is_descending else 1
    return (one > two) - (one < two)


def _search_name(filter: str, order: Order) -> str:
    """Return what tells one search from another: a cursor is of one search only."""
    text = f"{filter.strip()}\0{format_path(order.path)}\0{order.is_descending}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _cursor_of(place: Place, search: str) -> str:
    kind, value, created_ns, run_id, project = place
    text = value if kind in (_TEXT, _OTHER) else repr(value)
    content = msgspec.json.encode(_Cursor(_CURSOR_VERSION, search, kind, text, created_ns, run_id, project))
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _place_of_cursor(text: str, search: str) -> Place:
    """Return the place a cursor names. Every field is checked: a forged one can be no more than another place."""
    if len(text) > _MAX_CURSOR_CHARACTERS or not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise _wrong_cursor("a text that is none")
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = msgspec.json.decode(content, type=_Cursor)
        value = _cursor_value(found.kind, found.value)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise _wrong_cursor("a text that is none") from None
    if found.version != _CURSOR_VERSION or found.search != search:
        raise _wrong_cursor("that of another search")
    return found.kind, value, found.created_ns, found.id, found.project


def _cursor_value(kind: int, text: str) -> Any:
    if kind == _NUMBER:
        number = int(text) if re.fullmatch(r"-?[0-9]{1,400}", text) else float(text)
        if number != number or repr(number) != text:
            raise ValueError("not as written here")
        return number
    if kind in (_TEXT, _OTHER):
        return text
    if kind in (_NAN, _NONE):
        return 0
    raise ValueError("no such kind")


def _wrong_cursor(got: str) -> SearchError:
    return SearchError("cursor", got, "the next_cursor of a page of this search", "begin again without a cursor")


def _remembered(environment_of: Environment) -> Environment:
    """Return the same function with its answers kept, for one search."""
    known: dict[tuple[str, str], Mapping[str, Any]] = {}

    def environment(view: RunView) -> Mapping[str, Any]:
        key = (view.project, view.id)
        if key not in known:
            known[key] = environment_of(view)
        return known[key]

    return environment

"""Which runs match a filter, in which order, page by page. Pure.

Order: numbers, then text, then anything else, then NaN, then runs without a value; descending turns each of the first
three round, not their order. Ties go by start, then id, then project. Text counts by its first 200 characters.

A page ends with a cursor: the place of its last run in the order. The next page begins behind that place, so that runs
that are added meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import operator
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from .filter_match import Environment, Reader, compile_filter, is_value, no_environment, reader_of
from .filter_syntax import SearchError, parse_filter, parse_path
from .filter_tree import Field, Filter, Path, format_path
from .run_view import RunView

T = TypeVar("T")
MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
_MAX_CURSOR_CHARACTERS = 4000
N_TEXT_CHARACTERS = 200
N_ITEMS = 50
# By what kind of value runs are sorted first.
NUMBER_RANK, TEXT_RANK, OTHER_RANK, NAN_RANK, NONE_RANK = range(5)
_CURSOR_VERSION = 1

# The place of a run: kind and value of what it is sorted by, then what settles ties.
Place: TypeAlias = tuple[int, Any, int, str, str]
Placed: TypeAlias = tuple[Place, RunView]
_TIES = operator.attrgetter("created_ns", "id", "project")


@dataclass(frozen=True, slots=True)
class Order:
    """What runs are sorted by."""

    path: Path
    is_descending: bool = False


NEWEST_FIRST = Order(Field("created"), is_descending=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Runs that follow one another in the order.

    Attributes:
        runs: the runs.
        n_matching: how many there are on all pages.
        next_place: where the next page begins, None on the last; `next_cursor` is the same as text.
    """

    runs: list[RunView]
    n_matching: int
    next_place: Place | None
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


@dataclass(frozen=True, slots=True)
class SettledRuns:
    """Runs that are found elsewhere than in memory, such as in a database.

    Attributes:
        page: the runs that match a filter behind a place, or from the first on, in an order, at most so many.
        count: how many match. In both the last argument is what "2 days ago" counts from, seconds since 1970.
    """

    page: Callable[[Filter, Order, Place | None, int, float], Sequence[Placed]]
    count: Callable[[Filter, float], int]


NO_SETTLED_RUNS = SettledRuns(lambda *_: [], lambda *_: 0)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for.

    Args:
        tree: which runs.
        order: in which order.
        name: tells this search from others, for its cursors.
        now_s: what "2 days ago" counts from, seconds since 1970.
    """

    tree: Filter
    order: Order
    name: str
    now_s: float


def parse_search(filter: str | None, sort: str | None) -> Search:
    """Return the search that a filter, see docs/filters.md, and a sort key, see `parse_order`, mean.

    Raises:
        SearchError: one of these is wrong.
    """
    return search_of(filter, parse_order(sort))


def search_of(filter: str | None, order: Order) -> Search:
    """Return the search that a filter means in an order; raises SearchError where the filter is wrong."""
    return Search(parse_filter(filter or ""), order, _search_name(filter or "", order), time.time())


def matching_runs(
    views: Iterable[RunView],
    tree: Filter,
    order: Order = NEWEST_FIRST,
    environment_of: Environment = no_environment,
    now_s: float | None = None,
) -> list[RunView]:
    """Return the runs that match, in this order."""
    return [view for _, view in placed_runs(views, tree, order, environment_of, now_s)]


def placed_runs(
    views: Iterable[RunView],
    tree: Filter,
    order: Order,
    environment_of: Environment = no_environment,
    now_s: float | None = None,
) -> list[Placed]:
    """Return the runs that match, each with its place, in this order."""
    environment_of = _remembered(environment_of)
    matches = compile_filter(tree, environment_of, now_s)
    return _in_order([view for view in views if matches(view)], order, environment_of)


def search_page(
    views: Iterable[RunView],
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    environment_of: Environment = no_environment,
    settled: SettledRuns = NO_SETTLED_RUNS,
) -> Page:
    """Return one page of the runs that match.

    Args:
        views: all runs that are in memory.
        filter: see docs/filters.md; None or "" takes every run.
        sort: see `parse_order`.
        limit: at most so many, 1 to `MAX_LIMIT`. Default `DEFAULT_LIMIT`.
        cursor: the `next_cursor` of the page before, of the same filter and sort.
        environment_of: gives the environment of a run in memory; asked at most once a run.
        settled: all other runs.

    Raises:
        SearchError: one of these is wrong.
    """
    size = checked_limit(limit)
    search = parse_search(filter, sort)
    after = place_of_cursor(cursor, search.name) if cursor else None
    return page_of(search, views, after, size, environment_of, settled)


def page_of(
    search: Search,
    views: Iterable[RunView],
    after: Place | None,
    size: int,
    environment_of: Environment = no_environment,
    settled: SettledRuns = NO_SETTLED_RUNS,
) -> Page:
    """Return the first `size` runs that match behind a place; for the rest see `search_page`."""
    order, now_s = search.order, search.now_s
    live = placed_runs(views, search.tree, order, environment_of, now_s)
    n_matching = len(live) + settled.count(search.tree, now_s)
    found: list[Placed] = [*behind(live, after, order)[: size + 1]]
    found += settled.page(search.tree, order, after, size + 1, now_s)

    found.sort(key=sort_key(order))
    place = found[size - 1][0] if len(found) > size else None
    cursor = None if place is None else _cursor_of(place, search.name)
    return Page([view for _, view in found[:size]], n_matching, place, cursor)


def checked_limit(limit: int | None) -> int:
    """Return how many runs a page holds; raises SearchError for what is none or beyond the bounds."""
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        got = str(limit) if abs(limit) < 1 << 64 else "a number far beyond"
        raise SearchError("limit", got, f"1 to {MAX_LIMIT}", "ask for the rest with the cursor of the page")
    return limit


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, float)):
        return (NUMBER_RANK, value + 0) if value == value else (NAN_RANK, 0)
    if isinstance(value, str):
        return TEXT_RANK, value[:N_TEXT_CHARACTERS]
    if value is None or not is_value(value):
        return NONE_RANK, 0
    return OTHER_RANK, str(value[:N_ITEMS] if isinstance(value, list) else value)[:N_TEXT_CHARACTERS]


def _in_order(views: Iterable[RunView], order: Order, environment_of: Environment) -> list[Placed]:
    place_of = placer_of(order, environment_of)
    ranks: dict[int, list[Placed]] = {}
    for view in sorted(views, key=_TIES):
        place = place_of(view)
        ranks.setdefault(place[0], []).append((place, view))
    for found in ranks.values():
        found.sort(key=lambda placed: placed[0][1], reverse=order.is_descending)  # stable: ties stay as they are
    return [placed for rank in sorted(ranks) for placed in ranks[rank]]


def placer_of(order: Order, environment_of: Environment = no_environment) -> Callable[[RunView], Place]:
    """Return the function that gives the place of a run in an order."""
    read: Reader = reader_of(order.path, environment_of)
    return lambda view: (*_rank(read(view)), view.created_ns, view.id, view.project)


def sort_key(order: Order) -> Callable[[tuple[Place, Any]], Any]:
    """Return the key by which what has a place in front is sorted."""

    def compare(one: tuple[Place, Any], two: tuple[Place, Any]) -> int:
        return _compare(one[0], two[0], order.is_descending)

    return functools.cmp_to_key(compare)


def behind(placed: Sequence[tuple[Place, T]], after: Place | None, order: Order) -> Sequence[tuple[Place, T]]:
    """Return those of these, which are in order, that are behind a place."""
    if after is None:
        return placed
    low, high = 0, len(placed)
    while low < high:
        middle = (low + high) // 2
        if _compare(placed[middle][0], after, order.is_descending) <= 0:
            low = middle + 1
        else:
            high = middle
    return placed[low:]


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
    text = value if kind in (TEXT_RANK, OTHER_RANK) else repr(value)
    content = msgspec.json.encode(_Cursor(_CURSOR_VERSION, search, kind, text, created_ns, run_id, project))
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def place_of_cursor(text: str, search: str) -> Place:
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


def checked_place(place: Place) -> Place:
    """Return a place that another program names. Raises SearchError where it can be none."""
    kind, value, created_ns, run_id, project = place
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    is_of_kind = {NUMBER_RANK: is_number, TEXT_RANK: isinstance(value, str), OTHER_RANK: isinstance(value, str)}
    if kind in (NAN_RANK, NONE_RANK):
        value = 0
    elif not is_of_kind.get(kind):
        raise _wrong_cursor("a place that is none")
    if not -(1 << 63) <= created_ns < 1 << 63:
        raise _wrong_cursor("a place at no time")
    return kind, value, created_ns, run_id, project


def _cursor_value(kind: int, text: str) -> Any:
    if kind == NUMBER_RANK:
        number = int(text) if re.fullmatch(r"-?[0-9]{1,400}", text) else float(text)
        if number != number or repr(number) != text:
            raise ValueError("not as written here")
        return number
    if kind in (TEXT_RANK, OTHER_RANK):
        return text
    if kind in (NAN_RANK, NONE_RANK):
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

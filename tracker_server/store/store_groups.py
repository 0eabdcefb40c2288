"""Groups of stored runs. The database finds the runs and gives the values; `run_groups` adds them up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from ..runs.filter_match import is_value, reader_of
from ..runs.filter_tree import Filter, Path
from ..runs.run_groups import RunGroups
from ..runs.run_rows import BOOLEAN, CUT_LIST, CUT_TEXT, MAPPING, NOT_KEPT, OTHER, Stored, value_of
from ..runs.run_view import RunView
from .store_paths import Source
from .store_runs import RunKey
from .store_search import StoredSearch

_OF_KEY = ("kind", "number", "residual", "text", "rest")
_OF_VALUE = ("kind", "number")
# Kinds of which the store does not have the whole value.
_IN_VIEWS = (CUT_TEXT, CUT_LIST, OTHER)


def run_groups(
    connection: Connection,
    project: str | None,
    tree: Filter,
    by: Sequence[Path],
    values: Sequence[Path],
    without: Collection[RunKey] = (),
    only: Collection[RunKey] | None = None,
    now_s: float | None = None,
) -> RunGroups:
    """Return the stored runs that match, in groups of equal values at the paths `by`.

    The arguments are as those of `store_search.search_runs`; runs in memory may be added to what is returned.
    """
    search = StoredSearch(connection, project, tree, without, only, now_s)
    groups = RunGroups(len(values))
    sources = [search.sources.of(path) for path in (*by, *values)]
    known = [source for source in sources if source is not None]
    if len(known) < len(sources):
        for _, view in search.matching():
            _add(groups, search, by, values, view)
        return groups
    n_key = len(_OF_KEY) * len(by)
    alike: dict[Sequence[Any], list[Row[Any]]] = {}
    for row in _rows(search, known, len(by)):
        alike.setdefault(row[1 : 1 + n_key], []).append(row)
    for columns, rows in alike.items():
        key = [_value(columns[start : start + len(_OF_KEY)]) for start in range(0, n_key, len(_OF_KEY))]
        if any(value is NOT_KEPT for value in key):
            for row in rows:
                _add(groups, search, by, values, search.view(row.run_pk))
        else:
            groups.add_runs(key, len(rows), [_numbers(rows, 1 + n_key + 2 * i) for i in range(len(values))])
    return groups


def _rows(search: StoredSearch, sources: Sequence[Source], n_by: int) -> list[Row[Any]]:
    columns = []
    joined = []
    for index, source in enumerate(sources):
        alias = source.rows.alias()
        joined.append(alias)
        columns += [alias.c[name].label(f"{name}_{index}") for name in (_OF_KEY if index < n_by else _OF_VALUE)]
    return list(search.rows(columns, joined))


def _value(columns: Sequence[Any]) -> Any:
    """Return a value that is grouped by, None where there is none, or `NOT_KEPT`."""
    kind = columns[0]
    if kind is None or kind == MAPPING:
        return None
    return NOT_KEPT if kind in _IN_VIEWS else value_of(Stored(*columns))


def _numbers(rows: Sequence[Row[Any]], at: int) -> list[float]:
    """Return the numbers of these rows, whose kind is the column `at` and which are the next one."""
    return [row[at + 1] for row in rows if row[at] is not None and row[at] <= BOOLEAN]


def _add(groups: RunGroups, search: StoredSearch, by: Sequence[Path], values: Sequence[Path], view: RunView) -> None:
    found = [reader_of(path, search.contents.environment)(view) for path in (*by, *values)]
    plain = [value if is_value(value) else None for value in found]
    groups.add(plain[: len(by)], plain[len(by) :], view.state == "running")

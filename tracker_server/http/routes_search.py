"""The routes that find runs, and what runs have in common: columns, groups, metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request
from starlette.responses import Response

from ..query.folder import LocalFolder
from ..query.found_runs import Archived
from ..query.run_queries import checked_number, find_columns, find_groups, find_page, project_states, search_metrics
from ..runs.filter_syntax import parse_filter, parse_path, parse_paths
from ..runs.filter_tree import Key, Path, format_path
from ..runs.run_groups import RunGroup, Statistics
from ..runs.run_view import RunView, json_number
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .authorize import authorize
from .http_errors import json_response
from .http_models import MetricList, ProjectList, ProjectRow, RunList, run_row

_MAX_COLUMNS = 1000
_MAX_GROUPED_BY = 5
_MAX_VALUES = 20
_MAX_ROWS = 100_000
_ARCHIVED: dict[str, Archived] = {"false": False, "true": True, "only": "only"}
# Of a project no more than this is kept encoded; a longer list is asked for by pages.
_MAX_ENCODED = 5000


class ColumnRow(msgspec.Struct):
    """A key that runs have: its path as filters name it, the kinds of its values, and how many runs have it."""

    path: str
    kinds: list[str]
    n_runs: int


class ColumnList(msgspec.Struct):
    n_columns: int
    columns: list[ColumnRow]


class GroupValues(msgspec.Struct):
    """Of the finite numbers at a path; null where there are too few."""

    n: int
    mean: float | None
    std: float | None
    sem: float | None
    min: float | None
    max: float | None


class GroupRow(msgspec.Struct):
    """Runs with the same values at the paths that were grouped by; null where they have none."""

    key: list[Any]
    n_runs: int
    n_running: int
    values: dict[str, GroupValues]


class GroupList(msgspec.Struct):
    n_groups: int
    groups: list[GroupRow]


class EncodedRuns:
    """Rows of runs as encoded JSON, kept until the run changes: a list is asked for twice a second."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[RunView, msgspec.Raw]] = {}

    def row(self, view: RunView, columns: Sequence[Key] | None = None) -> msgspec.Raw:
        """Return the run's row; only that with all columns is kept."""
        if columns is not None:
            return msgspec.Raw(msgspec.json.encode(run_row(view, columns)))
        known = self._rows.get((view.project, view.id))
        if known is not None and known[0] is view:
            return known[1]
        row = msgspec.Raw(msgspec.json.encode(run_row(view)))
        if len(self._rows) >= _MAX_ENCODED:
            self._rows.clear()
        self._rows[view.project, view.id] = (view, row)
        return row


def add_search_routes(routes: RouteTable, folder: LocalFolder, prefix: str) -> None:
    """Declare the routes."""
    rows = EncodedRuns()

    @routes.add("GET", f"{prefix}/projects", Action.READ, per_project=True, **documented(ProjectList))
    def projects(request: Request) -> Response:
        principal = principal_of(request)
        rows = [row for row in _projects(folder) if authorize(principal, Action.READ, row.name)]
        return json_response(ProjectList(rows))

    @routes.add("GET", f"{prefix}/projects/{{project}}/runs", Action.READ, **documented(RunList))
    def runs(
        project: str,
        filter: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        archived: Literal["false", "true", "only"] = "false",
        columns: str | None = None,
    ) -> Response:
        shown = None if columns is None else _columns(columns)
        if filter is None and sort is None and limit is None and cursor is None:
            known, wanted = folder.catalog.decisions.archived, _ARCHIVED[archived]
            views = [
                view
                for view in folder.runs(project)
                if wanted is True or ((project, view.id) in known) == (wanted == "only")
            ]
            return json_response({"runs": [rows.row(view, shown) for view in views]})
        page = find_page(folder, project, _ARCHIVED[archived], filter, sort, limit, cursor)
        found = [rows.row(view, shown) for view in page.runs]
        return json_response({"runs": found, "n_matching": page.n_matching, "next_cursor": page.next_cursor})

    @routes.add("GET", f"{prefix}/projects/{{project}}/columns", Action.READ, **documented(ColumnList))
    def columns(project: str, search: str | None = None, limit: int = 200) -> Response:
        found, n_columns = find_columns(folder, project, search, checked_number("limit", limit, 1, _MAX_ROWS))
        return json_response(ColumnList(n_columns, [ColumnRow(*column) for column in found]))

    @routes.add("GET", f"{prefix}/projects/{{project}}/groups", Action.READ, **documented(GroupList))
    def groups(
        project: str,
        by: Annotated[list[str], Query()],
        values: Annotated[list[str] | None, Query()] = None,
        filter: str | None = None,
        limit: int = 100,
        offset: int = 0,
        archived: Literal["false", "true", "only"] = "false",
    ) -> Response:
        checked_number("limit", limit, 1, _MAX_ROWS)
        checked_number("offset", offset, 0, 1 << 53)
        paths = _paths("by", by, 1, _MAX_GROUPED_BY), _paths("values", values or [], 0, _MAX_VALUES)
        tree = parse_filter(filter or "")
        found = find_groups(folder, project, _ARCHIVED[archived], tree, *paths, time.time())
        rows = [_group(group, paths[1]) for group in found.sorted(offset, limit)]
        return json_response(GroupList(len(found), rows))

    @routes.add("GET", f"{prefix}/projects/{{project}}/metrics", Action.READ, **documented(MetricList))
    def metrics(project: str, search: str | None = None, limit: int | None = None) -> Response:
        if limit is not None:
            checked_number("limit", limit, 1, _MAX_ROWS)
        return json_response(MetricList(*search_metrics(folder, project, search, limit)))


def _projects(folder: LocalFolder) -> list[ProjectRow]:
    rows = [
        ProjectRow(name, states.total(), dict(states), updated_ns / 1e9)
        for name, (states, updated_ns) in project_states(folder).items()
    ]
    return sorted(rows, key=lambda row: (-row.updated_s, row.name))


def _columns(text: str) -> list[Key]:
    paths = parse_paths(text, "columns", _MAX_COLUMNS) if text.strip() else []
    return [path for path in paths if isinstance(path, Key)]


def _paths(where: str, texts: Sequence[str], least: int, most: int) -> list[Path]:
    checked_number(where, len(texts), least, most)
    return [parse_path(text, where) for text in texts]


def _group(group: RunGroup, paths: Sequence[Path]) -> GroupRow:
    values = {format_path(path): _values(found) for path, found in zip(paths, group.values, strict=True)}
    return GroupRow(json_number(group.key), group.n_runs, group.n_running, values)


def _values(found: Statistics) -> GroupValues:
    return GroupValues(found.n, found.mean, json_number(found.std), found.sem, found.min, found.max)

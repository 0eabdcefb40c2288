"""Find stored runs: by filter, in order, page by page. The answers are those of `run_search` over the same views."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, func, literal, or_, select, tuple_

from ..runs.filter_match import Matcher, compile_filter
from ..runs.filter_tree import Filter
from ..runs.run_rows import RANK_DIVISOR, given_text, plain_text, split_number
from ..runs.run_search import (
    NAN_RANK,
    NONE_RANK,
    NUMBER_RANK,
    Order,
    Place,
    Placed,
    SettledRuns,
    behind,
    placer_of,
    sort_key,
)
from ..runs.run_view import RunView
from .store_contents import RunContents
from .store_filter import Bounds, filter_bounds
from .store_paths import Source, Sources
from .store_runs import RunKey, run_pks_of
from .store_schema import run
from .store_sets import integer_set

_MAX_ROWS = 10_000


def search_runs(
    connection: Connection,
    project: str | None,
    tree: Filter,
    order: Order,
    after: Place | None,
    limit: int,
    without: Collection[RunKey] = (),
    only: Collection[RunKey] | None = None,
    now_s: float | None = None,
) -> list[Placed]:
    """Return stored runs that match, in this order.

    Args:
        connection: in a transaction.
        project: only its runs; None for all projects.
        tree: which runs.
        order: in which order.
        after: only those behind this place.
        limit: at most so many.
        without: none of these.
        only: only these. Default: all.
        now_s: what "2 days ago" counts from, seconds since 1970. Default: now.
    """
    return StoredSearch(connection, project, tree, without, only, now_s).page(order, after, limit)


def count_runs(
    connection: Connection,
    project: str | None,
    tree: Filter,
    without: Collection[RunKey] = (),
    only: Collection[RunKey] | None = None,
    now_s: float | None = None,
) -> int:
    """Return how many stored runs match; the arguments are as those of `search_runs`."""
    return StoredSearch(connection, project, tree, without, only, now_s).count()


def project_totals(connection: Connection, without: Collection[RunKey] = ()) -> list[tuple[str, str, int, int]]:
    """Return project, state, the number of stored runs in it, and the latest sign of life of these, in ns."""
    c = run.c
    query = select(c.project, c.state, func.count(), func.max(c.updated_ns)).where(
        *_base(connection, None, without, None)
    )
    rows = connection.execute(query.group_by(c.project, c.state))
    return [(given_text(project), state, n_runs, updated_ns) for project, state, n_runs, updated_ns in rows]


def settled_search(
    connection: Connection,
    project: str | None,
    without: Collection[RunKey] = (),
    only: Collection[RunKey] | None = None,
) -> SettledRuns:
    """Return the stored runs as `run_search.search_page` takes them; a filter is made a query once."""
    known: dict[tuple[Filter, float], StoredSearch] = {}

    def of(tree: Filter, now_s: float) -> StoredSearch:
        if (tree, now_s) not in known:
            known[tree, now_s] = StoredSearch(connection, project, tree, without, only, now_s)
        return known[tree, now_s]

    return SettledRuns(
        lambda tree, order, after, limit, now_s: of(tree, now_s).page(order, after, limit),
        lambda tree, now_s: of(tree, now_s).count(),
    )


class StoredSearch:
    """One filter on the stored runs of one project, or of all. The arguments are as those of `search_runs`."""

    def __init__(
        self,
        connection: Connection,
        project: str | None,
        tree: Filter,
        without: Collection[RunKey] = (),
        only: Collection[RunKey] | None = None,
        now_s: float | None = None,
    ) -> None:
        self.sources = Sources(connection, project)
        self._connection = connection
        self._bounds: Bounds = filter_bounds(connection, tree, self.sources, now_s)
        self._base = _base(connection, project, without, only)
        self.contents = RunContents(connection)
        self._matches: Matcher = compile_filter(tree, self.contents.environment, now_s)
        self._verdicts: dict[int, bool] = {}  # of runs that the database is not sure of

    def count(self) -> int:
        """Return how many runs match."""
        query = select(func.count()).select_from(run).where(*self._base)
        n_sure = self._connection.execute(query.where(self._bounds.sure)).scalar_one()
        if self._bounds.is_exact:
            return int(n_sure)
        unsure = select(run.c.run_pk).where(*self._base, self._bounds.maybe, ~self._bounds.sure)
        return int(n_sure) + len(self._matching(self._connection.execute(unsure).scalars().all()))

    def page(self, order: Order, after: Place | None, limit: int) -> list[Placed]:
        """Return the first `limit` runs that match behind a place."""
        source = self.sources.of(order.path)
        if source is None:
            return self._sorted_in_memory(order, after, limit)
        found: list[Placed] = []
        size = limit
        while len(found) < limit:
            rows = self._connection.execute(self._query(order, source, after).limit(size)).all()
            for start in range(0, len(rows), limit):
                found += self._placed(rows[start : start + limit], limit - len(found))
            if len(rows) < size:
                break
            after, size = _place(rows[-1]), min(2 * size, _MAX_ROWS)
        return found

    def rows(self, columns: Sequence[ColumnElement[Any]], joined: Iterable[FromClause]) -> Iterator[Any]:
        """Yield the primary key and these columns of every run that matches, joined with rows that have a run_pk."""
        source: FromClause = run
        for rows in joined:
            source = source.outerjoin(rows, rows.c.run_pk == run.c.run_pk)
        query = select(run.c.run_pk, *columns, self._is_sure()).select_from(source)
        unsure = []
        for row in self._connection.execute(query.where(*self._base, self._bounds.maybe)):
            if row.is_sure:
                yield row
            else:
                unsure.append(row)
        matching = self._matching([row.run_pk for row in unsure])
        yield from (row for row in unsure if row.run_pk in matching)

    def matching(self) -> Iterator[tuple[int, RunView]]:
        """Yield every run that matches, with its primary key; a few at a time are in memory."""
        query = select(run.c.run_pk).where(*self._base, self._bounds.maybe)
        for run_pk, view in self.contents.views(self._connection.execute(query).scalars().all()):
            if self._matches(view):
                yield run_pk, view

    def view(self, run_pk: int) -> RunView:
        """Return one run."""
        return next(self.contents.views([run_pk]))[1]

    def _is_sure(self) -> ColumnElement[bool]:
        return (literal(True) if self._bounds.is_exact else self._bounds.sure).label("is_sure")

    def _query(self, order: Order, source: Source, after: Place | None) -> Select[Any]:
        c = source.rows.c
        rank = func.coalesce(c.kind // RANK_DIVISOR, NONE_RANK)
        ties = [run.c.created_ns, run.c.run_id, run.c.project]
        query = select(run.c.run_pk, *ties, rank.label("rank"), c.number, c.residual, c.text, self._is_sure())
        query = query.select_from(run.outerjoin(source.rows, c.run_pk == run.c.run_pk))
        query = query.where(*self._base, self._bounds.maybe)
        if after is not None:
            query = query.where(_is_behind(source, rank, after, order.is_descending))
        # None that was recorded and nothing at all are one place: runs there are in order of `ties` alone.
        values = [c.number, func.coalesce(c.residual, 0), c.text]
        return query.order_by(rank, *(value.desc() if order.is_descending else value for value in values), *ties)

    def _placed(self, rows: Sequence[Row[Any]], n: int) -> list[Placed]:
        """Return the first n runs of these rows that match, with their places."""
        matching = self._matching([row.run_pk for row in rows if not row.is_sure])
        taken = [row for row in rows if row.is_sure or row.run_pk in matching][:n]
        views = dict(self.contents.views([row.run_pk for row in taken]))
        return [(_place(row), views[row.run_pk]) for row in taken]

    def _matching(self, run_pks: Sequence[int]) -> set[int]:
        """Return which of these runs match, each of which is looked at once."""
        new = [run_pk for run_pk in run_pks if run_pk not in self._verdicts]
        self._verdicts.update((run_pk, self._matches(view)) for run_pk, view in self.contents.views(new))
        return {run_pk for run_pk in run_pks if self._verdicts[run_pk]}

    def _sorted_in_memory(self, order: Order, after: Place | None, limit: int) -> list[Placed]:
        """Return the same where the database cannot sort; of all runs that match only the places are in memory."""
        placer = placer_of(order, self.contents.environment)
        places = sorted(((placer(view), run_pk) for run_pk, view in self.matching()), key=sort_key(order))
        found = behind(places, after, order)[:limit]
        views = dict(self.contents.views([run_pk for _, run_pk in found]))
        return [(place, views[run_pk]) for place, run_pk in found]


def _base(
    connection: Connection, project: str | None, without: Collection[RunKey], only: Collection[RunKey] | None
) -> list[ColumnElement[bool]]:
    conditions = [] if project is None else [run.c.project == plain_text(project)]
    refused = run_pks_of(connection, without).values()
    if refused:
        conditions.append(run.c.run_pk.not_in(integer_set(connection, refused)))
    if only is not None:
        conditions.append(run.c.run_pk.in_(integer_set(connection, run_pks_of(connection, only).values())))
    return conditions


def _place(row: Row[Any]) -> Place:
    value: Any = 0
    if row.rank == NUMBER_RANK:
        value = int(row.number) + row.residual if row.residual else row.number
    elif row.rank < NAN_RANK:
        value = given_text(row.text)
    return row.rank, value, row.created_ns, given_text(row.run_id), given_text(row.project)


def _is_behind(source: Source, rank: ColumnElement[int], after: Place, is_descending: bool) -> ColumnElement[bool]:
    """Return the condition that a run comes behind a place. A forged place is no more than another one."""
    kind, value, created_ns, run_id, project = after
    bounded_ns = max(-(1 << 63), min(created_ns, (1 << 63) - 1))
    behind_ties = tuple_(run.c.created_ns, run.c.run_id, run.c.project) > tuple_(
        literal(bounded_ns, run.c.created_ns.type), plain_text(run_id), plain_text(project)
    )
    columns: list[tuple[Any, Any]] = []
    if kind == NUMBER_RANK:
        number, residual = split_number(value)
        columns = [(source.rows.c.number, number), (source.rows.c.residual, residual)]
    elif kind < NAN_RANK:
        columns = [(source.rows.c.text, plain_text(value))]
    beyond = behind_ties
    for column, limit in reversed(columns):
        is_next = column < limit if is_descending else column > limit
        beyond = or_(is_next, and_(column == limit, beyond))
    return or_(rank > kind, and_(rank == kind, beyond))

"""Where the store has the values of a field, key or aggregate: rows with the primary key of a run and its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    case,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from ..runs.filter_tree import Field, Path
from ..runs.run_rows import FIELD, MAX_KEY_CHARACTERS, METRIC, NAN, NUMBER, is_searched, plain_text
from .store_schema import PLAIN_TEXT, run_key, run_metric, run_value

# Of so many projects the keys are named one by one.
_MAX_NAMED_KEYS = 100


@dataclass(frozen=True, slots=True)
class Source:
    """The values at one path.

    Attributes:
        rows: run_pk, kind, number, residual, text, rest; at most one row of a run, none where it has nothing there.
        n_values: how many rows there are, all projects asked for taken together.
    """

    rows: Subquery
    n_values: int
    has_numbers: bool
    has_texts: bool
    has_lists: bool
    has_long_texts: bool = True

    @property
    def is_empty(self) -> bool:
        return not self.n_values


@dataclass(frozen=True, slots=True)
class _Found:
    key_ids: Sequence[int]
    n_numbers: int
    n_texts: int
    n_lists: int
    n_all: int


class Sources:
    """The values of the stored runs of one project, or of all."""

    def __init__(self, connection: Connection, project: str | None) -> None:
        self._connection = connection
        self._project = project
        self._known: dict[Path, Source | None] = {}

    def of(self, path: Path) -> Source | None:
        """Return the values at a path; None where the store has them only within the views of the runs."""
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def _find(self, path: Path) -> Source | None:
        if isinstance(path, Field):
            return self._values(FIELD, path.name)
        flat_key = path.key if path.aggregate is None else f"{path.key}.{path.aggregate}"
        is_kept = path.root != "environment" or is_searched(path.key)
        if not is_kept or len(flat_key) > MAX_KEY_CHARACTERS:
            return None
        if path.aggregate is not None:
            return self._aggregates(path.key, path.aggregate, flat_key)
        return self._values(path.root, path.key)

    def _values(self, root: str, key: str) -> Source:
        found = self._keys(root, key)
        rows = _value_rows(self._named(found, root, key)).subquery()
        return Source(rows, found.n_all, found.n_numbers > 0, found.n_texts > 0, found.n_lists > 0)

    def _aggregates(self, key: str, aggregate: str, flat_key: str) -> Source:
        metrics, values = self._keys(METRIC, key), self._keys("summary", flat_key)
        of_metric = self._named(metrics, METRIC, key)
        rows: Any = _metric_rows(of_metric, aggregate)
        if values.n_all and not metrics.n_all:
            rows = _value_rows(self._named(values, "summary", flat_key))
        elif values.n_all:
            has_metric = select(run_metric.c.run_pk).where(of_metric(run_metric.c.key_id))
            others = _value_rows(self._named(values, "summary", flat_key)).where(run_value.c.run_pk.not_in(has_metric))
            rows = union_all(rows, others)
        n_all = metrics.n_all + values.n_all
        return Source(rows.subquery(), n_all, True, values.n_texts > 0, values.n_lists > 0, values.n_texts > 0)

    def _keys(self, root: str, key: str) -> _Found:
        c = run_key.c
        query = select(
            c.key_id, c.n_numbers + c.n_booleans, c.n_texts, c.n_lists, c.n_nones + c.n_mappings, c.n_metrics
        )
        query = query.where(c.root == root, c.key == plain_text(key))
        if self._project is not None:
            query = query.where(c.project == plain_text(self._project))
        rows = self._connection.execute(query).all()
        n_numbers, n_texts, n_lists, n_others, n_metrics = (sum(row[i] for row in rows) for i in range(1, 6))
        n_all = n_numbers + n_texts + n_lists + n_others + n_metrics
        return _Found([row[0] for row in rows], n_numbers, n_texts, n_lists, n_all)

    def _named(self, found: _Found, root: str, key: str) -> _OfKeys:
        return _OfKeys(found.key_ids, root, plain_text(key))


@dataclass(frozen=True, slots=True)
class _OfKeys:
    """The condition that a column holds the id of one of these keys."""

    key_ids: Sequence[int]
    root: str
    key: str

    def __call__(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        if len(self.key_ids) == 1:
            return column == self.key_ids[0]
        if len(self.key_ids) <= _MAX_NAMED_KEYS:
            return column.in_(self.key_ids)
        return column.in_(select(run_key.c.key_id).where(run_key.c.root == self.root, run_key.c.key == self.key))


def _value_rows(of_keys: _OfKeys) -> Select[Any]:
    c = run_value.c
    return select(c.run_pk, c.kind, c.number, c.residual, c.text, c.rest).where(of_keys(c.key_id))


def _metric_rows(of_keys: _OfKeys, aggregate: str) -> Select[Any]:
    c = run_metric.c
    number = c[aggregate]
    kind = case((number.is_(None), literal_column(str(NAN), Integer)), else_=literal_column(str(NUMBER), Integer))
    residual = literal_column("0", Integer) if aggregate == "mean" else c[f"{aggregate}_residual"]
    no_text = cast(null(), PLAIN_TEXT)
    return select(
        c.run_pk,
        kind.label("kind"),
        number.label("number"),
        residual.label("residual"),
        no_text.label("text"),
        no_text.label("rest"),
    ).where(of_keys(c.key_id))

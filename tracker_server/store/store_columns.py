"""Which keys and metrics stored runs have. Counted while runs are written, so that asking reads no run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from ..runs.filter_tree import ROOTS
from ..runs.metric_search import MetricRow
from ..runs.run_rows import METRIC, StoredKey, given_text, plain_text
from .store_schema import run_key
from .store_sets import text_set

_KINDS = {"number": "n_numbers", "boolean": "n_booleans", "text": "n_texts", "list": "n_lists", "none": "n_nones"}


def run_columns(connection: Connection, project: str) -> dict[StoredKey, Counter[str]]:
    """Return the keys of a project's stored runs, and how many runs have there a value of which kind.

    Kinds are number, boolean, text, list and none. Mappings are no values.
    """
    c = run_key.c
    query = select(c.root, c.key, *(c[name] for name in _KINDS.values()))
    query = query.where(c.project == plain_text(project), c.root.in_(ROOTS))
    found = {}
    for root, key, *counts in connection.execute(query):
        kinds = Counter({kind: n for kind, n in zip(_KINDS, counts, strict=True) if n})
        if kinds:
            found[StoredKey(root, given_text(key))] = kinds
    return found


def project_metric_keys(connection: Connection, project: str) -> Iterator[str]:
    """Yield the names of all metrics of a project's stored runs."""
    c = run_key.c
    query = select(c.key).where(c.project == plain_text(project), c.root == METRIC, c.n_metrics > 0)
    for key in connection.execute(query, execution_options={"yield_per": 1000}).scalars():
        yield given_text(key)


def project_metrics(connection: Connection, project: str, keys: Iterable[str]) -> list[MetricRow]:
    """Return those of these metrics that stored runs of a project have."""
    c = run_key.c
    query = select(c.key, c.n_metrics, c.n_points, c.step_metric, c.goal, c.is_hidden)
    query = query.where(c.project == plain_text(project), c.root == METRIC, c.n_metrics > 0)
    wanted = text_set(connection, map(plain_text, keys))
    return [
        MetricRow(given_text(key), n_runs, n_points, step and given_text(step), goal and given_text(goal), hidden)
        for key, n_runs, n_points, step, goal, hidden in connection.execute(query.where(c.key.in_(wanted)))
    ]

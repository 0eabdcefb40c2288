"""Runs and trees that the tests of filters share."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from tracker_core.metrics import MetricStats
from tracker_server.runs.filter_tree import (
    AGGREGATES,
    FIELDS,
    TIME_FIELDS,
    And,
    Compare,
    Exists,
    Field,
    Filter,
    In,
    Key,
    Literal,
    Match,
    Not,
    all_of,
    any_of,
)
from tracker_server.runs.run_view import MetricView, RunView

T0_NS = 1_700_000_000_000_000_000


def metric(key: str, *values: float) -> MetricView:
    stats = MetricStats()
    for value in values:
        stats.add(value)
    return MetricView(key, stats, False, None, None, False)


def view(id: str = "a", metrics: tuple[MetricView, ...] = (), **fields: Any) -> RunView:
    """Return a run; what is not said is as of a run that has just begun."""
    plain: dict[str, Any] = {
        "project": "p",
        "entity": "local",
        "name": id,
        "state": "running",
        "created_ns": T0_NS,
        "ended_ns": None,
        "updated_ns": T0_NS,
        "attempt": 1,
        "exit_code": None,
        "error": None,
        "is_suspended": False,
        "is_preempting": False,
    }
    plain |= dict.fromkeys(("group", "job_type", "notes", "host", "signal"), "")
    plain |= {name: [] for name in ("tags", "clock_jumps", "signals", "sessions", "damage", "journals")}
    counts = "n_rows n_dropped n_suspensions suspended_ns n_clock_jumps n_console_left_out n_unknown".split()
    plain |= dict.fromkeys(counts, 0)
    plain |= {"config": {}, "summary": {}, "metrics": {found.key: found for found in metrics}}
    return RunView(id=id, **(plain | fields))


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
_NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -0.0, 1e-3, 1e300, math.inf, -math.inf, math.nan]))
SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, st.sampled_from(["a", "b", "ab", ""]), _TEXT)
_NAMES = st.one_of(st.sampled_from(["a", "b", "a.b", "val/loss", "min", "a.min", "in", "größe", 'q"', ""]), _TEXT)
PATHS = st.one_of(
    st.builds(Field, st.sampled_from([name for name in FIELDS if name not in TIME_FIELDS])),
    st.builds(Key, st.sampled_from(["config", "summary", "environment"]), _NAMES),
    st.builds(Key, st.just("summary"), _NAMES, st.sampled_from(AGGREGATES)),
)
_LISTS = st.lists(SCALARS, max_size=3).map(lambda items: Literal(tuple(items)))
_LEAVES = st.one_of(
    st.builds(Exists, PATHS),
    st.builds(Compare, PATHS, st.sampled_from(["==", "!="]), st.one_of(st.builds(Literal, SCALARS), _LISTS, PATHS)),
    st.builds(Compare, PATHS, st.sampled_from(["<", "<=", ">", ">="]), st.one_of(st.builds(Literal, SCALARS), PATHS)),
    st.builds(Match, PATHS, st.sampled_from(["a", "^a", "b$", "a.*b", ".", r"\d+", ""]), st.booleans()),
    st.builds(In, st.one_of(PATHS, st.builds(Literal, SCALARS)), PATHS, st.booleans()),
    st.builds(In, PATHS, _LISTS, st.booleans()),
)
TREES: st.SearchStrategy[Filter] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=8,
)

_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(SCALARS, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "a.b", "min"]), inner, max_size=3)
    ),
    max_leaves=4,
)
MAPPINGS = st.dictionaries(_NAMES, _VALUES, max_size=4)
VIEWS = st.builds(
    view,
    st.sampled_from(["a", "b"]),
    st.lists(st.builds(metric, _NAMES, _NUMBERS, _NUMBERS), max_size=2).map(tuple),
    config=MAPPINGS,
    summary=MAPPINGS,
    tags=st.lists(st.sampled_from(["a", "b", "ab"]), max_size=2),
    state=st.sampled_from(["running", "finished"]),
    exit_code=st.sampled_from([None, 0, 1]),
    n_rows=st.integers(0, 3),
)

__all__ = ["MAPPINGS", "T0_NS", "TREES", "VIEWS", "And", "metric", "view"]

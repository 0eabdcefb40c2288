"""Runs with hostile values, for tests of what the store finds."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from tracker_server.runs.filter_tree import (
    AGGREGATES,
    FIELDS,
    TIME_FIELDS,
    Compare,
    Exists,
    Field,
    In,
    Key,
    Literal,
    Match,
    Not,
    all_of,
    any_of,
)
from tracker_server.runs.run_rows import RunRow
from tracker_server.runs.run_view import RunView

from .filter_cases import T0_NS, metric, view

INTEGERS = [2**53, 2**53 + 1, -(2**53) - 1, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0, 1, -1]
FLOATS = [0.5, -0.0, 1e-3, 1e300, 5e-324, math.inf, -math.inf, math.nan, 2.0**53, 2.0**63]
TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "%",
    "_",
    "a%",
    "'",
    '"',
    "\0",
    "\1",
    "a\0",
    "a\1b",
    "\2",
    "\ue000",
    "\U0001f600",
    "ö",
    "ﬀ",
]
TEXTS += ["x" * n for n in (199, 200, 201, 4199, 4200, 4201, 4300)] + [
    "x" * 200 + "y",
    "x" * 4200 + "y",
    "'; DROP TABLE run",
]
# By their numbers, lest every failure tell all of them.
FROM_TEXTS = st.integers(0, len(TEXTS) - 1).map(TEXTS.__getitem__)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from(INTEGERS), st.sampled_from(FLOATS))
_PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, FROM_TEXTS, _PLAIN)
NAMES = st.sampled_from(["a", "b", "a.b", "a.b.a", "a.min", "min", "val/loss", 'q"', "ö", "", ".", "a\0", "k" * 500])
LISTS = st.one_of(
    st.lists(SCALARS, max_size=3), st.sampled_from([[1] * 51, ["x" * 201], ["x" * 5000], [[1], {"a": 1}]])
)
VALUES = st.recursive(
    st.one_of(SCALARS, LISTS),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b", "min"]), inner, max_size=3),
    max_leaves=4,
)
MAPPINGS = st.dictionaries(NAMES, VALUES, max_size=4)
_INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([T0_NS, T0_NS + 1]))
VIEWS = st.builds(
    view,
    st.sampled_from(["a", "b"]),
    st.lists(st.builds(metric, NAMES, NUMBERS, NUMBERS), max_size=2).map(tuple),
    project=st.sampled_from(["p", "p", "q"]),
    name=FROM_TEXTS,
    notes=FROM_TEXTS,
    config=MAPPINGS,
    summary=MAPPINGS,
    tags=st.lists(FROM_TEXTS, max_size=2),
    state=st.sampled_from(["finished", "failed"]),
    exit_code=st.sampled_from([None, 0, 1]),
    created_ns=_INT64,
    ended_ns=st.one_of(st.none(), _INT64),
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(["user", "command", "git", "git.commit", "packages", "a"]),
    st.one_of(VALUES, st.just({"commit": "abc"}), st.just(["python", "a b.py"]), st.just("ann")),
    max_size=3,
)

PATHS = st.one_of(
    st.builds(Field, st.sampled_from([name for name in FIELDS if name not in TIME_FIELDS])),
    st.builds(Key, st.sampled_from(["config", "summary"]), NAMES),
    st.builds(Key, st.just("environment"), st.sampled_from(["user", "git", "git.commit", "packages", "a", "a.b"])),
    st.builds(Key, st.just("summary"), NAMES, st.sampled_from(AGGREGATES)),
)
_TIMES = st.builds(Field, st.sampled_from(TIME_FIELDS))
_TIME_LITERALS = st.sampled_from(["2023-11-14T22:13:20+00:00", "2 days ago", "no time", T0_NS / 1e9, 0, None])
_BIG = st.sampled_from([10**400, -(10**400), 2**64, 2**100])
_LITERALS = st.builds(Literal, st.one_of(SCALARS, _BIG, st.lists(SCALARS, max_size=3).map(tuple)))
_OPTIONS = st.lists(st.one_of(SCALARS, _BIG), max_size=4).map(lambda items: Literal(tuple(items)))


_PATTERNS = st.sampled_from(["a", "^a", "b$", "x{200}", "y$", ".", r"\x00", "", "(?i)A", "%"])
_LEAVES = st.one_of(
    st.builds(Exists, PATHS),
    st.builds(Compare, PATHS, st.sampled_from(["==", "!="]), st.one_of(_LITERALS, PATHS)),
    st.builds(Compare, PATHS, st.sampled_from(["<", "<=", ">", ">="]), st.one_of(_LITERALS, PATHS)),
    st.builds(Compare, _TIMES, st.sampled_from(["==", "!=", "<", ">="]), _TIME_LITERALS.map(Literal)),
    st.builds(Match, PATHS, _PATTERNS, st.booleans()),
    st.builds(In, st.one_of(PATHS, st.builds(Literal, SCALARS)), PATHS, st.booleans()),
    st.builds(In, PATHS, _OPTIONS, st.booleans()),
)
TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=6,
)


def rows_of(views: list[RunView], environments: list[dict[str, Any]]) -> list[RunRow]:
    return [RunRow(run, found, [("a", 1)]) for run, found in zip(views, environments, strict=True)]

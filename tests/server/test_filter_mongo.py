"""Filters and orders as users of wandb write them mean the same as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_core.filters import matches
from tracker_server.runs.filter_match import compile_filter
from tracker_server.runs.filter_mongo import order_of, tree_of_mongo
from tracker_server.runs.filter_syntax import SearchError, parse_filter
from tracker_server.runs.filter_tree import Field, Key, format_filter

from .filter_cases import SCALARS, VIEWS

_FIELDS = st.sampled_from(
    "name display_name state tags exit_code config.a config.a.b summary.b summary_metrics.a".split()
)
_OPERATORS = st.one_of(
    st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), SCALARS, min_size=1, max_size=2),
    st.fixed_dictionaries({}, optional={"$in": st.lists(SCALARS, max_size=3), "$nin": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
)
_CONDITIONS = st.dictionaries(_FIELDS, st.one_of(SCALARS, _OPERATORS), min_size=1, max_size=2)
_FILTERS = st.recursive(
    _CONDITIONS,
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=4,
)


@given(filters=_FILTERS, run=VIEWS)
def test_a_dict_as_a_tree_means_what_it_means_as_a_dict(filters, run):
    tree = tree_of_mongo(filters)
    if tree is not None:
        assert compile_filter(tree)(run) is matches(run, filters)
        assert parse_filter(format_filter(tree)) == tree


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({}, ""),
        ({"state": "finished", "config.lr": {"$lt": 1e-3}}, 'state == "finished" and config.lr < 0.001'),
        ({"tags": {"$in": ["a", "b"]}}, 'tags in ["a", "b"]'),
        ({"tags": {"$nin": ["a"]}}, 'not tags in ["a"]'),
        ({"config.x": {"$ne": 3}}, "not config.x == 3"),
        ({"$or": [{"config.lr.value": 1}, {"jobType": "eval"}]}, 'config.lr == 1 or job_type == "eval"'),
        ({"$nor": [{"state": "failed"}]}, 'not state == "failed"'),
        ({"summary_metrics.loss": {"$gt": 0.5, "$exists": True}}, "summary.loss > 0.5 and summary.loss exists"),
        ({"display_name": {"$regex": "^res"}}, 'name ~ "^res"'),
        ({"created_at": {"$gt": "2026-01-31"}}, 'created > "2026-01-31"'),
        ({"metadata.git.commit": "abc"}, 'environment.git.commit == "abc"'),
    ],
)
def test_a_dict_is_this_text(filters, text):
    tree = tree_of_mongo(filters)
    assert tree is not None and format_filter(tree) == text


@pytest.mark.parametrize(
    "filters",
    [
        {"config.x": {"a": 1}},
        {"config.x": [1]},
        {"config.x": {"$near": 1}},
        {"config.x": float("nan")},
        {"name": {"$regex": "(?=a)"}},
        {"name": {"$regex": "\ud800"}},
        {"nope": 1},
        {"$or": []},
        {"created_ns": 5},
        {"created_at": {"$gt": "soon"}},
    ],
)
def test_what_the_language_has_no_words_for_stays_a_dict(filters):
    assert tree_of_mongo(filters) is None


@pytest.mark.parametrize(
    ("text", "path", "is_descending"),
    [
        (None, Field("created"), True),
        ("-created_at", Field("created"), True),
        ("+created_at", Field("created"), False),
        ("display_name", Field("name"), False),
        ("-summary.val/loss", Key("summary", "val/loss"), True),
        ("summary.val/loss.min", Key("summary", "val/loss", "min"), False),
        ("-summary_metrics.loss", Key("summary", "loss"), True),
        ('summary["val/loss"].min:desc', Key("summary", "val/loss", "min"), True),
        ("config.lr:asc", Key("config", "lr"), False),
        ('-config["a b"]', Key("config", "a b"), True),
    ],
)
def test_an_order_is_a_key_and_a_direction(text, path, is_descending):
    order = order_of(text)
    assert (order.path, order.is_descending) == (path, is_descending)


def test_an_order_by_nothing_that_there_is_names_what_there_is():
    with pytest.raises(SearchError, match=r"did you mean config\.lr"):
        order_of("-lr")

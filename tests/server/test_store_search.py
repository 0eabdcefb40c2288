"""What the database answers is what memory answers: filters, orders, pages, counts and groups of stored runs."""

from __future__ import annotations

import math
import os
import random
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import StaticPool

from tracker_server.runs.filter_match import compile_filter, is_value, reader_of
from tracker_server.runs.filter_syntax import parse_filter
from tracker_server.runs.filter_tree import EVERY_RUN, Compare, Field, In, Key, Literal, any_of
from tracker_server.runs.metric_search import MetricRow
from tracker_server.runs.run_groups import RunGroups
from tracker_server.runs.run_search import (
    NEWEST_FIRST,
    Order,
    Search,
    behind,
    matching_runs,
    page_of,
    place_of_cursor,
    placed_runs,
)
from tracker_server.store.store_columns import project_metric_keys, project_metrics, run_columns
from tracker_server.store.store_groups import run_groups
from tracker_server.store.store_postgres import make_engine, parse_url
from tracker_server.store.store_runs import (
    project_list,
    read_run,
    read_runs,
    remove_runs,
    settled_runs,
    write_runs,
)
from tracker_server.store.store_schema import metadata, run_key, run_metric, run_value
from tracker_server.store.store_search import count_runs, search_runs, settled_search

from .filter_cases import T0_NS, metric, view
from .stored_runs import ENVIRONMENTS, PATHS, TREES, VIEWS, rows_of

NOW_S = T0_NS / 1e9 + 86_400
N_EXAMPLES = int(os.environ.get("TRACKER_TEST_EXAMPLES", "100"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request):
    if request.param == "sqlite":
        engine = create_engine("sqlite+pysqlite://", poolclass=StaticPool)
    else:
        engine = make_engine(parse_url(request.getfixturevalue("postgres").new_database()))
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def connection(database):
    """A transaction that is rolled back."""
    with database.begin() as transaction:
        yield database
        transaction.rollback()


def unique(views):
    return [msgspec.structs.replace(run, id=f"{run.id}{i}") for i, run in enumerate(views)]


def packed(views):
    """Return runs such that NaN equals NaN."""
    return [msgspec.msgpack.encode(run) for run in views]


def store(connection, *views, environments=None):
    write_runs(connection, rows_of(list(views), environments or [{} for _ in views]))


def found(connection, text, project="p", order=NEWEST_FIRST):
    placed = search_runs(connection, project, parse_filter(text), order, None, 1000)
    return "".join(run.id for _, run in placed)


MANY = st.lists(st.tuples(VIEWS, ENVIRONMENTS, st.booleans()), max_size=6)
ORDERS = st.builds(Order, PATHS, st.booleans())


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(deadline=None, max_examples=N_EXAMPLES)
@given(runs=MANY, tree=TREES, order=ORDERS, project=st.sampled_from(["p", None]), size=st.integers(1, 3))
def test_pages_of_stored_and_live_runs_are_those_of_memory(database, runs, tree, order, project, size):
    views = unique([run for run, _, _ in runs])
    environments = {run.id: environment for run, (_, environment, _) in zip(views, runs, strict=True)}
    live = [run for run, (_, _, is_live) in zip(views, runs, strict=True) if is_live]
    stored = [run for run in views if run not in live]
    in_project = [run for run in views if project in (None, run.project)]
    expected = matching_runs(in_project, tree, order, lambda run: environments[run.id], NOW_S)
    search = Search(tree, order, "search", NOW_S)
    with database.begin() as transaction:
        # A stored run that became live again is answered from memory alone.
        store(database, *stored, *live[:1], environments=[environments[run.id] for run in [*stored, *live[:1]]])
        settled = settled_search(database, project, without=[(run.project, run.id) for run in live])
        of_live = [run for run in live if project in (None, run.project)]
        pages, after = [], None
        while True:
            page = page_of(search, of_live, after, size, lambda run: environments[run.id], settled)
            assert len(page.runs) <= size and page.n_matching == len(expected)
            pages += page.runs
            if page.next_cursor is None:
                break
            after = place_of_cursor(page.next_cursor, "search")
        transaction.rollback()
    assert packed(pages) == packed(expected)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(deadline=None, max_examples=N_EXAMPLES // 2)
@given(runs=MANY, tree=TREES, by=st.lists(PATHS, min_size=1, max_size=2), values=st.lists(PATHS, max_size=2))
def test_groups_of_stored_runs_are_those_of_memory(database, runs, tree, by, values):
    views = unique([run for run, _, _ in runs])
    environments = {run.id: environment for run, (_, environment, _) in zip(views, runs, strict=True)}
    expected = RunGroups(len(values))
    for run in matching_runs(views, tree, NEWEST_FIRST, lambda run: environments[run.id], NOW_S):
        found = [reader_of(path, lambda run: environments[run.id])(run) for path in (*by, *values)]
        plain = [value if is_value(value) else None for value in found]
        expected.add(plain[: len(by)], plain[len(by) :])
    with database.begin() as transaction:
        store(database, *views, environments=list(environments.values()))
        actual = run_groups(database, None, tree, by, values, now_s=NOW_S)
        transaction.rollback()
    assert [plainly(group) for group in actual.sorted()] == [plainly(group) for group in expected.sorted()]


def plainly(group):
    """Return what is told of a group; -0.0 is 0.0, and sums may be added in any order."""
    values = [[None if x is None else pytest.approx(x, rel=1e-9) for x in vars_of(found)] for found in group.values]
    return str(group.key).replace("-0.0", "0.0"), group.n_runs, group.n_running, values


def vars_of(found):
    return found.n, found.mean, found.std, found.sem, found.min, found.max


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(deadline=None, max_examples=N_EXAMPLES // 2)
@given(runs=MANY)
def test_a_run_is_read_back_as_it_was_and_removed_without_a_trace(database, runs):
    views = unique([run for run, _, _ in runs])
    with database.begin() as transaction:
        store(database, *views, environments=[environment for _, environment, _ in runs])
        assert packed([read_run(database, run.project, run.id) for run in views]) == packed(views)
        newest_first = sorted(views, key=lambda run: (-run.created_ns, run.id))
        assert packed(read_runs(database)) == packed(newest_first)
        assert {run.key for run in settled_runs(database)} == {(run.project, run.id) for run in views}
        store(database, *views[:2])  # again
        remove_runs(database, [(run.project, run.id) for run in views] + [("p", "none")])
        assert not list(read_runs(database)) and not project_list(database)
        for table in (run_value, run_metric):
            assert database.execute(select(func.count()).select_from(table)).scalar() == 0
        counts = [column for column in run_key.c if column.name.startswith("n_")]
        assert not any(any(row) for row in database.execute(select(*counts)))
        transaction.rollback()


TEN = [
    view(f"r{i}", config={"x": i, "text": "x" * 5000 if i == 3 else str(i)}, created_ns=T0_NS + i) for i in range(10)
]


def test_long_texts_are_looked_at_whole(connection):
    store(connection, *TEN)
    assert found(connection, "config.text ~ '^x{1000}'") == "r3" == found(connection, f"config.text > '{'x' * 4500}'")
    assert count_runs(connection, "p", parse_filter("config.text !~ 'x'")) == 9


def test_runs_may_be_left_out_or_be_the_only_ones(connection):
    store(connection, *TEN)
    tree = parse_filter("config.x < 5")
    assert count_runs(connection, "p", tree, without=[("p", "r1"), ("p", "gone"), ("q", "r2")]) == 4
    many = [("p", f"r{i}") for i in range(1, 50_000)]
    assert count_runs(connection, "p", tree, without=many) == 1
    assert count_runs(connection, "p", tree, only=many) == 4
    assert count_runs(connection, "p", tree, only=[]) == 0


def test_a_recorded_none_and_no_value_at_all_are_one_place_in_an_order(connection):
    views = [view(f"a{n}", config={"x": None} if n == 2 else {}) for n in range(5)]
    store(connection, *views)
    order = Order(Key("config", "x"), False)
    assert found(connection, "", order=order) == "a0a1a2a3a4"
    after, pages = None, []
    while placed := search_runs(connection, "p", EVERY_RUN, order, after, 1):
        pages += [run.id for _, run in placed]
        after = placed[-1][0]
    assert pages == ["a0", "a1", "a2", "a3", "a4"]


def test_more_options_than_a_statement_takes_parameters_are_answered(connection):
    store(connection, *TEN)
    ids = In(Field("id"), Literal(tuple(f"r{i}" for i in range(5, 60_000))))
    numbers = In(Key("config", "x"), Literal(tuple(range(8, 60_000))))
    assert count_runs(connection, "p", ids) == 5 and count_runs(connection, "p", numbers) == 2
    long = any_of([Compare(Key("config", "x"), "==", Literal(i + 0.5)) for i in range(10_000)] + [numbers])
    assert count_runs(connection, "p", long) == 2


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(["config.x == 1"] * 500),
        " and ".join(f"config.x != {i + 20}" for i in range(500)),
        "not (" * 24 + "config.x == 1" + ")" * 24,
        "config.x in [" + ",".join(map(str, range(2000))) + "]",
        " or ".join(f"config.text ~ '{i}'" for i in range(50)),
        "config[\"'; DROP TABLE run; --\"] exists or name == \"' OR 1=1 --\" or '%' in name or '_' in name",
    ],
)
def test_filters_at_their_bounds_are_answered(connection, text):
    store(connection, *TEN)
    tree = parse_filter(text)
    matches = compile_filter(tree)
    assert count_runs(connection, "p", tree) == sum(map(matches, TEN))


def test_any_place_is_a_place(connection):
    store(connection, *TEN, view("text", config={"x": "a"}), view("none"))
    for order in (Order(Key("config", "x")), Order(Key("config", "x"), True), Order(Key("config", "y"))):
        for place in (
            (0, 10**400, 0, "", ""),
            (0, -math.inf, 2**70, "\0", "'"),
            (1, "\0" * 300, -(2**80), "a\1", "p"),
            (3, 0, 0, "", ""),
            (4, 0, T0_NS, "none", "p"),
        ):
            views = [*TEN, view("text", config={"x": "a"}), view("none")]
            expected = behind(placed_runs(views, EVERY_RUN, order), place, order)
            placed = search_runs(connection, "p", EVERY_RUN, order, place, 100)
            assert [run.id for _, run in placed] == [run.id for _, run in expected]


def test_projects_are_counted(connection):
    store(connection, *TEN, view("a", project="q", updated_ns=5, state="failed"))
    assert sorted(project_list(connection)) == [("p", 10, T0_NS), ("q", 1, 5)]


def test_columns_and_metrics_are_counted(connection):
    views = [
        view("a", (metric("loss", 1.0, 2.0),), config={"lr": 1, "m": {"d": "x"}}, summary={"loss": 2.0}),
        view("b", (metric("loss", 1.0),), config={"lr": True, "l": [1], "n": None}),
    ]
    store(connection, *views)
    columns = run_columns(connection, "p")
    assert {f"{key.root}.{key.key}": dict(kinds) for key, kinds in columns.items()} == {
        "config.lr": {"number": 1, "boolean": 1},
        "config.m.d": {"text": 1},
        "config.l": {"list": 1},
        "config.n": {"none": 1},
        "summary.loss": {"number": 1},
    }
    assert list(project_metric_keys(connection, "p")) == ["loss"]
    assert project_metrics(connection, "p", ["loss", "acc"]) == [MetricRow("loss", 2, 3, None, None, False)]
    remove_runs(connection, [("p", "a")])
    assert "config.m.d" not in {f"{key.root}.{key.key}" for key in run_columns(connection, "p")}


def test_servers_that_settle_the_same_runs_at_once_wait_for_each_other(postgres):
    engine = make_engine(parse_url(postgres.new_database()))
    metadata.create_all(engine)
    views = [view(f"r{i}", (metric("loss", 1.0),), config={f"k{j}": j for j in range(20)}) for i in range(5)]

    def settle(number):
        for _ in range(5):
            with engine.begin() as connection:
                store(connection, *random.Random(number).sample(views, 5))
            with engine.begin() as connection:
                remove_runs(connection, [("p", f"r{number}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, range(4)))
    with engine.begin() as connection:
        left = {run.key for run in settled_runs(connection)}
        assert ("p", "r4") in left
        assert all(kinds == {"number": len(left)} for kinds in run_columns(connection, "p").values())
        remove_runs(connection, left)
        assert not run_columns(connection, "p")
    engine.dispose()

"""Runs found, ordered and paged: in memory, over HTTP, on the command line and through `Api`."""

from __future__ import annotations

import base64
import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.api import Api
from tracker_core.errors import UsageError
from tracker_server.cli import main
from tracker_server.runs.filter_syntax import SearchError
from tracker_server.runs.run_search import search_page

from .conftest import Journal
from .filter_cases import T0_NS, VIEWS, metric, view

RUNS = "/api/v1/projects/p/runs"


def ids(page):
    return [run.id for run in page.runs]


def order_of_values(values, sort):
    views = [view(str(i), config={} if value is ... else {"x": value}) for i, value in enumerate(values)]
    return [int(id) for id in ids(search_page(reversed(views), sort=sort))]


MIXED = [math.nan, "b", 3, ..., None, "a", -math.inf, [2], True, math.inf, [1], 2.5]


def test_numbers_then_text_then_the_rest_and_what_has_no_value_last():
    assert order_of_values(MIXED, "config.x") == [6, 8, 11, 2, 9, 5, 1, 10, 7, 0, 3, 4]
    assert order_of_values(MIXED, "config.x:asc") == order_of_values(MIXED, "config.x")


def test_descending_keeps_what_has_no_value_last():
    assert order_of_values(MIXED, "config.x:desc") == [9, 2, 11, 8, 6, 1, 5, 7, 10, 0, 3, 4]


def test_ties_go_by_start_then_id_in_both_directions():
    views = [view("b", created_ns=1), view("a", created_ns=2), view("c", created_ns=1)]
    assert ids(search_page(views, sort="state")) == ids(search_page(views, sort="state:desc")) == ["b", "c", "a"]


def test_without_an_order_the_newest_come_first():
    assert ids(search_page([view("a", created_ns=1), view("b", created_ns=2)])) == ["b", "a"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("summary['val/loss'].min", "ab"), ("summary['val/loss'].max:desc", "ab"), ("summary['val/loss'].last", "ba")],
)
def test_runs_are_ordered_by_aggregates_of_a_metric(sort, expected):
    views = [view("a", (metric("val/loss", 0.0, 9.0, 5.0),)), view("b", (metric("val/loss", 1.0, 4.0),))]
    assert "".join(ids(search_page(views, sort=sort))) == expected


# -- pages


def all_pages(views, limit, **search):
    found, cursor = [], None
    while True:
        page = search_page(views, limit=limit, cursor=cursor, **search)
        assert len(page.runs) <= limit
        found += page.runs
        cursor = page.next_cursor
        if cursor is None:
            return found


SORTS = st.sampled_from(["config.a", "config.a:desc", "summary.b.max:desc", "tags", "exit_code", "name:desc", None])


@settings(deadline=None)
@given(
    views=st.lists(VIEWS, max_size=8), sort=SORTS, limit=st.integers(1, 4), filter=st.sampled_from(["", "id == 'a'"])
)
def test_pages_one_after_another_are_the_whole(views, sort, limit, filter):
    views = [msgspec.structs.replace(run, id=f"{run.id}{i}") for i, run in enumerate(views)]
    whole = search_page(views, filter, sort, limit=1000)
    assert whole.n_matching == len(whole.runs) and whole.next_cursor is None
    assert all_pages(views, limit, filter=filter, sort=sort) == whole.runs


def test_runs_added_between_pages_shift_nothing():
    views = [view(str(i), created_ns=i, n_rows=i % 3) for i in range(10)]
    first = search_page(views, sort="n_rows", limit=4)
    before = [view(f"new{i}", created_ns=0, n_rows=0) for i in range(5)]
    after = [view("late", created_ns=99, n_rows=9)]
    rest = search_page([*views, *before, *after], sort="n_rows", cursor=first.next_cursor)
    assert ids(first) + ids(rest) == [*ids(search_page(views, sort="n_rows")), "late"]


def test_the_last_run_of_a_page_may_go():
    views = [view(str(i), created_ns=i) for i in range(4)]
    first = search_page(views, sort="created", limit=2)
    assert ids(search_page([views[0], *views[2:]], sort="created", cursor=first.next_cursor)) == ["2", "3"]


def test_a_cursor_is_of_one_search():
    views = [view(str(i)) for i in range(4)]
    cursor = search_page(views, "n_rows == 0", "id", limit=2).next_cursor
    assert ids(search_page(views, " n_rows == 0 ", "id:asc", cursor=cursor)) == ["2", "3"]
    for filter, sort in (("", "id"), ("n_rows == 0", "id:desc"), ("n_rows == 0", "name"), ("n_rows == 0", None)):
        with pytest.raises(SearchError, match="another search"):
            search_page(views, filter, sort, cursor=cursor)


def test_very_long_text_makes_no_long_cursor():
    views = [view(str(i), name="x" * 100_000) for i in range(3)]
    cursor = search_page(views, sort="name", limit=1).next_cursor
    assert len(cursor) < 600 and ids(search_page(views, sort="name", cursor=cursor)) == ["1", "2"]


def encoded(*fields):
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def forged():
    good = search_page([view("a"), view("b")], sort="id", limit=1).next_cursor
    fields = json.loads(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    for index, values in enumerate(
        [(2, "1", None), ("0" * 16, 3), (-1, 5, 9, "0", None), (0, None), ("x", 1.5, None), (7, []), ({}, None)]
    ):
        for value in values:
            yield encoded(*fields[:index], value, *fields[index + 1 :])
    for text in ("nan", "x", "", "1; DROP TABLE runs", "9" * 500, "0x10", "\u0661", "1.50", "+1"):
        yield encoded(*fields[:2], 0, text, *fields[4:])
    yield from (good[:-2], good + "A", "A" * 5000, "%", "..", "' OR 1=1 --", "é", "\ud800", " ", encoded(), "bnVsbA")


@pytest.mark.parametrize("cursor", list(forged()))
def test_a_forged_cursor_is_refused(cursor):
    with pytest.raises(SearchError, match="begin again without a cursor"):
        search_page([view("a"), view("b")], sort="id", cursor=cursor)


@settings(deadline=None)
@given(cursor=st.text(max_size=40), sort=SORTS)
def test_any_text_as_a_cursor_is_refused_or_begins_anew(cursor, sort):
    if cursor:
        with pytest.raises(SearchError):
            search_page([view("a")], sort=sort, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**9, -(10**400)])
def test_a_limit_beyond_the_bounds_is_refused(limit):
    with pytest.raises(SearchError, match="1 to 1000"):
        search_page([], limit=limit)


# -- over HTTP, on the command line, through Api


@pytest.fixture
def filled(tracker_dir):
    for i in range(5):
        journal = Journal(tracker_dir, run=f"r{i}", tags=["even"] if i % 2 == 0 else ["odd"], name=f"resnet{i}")
        journal.config(lr=10.0**-i, model={"depth": i})
        journal.environment(user="ann" if i < 2 else "bob", command=["python", "train.py", str(i)])
        journal.row(0, loss=float(5 - i))
        journal.row(1, loss=float(i))
        journal.end("finished" if i else "failed", exit_code=0 if i else 1)
    return tracker_dir


def test_over_http_a_search_gives_pages(filled, client):
    search = {"filter": 'config.lr < 0.5 and "odd" in tags or name ~ "4$"', "sort": "summary.loss.min:desc", "limit": 2}
    first = client.get(RUNS, params=search).json()
    assert [run["id"] for run in first["runs"]] == ["r3", "r1"] and first["n_matching"] == 3
    second = client.get(RUNS, params=search | {"cursor": first["next_cursor"]}).json()
    assert [run["id"] for run in second["runs"]] == ["r4"] and second["next_cursor"] is None


def test_over_http_without_a_search_the_answer_is_all_runs_newest_first(filled, client):
    answer = client.get(RUNS).json()
    assert list(answer) == ["runs"] and len(answer["runs"]) == 5
    assert [run["id"] for run in client.get(RUNS, params={"filter": ""}).json()["runs"]] == [
        run["id"] for run in answer["runs"]
    ]


def test_over_http_the_environment_is_searched_too(filled, client):
    found = client.get(
        RUNS, params={"filter": "user == 'ann' and command ~ 'train'", "sort": "environment.user"}
    ).json()
    assert [run["id"] for run in found["runs"]] == ["r0", "r1"]


@pytest.mark.parametrize(
    ("params", "where", "position"),
    [
        ({"filter": "config.lr <"}, "filter, character 12", 11),
        ({"filter": "1; DROP TABLE runs"}, "filter, character 2", 1),
        ({"filter": "' OR '1'='1"}, "filter, character 7", 6),
        ({"filter": "name ~ '(a+'"}, "filter, character 8", 7),
        ({"filter": " or ".join(["id==1"] * 700)}, "filter, character", None),
        ({"filter": "(" * 3000}, "filter, character 52", 51),
        ({"filter": "id == 'a\0'"}, "filter, character 9", 8),
        ({"filter": "x" * 10_001}, "filter", 10_000),
        ({"sort": "nope"}, "sort, character 1", 0),
        ({"sort": "created; DROP TABLE runs"}, "sort, character 8", 7),
        ({"sort": "name:sideways"}, "sort, character 5", 4),
        ({"cursor": "forged"}, "cursor", None),
        ({"limit": "-1"}, "limit", None),
        ({"limit": "1000000000"}, "limit", None),
        ({"limit": "9" * 30}, "limit", None),
    ],
)
def test_over_http_a_wrong_search_is_told_as_such(quiet_client, params, where, position):
    reply = quiet_client.get(RUNS, params=params)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["where"].startswith(where) and error["got"] and error["expected"] and error["remedy"]
    if position is not None:
        assert error["position"] == position


@pytest.mark.parametrize("query", ["limit=x", "limit=1e9", "limit=", "filter=%ED%A0%80", "cursor=%00", "sort=%ff"])
def test_over_http_hostile_bytes_are_refused(quiet_client, query):
    assert quiet_client.get(f"{RUNS}?{query}").status_code in (400, 422)


def cli_ids(capsys, *arguments):
    assert main(["runs", *arguments, "--json"]) == 0
    return [run["id"] for run in json.loads(capsys.readouterr().out)]


def test_on_the_command_line(filled, capsys):
    where = ("--dir", str(filled))
    assert cli_ids(capsys, "p", "--filter", "'odd' in tags", *where) == ["r1", "r3"]
    assert cli_ids(capsys, "--sort", "config.lr", "--limit", "2", *where) == ["r4", "r3"]
    assert cli_ids(capsys, "--filter", "state == 'failed'", "--sort", "summary.loss.min:desc", *where) == ["r0"]
    assert main(["runs", "--filter", "name == 'none'", *where]) == 0
    assert capsys.readouterr().out.startswith("No runs match in ")
    assert main(["runs", "--sort", "id:desc", "--limit", "1", *where]) == 0
    assert "4 more runs" in capsys.readouterr().out


def test_on_the_command_line_a_wrong_filter_is_one_clear_line(filled, capsys):
    assert main(["runs", "--filter", "lr < 1", "--dir", str(filled)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tracker: filter, character 1: got the name 'lr'") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "mongo"),
    [
        ("config.lr < 0.005 and state == 'finished'", {"config.lr": {"$lt": 0.005}, "state": "finished"}),
        ("'odd' in tags or name == 'resnet4'", {"$or": [{"tags": "odd"}, {"display_name": "resnet4"}]}),
        ("not config.model.depth == 2", {"config.model.depth": {"$ne": 2}}),
        ("summary.loss > 1 and name ~ '[34]$'", {"summary_metrics.loss": {"$gt": 1}, "name": {"$regex": "[34]$"}}),
        ("command == 'python train.py 1'", {"command": "python train.py 1"}),
        ("environment.user == 'bob'", {"metadata.user": "bob"}),
        ("name ~ 'resnet[123]'", {"name": {"$regex": "resnet(?!0|4)"}}),
        ("created > '2 weeks ago'", {"created_at": {"$gt": "2 weeks ago"}}),
        ("config.none exists", {"config.none": {"$exists": True}}),
        ("", {}),
        ("", None),
    ],
)
def test_api_gives_the_same_runs_for_a_text_and_a_dict(filled, text, mongo):
    api = Api(filled)
    assert [run.id for run in api.runs("p", text)] == [run.id for run in api.runs("p", mongo)]


def test_api_orders_by_keys_and_aggregates(filled):
    api = Api(filled)
    assert [run.id for run in api.runs("p", order="summary.loss.max:desc")] == ["r0", "r1", "r4", "r2", "r3"]
    assert [run.id for run in api.runs("p", "id in ['r1', 'r2']", "-config.lr")] == ["r1", "r2"]
    with pytest.raises(UsageError, match=r"filter, character 5"):
        api.runs("p", "name")
    with pytest.raises(UsageError, match="a text or a dict"):
        api.runs("p", ["name"])
    with pytest.raises(UsageError, match=r"did you mean config\.lr"):
        api.runs("p", order="lr")


def test_times_of_created_are_those_of_the_run():
    assert ids(search_page([view("a", created_ns=T0_NS)], f"created == {T0_NS // 10**9}")) == ["a"]

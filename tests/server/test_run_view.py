"""What a run is, from what its journals hold: state, attempt, config, summary."""

from __future__ import annotations

import math

import pytest

from tracker_core.records import Config, MetricDefinition, RowMap, RunEdit, RunError, Session, State, Summary
from tracker_server.ingest.fold import JournalFold
from tracker_server.ingest.row_blocks import blocks_of_maps
from tracker_server.runs.run_view import JournalStatus, flat, json_number, view_run


def journal(*records, rows=(), writer="main", counter=1, attempt=1, is_alive=True, has_session=True, **session):
    fold = JournalFold()
    if has_session:
        fields = {"run": "a", "project": "p", "writer": writer, "counter": counter, "attempt": attempt, **session}
        fold.add_record(Session(wall_time_ns=counter * 100, session=f"{counter}", **fields))
    for record in records:
        fold.add_record(record)
    maps = [(i + 1, RowMap(wall_time_ns=counter * 100 + i, step=i, values=row)) for i, row in enumerate(rows)]
    for block in blocks_of_maps(maps):
        fold.add_rows(block)
    return JournalStatus(f"p/a/{writer}.{counter}", writer, str(counter), fold, fold.damage, lambda: is_alive)


def ended(state, **fields):
    return State(wall_time_ns=900, state=state, **fields)


@pytest.mark.parametrize(
    ("records", "is_alive", "expected"),
    [
        ([], True, "running"),
        ([], False, "crashed"),
        ([ended("finished")], False, "finished"),
        ([ended("failed")], True, "failed"),
        ([ended("failed"), State(wall_time_ns=901, state="running")], True, "running"),
    ],
)
def test_state_is_that_of_the_newest_record_or_of_the_process(records, is_alive, expected):
    assert view_run("p", "a", [journal(*records, is_alive=is_alive)]).state == expected


def test_the_newest_session_of_the_primary_writer_decides_the_state():
    older, newer = journal(ended("failed"), counter=1), journal(counter=2, resumed=True)
    other = journal(ended("failed"), writer="rank1", counter=3)
    assert view_run("p", "a", [newer, other, older]).state == "running"


def test_a_new_attempt_hides_the_older_one():
    first = journal(Config(wall_time_ns=1, values={"lr": 1, "old": 1}), rows=[{"x": 1.0}] * 3, counter=1)
    second = journal(Config(wall_time_ns=2, values={"lr": 2}), rows=[{"x": 5.0}], counter=2, attempt=2)
    view = view_run("p", "a", [first, second])
    assert (view.config, view.summary, view.n_rows, view.attempt) == ({"lr": 2}, {"x": 5.0}, 1, 2)
    assert len(view.sessions) == 2


def test_a_resumed_session_goes_on_where_the_last_one_ended():
    first = journal(
        Config(wall_time_ns=1, values={"lr": 1, "batch": 8}),
        Summary(wall_time_ns=1, values={"note": "old", "best": 1}),
        RunEdit(wall_time_ns=1, name="renamed", tags=["kept"]),
        ended("failed", exit_code=1),
        rows=[{"loss": 3.0}, {"loss": 1.0}],
        counter=1,
        name="first",
    )
    second = journal(
        Config(wall_time_ns=2, values={"lr": 2}, removed=["batch"]),
        Summary(wall_time_ns=2, values={"best": 2}, removed=["note"]),
        rows=[{"loss": 2.0}],
        counter=2,
        resumed=True,
    )
    view = view_run("p", "a", [second, first])
    assert view.config == {"lr": 2} and view.summary == {"loss": 2.0, "best": 2}
    assert (view.name, view.tags, view.n_rows, view.exit_code) == ("renamed", ["kept"], 3, None)
    stats = view.metrics["loss"].stats
    assert (stats.n, stats.first, stats.last, stats.min) == (3, 3.0, 2.0, 1.0)
    assert view.created_ns == 100


def test_the_summary_holds_the_aggregates_asked_for_and_counts_what_is_not_finite():
    rows = [{"val/loss": 2.0, "val/acc": 0.5}, {"val/loss": math.nan, "val/acc": 0.4}, {"val/loss": 1.0}]
    definitions = [
        MetricDefinition(wall_time_ns=1, name="val/*", summary=["max"]),
        MetricDefinition(wall_time_ns=1, name="val/loss", summary=["min", "mean"], goal="minimize"),
        MetricDefinition(wall_time_ns=1, name="secret", summary=["none"]),
    ]
    view = view_run("p", "a", [journal(*definitions, rows=[*rows, {"secret": 1.0}])])
    assert view.summary == {"val/loss": {"min": 1.0, "mean": 1.5, "n_nonfinite": 1}, "val/acc": {"max": 0.5}}
    assert view.metrics["val/loss"].goal == "minimize" and view.metrics["val/loss"].n_points == 3


def test_what_the_user_set_wins_over_what_was_logged():
    view = view_run("p", "a", [journal(Summary(wall_time_ns=1, values={"loss": 0.0}), rows=[{"loss": 3.0}])])
    assert view.summary["loss"] == 0.0


def test_the_last_value_counts_also_when_it_is_text():
    assert view_run("p", "a", [journal(rows=[{"x": 1.0}, {"x": "end"}])]).summary == {"x": "end"}
    assert view_run("p", "a", [journal(rows=[{"x": "begin"}, {"x": 1.0}])]).summary == {"x": 1.0}


def test_other_writers_add_no_rows_to_the_primary_ones():
    view = view_run("p", "a", [journal(rows=[{"x": 1.0}]), journal(rows=[{"x": 9.0}] * 5, writer="rank1", counter=2)])
    assert view.n_rows == 1 and view.summary == {"x": 1.0}


def test_a_run_without_a_primary_writer_shows_its_first_one():
    assert view_run("p", "a", [journal(rows=[{"x": 9.0}], writer="rank1")]).summary == {"x": 9.0}


def test_a_journal_that_lost_its_first_record_is_shown_all_the_same():
    lost = journal(rows=[{"x": 1.0}], has_session=False, counter=1)
    view = view_run("p", "a", [lost, journal(rows=[{"x": 2.0}], counter=2, attempt=3)])
    assert view.n_rows == 2 and view.summary == {"x": 2.0}


def test_the_error_that_ended_a_run_is_kept():
    error = RunError("ValueError", "bad", "Traceback ...")
    view = view_run("p", "a", [journal(ended("failed", exit_code=1, error=error))])
    assert view.error == error and view.exit_code == 1 and view.ended_ns == 900


def test_nested_values_become_flat_keys_and_json_numbers():
    assert flat({"a": {"b": {"c": 1}}, "d": {}, "e": math.nan}) == {"a.b.c": 1, "d": {}, "e": "NaN"}
    assert json_number([math.inf, {"x": -math.inf}]) == ["Infinity", {"x": "-Infinity"}]


def test_a_definition_that_hides_a_metric_hides_it_from_the_summary():
    hidden = MetricDefinition(wall_time_ns=1, name="x", summary=["none"])
    assert view_run("p", "a", [journal(hidden, rows=[{"x": 1.0, "y": 2.0}])]).summary == {"y": 2.0}

"""What a journal adds up to, against a model that takes one record at a time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.journal_reader import Damage
from tracker_core.metrics import MetricStats
from tracker_core.records import Config, Dropped, MetricDefinition, RowMap, RunEdit, Session, State, Summary, Suspended
from tracker_server.ingest.fold import JournalFold, decode_fold, encode_fold
from tracker_server.ingest.row_blocks import blocks_of_maps

NUMBERS = st.one_of(
    st.floats(-1e9, 1e9), st.integers(-(2**40), 2**40), st.sampled_from([math.nan, math.inf, -math.inf])
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), NUMBERS, min_size=1), min_size=1, max_size=40)


def add_rows(fold, rows, first=0):
    maps = [(first + i, RowMap(wall_time_ns=1000 + i, step=i, values=row)) for i, row in enumerate(rows)]
    for block in blocks_of_maps(maps):
        fold.add_rows(block)


def same(one, other):
    return (
        one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-3)
    )


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 40))
def test_aggregates_are_those_of_one_value_at_a_time_however_the_rows_are_split(rows, cut):
    fold = JournalFold()
    add_rows(fold, rows[:cut])
    fold = decode_fold(encode_fold(fold))
    add_rows(fold, rows[cut:], first=cut)
    for key in {key for row in rows for key in row}:
        model = MetricStats()
        for row in rows:
            if key in row:
                model.add(row[key])
        found = fold.metrics[key].stats
        for name in MetricStats.__struct_fields__:
            assert same(getattr(found, name), getattr(model, name)), name
    assert fold.n_rows == len(rows)


def test_integers_beyond_float_precision_stay_exact():
    fold = JournalFold()
    add_rows(fold, [{"n": 2**62 + 1}, {"n": 2**62 + 3}])
    stats = decode_fold(encode_fold(fold)).metrics["n"].stats
    assert (stats.first, stats.last, stats.max) == (2**62 + 1, 2**62 + 3, 2**62 + 3)
    assert fold.metrics["n"].is_integer


def test_truth_values_count_as_numbers():
    fold = JournalFold()
    add_rows(fold, [{"ok": True}, {"ok": False}])
    assert fold.metrics["ok"].stats.last == 0 and fold.metrics["ok"].stats.max == 1


def test_values_that_are_no_numbers_are_kept_apart():
    fold = JournalFold()
    add_rows(fold, [{"x": 1.0}, {"x": "text"}, {"x": None}])
    assert fold.metrics["x"].stats.n == 1 and fold.objects["x"].last is None and fold.objects["x"].n == 2


def test_records_add_up_and_survive_the_index():
    fold = JournalFold()
    kinds = [
        fold.add_record(record)
        for record in (
            Session(wall_time_ns=10, session="00", run="a", project="p"),
            Config(wall_time_ns=11, values={"lr": 0.1, "opt": {"name": "adam", "eps": 1e-8}}),
            Config(wall_time_ns=12, values={"opt": {"name": "sgd"}}, removed=["lr"]),
            Summary(wall_time_ns=13, values={"best": 1}),
            MetricDefinition(wall_time_ns=14, name="loss", summary=["min"]),
            RunEdit(wall_time_ns=15, tags=["x"]),
            Dropped(wall_time_ns=16, n_rows=3, first_ns=1, last_ns=2, cause="full"),
            Suspended(wall_time_ns=17, cause="slow", began_ns=1, ended_ns=2, n_queued=5),
            State(wall_time_ns=18, state="failed", exit_code=1),
        )
    ]
    fold.add_damage(Damage(100, 7, 2, "torn"))
    assert kinds == ["state", "config", "config", "summary", "summary", "config", "state", "state", "state"]
    back = decode_fold(encode_fold(fold))
    assert back == fold
    assert back.config == {"opt": {"name": "sgd"}} and back.config_removed == {"lr"}
    assert (back.first_ns, back.last_ns, back.n_dropped, back.is_suspended) == (10, 18, 3, False)


def test_endless_damage_is_counted_without_end_but_noted_up_to_a_bound():
    fold = JournalFold()
    for index in range(1000):
        fold.add_damage(Damage(index, 1, 1, "torn"))
    assert len(fold.damage) == 100 and sum(note.n_lost for note in fold.damage) == 1000


def test_sums_are_taken_in_float64():
    fold = JournalFold()
    maps = [(i, RowMap(wall_time_ns=1, step=i, values={"n": 2**62})) for i in range(8)]
    for block in blocks_of_maps(maps):
        fold.add_rows(block)
    assert fold.metrics["n"].stats.sum == float(np.float64(2**65))

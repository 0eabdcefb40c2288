"""Cells against the points that they are made of, and as bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.charts.buckets import Grid, fill_cells, sort_by_x
from tracker_server.charts.cells import (
    LEVEL_STRIDE,
    MIN_ROWS_PER_CELL,
    coarsen,
    fill_places,
    finest_level,
    join_tables,
    merge_cells,
    merge_places,
    merge_values,
    place_rows,
    sort_rows,
    table_of,
)
from tracker_server.codec.cell_codec import (
    decode_places,
    decode_times,
    decode_values,
    encode_places,
    encode_values,
    first_sequence,
)

FIELDS = ("index", "n_rows", "n_steps", "first_step", "last_step", "first_sequence", "last_sequence")
VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10, 10, width=32),
    st.sampled_from([0.0, -0.0, 1.7e308, -1.7e308, 5e-324, float("nan")]),
)
STEPS = st.one_of(
    st.integers(0, 60), st.integers(-(10**6), 10**6), st.integers(2**60, 2**60 + 500), st.integers(-(2**63), 2**63 - 1)
)
ROWS = st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=80)


def rows_of(run, first=0):
    steps = np.array([step for step, _ in run], np.int64)
    sequences = np.arange(first, first + len(run))
    return sort_rows(steps, sequences, 1000 + 7 * sequences), np.array([value for _, value in run], np.float64)


def made(run, level, first=0):
    rows, values = rows_of(run, first)
    places, starts = place_rows(rows, level)
    return places, fill_places(rows, [values], places, starts)[0]


def check(table, run, level):
    """Compare cells with what one point after the other adds up to."""
    x, values = sort_by_x(np.array([s for s, _ in run], np.int64), np.array([v for _, v in run], np.float64))
    lower = np.unique(x >> level)
    assert table.place.tolist() == lower.tolist()
    expected = fill_cells(Grid(lower, None, None, True), x >> level, values)
    assert table.count.tolist() == expected.count.tolist()
    assert table.nonfinite.tolist() == expected.nonfinite.tolist()
    for index, name in enumerate(("first", "last", "min", "max")):
        assert np.array_equal(table.table[index], getattr(expected, name), equal_nan=True), name
    limit = np.maximum(np.abs(table.table[2]), np.abs(table.table[3]))
    difference = np.abs(table.table[4] / 2 - expected.mean / 2)
    assert (np.isnan(expected.mean) | (difference <= 1e-9 * limit)).all()


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 62))
def test_cells_hold_what_the_points_add_up_to(run, level):
    places, values = made(run, level)
    check(table_of(places.fields(), values), run, level)
    steps = np.array([step for step, _ in run])
    assert places.n_steps.tolist() == [len(np.unique(steps[steps >> level == at])) for at in places.index.tolist()]
    assert int(places.min_time.min()) == 1000 and int(places.max_time.max()) == 1000 + 7 * (len(run) - 1)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 58))
def test_coarser_cells_are_those_of_the_points(run, level):
    places, values = made(run, level)
    above, (coarser,) = coarsen(places, [values])
    check(table_of(above.fields(), coarser), run, level + LEVEL_STRIDE)
    direct, _ = made(run, level + LEVEL_STRIDE)
    for name in (*FIELDS, "min_time", "max_time"):
        assert np.array_equal(getattr(above, name), getattr(direct, name)), name


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4), st.integers(0, 60), st.data())
def test_cells_of_parts_in_any_order_merge_to_those_of_the_whole(runs, level, data):
    tables, first = [], 0
    for run in runs:
        places, values = made(run, level, first)
        tables.append(table_of(places.fields(), values))
        first += len(run)
    order = data.draw(st.permutations(range(len(tables))))
    merged = merge_cells(join_tables([tables[index] for index in order]))
    check(merged, [point for run in runs for point in run], level)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.integers(0, 60))
def test_cells_of_sessions_merge_in_the_order_of_the_sessions(runs, level):
    tables = [table_of(*with_fields(made(run, level)), rank) for rank, run in enumerate(runs)]
    check(merge_cells(join_tables(tables)), [point for run in runs for point in run], level)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4), st.integers(0, 60))
def test_rows_of_cells_are_joined_to_what_all_points_add_up_to(runs, level):
    parts, first = [], 0
    for run in runs:
        parts.append(made(run, level, first))
        first += len(run)
    whole = [point for run in runs for point in run]
    places = merge_places([places for places, _ in parts])
    check(table_of(places.fields(), merge_values(parts)), whole, level)
    direct, _ = made(whole, level)
    for name in (*FIELDS, "min_time", "max_time"):
        if name != "n_steps":
            assert np.array_equal(getattr(places, name), getattr(direct, name)), name
    assert (places.n_steps <= direct.n_steps).all() and (places.n_steps > 0).all()


def with_fields(cells):
    places, values = cells
    return places.fields(), values


@settings(max_examples=300, deadline=None)
@given(ROWS, st.integers(0, 62), st.integers(0, 2**40))
def test_cells_come_back_from_their_bytes(run, level, first):
    places, values = made(run, level, first)
    packed, times = encode_places(places, level)
    base, n = first_sequence(places), len(places)
    found = decode_places(packed, n, level, int(places.index[0]), base)
    for name in FIELDS:
        assert np.array_equal(found[name], getattr(places, name)), name
    low, high = decode_times(times, n, int(places.min_time.min()))
    assert np.array_equal(low, places.min_time) and np.array_equal(high, places.max_time)
    back = decode_values(encode_values(values, places, level), found, level, base)
    assert back.table.tobytes() == values.table.tobytes()
    assert (back.finite is None) == (values.finite is None)
    if values.finite is not None and back.finite is not None:
        for name in ("count", "first_step", "last_step", "first_sequence", "last_sequence"):
            assert np.array_equal(getattr(back.finite, name), getattr(values.finite, name))


@pytest.mark.parametrize("stride", [1, 2, 3, 50, 1000])
def test_the_finest_level_follows_the_stride(stride):
    steps = np.arange(100_000) * stride
    level = finest_level(steps)
    n_cells = len(np.unique(steps >> level))
    assert MIN_ROWS_PER_CELL <= len(steps) / n_cells < 2.2 * MIN_ROWS_PER_CELL
    assert finest_level(steps, level + 6) == level


def test_rows_on_the_brink_of_a_level_keep_that_of_their_neighbours():
    steps = np.arange(100_000) * 5 // 4  # 25.6 rows in 32 steps
    fewer = steps[np.arange(len(steps)) % 10 > 0]
    assert finest_level(steps) == 5 and finest_level(fewer) == 6
    assert finest_level(fewer, 5) == 5 and finest_level(steps, 6) == 6


def test_rows_that_share_few_cells_at_no_level_have_none():
    assert finest_level(np.array([-(2**63), 0, 2**63 - 1])) is None
    assert finest_level(np.zeros(1000, np.int64)) == 0


def test_float32_cells_take_less_and_constants_next_to_nothing():
    steps = np.arange(32 * 2048)
    rows = sort_rows(steps, steps, steps)
    places, starts = place_rows(rows, 5)
    walk = np.cumsum(np.random.default_rng(0).normal(size=len(steps)))
    shapes = [walk, walk.astype(np.float32).astype(np.float64), np.full(len(steps), 0.1)]
    sizes = [len(encode_values(one, places, 5)) / 2048 for one in fill_places(rows, shapes, places, starts)]
    assert sizes[0] <= 41 and sizes[1] <= 24.1 and sizes[2] < 0.1


def test_cells_that_were_cut_or_changed_are_refused():
    places, values = made([(step, float(step)) for step in range(100)], 3)
    packed, _ = encode_places(places, 3)
    data = encode_values(values, places, 3)
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1
        for wrong in (bytes(changed), data[:at], data + b"\0"):
            with pytest.raises(ValueError, match="stored column"):
                decode_values(wrong, places.fields(), 3, 0)
    for wrong in (packed[:-1], packed + b"\0", b"", data):
        with pytest.raises(ValueError, match="stored column"):
            decode_places(wrong, len(places), 3, 0, 0)

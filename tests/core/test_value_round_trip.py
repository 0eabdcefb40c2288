"""Promise e: values come back exactly, by type and by every bit."""

from __future__ import annotations

import math
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_model import exact, read_items, rows_in

import tracker_core
from tracker_core import UsageError

QUICK = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def kept(rows: list[dict[str, Any]]) -> list[Any]:
    """Log rows and return the values read back, in the form of `exact`."""
    with tempfile.TemporaryDirectory() as folder:
        with tracker_core.init(dir=folder, settings={"quiet": True, "fsync_interval_s": 100}) as run:
            for row in rows:
                run.log(row)
        (path,) = Path(folder).rglob("*.journal")
        return [item[3] for item in rows_in(read_items(path))]


def float_of_bits(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
FLOATS = st.one_of(st.floats(), st.integers(0, 2**64 - 1).map(float_of_bits))
INTS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.sampled_from([-(2**63), 2**63 - 1, 2**63, 2**64 - 1, 0, -1, 2**53 + 1])
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = st.one_of(FLOATS, INTS, st.booleans(), TEXTS, st.none())
VALUES = st.one_of(LEAVES, st.lists(LEAVES, max_size=4), st.lists(st.lists(LEAVES, max_size=3), max_size=2))


@QUICK
@given(st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), min_size=1, max_size=8))
def test_python_values_come_back_exactly(rows: list[dict[str, Any]]) -> None:
    assert kept(rows) == [exact(row) for row in rows]


@QUICK
@given(st.lists(st.dictionaries(KEYS, st.one_of(FLOATS, INTS, st.booleans()), min_size=3, max_size=3), min_size=1))
def test_numbers_come_back_exactly_whatever_types_follow_one_another(rows: list[dict[str, Any]]) -> None:
    keys = [f"k{i}" for i in range(3)]
    same_keys = [dict(zip(keys, row.values(), strict=True)) for row in rows]
    assert kept(same_keys) == [exact(row) for row in same_keys]


@pytest.mark.parametrize("bits", [0x7FF8000000000001, 0x7FF800000000BEEF, 0xFFF8000000000123, 0x7FFFFFFFFFFFFFFF])
@pytest.mark.parametrize("others", [{}, {"t": "text"}, {"t": [1]}])
def test_nan_payload_is_kept(bits: int, others: dict[str, Any]) -> None:
    row = {"x": float_of_bits(bits), **others}
    assert kept([row]) == [exact(row)]


NUMPY_TYPES = [
    np.float64, np.float32, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32,
    np.uint64, np.bool_, np.longlong, np.ulonglong, np.intc, np.uintc,
]  # fmt: skip


def numpy_extremes(kind: type[np.generic]) -> list[np.generic]:
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        numbers = [0.0, -0.0, 1 / 3, math.inf, -math.inf, math.nan, info.max, info.tiny, info.smallest_subnormal]
        return [kind(number) for number in numbers]
    if dtype.kind == "b":
        return [np.bool_(True), np.bool_(False)]
    limits = np.iinfo(dtype)
    return [kind(limits.min), kind(limits.max), kind(1)]


@pytest.mark.parametrize("kind", NUMPY_TYPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("wrap", [lambda v: v, np.asarray, lambda v: np.asarray([v])], ids=["scalar", "0-d", "1-d"])
def test_numpy_numbers_of_every_type_are_widened_exactly(kind: type[np.generic], wrap: Any) -> None:
    values = numpy_extremes(kind)
    rows = [{"x": wrap(value)} for value in values]
    assert kept(rows) == [exact({"x": value.item()}) for value in values]
    assert kept([{"x": [value]} for value in values]) == [exact({"x": [value.item()]}) for value in values]


TORCH_TYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint8, torch.bool,
]  # fmt: skip


def torch_extremes(dtype: torch.dtype) -> list[torch.Tensor]:
    if dtype.is_floating_point:
        info = torch.finfo(dtype)
        numbers = [0.0, -0.0, 1 / 3, math.inf, -math.inf, math.nan, info.max, info.min, info.tiny]
    elif dtype is torch.bool:
        numbers = [True, False]
    else:
        limits = torch.iinfo(dtype)
        numbers = [limits.min, limits.max, 1]
    return [torch.tensor(number, dtype=dtype) for number in numbers]


@pytest.mark.parametrize("dtype", TORCH_TYPES, ids=str)
def test_torch_scalars_of_every_type_are_widened_exactly(dtype: torch.dtype) -> None:
    values = torch_extremes(dtype)
    widened = [v.to(torch.float64).item() if dtype.is_floating_point else v.item() for v in values]
    assert kept([{"x": value} for value in values]) == [exact({"x": number}) for number in widened]


def test_tensor_that_requires_grad_and_a_tensor_of_one_element_are_logged() -> None:
    rows = [
        {"a": torch.tensor(1.5, requires_grad=True), "b": torch.tensor([[2.5]]), "c": torch.nn.Parameter(torch.ones(1))}
    ]
    assert kept(rows) == [exact({"a": 1.5, "b": 2.5, "c": 1.0})]


class ExactFloat(float):
    """A float subclass, as some frameworks return."""


class Loud(str):
    """A text subclass."""


def test_subclasses_are_kept_as_what_they_extend() -> None:
    import enum

    class Level(enum.IntEnum):
        HIGH = 3

    row = {"f": ExactFloat(0.1), "t": Loud("x"), "e": Level.HIGH, "n": np.str_("np")}
    assert kept([row]) == [exact({"f": 0.1, "t": "x", "e": 3, "n": "np"})]


@pytest.mark.parametrize(
    "value",
    [
        2**64, -(2**63) - 1, 10**5000, object(), b"bytes", 1 + 2j, np.complex64(1j), np.zeros(3), torch.zeros(2),
        np.zeros((0,)), torch.empty(3, device="meta"), {1, 2}, "lone \ud800 surrogate", ["deep \udfff"], lambda: None,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_value_that_cannot_be_kept_exactly_raises_and_harms_nothing(value: Any, folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"x": 1.0})
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            run.log({"fine": 1.0, "odd": value})
        error = caught.value
        assert "odd" in error.where
        assert error.got and error.expected and error.remedy
    run.log({"x": 2.0})
    run.finish()
    (path,) = folder.rglob("*.journal")
    assert [item[1:2] + item[3:] for item in rows_in(read_items(path))] == [
        (0, exact({"x": 1.0})),
        (1, exact({"x": 2.0})),
    ]


def test_integer_too_wide_for_its_column_later_on_is_kept_or_refused(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"n": 1, "x": 0.5})
    run.log({"n": 2**64 - 1, "x": 0.5})
    with pytest.raises(UsageError, match="64 bits"):
        run.log({"n": 2**64, "x": 0.5})
    run.log({"n": 3, "x": 0.5})
    run.finish()
    (path,) = folder.rglob("*.journal")
    rows = rows_in(read_items(path))
    assert [row[3]["n"][1] for row in rows] == [1, 2**64 - 1, 3]
    assert [row[1] for row in rows] == [0, 1, 2]


def test_value_that_contains_itself_raises(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    knot: list[Any] = []
    knot.append(knot)
    loop: dict[str, Any] = {}
    loop["again"] = loop
    for value in (knot, loop):
        with pytest.raises(UsageError):
            run.log({"x": value})


def test_times_are_exact_nanoseconds_in_order(folder: Path) -> None:
    import time

    before = time.time_ns()
    with tracker_core.init(dir=folder) as run:
        for _ in range(100):
            run.log({"x": 1.0})
    (path,) = folder.rglob("*.journal")
    times = [item[2] for item in rows_in(read_items(path))]
    assert before <= times[0]
    assert times == sorted(times)
    assert times[-1] <= time.time_ns()

"""What `log` means: steps, nested dicts, wrong use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from journal_model import exact, read_items, rows_in

import tracker_core
from tracker_core import UsageError


def logged(folder: Path) -> list[tuple[int, Any]]:
    (path,) = folder.rglob("*.journal")
    return [(row[1], row[3]) for row in rows_in(read_items(path))]


def test_automatic_steps_count_from_zero(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    for _ in range(3):
        run.log({"x": 1.0})
    run.log({"text": "t"})
    assert run.step == 4
    assert [step for step, _ in logged(folder)] == [0, 1, 2, 3]


def test_given_steps_are_kept_in_any_order(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    steps = [5, 5, 3, -7, 2**63 - 2, -(2**63), 0, 10]
    for step in steps:
        run.log({"x": 1.0}, step=step)
    assert [step for step, _ in logged(folder)] == steps


@pytest.mark.parametrize("row", [{"x": 1.0}, {"x": "text"}], ids=["packed", "map"])
def test_commit_and_step_follow_the_rules(folder: Path, row: dict[str, Any]) -> None:
    run = tracker_core.init(dir=folder)
    run.log(row, commit=False)  # 0
    run.log(row, commit=False)  # 0: the step was held back
    run.log(row)  # 0, then 1
    run.log(row, step=5)  # 5: with a step, the default is not to commit
    run.log(row)  # 5, then 6
    run.log(row, step=3)  # 3: a smaller step is kept and changes nothing
    run.log(row)  # 6, then 7
    run.log(row, step=9, commit=True)  # 9, then 10
    run.log(row)  # 10
    run.log(row, step=2, commit=True)  # 2
    run.log(row, commit=True)  # 11
    assert [step for step, _ in logged(folder)] == [0, 0, 0, 5, 5, 3, 6, 9, 10, 2, 11]


def test_steps_may_be_any_whole_number_of_any_framework(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    for step in (np.int64(1), np.uint8(2), torch.tensor(3), 4.0, np.float32(5), True):
        run.log({"x": 1.0}, step=step)  # type: ignore[arg-type]
    assert [step for step, _ in logged(folder)] == [1, 2, 3, 4, 5, 1]


WRONG_STEPS = [1.5, "1", 2**63, -(2**63) - 1, 10**5000, float("nan"), float("inf"), [1], object()]


@pytest.mark.parametrize("step", WRONG_STEPS, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("row", [{"x": 1.0}, {"x": "text"}], ids=["packed", "map"])
def test_step_that_is_no_whole_number_of_64_bits_raises(folder: Path, step: Any, row: dict[str, Any]) -> None:
    run = tracker_core.init(dir=folder)
    for _ in range(2):  # the first call with new keys takes another way than the second
        with pytest.raises(UsageError, match="whole number of at most 64 bits"):
            run.log(row, step=step)
        run.log(row)
    assert [step for step, _ in logged(folder)] == [0, 1]


def test_automatic_step_does_not_run_over_the_last_one(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"x": 1.0}, step=2**63 - 1, commit=True)
    for _ in range(2):
        with pytest.raises(UsageError, match="64 bits"):
            run.log({"x": 1.0})
    run.log({"x": 1.0}, step=0)
    assert [step for step, _ in logged(folder)] == [2**63 - 1, 0]


def test_nested_dicts_become_keys_with_slashes(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({"train": {"loss": 0.5, "deep": {"er": 1}}, "lr": OrderedDict(a=0.1), "empty": {}})
    assert logged(folder) == [(0, exact({"train/loss": 0.5, "train/deep/er": 1, "lr/a": 0.1}))]


class OwnMapping(Mapping[str, float]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> float:
        return {"a": 1.0, "b": 2.0}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


def test_any_mapping_can_be_logged(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    for row in (OwnMapping(), MappingProxyType({"a": 1.0, "b": 2.0}), OrderedDict(a=1.0, b=2.0), {"a": 1.0, "b": 2.0}):
        run.log(row)
    assert [row for _, row in logged(folder)] == [exact({"a": 1.0, "b": 2.0})] * 4
    assert run.summary["b"] == 2.0


def test_row_logged_is_a_copy(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    row: dict[str, Any] = {"x": 1.0, "list": [1]}
    run.log(row)
    row["x"] = 2.0
    row["list"].append(2)
    assert run.summary["x"] == 1.0
    assert logged(folder) == [(0, exact({"x": 1.0, "list": [1]}))]


def test_empty_row_only_moves_the_step(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    run.log({})
    run.log({"x": 1.0})
    assert [step for step, _ in logged(folder)] == [1]


def test_same_keys_in_another_order_or_with_other_types_are_kept(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    rows: list[dict[str, Any]] = [{"a": 1.0, "b": 2}, {"b": 2, "a": 1.0}, {"a": 1, "b": 2.0}, {"a": True, "b": None}]
    for row in rows * 3:
        run.log(row)
    assert [row for _, row in logged(folder)] == [exact(row) for row in rows * 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({1: 2.0}, "text keys"),
        ({None: 2.0}, "text keys"),
        ({("a", "b"): 2.0}, "text keys"),
        ({b"a": 2.0}, "text keys"),
        ({"a": {2: 1.0}}, "text keys"),
        ({"": 1.0}, "1 to 1024 characters"),
        ({"k" * 1025: 1.0}, "1 to 1024 characters"),
        ({"a" * 600: {"b" * 600: 1.0}}, "1 to 1024 characters"),
        ({"\ud800": 1.0}, "valid Unicode"),
        (None, "a dict of metric names"),
        ([("a", 1.0)], "a dict of metric names"),
        ("loss", "a dict of metric names"),
        (0.5, "a dict of metric names"),
        (torch.zeros(2), "a dict of metric names"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_wrong_rows_raise_with_where_got_expected_and_remedy(folder: Path, data: Any, message: str) -> None:
    run = tracker_core.init(dir=folder)
    for _ in range(2):
        with pytest.raises(UsageError, match=message) as caught:
            run.log(data)
        error = caught.value
        assert error.where.startswith("log()")
        assert error.got and error.expected and error.remedy
        assert str(error) == f"{error.where}: got {error.got}, expected {error.expected}. Remedy: {error.remedy}."
    assert logged(folder) == []


def test_row_of_more_than_16_mib_raises(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    with pytest.raises(UsageError, match="16 MiB"):
        run.log({"text": "x" * (17 << 20)})
    run.log({"text": "x" * (15 << 20)})
    assert [step for step, _ in logged(folder)] == [0]


def test_module_level_calls_go_to_the_current_run(folder: Path) -> None:
    run = tracker_core.init(dir=folder, config={"a": 1})
    tracker_core.define_metric("x", summary="max")
    tracker_core.log({"x": 1.0})
    tracker_core.log({"x": 0.5}, 7)
    assert tracker_core.run is run
    assert tracker_core.config.a == 1
    assert tracker_core.summary["x"] == {"max": 1.0}
    tracker_core.finish()
    assert [step for step, _ in logged(folder)] == [0, 7]


def test_many_different_key_sets_do_not_grow_memory_without_bound(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    for n in range(10_000):
        run.log({f"key{n}": 1.0})
    assert len(run._plans) <= 4096
    assert len(logged(folder)) == 10_000

"""What a table that nobody vouches for, and a question about it, may cost the server."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker_core.errors import UsageError
from tracker_server.query import table_orders
from tracker_server.query.table_filter import TableCondition
from tracker_server.query.table_orders import KeptOrders
from tracker_server.query.table_page import TableOrder, TablePage, TableRequest, table_page

_PEAK = """
import resource, sys, pyarrow.parquet
from tracker_core.errors import UsageError
from tracker_server.query.table_page import TableOrder, TableRequest, table_page
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for question in ({}, {"search": "nothing"}, {"sort": [TableOrder(0)]}):
    try:
        page = table_page(open(sys.argv[1], "rb"), "d", TableRequest(path="x", limit=1000, max_chars=10, **question))
        print(page.n_matching, page.rows[:1])
    except UsageError as error:
        print(error.where)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def page(table: pa.Table, digest: str = "", **question: Any) -> TablePage:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return table_page(sink, digest or str(id(sink)), TableRequest(path="x", **question))


def matching(values: pa.Array, op: Any, value: Any) -> list[int]:
    return page(pa.table({"a": values}), f"{values} {op} {value!r}", where=[TableCondition(0, op, value)]).numbers


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_small_file_of_long_repeated_text_takes_little_memory(tmp_path: Path, is_nested: bool) -> None:
    text = "x" * 200_000
    values = pa.DictionaryArray.from_arrays(np.zeros(8192, np.int32), pa.array([text]))
    if is_nested:
        values = pa.ListArray.from_arrays(pa.array(range(0, 8193, 2), pa.int32()), values)
    pq.write_table(pa.table({"a": values}), tmp_path / "bomb.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "bomb.parquet")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[2] == "sort" and lines[1] == "0 []"
    assert lines[0].startswith("4096" if is_nested else "8192 [[{'_cut': 'xxxxxxxxxx', 'n_chars': 200000}]]")
    assert int(lines[3]) < 150


def test_a_cell_that_is_too_large_is_told() -> None:
    with pytest.raises(UsageError, match="cell of a table"):
        page(pa.table({"a": pa.array([["x" * 100_000] * 1000])}))


def test_nested_and_missing_cells_are_shown() -> None:
    columns = {
        "list": pa.array([["a", "b"], None, []]),
        "map": pa.array([[("k", "v")], None, [("l", "w")]], pa.map_(pa.string(), pa.string())),
        "struct": pa.array([{"k": "v", "m": [1]}, None, {"k": None, "m": []}]),
        "bytes": pa.array([b"12", None, b""]),
        "vector": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    }
    assert page(pa.table(columns)).rows == [
        ["['a', 'b']", "[('k', 'v')]", "{'k': 'v', 'm': [1]}", "2 bytes", "[1.0, 2.0]"],
        [None, None, None, None, "[3.0, 4.0]"],
        ["[]", "[('l', 'w')]", "{'k': None, 'm': []}", "0 bytes", "[5.0, 6.0]"],
    ]


def test_times_of_a_zone_are_compared_with_a_day() -> None:
    times = pa.array([0, 10**15, None], pa.timestamp("us", "UTC"))
    assert matching(times, ">", "2000-01-01") == [1]
    assert matching(times, "<=", "1970-01-01T00:00:00Z") == [0]
    assert matching(times, "!=", "1970-01-01 00:00:00") == [1, 2]


def test_integers_are_compared_exactly() -> None:
    big = pa.array([1, 2**63 + 5, None], pa.uint64())
    assert (
        matching(big, ">=", 0) == [0, 1] and matching(big, "=", 2**63 + 5) == [1] and matching(big, ">", -1) == [0, 1]
    )
    assert matching(big, "=", -1) == [] and matching(big, "!=", -1) == [0, 1, 2]
    exact = pa.array([1, 2**60, 2**60 + 1])
    assert matching(exact, "=", str(2**60)) == [1] and matching(exact, ">", str(2**60)) == [2]
    assert (
        matching(exact, ">", 0.5) == [0, 1, 2] and matching(exact, "<", 1.5) == [0] and matching(exact, "=", 1.5) == []
    )
    assert matching(exact, "<", "inf") == [0, 1, 2] and matching(exact, "<", "nan") == []
    small = pa.array([-128, 127], pa.int8())
    assert (
        matching(small, "<", 300) == [0, 1]
        and matching(small, ">", 300) == []
        and matching(small, ">=", -1e30) == [0, 1]
    )
    assert matching(pa.array([0.5, 2.0**60]), ">", 2**60 - 1) == [] and matching(pa.array([0.5, 2.0]), "<", "1") == [0]


def test_orders_that_are_kept_are_bounded_also_where_nothing_matches() -> None:
    orders = KeptOrders()
    for number in range(3 * table_orders._MAX_KEPT):
        orders.order("d", b"%d" % number, lambda: np.empty(0, np.int32))
    assert len(orders._kept) == table_orders._MAX_KEPT
    assert {len(key) for key in orders._kept} == {32}


@pytest.mark.parametrize(
    "question",
    [
        {"search": "x " * 21},
        {"search": "x" * 10_001},
        {"where": [TableCondition(0, "=", "x")] * 51},
        {"where": [TableCondition(0, "=", "x" * 10_001)]},
        {"sort": [TableOrder(0)] * 21},
    ],
)
def test_questions_that_are_too_long_are_told(question: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at most"):
        page(pa.table({"a": ["x"]}), **question)


def test_a_slow_order_holds_up_no_other_and_few_wait() -> None:
    orders = KeptOrders()
    begun, done, answers = threading.Semaphore(0), threading.Event(), list[int]()

    def slow() -> Any:
        begun.release()
        assert done.wait(20)
        return np.arange(3, dtype=np.int32)

    def ask() -> None:
        answers.append(len(orders.order("slow", b"", slow)))

    threads = [threading.Thread(target=ask) for _ in range(table_orders._MAX_WAITING - 1)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=20)
    while sum(one.n_threads for one in list(orders._running.values())) < len(threads):
        threading.Event().wait(0.001)
    assert len(orders.order("other", b"", lambda: np.zeros(1, np.int32))) == 1
    refused: list[str] = []

    def fill() -> Any:
        with pytest.raises(UsageError) as told:
            orders.order("third", b"", slow)
        refused.append(told.value.where)
        return np.zeros(2, np.int32)

    assert len(orders.order("second", b"", fill)) == 2 and refused == ["table"]
    done.set()
    for thread in threads:
        thread.join()
    assert answers == [3] * len(threads) and not orders._running and not begun.acquire(blocking=False)

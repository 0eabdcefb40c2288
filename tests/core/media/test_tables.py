"""Tables come back cell by cell as they were logged, from lists, arrays and data frames, with pictures in them."""

from __future__ import annotations

import datetime
import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from logged_media import Logged
from matplotlib import pyplot as plt

import tracker_core as tracker
from tracker_core.media.encoder import MediaKeeper
from tracker_core.media.place import RunPlace
from tracker_core.media.table import Table

NOON = datetime.datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=datetime.UTC)
COLUMNS: dict[str, list[Any]] = {
    "whole": [1, -(2**63), 2**63 - 1],
    "large": [0, 2**64 - 1, None],
    "huge": [2**70, 1, -5],
    "real": [0.1, math.inf, -0.0],
    "mixed numbers": [1, 0.5, None],
    "exact": [2**60 + 1, 0.5, 1],
    "truth": [True, None, False],
    "text": ["", "é\u202e<script>", None],
    "raw": [b"\x00\xff", b"", None],
    "time": [NOON, None, NOON],
    "day": [datetime.date(2026, 1, 2), None, datetime.date(1, 1, 1)],
    "nested": [[1, [2.5, "a"]], {"k": None}, []],
    "anything": [1, "one", [True]],
    "nothing": [None, None, None],
}


def reread(table: Table) -> Table:
    """Return the table as it comes back from an artifact."""
    files = dict(table.artifact_files("t"))
    return tracker_core_read("t.table.parquet", files)


def tracker_core_read(name: str, files: dict[str, bytes]) -> Any:
    from tracker_core.media.values import from_artifact

    return from_artifact(name, files.__getitem__)


def logged_table(logged: Logged, key: str = "table") -> Table:
    value = logged.value(key)
    assert value["_type"] == "table"
    return Table.of_parquet(logged.file(value["path"]), logged.file)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_cell_comes_back_as_it_was(name: str) -> None:
    cells = COLUMNS[name]
    found = reread(Table(columns=[name], data=[[cell] for cell in cells])).get_column(name)
    assert [(type(cell), cell) for cell in found] == [
        (float if name == "mixed numbers" and cell is not None else type(cell), cell) for cell in cells
    ]
    if name == "real":
        assert math.copysign(1, found[2]) == -1


def test_nan_comes_back_as_nan_also_within_lists() -> None:
    found = reread(Table(columns=["a", "b"], data=[[math.nan, [math.nan, math.inf]]])).data[0]
    assert math.isnan(found[0]) and math.isnan(found[1][0]) and found[1][1] == math.inf


def test_scalars_of_libraries_are_their_numbers() -> None:
    row = [
        np.float32(0.1),
        np.int8(-3),
        np.bool_(True),
        torch.tensor(2.5),
        np.datetime64("2026-05-01T12:00"),
        np.str_("a"),
    ]
    found = reread(Table(columns=list("abcdef"), data=[row])).data[0]
    assert found == [float(np.float32(0.1)), -3, True, 2.5, datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC), "a"]


def test_the_value_in_the_row_says_how_large_it_is(logged: Logged) -> None:
    table = Table(columns=["a", 2], data=np.arange(6).reshape(3, 2))
    logged.log(table=table)
    value = logged.value("table")
    assert value.pop("path").endswith(".parquet")
    assert value == {"_type": "table", "n_rows": 3, "columns": ["a", "2"]}
    assert logged_table(logged).data == [[0, 1], [2, 3], [4, 5]]


def test_pictures_in_cells_are_files_of_the_run(logged: Logged) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    rows = [[1, tracker.Image(picture, caption="one")], [2, None], [3, tracker.Histogram([1, 2, 2])]]
    logged.log(table=Table(columns=["id", "what it is/was"], data=rows))
    arrow = pq.read_table(io.BytesIO(logged.file(logged.value("table")["path"])))
    cell = json.loads(arrow.column(1)[0].as_py())
    assert cell["_type"] == "image" and cell["path"] in logged.paths()
    found = logged_table(logged).data
    assert np.array_equal(np.asarray(found[0][1].to_pil()), picture)
    assert found[1] == [2, None] and sum(found[2][1].histogram) == 3


def test_rows_added_later_are_not_in_what_was_logged_before(logged: Logged) -> None:
    table = Table(columns=["a"])
    for number in range(3):
        table.add_data(number)
        logged.run.log({"table": table})
    counts = [row["table"]["n_rows"] for row in logged.read.history()]
    assert counts == [1, 2, 3] and logged_table(logged).get_column("a") == [0, 1, 2]


def test_cells_are_taken_as_they_are_when_they_are_added(logged: Logged) -> None:
    array, tensor, scalar = np.arange(3), torch.arange(3), torch.tensor(1.5)
    figure, axes = plt.subplots(figsize=(2, 1), dpi=20)
    table = Table(columns=["array", "tensor", "scalar", "figure"], data=[[array, tensor, scalar, axes]])
    for changed in (array, tensor, scalar):
        changed[...] = 7
    plt.close(figure)
    logged.log(table=table)
    found = logged_table(logged).data[0]
    assert found[:3] == [[0, 1, 2], [0, 1, 2], 1.5] and found[3].width == 40


def test_an_incremental_table_logs_what_is_new(logged: Logged) -> None:
    table = Table(columns=["a"], log_mode="INCREMENTAL")
    for number in range(3):
        table.add_data(number)
        table.add_data(-number)
        logged.run.log({"table": table})
    values = [row["table"] for row in logged.read.history()]
    assert [(value["first_row"], value["n_rows"]) for value in values] == [(0, 2), (2, 2), (4, 2)]
    assert [Table.of_parquet(logged.file(value["path"])).get_column("a") for value in values] == [
        [0, 0],
        [1, -1],
        [2, -2],
    ]


FRAME = pd.DataFrame(
    {
        "number": [1, 2, 3],
        "real": [0.5, math.nan, -1.0],
        "text": ["a", None, "c"],
        "kind": pd.Categorical(["x", "y", "x"]),
        "time": pd.to_datetime(["2026-01-01", None, "2026-01-03"]),
    }
)


def test_a_data_frame_comes_back_from_pandas_and_from_polars(logged: Logged) -> None:
    import polars

    before = FRAME.copy()
    table = Table(dataframe=before)
    logged.log(pandas=table, bare=before, polars=Table(dataframe=polars.DataFrame({"a": [1, 2]})))
    before.loc[:, "number"] = 0
    found = logged_table(logged, "pandas").get_dataframe()
    assert found["number"].tolist() == [1, 2, 3] and found["text"].tolist()[::2] == ["a", "c"]
    assert found["kind"].tolist() == ["x", "y", "x"] and math.isnan(found["real"][1])
    assert math.isnan(logged_table(logged, "pandas").get_column("real")[1])
    assert logged_table(logged, "bare").columns == list(FRAME.columns)
    assert logged_table(logged, "polars").data == [[1], [2]]
    assert table.get_dataframe().equals(FRAME)


def test_a_data_frame_of_objects_is_kept_cell_by_cell(logged: Logged) -> None:
    picture = tracker.Image(np.zeros((2, 2), np.uint8))
    frame = pd.DataFrame({"a": [1, "one", None], 5: [{"k": 1}, picture, 2]})
    logged.log(table=Table(dataframe=frame))
    found = logged_table(logged)
    assert found.columns == ["a", "5"] and found.get_column("a")[:2] == [1, "one"]
    assert found.get_column("5")[1].width == 2


def test_columns_can_be_chosen_of_a_data_frame() -> None:
    assert Table(columns=["text", "number"], dataframe=FRAME).data == [["a", 1], [None, 2], ["c", 3]]
    with pytest.raises(tracker.UsageError, match="absent"):
        Table(columns=["absent"], dataframe=FRAME)


def test_the_same_rows_make_the_same_files() -> None:
    rows = [[number, tracker.Image(np.full((2, 2), number, np.uint8))] for number in range(5)]
    assert Table(columns=["a", "b"], data=rows).artifact_files("t") == Table(
        columns=["a", "b"], data=rows
    ).artifact_files("t")


def test_rows_and_columns_can_be_added_and_read() -> None:
    table = Table(data=[[1, 2, 3]])
    assert table.columns == ["Input", "Output", "Expected"]
    table.add_row(4, 5, 6)
    table.add_column("more", np.array([7.0, 8.0]))
    table.add_computed_columns(lambda number, row: {"sum": row["Input"] + row["more"], "number": number})
    assert list(table.iterrows())[1] == (1, [4, 5, 6, 8.0, 12.0, 1])
    assert table.get_column("sum", convert_to="numpy").tolist() == [8.0, 12.0]
    assert table.get_index() == [0, 1] and len(table) == 2
    assert Table(columns=[], data=[]).data == [] and reread(Table(columns=["a"])).columns == ["a"]
    empty = Table(columns=[])
    empty.add_column("a", [1, 2])
    assert empty.data == [[1], [2]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"columns": "abc"},
        {"columns": ["a", "a"]},
        {"columns": ["x" * 2000]},
        {"columns": ["\ud800"]},
        {"columns": [str(number) for number in range(10_001)]},
        {"data": [[1]]},
        {"data": [1, 2, 3]},
        {"data": 5},
        {"data": np.zeros((2, 2, 2))},
        {"dataframe": [[1]]},
        {"dataframe": FRAME, "data": [[1]]},
        {"dataframe": pd.concat([FRAME, FRAME], axis=1)},
        {"log_mode": "SOMETIMES"},
    ],
    ids=lambda arguments: ",".join(arguments),
)
def test_a_wrong_table_raises_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(tracker.UsageError, match=r"got .* expected"):
        Table(**arguments)


def test_a_file_that_is_no_table_is_refused() -> None:
    for data in (b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", b"\x80\x04."):
        with pytest.raises(tracker.UsageError):
            Table.of_parquet(data)


def test_lists_and_dicts_in_cells_are_kept_as_they_were() -> None:
    inner, array = {"k": [1]}, np.arange(2)
    cell = [inner, array, (inner,)]
    table = Table(columns=["a"], data=[[cell]])
    inner["k"].append(2)
    array[...] = 9
    cell.clear()
    assert reread(table).data == [[[{"k": [1]}, [0, 1], [{"k": [1]}]]]]


@pytest.mark.parametrize("is_frame", [False, True])
def test_keys_that_are_no_text_become_text(is_frame: bool) -> None:
    cell = {(0, 1): 1, np.int64(3): {frozenset([1]): 2}, 4: None, "k": 5}
    table = Table(dataframe=pd.DataFrame({"a": [cell]})) if is_frame else Table(columns=["a"], data=[[cell]])
    assert reread(table).data == [[{"(0, 1)": 1, "3": {"frozenset({1})": 2}, "4": None, "k": 5}]]


def test_a_cell_without_end_is_refused_at_once() -> None:
    cell: list[Any] = []
    cell.append([[cell]])
    with pytest.raises(tracker.UsageError, match="deep"):
        Table(columns=["a"]).add_data(cell)


@pytest.mark.parametrize(
    "cell", ["x" * 1_000_000, b"x" * 1_000_000, np.zeros(125_000), torch.zeros(250_000), ["x" * 1_000_000]]
)
def test_a_table_says_how_much_memory_waits(cell: Any) -> None:
    table = Table(columns=["a"], data=[[cell]], log_mode="INCREMENTAL")
    place = RunPlace("table", 0)
    assert table.describe(place)[1][0].n_bytes >= 1_000_000
    table.add_data(1)
    assert table.describe(place)[1][0].n_bytes < 1000
    frame = pd.DataFrame({"a": ["x" * 1_000_000]})
    assert Table(dataframe=frame).describe(place)[1][0].n_bytes >= 1_000_000


def test_rows_of_an_incremental_table_that_was_left_out_come_with_the_next() -> None:
    table = Table(columns=["a"], data=[["x" * 1000]], log_mode="INCREMENTAL")
    keeper = MediaKeeper(_Takes(), 10, lambda *late: None, lambda record: None)
    keeper._queue_bytes = 10  # as where another waits
    dropped, _ = keeper.describe({"table": table}, 0)
    assert dropped["table"]["is_dropped"]
    table.add_data("y")
    keeper._queue_bytes = 0
    kept, _ = keeper.describe({"table": table}, 1)
    assert (kept["table"]["first_row"], kept["table"]["n_rows"]) == (0, 2)


class _Takes:
    """Takes every file."""

    def keep_media(self, name: str, source: Any) -> bool:
        return True

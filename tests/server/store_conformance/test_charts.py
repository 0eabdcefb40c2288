"""Charts of what is in cells, in longer chunks, or in neither, are those of the points."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select

from tracker_server.charts import chart
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.store.store_schema import cell_rows, row_chunk

from ..chart_reference import log_rows
from ..conftest import Journal
from ..test_chart_cells import same_chart, shaped, valued


def count(folder, query) -> int:
    with folder.database.reading().transaction() as connection:
        assert connection is not None
        return int(connection.execute(query).scalar_one())


@pytest.mark.parametrize("shape", ["every", "out of order"])
def test_a_chart_from_cells_is_that_of_the_points(store, monkeypatch, shape):
    folder = store.open(seal_bytes=1)
    for run, n in (("a", 6000), ("b", 2500)):
        journal = Journal(store.folder, run=run)
        log_rows(journal, shaped(shape, n), valued(n), extra_every=9)
        journal.end()
    log_rows(Journal(store.folder, run="live"), shaped(shape, 500), valued(500))
    folder.refresh()
    assert count(folder, select(func.count()).select_from(cell_rows)) > 0
    for x, bounds in (("step", {}), ("step", {"x_min": 800.0, "x_max": 3000.0}), ("relative_time", {})):
        request = ChartRequest(["a", "b", "live"], "loss", n_buckets=45, x=x, **bounds)
        expected = draw(folder, "p", request)
        with monkeypatch.context() as patch:
            patch.setattr(chart, "MAX_WHOLE_POINTS", -1)
            same_chart(draw(folder, "p", request), expected)
    folder.close()


def test_small_chunks_are_joined_and_their_rows_stay(store):
    folder = store.open(seal_bytes=1)
    journal = Journal(store.folder)
    for step in range(3600):
        journal.row(step, **{f"m{index}": float(step) for index in range(30)}, text=None if step % 2 else "t")
        if step % 150 == 149:
            folder.refresh()
    journal.end()
    folder.refresh()
    assert count(folder, select(func.count()).select_from(row_chunk)) < 20
    assert np.array_equal(folder.series("p", "a", "m7").values, np.arange(3600.0))
    assert [row.values["text"] for row in folder.rows("p", "a")] == ["t", None] * 1800
    folder.close()

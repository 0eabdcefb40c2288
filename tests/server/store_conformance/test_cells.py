"""Charts of what a store holds, whole or zoomed, are those of the points themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select

from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.charts.chart_wire import encode_json
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_schema import cell_rows
from tracker_server.store.store_sqlite import SqliteIndex

from ..conftest import Journal

N_ROWS = 70_000


@pytest.fixture
def folders(store, tmp_path):
    """The store's folder with its cells built, and the same journals read into memory."""
    generator = np.random.default_rng(4)
    for run in ("ended", "open"):
        journal = Journal(store.folder, run=run)
        values = np.cumsum(generator.normal(size=N_ROWS)).tolist()
        for step, value in enumerate(values):
            journal.row(step, loss=value)
        if run == "ended":
            journal.end()
    sealed = store.open()
    for _ in range(4):
        sealed.refresh()
    elsewhere = SqliteIndex(str(tmp_path / "elsewhere"))
    raw = LocalFolder(store.folder, is_writer=False, database=elsewhere)
    raw.refresh()
    yield sealed, raw
    sealed.close()
    raw.close()


def test_charts_are_those_of_the_points(folders):
    sealed, raw = folders
    with sealed.database.reading().transaction() as connection:
        assert connection.execute(select(func.count()).select_from(cell_rows)).scalar() > 0
    requests = [{}, {"x_min": 20_000.0, "x_max": 60_000.0}, {"x_min": 5_000.0, "x_max": 5_400.0}]
    requests += [{"x": "relative_time"}, {"x": "relative_time", "x_min": 1.0, "x_max": 50.0}]
    for options in requests:
        request = ChartRequest(["ended", "open"], "loss", n_buckets=500, **options)
        assert encode_json(draw(sealed, "p", request)) == encode_json(draw(raw, "p", request)), options

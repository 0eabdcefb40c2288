"""Media of a run that is sent are at the server, and come back from there."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import tracker_core as tracker
from tracker_core.api import Api
from tracker_core.media.values import from_value
from tracker_server.http.server import run_server_in_background


def test_media_of_a_sent_run_come_back_from_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_SYNC_INTERVAL_S", "0.1")
    monkeypatch.setenv("TRACKER_SYNC_TIMEOUT_S", "60")
    server = run_server_in_background(tmp_path / "server" / ".tracker", None)
    monkeypatch.setenv("TRACKER_BASE_URL", server.base_url)
    monkeypatch.setenv("TRACKER_API_KEY", server.admin_key)
    try:
        picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
        with tracker.init(project="p", id="r", dir=tmp_path / "a") as run:
            run.log({"image": tracker.Image(picture), "table": tracker.Table(["a"], [[tracker.Image(picture)]])})
        found = Api(base_url=server.base_url, api_key=server.admin_key).run("p/r")
        deadline_s = time.monotonic() + 60
        while len(found.files()) < 3:
            assert time.monotonic() < deadline_s, found.files()
            time.sleep(0.05)
        (row,) = found.history()

        def read(path: str) -> bytes:
            return found.file(path).read()

        for image in (from_value(row["image"], read), from_value(row["table"], read).data[0][0]):
            assert np.array_equal(np.asarray(image.to_pil()), picture)
    finally:
        server.close()

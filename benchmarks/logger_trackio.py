"""trackio, logging to its local SQLite file. Runs inside trackio's own venv; TRACKIO_DIR names the folder."""

from __future__ import annotations

import importlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import logger_worker as worker


class TrackioLogger:
    """Log through `trackio.init`."""

    def __init__(self) -> None:
        self._trackio: Any = None
        self._run: Any = None

    def load(self) -> str:
        """Import trackio."""
        self._trackio = importlib.import_module("trackio")
        return f"trackio {self._trackio.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open a local run."""
        self._run = self._trackio.init(project="log-cost")
        log: worker.LogFunction = self._run.log
        return log

    def finish(self) -> None:
        """Wait until trackio's thread has written all rows."""
        self._run.finish()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric in the project's database."""
        points: list[worker.Point] = []
        for path in folder.glob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                rows = connection.execute("SELECT step, metrics FROM metrics ORDER BY id").fetchall()
            points += [(step, json.loads(metrics)[key]) for step, metrics in rows]
        return points


if __name__ == "__main__":
    worker.main(TrackioLogger())

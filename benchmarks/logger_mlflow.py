"""mlflow with its default store, a local SQLite file. Runs inside mlflow's own venv."""

from __future__ import annotations

import importlib
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import logger_worker as worker

_QUERY = "SELECT step, value FROM metrics WHERE key = ? ORDER BY rowid"


class MlflowLogger:
    """Log through `mlflow.log_metrics`, which by default returns when the row is committed."""

    def __init__(self, is_async: bool = False) -> None:
        self._mlflow: Any = None
        self._is_async = is_async

    def load(self) -> str:
        """Import mlflow."""
        self._mlflow = importlib.import_module("mlflow")
        return f"mlflow {self._mlflow.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Start a run in an experiment that is made for it."""
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        if self._is_async:
            self._mlflow.config.enable_async_logging()
        self._mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        self._mlflow.set_experiment("log-cost")
        self._mlflow.start_run()
        log: worker.LogFunction = self._mlflow.log_metrics
        return log

    def finish(self) -> None:
        """End the run; waits for rows that are still being logged."""
        self._mlflow.end_run()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric in the database."""
        points: list[worker.Point] = []
        for path in folder.glob("mlflow.db"):
            with closing(sqlite3.connect(path)) as connection:
                points += connection.execute(_QUERY, (key,)).fetchall()
        return points


if __name__ == "__main__":
    worker.main(MlflowLogger())

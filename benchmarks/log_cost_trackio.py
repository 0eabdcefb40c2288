"""trackio, logging to its local SQLite file. Runs inside trackio's own venv; TRACKIO_DIR names the folder."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import log_cost_worker as worker


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

    def steps(self, folder: Path) -> list[int]:
        """Return the steps of all rows in the project's database."""
        steps: list[int] = []
        for path in folder.glob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                steps += [step for (step,) in connection.execute("SELECT step FROM metrics")]
        return steps


if __name__ == "__main__":
    worker.main(TrackioLogger())

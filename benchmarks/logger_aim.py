"""aim with a local repository. Runs inside aim's own venv."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import logger_worker as worker


class AimLogger:
    """Log through `aim.Run.track`, which takes a row as a dict."""

    def __init__(self) -> None:
        self._aim: Any = None
        self._run: Any = None

    def load(self) -> str:
        """Import aim."""
        self._aim = importlib.import_module("aim")
        return f"aim {importlib.import_module('aim.__version__').__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open a run in a repository that is made for it."""
        self._run = self._aim.Run(repo=str(folder), experiment="log-cost")
        log: worker.LogFunction = self._run.track
        return log

    def finish(self) -> None:
        """Close the run."""
        self._run.close()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric of all runs, after `aim storage reindex`, which finds runs cut off."""
        if not (folder / ".aim").is_dir():
            return []
        reindex = [str(Path(sys.executable).with_name("aim")), "storage", "--repo", str(folder), "reindex", "-y"]
        subprocess.run(reindex, check=True, capture_output=True, text=True)
        points: list[worker.Point] = []
        for run in self._aim.Repo(str(folder)).iter_runs():
            for metric in run.metrics():
                if metric.name == key:
                    points += [(step, value) for step, (value, *_) in metric.data.items()]
        return points


if __name__ == "__main__":
    worker.main(AimLogger())

"""swanlab in offline mode. Runs inside swanlab's own venv."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import logger_worker as worker


class SwanlabLogger:
    """Log through `swanlab.init(mode="offline")`."""

    def __init__(self) -> None:
        self._swanlab: Any = None
        self._run: Any = None

    def load(self) -> str:
        """Import swanlab."""
        self._swanlab = importlib.import_module("swanlab")
        return f"swanlab {self._swanlab.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open an offline run."""
        self._run = self._swanlab.init(project="log-cost", mode="offline", logdir=str(folder))
        log: worker.LogFunction = self._run.log
        return log

    def finish(self) -> None:
        """Wait until swanlab's threads have written all rows."""
        self._run.finish()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric, read with the reader that `swanlab sync` uses, until the first damage."""
        store: Any = importlib.import_module("swanlab.sdk.internal.core_python.store")
        messages: Any = importlib.import_module("swanlab.proto.swanlab.record.v1.record_pb2")
        points: list[worker.Point] = []
        for path in sorted(folder.glob("run-*/*.swanlab")):
            if path.stat().st_size == 0:
                continue
            reader = store.DataStoreReader()
            reader.open(path)
            for data in reader:
                record = messages.Record.FromString(data)
                if record.HasField("scalar") and record.scalar.key == key:
                    points.append((record.scalar.step, record.scalar.value.number))
        return points


if __name__ == "__main__":
    worker.main(SwanlabLogger())

"""tensorboardX, logging to an event file. Runs inside its own venv, where tensorboard reads the file back."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import logger_worker as worker


class TensorboardxLogger:
    """Log each metric of a row through `SummaryWriter.add_scalar`; there is no call that takes a row."""

    def __init__(self) -> None:
        self._module: Any = None
        self._writer: Any = None

    def load(self) -> str:
        """Import tensorboardX."""
        self._module = importlib.import_module("tensorboardX")
        return f"tensorboardX {self._module.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open a writer."""
        self._writer = self._module.SummaryWriter(str(folder))
        add_scalar = self._writer.add_scalar

        def log(data: worker.Row, /, *, step: int | None = None) -> None:
            for key, value in data.items():
                add_scalar(key, value, step)

        return log

    def finish(self) -> None:
        """Flush and close the file."""
        self._writer.close()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return all points of a metric, as TensorBoard loads them, until the first damage of each file."""
        loader: Any = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
        errors: Any = importlib.import_module("tensorboard.compat.tensorflow_stub.errors")
        points: list[worker.Point] = []
        for path in sorted(folder.glob("events*")):
            try:
                for event in loader.LegacyEventFileLoader(str(path)).Load():
                    points += [(event.step, v.simple_value) for v in event.summary.value if v.tag == key]
            except errors.DataLossError:
                continue
        return points


if __name__ == "__main__":
    worker.main(TensorboardxLogger())

"""The yardstick: what a script without a tracker does, `json.dumps` and a write to a buffered text file.

Each line holds what every tracker records for a row: the values, the step and the wall time.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import TextIO

import logger_worker as worker


class JsonLogger:
    """Write one JSON line per row."""

    def __init__(self) -> None:
        self._file: TextIO | None = None

    def load(self) -> str:
        """Return the version of Python, which brings `json`."""
        return f"Python {platform.python_version()}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open the file with the default buffer."""
        file = self._file = (folder / "log.jsonl").open("w", encoding="utf-8")
        write, dumps, clock_ns = file.write, json.dumps, time.time_ns

        def log(data: worker.Row, /, *, step: int | None = None) -> None:
            write(dumps({"step": step, "wall_time_ns": clock_ns(), **data}) + "\n")

        return log

    def finish(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return the points of a metric in all whole lines."""
        lines = (folder / "log.jsonl").read_text(encoding="utf-8").split("\n")
        return [(row["step"], row[key]) for row in map(json.loads, lines[:-1])]


if __name__ == "__main__":
    worker.main(JsonLogger())

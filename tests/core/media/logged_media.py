"""What was logged, read back through the front door."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as Pil

import tracker_core
from tracker_core.api_run import ApiRun


class Logged:
    """A run in the test's folder; `read` ends it and gives what a reader sees."""

    def __init__(self) -> None:
        self.run = tracker_core.init(project="media", id="run")
        self._read: ApiRun | None = None

    def log(self, **row: Any) -> None:
        self.run.log(row)

    @property
    def read(self) -> ApiRun:
        if self._read is None:
            self.run.finish(quiet=True)
            self._read = tracker_core.Api().run("media/run")
        return self._read

    def value(self, key: str) -> Any:
        """The last value of a key."""
        return [row[key] for row in self.read.history() if key in row][-1]

    def file(self, path: str) -> bytes:
        """The bytes of a file by the path that a value names."""
        return self.read.file(path).read()

    def picture(self, key: str) -> Pil.Image:
        """The image of a key, as it was kept."""
        return Pil.open(io.BytesIO(self.file(self.value(key)["path"])))

    def paths(self) -> list[str]:
        """The files of the run that are media."""
        return [file.name for file in self.read.files() if file.kind == "media"]

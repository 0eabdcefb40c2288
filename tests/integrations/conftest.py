"""Every test gets a tracker folder of its own, and leaves no run open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker_core import current
from tracker_core.api import Api, ApiRun


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tracker folder; the working directory is a new one."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRACKER_DIR", "TRACKER_PROJECT", "TRACKER_RUN_ID", "TRACKER_MODE", "TRACKER_RESUME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    yield tmp_path / ".tracker"
    end_runs()


def end_runs() -> None:
    """End what a test left open, as the end of the process does."""
    for run in current.active():
        run.finish(quiet=True)


class Recorded:
    """Reads back what a test recorded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def runs(self, project: str) -> list[ApiRun]:
        """Return a project's runs in the order they were made."""
        return Api(self._folder).runs(project)[::-1]

    def only_run(self, project: str) -> ApiRun:
        (run,) = self.runs(project)
        return run

    def api(self) -> Api:
        """Return what reads the folder."""
        return Api(self._folder)

    @staticmethod
    def rows(run: ApiRun) -> list[tuple[int, list[str]]]:
        """Return the step and the sorted keys of every row, in the order logged."""
        return [(row["_step"], sorted(key for key in row if not key.startswith("_"))) for row in run.scan_history()]


@pytest.fixture
def recorded(folder: Path) -> Recorded:
    return Recorded(folder)

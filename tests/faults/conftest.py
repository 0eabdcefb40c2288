"""Every test gets a folder of its own as working directory, and leaves no run open."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker_core import current

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))  # child processes and the model of a journal are there


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the tests from the user's settings and tracker folders, and from one another's runs."""
    for name in [name for name in os.environ if name.startswith("TRACKER_") and name not in _QUIET]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    for run in current.active():
        run.finish(quiet=True)
    current.set(None)


# Set for all tests: a busy machine is no slow disk, and what runs record by themselves is on where a test says so.
_QUIET = ("TRACKER_SLOW_WRITE_S", "TRACKER_CONSOLE", "TRACKER_SYSTEM_INTERVAL_S", "TRACKER_CAPTURE_ENVIRONMENT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tracker folder, not made yet."""
    return tmp_path / ".tracker"

"""Every test gets a folder of its own as working directory, no TRACKER_* variables, and leaves no run open."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tracker_core import current

# What a run records besides rows is on in the tests that are about it.
_ONLY_ROWS = {"TRACKER_CONSOLE": "off", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the tests from the user's settings and tracker folders, and from one another's runs."""
    for name in [name for name in os.environ if name.startswith("TRACKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TRACKER_SLOW_WRITE_S", "30")  # a test machine may be busy; tests of slow writes set their own
    for name, value in _ONLY_ROWS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield
    for run in current.active():
        run.finish(quiet=True)
    current.set(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tracker folder, not made yet."""
    return tmp_path / ".tracker"


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object], float], None]:
    """Return `wait_until(condition, timeout_s)`, for what a background thread does in its own time."""

    def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{condition} did not become true within {timeout_s} s"
            time.sleep(0.001)  # so that the thread waited for gets its turn

    return wait

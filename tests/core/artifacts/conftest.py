"""A run to log artifacts with, and the catalog that they go to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tracker_core
from tracker_core.run import Run


@pytest.fixture
def run() -> Iterator[Run]:
    """An active run of the project "digits"."""
    run = tracker_core.init("digits", settings={"quiet": True})
    assert isinstance(run, Run)
    yield run
    run.finish(quiet=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with files a.txt, sub/b.bin and an empty one."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("hello")
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 2000)
    (folder / "empty").touch()
    return folder

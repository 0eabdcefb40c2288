"""Tests of media."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from logged_media import Logged

matplotlib.use("Agg")  # opens no window


@pytest.fixture
def logged(own_surroundings: None) -> Logged:
    return Logged()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was said so far on stderr."""
    return lambda: capsys.readouterr().err


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, bytes], str]:
    """Write a file; return its path."""

    def write(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write

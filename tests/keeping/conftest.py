"""Each test runs on a catalog in a file and on one in PostgreSQL."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))  # child processes

from kept_artifacts import KeptArtifacts


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests from the user's settings and tracker folders."""
    for name in [name for name in os.environ if name.startswith("TRACKER_") and name != "TRACKER_CONFIG_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> KeptArtifacts:
    """A folder without artifacts."""
    url = request.getfixturevalue("database_url") if request.param == "postgresql" else None
    return KeptArtifacts(tmp_path / ".tracker", url)


@pytest.fixture
def kept_in_s3(tmp_path: Path, s3_url: str) -> KeptArtifacts:
    """A folder without artifacts, whose bytes are in an object store."""
    return KeptArtifacts(tmp_path / ".tracker", None, s3_url)


@pytest.fixture
def kept_in_files(tmp_path: Path) -> KeptArtifacts:
    """A folder without artifacts, whose catalog is a file."""
    return KeptArtifacts(tmp_path / ".tracker")

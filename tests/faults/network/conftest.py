"""A server behind a fault proxy for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sync_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server and one proxy for all tests of a module."""
    there = World(tmp_path_factory.mktemp("server") / ".tracker")
    yield there
    there.close()

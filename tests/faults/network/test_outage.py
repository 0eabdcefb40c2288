"""A day without a server costs memory nothing, and no row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import comparison
import pytest
from real_server import free_port
from sent_journals import assert_same_bytes
from sync_world import World

SCRIPT = Path(__file__).parent / "outage.py"


@pytest.mark.fault("F31")
def test_an_outage_of_24_hours(world: World, folder: Path) -> None:
    arguments = [str(folder), f"http://127.0.0.1:{free_port()}", world.proxy.url, "24"]
    paths = comparison.python_path()["PYTHONPATH"] + f":{SCRIPT.parent}"
    environ = comparison.child_process.environment() | {"PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], input=world.key, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 1000 < found["n_tries"] < 20_000, "it tries about every half minute"
    assert sum(found["n_rows"]) > 100_000
    assert found["n_waited_bytes"] > 1 << 20
    assert found["n_left_bytes"] == 0, found["error"]
    assert found["rss_most_mib"] - found["rss_first_mib"] <= 50
    assert_same_bytes(folder, world.folder)

"""What a plain script leaves behind with everything on, as it is by default: the whole story, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tracker_core.api import Api
from tracker_core.api_run import ApiRun

from .repository import git, make_repository
from .test_canaries import (
    canaries_in,
    canary_arguments,
    canary_config,
    canary_environment,
    canary_exception,
    carried,
    make_canary_repository,
)

SCRIPT = """
import sys
import tracker_core as tracker

run = tracker.init(project="whole", config={"lr": 0.1, "max_tokens": 512})
print("epoch 1")
for percent in range(0, 101, 10):
    sys.stderr.write(f"\\rbar {percent:3d}%")
sys.stderr.write("\\n")
tracker.log({"loss": 0.5})
"""

LEAKING_SCRIPT = """
import json, os
import tracker_core as tracker

config, exception = json.loads(os.environ.pop("TEST_INPUT"))
tracker.init(project="whole", config=config, save_code=True)
for variable, value in os.environ.items():
    print(variable, value, sep="=")
tracker.log({"loss": 0.5})
raise RuntimeError(exception)
"""


def train(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run train.py with everything on that tests switch off."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TRACKER_")}
    return subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=folder, env={**plain, **more}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def only_run(folder: Path) -> ApiRun:
    (run,) = Api(folder / ".tracker").runs("whole")
    return run


def test_a_plain_script_leaves_the_whole_story_of_its_run(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "work", **{"train.py": SCRIPT, "model.py": "WIDTH = 64\n"})
    (root / "model.py").write_text("WIDTH = 128\n")
    done = train(root, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    run = only_run(root)
    environment: dict[str, Any] = run.environment
    assert run.state == "finished"
    assert environment["command"][-3:] == ["train.py", "--epochs", "1"]
    assert len(environment["git"]["commit"]) == 40 and environment["git"]["is_dirty"] is True
    assert environment["packages"]["msgspec"] and environment["cpu"] and environment["memory_bytes"] > 0
    files = {file.name: file for file in run.files()}
    assert "+WIDTH = 128" in Path(files["diff.patch"].download(tmp_path / "out")).read_text()
    assert Path(files["code/train.py"].download(tmp_path / "out")).read_text() == SCRIPT
    lines = [line.text for line in run.console()]
    assert "epoch 1" in lines
    assert [line for line in lines if line.startswith("bar")] == ["bar 100%"]
    assert run.series("system/memory_percent").values[0] > 0
    assert [row["loss"] for row in run.history()] == [0.5]
    assert run.keys() == ["loss"] and run.summary == {"loss": 0.5}


def test_no_secret_reaches_the_folder(tmp_path: Path) -> None:
    root = make_canary_repository(tmp_path / "repository")
    (root / "train.py").write_text(LEAKING_SCRIPT + carried("source")[0][1] + "\n")
    given = json.dumps([canary_config(), canary_exception()])
    done = train(root, *canary_arguments(), **canary_environment(), TEST_INPUT=given)
    assert done.returncode == 1 and "RuntimeError" in done.stderr
    run = only_run(root)
    assert run.state == "failed" and run.error is not None and "password=***" in run.error.message
    assert run.config["max_tokens"] == 512 and run.config["password"] == "***"
    assert any(line.text == "DB_PASSWORD=***" for line in run.console())
    assert {"code/train.py", "code/settings.txt", "diff.patch"} & {file.name for file in run.files()}
    assert canaries_in(root / ".tracker") == []


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_killed_script_leaves_its_story_up_to_the_kill(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "work", **{"train.py": SCRIPT + "import os, time\ntime.sleep(2)\nos.kill(os.getpid(), 9)\n"}
    )
    assert train(root).returncode == -9
    run = only_run(root)
    assert run.state == "crashed"
    assert "epoch 1" in [line.text for line in run.console()]
    assert run.environment["packages"] and run.series("system/memory_percent").values[0] > 0
    assert git(root, "rev-parse", "HEAD").strip() == run.environment["git"]["commit"]

"""examples/ci: the steps of the GitHub Actions workflow, run as a runner does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracker_server.artifacts.local_artifacts import open_artifacts
from tracker_server.http.server import run_server_in_background

EXAMPLE = Path(__file__).parents[3] / "examples" / "ci"
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


class Runner:
    """Runs the steps of the only job, but those that install something, until one fails."""

    def __init__(self, folder: Path, values: dict[str, str], environment: dict[str, str]) -> None:
        self._workflow = yaml.safe_load((folder / "workflow.yml").read_text())
        self._folder, self._values, self._environment = folder, values, environment
        self.done: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(self) -> bool:
        (job,) = self._workflow["jobs"].values()
        has_failed = False
        for step in job["steps"]:
            is_to_run = "run" in step and step["name"] != "Install" and (not has_failed or step.get("if") == "always()")
            if is_to_run:
                self.done[step["name"]] = self._step(step)
                has_failed = has_failed or self.done[step["name"]].returncode != 0
        return not has_failed

    def again(self, name: str, old: str, new: str) -> subprocess.CompletedProcess[str]:
        """Run one step with something else in its script."""
        (job,) = self._workflow["jobs"].values()
        step = next(step for step in job["steps"] if step.get("name") == name)
        assert old in step["run"]
        return self._step({**step, "run": step["run"].replace(old, new)})

    def _step(self, step: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        output = self._folder / "output"
        output.write_text("")
        given = {**self._workflow["env"], **step.get("env", {})}
        environment = {name: self._filled(value) for name, value in given.items()}
        found = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self._filled(step["run"])],
            cwd=self._folder,
            env={**self._environment, **environment, "GITHUB_OUTPUT": str(output)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self._values[f"steps.{step['id']}.outputs.{name}"] = value
        return found

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self._values[match[1]], text)


@pytest.fixture(params=["server", pytest.param("folder", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Where the artifacts end up, and what the workflow is told of the server; the second is what it is made for."""
    if request.param == "folder":
        yield tmp_path / ".tracker", {"vars.TRACKER_BASE_URL": "", "secrets.TRACKER_API_KEY": ""}
        return
    server = run_server_in_background(tmp_path / "server")
    yield tmp_path / "server", {"vars.TRACKER_BASE_URL": server.base_url, "secrets.TRACKER_API_KEY": server.admin_key}
    server.close()


def test_the_steps_train_evaluate_register_and_promote_what_is_good_enough(
    tmp_path: Path, place: tuple[Path, dict[str, str]]
):
    folder, values = place
    copy = tmp_path / "ci"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "TRACKER_DIR": str(tmp_path / ".tracker")}
    runner = Runner(copy, {**values, "github.sha": "0" * 40}, environment)

    assert runner.run(), {name: (one.stdout, one.stderr) for name, one in runner.done.items()}
    assert list(runner.done) == ["Train", "Evaluate", "Register", "Promote", "Show"]
    artifacts = open_artifacts(folder)
    promoted = artifacts.resolve_linked("digits-classifier", "production")
    assert promoted.aliases == ["candidate", "production"]
    nodes = artifacts.lineage(f"version:{promoted.version.uid}").nodes
    assert [node.version.name for node in nodes if node.version] == ["digits-weights"]
    assert sum(node.run is not None for node in nodes) == 2
    assert artifacts.audit()[-1].why.startswith(f"commit {'0' * 40} [required: summary")
    assert "candidate, production" in runner.done["Show"].stdout

    stricter = runner.again("Promote", ">= 0.92", ">= 1.5")
    assert stricter.returncode == 1 and "a gate is not met" in stricter.stdout
    assert len(artifacts.audit()) == 4


def test_nothing_of_the_event_is_pasted_into_a_script():
    workflow = yaml.safe_load((EXAMPLE / "workflow.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]
    assert workflow["permissions"] == {"contents": "read"}

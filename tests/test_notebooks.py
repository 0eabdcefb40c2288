"""The notebooks run from top to bottom in an empty folder, and are committed without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tracker_core.api import Api

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path: Path) -> None:
    for cell in read(path).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_the_quick_start_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRACKER_")]:
        monkeypatch.delenv(name)
    (path,) = (path for path in NOTEBOOKS if path.stem == "01_quickstart")
    notebook = read(path)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    runs = {run.name: run for run in Api(tmp_path / ".tracker").runs("quickstart")}
    assert set(runs) == {"first run", "lr 0.05", "lr 2.0", "lightning", "transformers"}
    assert {run.state for run in runs.values()} == {"finished"}
    assert len(runs["first run"].series("train/loss")) == 200
    assert runs["first run"].series("val/accuracy").steps.tolist() == list(range(9, 200, 10))
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "val accuracy 0." in printed


def test_the_notebook_of_artifacts_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRACKER_")]:
        monkeypatch.delenv(name)
    (path,) = (path for path in NOTEBOOKS if path.stem == "02_artifacts")
    notebook = read(path)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    api = Api(tmp_path / ".tracker")
    assert [one.version for one in api.artifacts("dataset", "artifacts/digits")] == ["v2", "v1", "v0"]
    assert api.artifact("model-registry/Digits:candidate").source_name == "classifier:v1"
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "candidate is classifier:v1 of ['digits:v1']" in printed and "digits:v2 ['README.md'" in printed


@pytest.mark.fault("F12")
def test_the_cell_with_init_may_run_again_and_a_cell_that_raises_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begin = "import tracker_core\nrun = tracker_core.init('again')\nrun.log({'x': 1})"
    cells = [begin, "raise ValueError('a typing error')", "run.log({'x': 2})", begin]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, allow_errors=True, resources=resources).execute()
    second, first = Api(tmp_path / ".tracker").runs("again")
    assert [row["x"] for row in first.history()] == [1, 2] and [row["x"] for row in second.history()] == [1]
    assert (first.state, second.state) == ("finished", "finished")

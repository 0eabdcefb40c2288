"""A script written for wandb's artifacts runs with only its import changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import os
import tempfile

import tracker_core as wandb

with wandb.init(project="plain", job_type="prepare") as run:
    artifact = wandb.Artifact("raw-data", type="dataset", description="numbers", metadata={"rows": 3})
    with tempfile.TemporaryDirectory() as folder:
        for i in range(3):
            with open(os.path.join(folder, f"{i}.txt"), "w") as file:
                file.write(str(i))
        artifact.add_dir(folder, name="files")
    with artifact.new_file("index.json", mode="w") as file:
        file.write("[0, 1, 2]")
    artifact["predictions"] = wandb.Table(columns=["x", "y"], data=[[1, "a"], [2, "b"]])
    artifact.add_reference("s3://bucket/large.bin", checksum=False)
    artifact.ttl = None
    logged = run.log_artifact(artifact, aliases=["latest", "raw"])
    logged.wait()
    assert logged.version == "v0" and logged.state == "COMMITTED", logged
    assert not wandb.Artifact("other", type="dataset").manifest.entries

run = wandb.init(project="plain", job_type="train")
used = run.use_artifact("raw-data:raw", type="dataset")
folder = used.download(allow_missing_references=True)
assert sorted(os.listdir(os.path.join(folder, "files"))) == ["0.txt", "1.txt", "2.txt"]
assert open(used.get_path("index.json").download()).read() == "[0, 1, 2]"
table = used.get("predictions")
assert table.columns == ["x", "y"] and len(table.data) == 2, table
assert used.metadata["rows"] == 3 and used.description == "numbers"
checkpoint = os.path.join(tempfile.mkdtemp(), "model.ckpt")
for epoch in range(3):
    with open(checkpoint, "w") as file:
        file.write(f"weights {epoch}")
    model = wandb.Artifact(f"model-{run.id}", type="model", metadata={"epoch": epoch})
    model.add_file(checkpoint, name="model.ckpt")
    wandb.log_artifact(model, aliases=["latest", f"epoch_{epoch}"] + (["best"] if epoch == 1 else []))
wandb.run.log_model(path=checkpoint, name="final")
wandb.run.link_model(path=checkpoint, registered_model_name="Plain", aliases=["production"])
best = wandb.use_artifact(f"model-{run.id}:best")
best.aliases.append("kept")
best.save()
name = model.source_name
wandb.finish()

api = wandb.Api()
assert api.artifact(f"local/plain/{name}").version == "v2"
artifact_type = api.artifact_type("model", "plain")
for collection in artifact_type.collections():
    for version in collection.versions():
        if len(version.aliases) == 0 or version.aliases == [f"epoch_{version.metadata.get('epoch')}"]:
            version.delete(delete_aliases=True)
left = api.artifacts(type_name="model", name=f"plain/{name.partition(':')[0]}")
print([v.version for v in left], sorted(left[-1].aliases), left[-1].logged_by().job_type)
"""


def test_only_the_import_changes(recorded: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "['v2', 'v1'] ['best', 'epoch_1', 'kept'] train"

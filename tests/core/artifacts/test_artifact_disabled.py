"""In mode "disabled" every call is taken, nothing is kept and nobody is asked."""

from __future__ import annotations

import os
from pathlib import Path

import tracker_core
from tracker_core import Artifact


def test_every_call_gives_a_harmless_stand_in(tmp_path: Path, data: Path) -> None:
    before = sorted(os.listdir(tmp_path))
    run = tracker_core.init("digits", mode="disabled")
    artifact = Artifact("data", "dataset", metadata={"n": 1})
    artifact.add_dir(data)
    artifact.add_file(data / "a.txt", name="again.txt")
    logged = run.log_artifact(artifact, aliases=["best"])
    assert logged is artifact and not logged.is_draft() and logged.wait() is logged
    assert (logged.name, logged.version, logged.aliases, logged.metadata) == ("data:v0", "v0", ["latest"], {"n": 1})
    assert (logged.digest, logged.size, logged.files(), logged.created_at[:4]) == ("", 0, [], "1970")
    logged.aliases.append("x")
    logged.save()
    used = tracker_core.use_artifact("team/digits/other:v3", type="dataset")
    assert (used.type, used.logged_by(), used.used_by(), used.get("table")) == ("dataset", None, [], None)
    for path in (used.download(), used.checkout("elsewhere"), used.file(), run.use_model("model:latest")):
        assert not os.path.exists(path)
    used.verify()
    assert used.get_entry("any/file").read() == b"" and used.get_path("x").download().endswith("x")
    assert used.lineage().nodes == [] and used.get_entry("x").size == 0
    used.delete()
    assert run.link_artifact(logged, "model-registry/M", aliases=["candidate"]) is logged
    assert logged.link("model-registry/M") is logged
    for given in (data, str(data / "a.txt"), "no such file", "s3://bucket/key", 3, None):
        assert run.log_artifact(given, name="n", type="t").type == "t"
        assert run.log_model(given).type == run.link_model(given, "M").type == "model"
    assert run.upsert_artifact(artifact).id == run.finish_artifact(artifact).id == ""
    draft = used.new_draft()
    assert draft.is_draft()
    tracker_core.log_artifact(draft)
    run.finish()
    assert sorted(os.listdir(tmp_path)) == before


def test_saving_with_a_disabled_run_keeps_nothing(tmp_path: Path, data: Path) -> None:
    before = sorted(os.listdir(tmp_path))
    with tracker_core.init("digits", mode="disabled"):
        artifact = Artifact("data", "dataset")
        artifact.add_dir(data)
        artifact.save()
        assert artifact.state == "COMMITTED" and artifact.id == ""
    assert sorted(os.listdir(tmp_path)) == before

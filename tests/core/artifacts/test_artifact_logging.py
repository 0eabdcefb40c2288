"""Logging, using and linking versions with a run."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import tracker_core
from tracker_core import Api, Artifact, NotFoundError, UsageError
from tracker_core.journal_reader import JournalReader
from tracker_core.records import ArtifactLog, ArtifactUse
from tracker_core.run import Run


def logged(run: Run, content: str, name: str = "data", **options: Any) -> Artifact:
    artifact = Artifact(name, "dataset")
    with artifact.new_file("x.txt") as file:
        file.write(content)
    return run.log_artifact(artifact, **options)


def records(run: Run, kind: type) -> list[Any]:
    """Return the records of a kind in the run's journal."""
    journals = sorted(Path(run.dir).glob("*.journal"))
    found = [record for path in journals for _, record in JournalReader(str(path)).read().records]
    return [record for record in found if isinstance(record, kind)]


def test_versions_count_up_and_latest_moves(run: Run) -> None:
    first, second = logged(run, "one"), logged(run, "two", aliases=["best"], tags=["clean"])
    assert (first.version, second.version, second.name) == ("v0", "v1", "data:v1")
    assert set(second.aliases) == {"latest", "best"} and second.tags == ["clean"]
    assert run.use_artifact("data:v0").aliases == []
    assert run.use_artifact("data").id == run.use_artifact("data:best").id == second.id
    assert second.wait() is second and second.state == "COMMITTED" and not second.is_draft()


def test_the_same_content_is_the_same_version(run: Run) -> None:
    first = logged(run, "one", aliases=["a"])
    logged(run, "two")
    again = logged(run, "one", aliases=["b"], tags=["t"])
    assert (again.version, again.id, again.digest) == (first.version, first.id, first.digest)
    assert set(again.aliases) == {"a", "b", "latest"} and again.tags == ["t"]
    assert run.use_artifact("data").version == "v0"


def test_a_version_is_found_by_number_alias_digest_and_uid(run: Run) -> None:
    one = logged(run, "one", aliases=["best"])
    logged(run, "two")
    assert one.id is not None
    for which in ("v0", "best", one.digest, one.digest[:12], one.id):
        found = run.use_artifact(f"data:{which}", type="dataset")
        assert (found.id, found.get_entry("x.txt").read()) == (one.id, b"one")
    assert run.use_artifact("digits/data:best").id == run.use_artifact("team/digits/data:best").id == one.id
    for missing in ("data:v9", "data:nothing", "other", "elsewhere/data:v0", "model-registry/none"):
        with pytest.raises(NotFoundError):
            run.use_artifact(missing)


def test_a_name_has_one_type(run: Run) -> None:
    logged(run, "one")
    other = Artifact("data", "model")
    with other.new_file("x") as file:
        file.write("x")
    with pytest.raises(UsageError, match="dataset"):
        run.log_artifact(other)
    with pytest.raises(UsageError, match="dataset"):
        run.use_artifact("data", type="model")


def test_a_path_is_logged_without_a_draft(run: Run, data: Path) -> None:
    folder = run.log_artifact(data, name="all", type="dataset")
    assert [file.name for file in folder.files()] == ["a.txt", "empty", "sub/b.bin"]
    file = run.log_artifact(str(data / "a.txt"))
    assert file.name == f"run-{run.id}-a.txt:v0" and file.type == "unspecified"
    assert run.log_artifact(data / "a.txt", name="digits/a").name == "a:v0"
    with pytest.raises(UsageError, match="leave the project out"):
        run.log_artifact(data, name="elsewhere/a")
    for wrong in (3, None, b"path", "no such file", ["a"]):
        with pytest.raises(UsageError):
            run.log_artifact(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="own"):
        run.log_artifact(folder, name="other")


@pytest.mark.parametrize(
    "arguments",
    [{"aliases": "best"}, {"aliases": ["v3"]}, {"aliases": ["a/b"]}, {"tags": "t"}, {"tags": [""]}],
    ids=repr,
)
def test_wrong_labels_are_refused_before_anything_is_kept(run: Run, data: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run.log_artifact(data, name="data", **arguments)
    with pytest.raises(NotFoundError):
        run.use_artifact("data")


def test_edits_of_a_version_are_kept_by_save(run: Run) -> None:
    artifact = logged(run, "one", aliases=["a", "b"])
    artifact.aliases.remove("a")
    artifact.aliases.append("c")
    artifact.tags = ["x"]
    artifact.description, artifact.metadata["n"] = "text", 3
    artifact.save()
    found = Api().artifact("digits/data:c")
    assert set(found.aliases) == {"b", "c", "latest"} and found.tags == ["x"]
    assert (found.description, found.metadata) == ("text", {"n": 3})
    found.aliases.append("v3")
    with pytest.raises(UsageError):
        found.save()
    artifact.aliases = ["only"]
    artifact.save()
    assert set(Api().artifact("digits/data").aliases) == {"only", "latest"}


def test_a_time_to_live_is_kept_and_taken_back(run: Run) -> None:
    import datetime

    artifact = logged(run, "one")
    artifact.ttl = datetime.timedelta(days=3)
    artifact.save()
    assert Api().artifact("digits/data").ttl == datetime.timedelta(days=3)
    artifact.ttl = tracker_core.ArtifactTTL.INHERIT
    artifact.save()
    assert Api().artifact("digits/data").ttl is None


def test_a_new_draft_takes_the_files_along(run: Run, data: Path) -> None:
    first = run.log_artifact(data, name="all", type="dataset")
    draft = run.use_artifact("all").new_draft()
    draft.remove("sub")
    with draft.new_file("new.txt") as file:
        file.write("new")
    second = run.log_artifact(draft)
    assert (first.version, second.version) == ("v0", "v1")
    assert {file.name: file.size for file in second.files()} == {"a.txt": 5, "empty": 0, "new.txt": 3}
    assert second.get_entry("a.txt").read() == b"hello"


def test_an_incremental_version_adds_to_the_latest(run: Run) -> None:
    logged(run, "one")
    more = Artifact("data", "dataset", incremental=True)
    with more.new_file("y.txt") as file:
        file.write("two")
    run.log_artifact(more)
    assert {file.name: file.read() for file in run.use_artifact("data").files()} == {"x.txt": b"one", "y.txt": b"two"}


def test_a_file_of_another_artifact_can_be_taken_over(run: Run) -> None:
    logged(run, "one")
    other = Artifact("other", "dataset")
    other.add_reference(run.use_artifact("data").get_entry("x.txt"), name="taken.txt")
    run.log_artifact(other)
    assert other.get_entry("taken.txt").read() == b"one"


def test_files_are_taken_over_into_another_project(run: Run) -> None:
    draft = logged(run, "one").new_draft()
    run.finish()
    with tracker_core.init("elsewhere", settings={"quiet": True}) as other:
        other.log_artifact(draft)
        assert other.use_artifact("elsewhere/data").get_entry("x.txt").read() == b"one"


def test_lineage_goes_both_ways(run: Run, data: Path) -> None:
    source = run.log_artifact(data, name="all", type="dataset")
    run.finish()
    with tracker_core.init("digits", settings={"quiet": True}) as training:
        training.use_artifact("all", use_as="training data")
        model = logged(training, "weights", "weights")
    assert [one.id for one in Api().artifact("digits/all").used_by()] == [training.id]
    assert source.logged_by().id == run.id  # type: ignore[union-attr]
    found = Api().run(f"digits/{training.id}")
    assert [one.name for one in found.used_artifacts()] == ["all:v0"]
    assert [one.name for one in found.logged_artifacts()] == ["weights:v0"]
    graph = Api().artifact("digits/weights").lineage(direction="up")
    path = [f"run:digits/{run.id}", f"version:{source.id}", f"run:digits/{training.id}", f"version:{model.id}"]
    assert set(graph.edges) == set(itertools.pairwise(path))
    assert set(Api().lineage(f"digits/{run.id}", direction="down").edges) == set(graph.edges)


def test_a_version_is_put_into_the_registry_and_used_from_there(run: Run) -> None:
    linked = run.link_artifact(logged(run, "one", "weights"), "model-registry/Classifier", aliases=["candidate"])
    assert (linked.name, linked.is_link, linked.source_name) == ("Classifier:v0", True, "weights:v0")
    assert linked.qualified_name == "model-registry/Classifier:v0"
    for path in ("model-registry/Classifier:candidate", "wandb-registry-model/Classifier", "registry/Classifier:v0"):
        assert run.use_artifact(path).get_entry("x.txt").read() == b"one"
    for wrong in ("elsewhere/Classifier", "model-registry/a b", "model-registry/Classifier:v0", 3, ""):
        with pytest.raises(UsageError):
            run.link_artifact(linked, wrong)  # type: ignore[arg-type]
    linked.aliases.append("staging")
    linked.save()
    assert Api().registered_model("Classifier").aliases["staging"] == "v0"
    linked.unlink()
    assert Api().registered_model("Classifier").versions() == []


def test_models_are_logged_used_and_linked_by_path(run: Run, data: Path) -> None:
    weights = data / "sub" / "b.bin"
    run.log_model(weights, name="m", aliases=["best"])
    with open(run.use_model("m:best"), "rb") as file:
        assert file.read() == weights.read_bytes()
    run.log_model(data, name="folder")
    assert sorted(os.listdir(run.use_model("folder"))) == ["a.txt", "empty", "sub"]
    linked = run.link_model(weights, "Registered", name="m2", aliases=["candidate"])
    assert linked.source_name == "m2:v0" and "candidate" in linked.aliases
    logged(run, "one")
    with pytest.raises(UsageError, match="model"):
        run.use_model("data")
    with pytest.raises(UsageError):
        run.link_model(weights, "a/b")


def test_the_journal_says_what_was_logged_and_used(run: Run) -> None:
    artifact = logged(run, "one", aliases=["best"])
    run.use_artifact("data", use_as="test")
    before, after = records(run, ArtifactLog)
    assert before.digest == after.digest == artifact.digest and before.uid == after.uid == artifact.id
    assert (before.version, after.version, before.aliases) == ("", "v0", ["best"])
    (used,) = records(run, ArtifactUse)
    assert (used.uid, used.used_as, used.version) == (artifact.id, "test", "v0")


def test_calls_go_to_the_current_run(run: Run, data: Path) -> None:
    tracker_core.log_artifact(data, name="all", type="dataset")
    assert tracker_core.use_artifact("all:latest").version == "v0"
    assert tracker_core.link_artifact(tracker_core.use_artifact("all"), "model-registry/All").version == "v0"
    tracker_core.log_model(data / "a.txt", name="m")
    assert tracker_core.use_model("m").endswith("a.txt")
    assert tracker_core.link_model(data / "a.txt", "M").type == "model"
    run.finish()
    with pytest.raises(UsageError, match="init"):
        tracker_core.log_artifact(data)
    with pytest.raises(UsageError, match="finished"):
        run.log_artifact(data)


def test_an_artifact_is_saved_without_a_run(data: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(data)
    artifact.save()
    assert artifact.qualified_name == "uncategorized/data:v0" and artifact.logged_by() is None
    assert Api().artifact("uncategorized/data").file_count == 3


def test_a_logged_version_is_logged_again_by_another_run(run: Run) -> None:
    logged(run, "one")
    run.finish()
    with tracker_core.init("digits", settings={"quiet": True}) as other:
        again = other.log_artifact(other.use_artifact("data"), aliases=["mine"])
    assert again.version == "v0" and "mine" in Api().artifact("digits/data").aliases
    assert [one.name for one in Api().run(other.id).logged_artifacts()] == ["data:v0"]


def test_many_threads_log_at_once(run: Run) -> None:
    found: list[Artifact] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(logged(run, str(i % 4), f"data-{i % 2}"))) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    for name in ("data-0", "data-1"):
        assert [one.version for one in Api().artifacts(None, f"digits/{name}")] == ["v1", "v0"]


def test_a_forked_child_logs_with_the_run(run: Run) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    logged(run, "parent")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if logged(run, "child").version == "v1" else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert logged(run, "parent again").version == "v2"


def test_runs_make_a_version_together(data: Path) -> None:
    for i in range(3):
        with tracker_core.init("digits", group="job", settings={"quiet": True}) as part:
            artifact = Artifact("together", "dataset")
            with artifact.new_file(f"part-{i}") as file:
                file.write(f"content {i}")
            part.upsert_artifact(artifact)
    with tracker_core.init("digits", group="job", settings={"quiet": True}) as last:
        done = last.finish_artifact(Artifact("together", "dataset"), aliases=["whole"])
        assert {file.name: file.read() for file in done.files()} == {
            f"part-{i}": f"content {i}".encode() for i in range(3)
        }
        assert last.use_artifact("together:whole").version == "v0"
    with tracker_core.init("digits", settings={"quiet": True}) as alone, pytest.raises(UsageError, match="group"):
        alone.upsert_artifact(Artifact("together", "dataset"))


def test_an_upload_that_ran_out_before_the_artifact_was_logged_is_done_again(run: Run, data: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(data)
    assert artifact._lease is not None
    source, _, lease = artifact._lease
    source.end_upload(lease)
    artifact.add_file(data / "sub" / "b.bin", name="again.bin")
    run.log_artifact(artifact)
    assert artifact.get_entry("again.bin").read() == artifact.get_entry("sub/b.bin").read()
    assert (artifact.version, artifact.file_count) == ("v0", 4)


def test_a_run_that_ended_is_given_what_it_used_and_logged(run: Run) -> None:
    logged(run, "one")
    run.finish()
    ended = Api().run(run.id)
    late = Artifact("late", "dataset")
    with late.new_file("x") as file:
        file.write("late")
    ended.log_artifact(late, aliases=["added"], tags=["t"])
    ended.use_artifact(Api().artifact("digits/data"), use_as="check")
    assert [one.name for one in ended.logged_artifacts()] == ["data:v0", "late:v0"]
    assert [one.name for one in ended.used_artifacts()] == ["data:v0"]
    assert set(ended.logged_artifacts()[1].aliases) == {"added", "latest"}
    assert len(ended.lineage(direction="down").edges) == 3

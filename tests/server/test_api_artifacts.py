"""`Api` and `tracker artifact` give and change artifacts alike, of a folder and of a server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracker_core import Api, Artifact, NotFoundError, UsageError
from tracker_core.artifacts.commit import commit
from tracker_core.artifacts.wire import Retention
from tracker_server.http.server import run_server_in_background

from .artifact_places import new_name
from .test_cli_of_a_run import Result, command


@dataclasses.dataclass
class Place:
    """Where artifacts are, and what commands are told of it."""

    api: Api
    folder: Path
    arguments: list[str]

    def log(self, project: str, content: bytes, name: str = "data", type: str = "dataset", **fields: Any) -> Artifact:
        artifact = Artifact(name, type, metadata={"n": len(content)})
        artifact.tags = fields.pop("tags", [])
        for file_name in ("x.bin", "deep/y.bin"):
            with artifact.new_file(file_name, "wb") as file:
                file.write(content)
        commit(artifact, self.api._place(), project, **fields)
        return artifact

    def command(self, *arguments: str) -> Result:
        action, *others = arguments
        return command("artifact", action, *self.arguments, *others, folder=self.folder)


@pytest.fixture(scope="module", params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place") / ".tracker"
    if request.param == "folder":
        yield Place(Api(folder), folder, ["--dir", str(folder)])
        return
    server = run_server_in_background(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKER_BASE_URL", server.base_url)
        patch.setenv("TRACKER_API_KEY", server.admin_key)
        patch.setenv("TRACKER_CACHE_DIR", str(folder.parent / "cache"))
        api = Api(base_url=server.base_url, api_key=server.admin_key)
        yield Place(api, folder.parent / "no folder", [])
        api.close()
        server.close()


@pytest.fixture
def project() -> str:
    return new_name("project")


def test_types_and_artifacts_and_versions_are_listed_newest_first(place: Place, project: str) -> None:
    for i in range(3):
        place.log(project, b"%d" % i, aliases=[f"alias-{i}"], tags=["odd"] if i % 2 else [])
    place.log(project, b"weights", "weights", "model")
    api = place.api
    assert [one.name for one in api.artifact_types(project)] == ["dataset", "model"]
    (collection,) = api.artifact_type("dataset", f"team/{project}").collections()
    assert (collection.name, collection.type, len(collection), collection.project) == ("data", "dataset", 3, project)
    versions = collection.versions()
    assert [one.version for one in versions] == ["v2", "v1", "v0"]
    assert [set(one.aliases) for one in versions] == [{"latest", "alias-2"}, {"alias-1"}, {"alias-0"}]
    assert [one.name for one in api.artifacts("dataset", f"{project}/data", tags=["odd"])] == ["data:v1"]
    assert {one.name for one in api.artifact_collections(project)} == {"data", "weights"}
    assert api.artifact_collection("model", f"{project}/weights").artifacts()[0].metadata == {"n": 7}
    assert api.artifact(f"{project}/data:alias-1").version == "v1" and api.artifact(f"{project}/data").version == "v2"
    assert api.artifact_exists(f"{project}/data:v0") and not api.artifact_exists(f"{project}/data:v7")
    assert api.artifact_exists(f"{project}/data", "dataset") and not api.artifact_exists(f"{project}/data", "model")
    assert api.artifact_collection_exists(f"{project}/data") and not api.artifact_collection_exists(f"{project}/no")


def test_what_is_not_there_is_said(place: Place, project: str) -> None:
    place.log(project, b"1")
    for call in (
        lambda: place.api.artifact(f"{project}/none"),
        lambda: place.api.artifact_type("model", project),
        lambda: place.api.artifact_collection("model", f"{project}/data"),
        lambda: place.api.artifact_type("dataset", project).collection("none"),
        lambda: place.api.registered_model("None"),
        lambda: place.api.lineage(f"{project}/none"),
    ):
        with pytest.raises(NotFoundError):
            call()
    with pytest.raises(UsageError):
        place.api.artifact(f"{project}/data", type="model")


def test_a_clean_up_script_of_wandb_keeps_what_has_an_alias(place: Place, project: str) -> None:
    for i in range(5):
        place.log(project, b"%d" % i, aliases=["best"] if i == 1 else [])
    protected = place.api.artifact_collection("dataset", f"{project}/data")
    protected.set_retention(Retention(protected_aliases=("best",)))
    for collection in place.api.artifact_type(type_name="dataset", project=project).collections():
        for version in collection.versions():
            if not version.aliases:
                version.delete()
    left = place.api.artifact_versions("dataset", f"{project}/data")
    assert [one.version for one in left] == ["v4", "v1"]
    with pytest.raises(UsageError, match="best"):
        left[1].delete(delete_aliases=True)
    left[0].delete(delete_aliases=True)
    assert [one.version for one in place.api.artifacts("dataset", f"{project}/data")] == ["v1"]


def test_an_artifact_is_described_and_deleted(place: Place, project: str) -> None:
    place.log(project, b"1")
    collection = place.api.artifact_collection(None, f"{project}/data")
    collection.description = "what it is"
    collection.save()
    assert place.api.artifact_collection(None, f"{project}/data").description == "what it is"
    collection.delete()
    assert not place.api.artifact_collection_exists(f"{project}/data")


def test_files_are_read_downloaded_and_compared(place: Place, project: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 3000
    place.log(project, content)
    artifact = place.api.artifact(f"{project}/data")
    assert artifact.get_entry("deep/y.bin").read() == content
    root = Path(artifact.download(tmp_path / "here"))
    assert (root / "x.bin").read_bytes() == (root / "deep" / "y.bin").read_bytes() == content
    artifact.verify(root)
    draft = artifact.new_draft()
    draft.remove("x.bin")
    info = commit(draft, place.api._place(), project)
    assert (info.ordinal, info.n_files) == (1, 1)


def test_a_version_is_edited_and_linked(place: Place, project: str) -> None:
    model = new_name("Model")
    place.log(project, b"1", "weights", "model")
    artifact = place.api.artifact(f"{project}/weights")
    artifact.aliases.append("best")
    artifact.save()
    linked = artifact.link(f"model-registry/{model}", aliases=["candidate"])
    assert linked.qualified_name == f"model-registry/{model}:v0"
    found = place.api.registered_model(model)
    assert found.aliases["candidate"] == "v0" and found.version("candidate").source_name == "weights:v0"
    assert [entry.action for entry in found.audit()][:2] == ["register", "link"]
    assert model in {one.name for one in place.api.registered_models()}
    assert any(entry.model == model for entry in place.api.registry_audit())
    found.set_card("# card", why="told")
    assert place.api.registered_model(model).card == "# card"
    with pytest.raises(UsageError, match="regist"):
        place.api.artifact(f"{project}/weights").delete(delete_aliases=True)


# The command


def test_the_command_lists_shows_and_fetches(place: Place, project: str, tmp_path: Path) -> None:
    place.log(project, b"content", aliases=["best"])
    listed = place.command("list", project)
    assert listed.returncode == 0 and f"{project}/data" in listed.stdout and "best" in listed.stdout
    (found,) = json.loads(place.command("list", project, "--json").stdout)
    assert (found["name"], found["n_versions"], found["size_bytes"]) == ("data", 1, 14)
    (version,) = json.loads(place.command("list", f"{project}/data", "--json").stdout)
    assert version["version"] == "v0" and set(version["aliases"]) == {"best", "latest"}
    shown = place.command("show", f"{project}/data:best").stdout
    assert "deep/y.bin" in shown and "v0" in shown
    assert [
        file["path"] for file in json.loads(place.command("show", f"{project}/data", "--json").stdout)["files"]
    ] == [
        "deep/y.bin",
        "x.bin",
    ]
    here = tmp_path / "here"
    assert place.command("get", f"{project}/data", "--to", str(here)).returncode == 0
    assert place.command("compare", f"{project}/data", str(here)).returncode == 0
    (here / "more").touch()
    assert place.command("compare", f"{project}/data", str(here)).returncode == 1
    assert place.command("get", f"{project}/data", "--to", str(here), "--exactly").returncode == 0
    assert not (here / "more").exists()


def test_the_command_puts_and_changes(place: Place, project: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text")
    options = ["--name", f"{project}/put", "--type", "text", "--alias", "a", "--tag", "t", "--metadata", '{"k": 1}']
    done = place.command("put", str(tmp_path / "file.txt"), *options)
    assert (done.returncode, done.stdout) == (0, f"{project}/put:v0\n"), done.stderr
    artifact = place.api.artifact(f"{project}/put:a")
    assert (artifact.tags, artifact.metadata, artifact.type) == (["t"], {"k": 1}, "text")
    assert place.command("alias", f"{project}/put", "--add", "b", "--remove", "a").returncode == 0
    assert place.command("edit", f"{project}/put:b", "--description", "new").returncode == 0
    edited = place.api.artifact(f"{project}/put")
    assert set(edited.aliases) == {"b", "latest"} and edited.description == "new"
    assert place.command("delete", f"{project}/put:v0", "--dry-run").stdout == f"Would delete {project}/put:v0.\n"
    assert "b" in place.command("delete", f"{project}/put:v0", "--yes").stderr
    assert place.command("delete", f"{project}/put:v0", "--yes", "--delete-aliases").returncode == 0
    assert not place.api.artifact_exists(f"{project}/put:v0")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "nowhere/none"), 3),
        (("show", "../../etc/passwd"), 2),
        (("get", "nowhere/none"), 3),
        (("list", "nowhere/none"), 3),
        (("put", "no such file"), 2),
        (("put", ".", "--name", "a b"), 2),
        (("alias", "nowhere/none"), 2),
        (("edit", "nowhere/none"), 2),
        (("delete", "nowhere/none", "--yes"), 2),
        (("delete", "nowhere/none:v0", "--yes"), 3),
        (("compare", "nowhere/none", "."), 3),
    ],
    ids=str,
)
def test_wrong_use_of_the_command_has_a_code_of_its_own(place: Place, arguments: tuple[str, ...], code: int) -> None:
    done = place.command(*arguments)
    assert done.returncode == code and done.stderr.startswith("tracker: "), done


def test_what_others_wrote_does_not_reach_the_terminal(place: Place, project: str) -> None:
    artifact = Artifact("data", "dataset", description="\x1b]0;title\x07\x1b[2J[bold]x[/bold]")
    with artifact.new_file("[red]file[red]") as file:
        file.write("x")
    commit(artifact, place.api._place(), project)
    for action, name in (("show", f"{project}/data"), ("list", f"{project}/data")):
        out = place.command(action, name).stdout
        assert "\x1b" not in out and "\x07" not in out and "[bold]x[/bold]" in out

"""The JSON routes of artifacts and of the registry, on a real server with real bytes."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import RunRef, Use, VersionInfo
from tracker_core.values import to_plain
from tracker_server.http.ui_server import UiServer

from .artifact_places import Files, log, new_name, new_version
from .conftest import Journal

API = "/api/v1"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 4, 4) + b"\x08\x02\0\0\0" + b"\0" * 40


class Boom:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("unpickled", "w"))


@pytest.fixture
def source(quiet_server: UiServer) -> ArtifactSource:
    return quiet_server.artifacts.local().as_user("ada")


@pytest.fixture
def project(quiet_server: UiServer) -> str:
    return new_name("shown")


@pytest.fixture
def run(quiet_server: UiServer, project: str) -> RunRef:
    journal = Journal(Path(quiet_server.folder.path), "r", project, name="training")
    journal.row(0, loss=0.5, **{"val/accuracy": 0.9})
    journal.summary(note="a text")
    journal.end()
    quiet_server.folder.refresh()
    return RunRef(project, "r")


def get(client: httpx.Client, path: str, status: int = 200, /, **query: Any) -> Any:
    reply = client.get(API + path, params=query)
    assert reply.status_code == status, reply.text
    return reply.json()


def post(client: httpx.Client, path: str, body: dict[str, Any], status: int = 200) -> Any:
    reply = client.post(API + path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


def at(info: VersionInfo, tail: str = "", version: str = "") -> str:
    return f"/projects/{info.project}/artifacts/{info.name}/versions/{version or info.version}{tail}"


# Lists and versions


def test_artifacts_are_listed_by_type_and_name(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    log(source, project, {"a": b"1"}, "cnn")
    log(source, project, {"a": b"2"}, "cnn", aliases=["best"])
    log(source, project, {"a": b"3"}, "digits", type="dataset")
    listed = get(quiet_client, "/artifacts", project=project)
    assert [row["name"] for row in listed["artifacts"]] == ["digits", "cnn"]
    assert listed["types"] == ["dataset", "model"]
    assert listed["artifacts"][1]["n_versions"] == 2 and set(listed["artifacts"][1]["aliases"]) == {"best", "latest"}
    assert [row["name"] for row in get(quiet_client, "/artifacts", project=project, type="model")["artifacts"]] == [
        "cnn"
    ]
    assert [row["name"] for row in get(quiet_client, "/artifacts", project=project, text="DIG")["artifacts"]] == [
        "digits"
    ]
    assert project in {row["project"] for row in get(quiet_client, "/artifacts")["artifacts"]}
    usage = get(quiet_client, "/artifacts/usage", project=project)["projects"]
    assert [(row["n_artifacts"], row["n_versions"], row["logical_bytes"]) for row in usage] == [(2, 3, 3)]


def test_a_version_is_told_with_its_run_and_who_used_it(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, run: RunRef
) -> None:
    metadata = {"n": 3, "loss": float("nan"), "deep": {"a": [1, 2]}}
    info = log(source, project, {"a": b"x"}, description="**fine**", metadata=metadata, logged_by=run)
    source.add_uses([Use(info.uid, RunRef(project, "gone"), 5_000_000_000, False, "model")])
    told = get(quiet_client, at(info, version="latest"))
    assert told["version"]["number"] == 0 and told["latest_number"] == 0
    assert told["metadata"] == {"n": 3, "loss": "NaN", "deep": {"a": [1, 2]}}
    assert told["description_html"] == "<p><strong>fine</strong></p>\n"
    by = told["version"]["logged_by"]
    assert (by["name"], by["state"]) == ("training", "finished")
    assert by["summary"] == {"loss": 0.5, "val/accuracy": 0.9}
    used = [use for use in told["uses"] if not use["is_output"]]
    assert [(use["run"]["id"], use["run"]["state"], use["at_s"], use["used_as"]) for use in used] == [
        ("gone", "", 5.0, "model")
    ]
    assert get(quiet_client, at(info, version=info.uid))["version"]["uid"] == info.uid
    assert get(quiet_client, at(info, version="v7"), 404)["error"]["got"]


def test_versions_come_newest_first_and_in_pages(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    for number in range(5):
        log(source, project, {"a": str(number).encode()})
    path = f"/projects/{project}/artifacts/m/versions"
    first = get(quiet_client, path, size=3)
    rest = get(quiet_client, path, size=3, after=first["next_place"])
    assert [row["number"] for row in first["versions"] + rest["versions"]] == [4, 3, 2, 1, 0]
    assert rest["next_place"] is None


# Files


def test_files_are_listed_folder_by_folder_and_found_by_name(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    contents = {"a/one.txt": b"1", "a/b/two.txt": b"22", "a/b/three.txt": b"333", "top": b"4444"}
    info = log(source, project, contents)
    root = get(quiet_client, at(info, "/files"))
    assert [(one["path"], one["n_files"], one["size_bytes"]) for one in root["folders"]] == [("a", 3, 6)]
    assert [one["path"] for one in root["files"]] == ["top"]
    inner = get(quiet_client, at(info, "/files"), folder="a/b", size=1)
    assert [one["path"] for one in inner["files"]] == ["a/b/three.txt"] and inner["n_files"] == 2
    assert (
        get(quiet_client, at(info, "/files"), folder="a/b", after=inner["next_place"])["files"][0]["path"]
        == "a/b/two.txt"
    )
    assert [one["path"] for one in get(quiet_client, at(info, "/files"), text="T")["files"]] == sorted(contents)
    assert get(quiet_client, at(info, "/files"), folder="../..")["files"] == []


def test_a_file_is_downloaded_whole_and_never_shown_as_a_page(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    page, large = b"<script>alert(1)</script>", bytes(range(256)) * 200
    info = log(source, project, {"x.html": page, "x.png": page, "é\u202fb.bin": large, "p": PNG}, chunk_bytes=1000)
    for path, content, inline in (("x.html", page, True), ("x.png", page, True), ("é\u202fb.bin", large, False)):
        reply = quiet_client.get(API + at(info, f"/files/{path}"), params={"inline": inline})
        assert reply.content == content and reply.headers["content-length"] == str(len(content))
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["content-disposition"].startswith("attachment")
        assert reply.headers["content-security-policy"].startswith("sandbox")
        assert reply.headers["x-content-type-options"] == "nosniff"
    shown = quiet_client.get(API + at(info, "/files/p"), params={"inline": True})
    assert (shown.headers["content-type"], shown.content) == ("image/png", PNG)
    assert shown.headers["content-disposition"].startswith("inline")
    assert quiet_client.get(API + at(info, "/files/p")).headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path", ["nothing", "../x.html", "..%2fx.html", "%2e%2e/%2e%2e/etc/passwd", "x.html/", "x%00", "C:\\x"]
)
def test_a_path_that_the_version_has_not_is_not_there(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, path: str
) -> None:
    info = log(source, project, {"x.html": b"1"})
    reply = quiet_client.get(f"{API}{at(info)}/files/{path}")
    assert reply.status_code == 404


def test_previews_show_text_pictures_and_tensors_and_open_no_pickle(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    head = json.dumps({"__metadata__": {"by": "me"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}})
    contents = {
        "notes.txt": "räksmörgås\n".encode(),
        "long.csv": b"1,2\n" * 100_000,
        "p.bin": PNG,
        "model.safetensors": struct.pack("<Q", len(head)) + head.encode() + b"\0" * 24,
        "lie.safetensors": struct.pack("<Q", 1 << 62) + b"{}",
        "odd.safetensors": struct.pack("<Q", 6) + b"[1, 2]",
        "deep.safetensors": struct.pack("<Q", 200_005) + b'{"a":' + b"[" * 200_000,
        "model.pt": pickle.dumps(Boom()),
        "named.txt": pickle.dumps(Boom()),
        "huge.png": PNG[:16] + struct.pack(">II", 60_000, 60_000) + PNG[24:],
        "cut.txt": b"a" * ((256 << 10) - 1) + "é".encode(),
        "empty": b"",
    }
    info = log(source, project, contents)
    told = {path: get(quiet_client, at(info, "/preview"), path=path) for path in contents}
    assert told["notes.txt"] == {**told["notes.txt"], "kind": "text", "text": "räksmörgås\n", "is_cut": False}
    assert told["long.csv"]["is_cut"] and len(told["long.csv"]["text"]) == 256 << 10
    assert told["cut.txt"]["kind"] == "text" and told["cut.txt"]["is_cut"]
    assert told["p.bin"]["kind"] == "image"
    tensors = told["model.safetensors"]
    assert tensors["tensors"] == [{"name": "w", "dtype": "F32", "shape": [2, 3]}] and tensors["n_parameters"] == 6
    assert tensors["header"] == {"by": "me"}
    for path in (
        "lie.safetensors",
        "odd.safetensors",
        "deep.safetensors",
        "huge.png",
        "empty",
        "model.pt",
        "named.txt",
    ):
        assert told[path]["kind"] == "none" and told[path]["note"], path
    assert "pickle" in told["model.pt"]["note"]
    assert list(tmp_path.iterdir()) == []


def test_a_reference_is_told_and_never_fetched(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    reference = Entry("far.bin", 7, reference="http://169.254.169.254/latest", checksum="etag:1")
    files = Files({}, references=[reference])
    lease = source.begin_upload(project)
    info = source.commit(new_version(lease, files, project))
    assert get(quiet_client, at(info, "/files"))["files"][0]["reference"] == "http://169.254.169.254/latest"
    assert get(quiet_client, at(info, "/preview"), path="far.bin")["kind"] == "none"
    assert "reference" in get(quiet_client, at(info, "/files/far.bin"), 422)["error"]["got"]


def test_a_file_of_another_project_is_not_to_be_had_through_ours(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    ours, theirs = log(source, project, {"a": b"1"}), log(source, new_name("other"), {"secret": b"2"})
    assert quiet_client.get(API + at(ours, "/files/secret", version=theirs.uid)).status_code == 404
    assert quiet_client.get(API + at(ours, version=theirs.uid)).status_code == 404
    assert quiet_client.get(API + at(ours, "/diff"), params={"old": theirs.uid}).status_code == 404


# Differences


def test_versions_are_compared(quiet_client: httpx.Client, source: ArtifactSource, project: str) -> None:
    same = b"s" * 5000
    old = log(
        source,
        project,
        {"same": same, "go": b"1", "old/name": b"moved", "text": b"a\nb\n"},
        metadata={"a": 1, "b": {"c": 2}},
    )
    new = log(
        source,
        project,
        {"same": same, "come": b"2", "new/name": b"moved", "text": b"a\nc\n"},
        metadata={"a": 1.0, "d": None},
    )
    told = get(quiet_client, at(new, "/diff"), old="v0")
    assert (told["old"]["number"], told["new"]["number"], told["n_same"]) == (0, 1, 1)
    changes = [(one["kind"], (one["old"] or {}).get("path"), (one["new"] or {}).get("path")) for one in told["changes"]]
    assert changes == [
        ("changed", "text", "text"),
        ("moved", "old/name", "new/name"),
        ("added", None, "come"),
        ("removed", "go", None),
    ]
    assert told["reused_bytes"] == 5005
    assert {one["key"]: (one["is_in_old"], one["is_in_new"]) for one in told["metadata"]} == {
        "a": (True, True),
        "b.c": (True, False),
        "d": (False, True),
    }
    part = get(quiet_client, at(new, "/diff"), old=old.uid, size=3)
    assert len(part["changes"]) == 3 and part["next_place"] == 3
    text = get(quiet_client, at(new, "/diff/text"), old="v0", path="text")["text"]
    assert text.startswith("diff --git a/text b/text\n--- a/text\n+++ b/text\n@@") and "\n-b\n+c\n" in text
    assert get(quiet_client, at(new, "/diff/text"), 404, old="v0", path="come")


def test_what_is_too_long_or_no_text_is_not_compared_line_by_line(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    log(source, project, {"lines": b"1\n" * 6000, "bytes": b"\0", "large": b"1" * 300_000})
    new = log(source, project, {"lines": b"2\n" * 6000, "bytes": b"\1", "large": b"2" * 300_000})
    for path in ("lines", "bytes", "large"):
        told = get(quiet_client, at(new, "/diff/text"), old="v0", path=path)
        assert told["text"] == "" and told["note"]


# Lineage


def test_lineage_goes_both_ways_from_versions_and_runs(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, run: RunRef
) -> None:
    data = log(source, project, {"a": b"1"}, "data")
    model = log(source, project, {"a": b"2"}, "model", logged_by=run)
    source.add_uses([Use(data.uid, run, 1)])
    ids = {f"version:{data.uid}", f"version:{model.uid}", f"run:{project}/r"}
    graph = get(quiet_client, at(model, "/lineage"))
    assert {node["id"] for node in graph["nodes"]} == ids and graph["is_complete"]
    assert sorted(map(tuple, graph["edges"])) == sorted(
        [(f"version:{data.uid}", f"run:{project}/r"), (f"run:{project}/r", f"version:{model.uid}")]
    )
    up = get(quiet_client, at(data, "/lineage"), direction="up")
    assert [node["id"] for node in up["nodes"]] == [f"version:{data.uid}"]
    assert {node["id"] for node in get(quiet_client, f"/projects/{project}/runs/r/lineage")["nodes"]} == ids
    listed = get(quiet_client, f"/projects/{project}/runs/r/artifacts")["artifacts"]
    assert {(one["version"]["name"], one["is_output"]) for one in listed} == {("data", False), ("model", True)}


# Edits


def test_aliases_tags_and_descriptions_are_changed(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    info = log(source, project, {"a": b"1"})
    body = {"add_aliases": ["best"], "tags": ["t"], "description": "d", "why": "because"}
    told = post(quiet_client, at(info, "/edit"), body)
    assert (set(told["aliases"]), told["tags"], told["description"]) == ({"best", "latest"}, ["t"], "d")
    assert post(quiet_client, at(info, "/edit"), {"remove_aliases": ["best"]})["aliases"] == ["latest"]
    assert "latest" in post(quiet_client, at(info, "/edit"), {"remove_aliases": ["latest"]}, 422)["error"]["got"]
    path = f"/projects/{project}/artifacts/m"
    retention = {"keep_last": 3, "protected_aliases": ["production"]}
    kept = post(quiet_client, f"{path}/edit", {"description": "# All", "retention": retention})
    assert kept["description_html"] == "<h1>All</h1>\n" and kept["retention"] == retention
    assert post(quiet_client, f"{path}/edit", {"retention": {"keep_last": "3"}}, 422)


def test_versions_are_deleted_all_or_none_and_only_of_their_artifact(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    first, second = log(source, project, {"a": b"1"}), log(source, project, {"a": b"2"}, aliases=["best"])
    other = log(source, project, {"a": b"3"}, "other")
    path = f"/projects/{project}/artifacts/m"
    post(quiet_client, f"{path}/delete_versions", {"versions": [first.uid, second.uid]}, 422)
    post(quiet_client, f"{path}/delete_versions", {"versions": [first.uid, other.uid]}, 404)
    assert len(get(quiet_client, f"{path}/versions")["versions"]) == 2
    third = log(source, project, {"a": b"4"})
    body = {"versions": [first.uid, second.uid], "delete_aliases": True, "why": "old"}
    assert set(post(quiet_client, f"{path}/delete_versions", body)["deleted"]) == {first.uid, second.uid}
    assert [row["uid"] for row in get(quiet_client, f"{path}/versions")["versions"]] == [third.uid]
    post(quiet_client, f"/projects/{project}/artifacts/other/delete", {"why": "gone"})
    get(quiet_client, f"/projects/{project}/artifacts/other", 404)


# The registry


def test_a_version_goes_through_the_registry_and_every_change_is_told(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, run: RunRef
) -> None:
    name = new_name("model")
    first = log(source, project, {"a": b"1"}, logged_by=run)
    second = log(source, project, {"a": b"2"})
    linked = post(quiet_client, at(first, "/link"), {"model": name, "aliases": ["candidate"], "why": "first"})
    assert (linked["number"], linked["aliases"]) == (0, ["candidate"])
    assert linked["source"]["logged_by"]["summary"]["val/accuracy"] == 0.9
    post(quiet_client, at(second, "/link"), {"model": name})
    post(
        quiet_client,
        f"/registry/{name}/versions/0/aliases",
        {"add": ["production"], "remove": ["candidate"], "why": "good"},
    )
    post(quiet_client, f"/registry/{name}/versions/1/aliases", {"add": ["production"], "why": "better"})
    post(quiet_client, f"/registry/{name}/card", {"card": "# Card <script>x</script>", "why": "told"})
    told = get(quiet_client, f"/registry/{name}")
    assert {alias: n for alias, n in told["model"]["aliases"].items() if alias != "latest"} == {"production": 1}
    assert [row["number"] for row in told["versions"]] == [1, 0]
    assert told["card"].startswith("# Card") and "<script" not in told["card_html"]
    assert name in {row["name"] for row in get(quiet_client, "/registry", text=name)["models"]}
    entries = get(quiet_client, f"/registry/{name}/audit")["entries"]
    assert [entry["why"] for entry in entries if entry["action"] == "edit card"] == ["told"]
    assert all(entry["hash"] and entry["previous_hash"] is not None for entry in entries)
    part = get(quiet_client, f"/registry/{name}/audit", size=2)
    assert get(quiet_client, f"/registry/{name}/audit", after=part["next_place"])["entries"] == entries[2:]
    registered = get(quiet_client, at(second))["version"]["registered_as"]
    assert registered == [{"model": name, "number": 1}]
    post(quiet_client, f"/registry/{name}/versions/0/unlink", {"why": "old"})
    assert [row["number"] for row in get(quiet_client, f"/registry/{name}")["versions"]] == [1]
    post(quiet_client, f"/registry/{name}/delete", {"why": "done"})
    get(quiet_client, f"/registry/{name}", 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/edit", b"{"),
        ("/edit", b'{"add_aliases": "best"}'),
        ("/edit", b'{"add_aliases": ["v3"]}'),
        ("/edit", b'{"add_aliases": ["a/b"]}'),
        ("/edit", b'{"add_aliases": ["a\\u0000b"]}'),
        ("/edit", b'{"ttl_days": 1e999}'),
        ("/edit", b'{"ttl_days": -5}'),
        ("/edit", b'{"metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"),
        ("/link", b'{"model": ""}'),
        ("/link", b'{"model": "../x"}'),
        ("/link", b'{"model": ".."}'),
        ("/link", b"{}"),
    ],
)
def test_wrong_changes_are_refused_by_what_they_are(
    quiet_client: httpx.Client, source: ArtifactSource, project: str, path: str, body: bytes
) -> None:
    info = log(source, project, {"a": b"1"})
    reply = quiet_client.post(API + at(info, path), content=body)
    assert 400 <= reply.status_code < 500, reply.text
    assert set(reply.json()["error"]) >= {"where", "got", "expected", "remedy"}


def test_metadata_as_deep_as_can_be_logged_is_shown(
    quiet_client: httpx.Client, source: ArtifactSource, project: str
) -> None:
    deep: dict[str, Any] = {"end": 1}
    for _ in range(400):
        deep = {"a": deep}
    deep = to_plain(deep)
    info = log(source, project, {"a": b"1"}, metadata=deep)
    other = log(source, project, {"a": b"2"})
    assert get(quiet_client, at(info))["metadata"] == deep
    assert get(quiet_client, at(other, "/diff"), old="v0")["metadata"]

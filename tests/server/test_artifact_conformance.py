"""Artifacts and the registry are the same in a folder, on a server, on one with PostgreSQL and on one with S3.

Every test here runs on all of them: the same values to the last bit, the same errors.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tracker_core.artifacts.errors import DamagedChunkError, MissingChunksError
from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.open_source import open_local, open_remote
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES, Retention, RunRef, Use, VersionEdit
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.http.server import run_server_in_background
from tracker_server.http.ui_server import run_in_background
from tracker_server.remote.artifact_wire import MAX_CHUNKS

from .artifact_places import Files, chunk_of, contents_of, log, new_name, new_uid, new_version

NAN, INF = math.nan, math.inf
PLACES = ["folder", "server", "server with PostgreSQL"]
# Where the bytes are matters to these alone.
OF_BYTES = pytest.mark.parametrize("place", [*PLACES, "server with S3"], indirect=True)


@dataclass
class Place:
    """Where artifacts are; `folder` has their packs, None where an object store does."""

    source: ArtifactSource
    folder: Path | None


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One place for all tests of the module; each has a project of its own."""
    folder = tmp_path_factory.mktemp("place") / ".tracker"
    if request.param == "folder":
        source = open_local(str(folder))
        yield Place(source, folder)
        source.close()
        return
    database_url = request.getfixturevalue("postgres").new_store() if "PostgreSQL" in request.param else None
    blobs_url = None
    with pytest.MonkeyPatch.context() as patch:
        if "S3" in request.param:
            store = request.getfixturevalue("object_store")
            for name, value in store.environment.items():
                patch.setenv(name, value)
            blobs_url = f"s3://{store.new_bucket()}/tracker"
        server = run_server_in_background(folder, database_url, blobs_url=blobs_url)
        source = open_remote(server.base_url, server.admin_key)
        yield Place(source, None if blobs_url else folder)
        source.close()
        server.close()
    if blobs_url:
        assert not (folder / "blobs").exists() or not list((folder / "blobs").rglob("*.pack"))


@pytest.fixture
def source(place: Place) -> ArtifactSource:
    return place.source


@pytest.fixture
def project() -> str:
    return new_name()


# -- bytes


@OF_BYTES
def test_what_is_logged_is_read_back(source: ArtifactSource, project: str) -> None:
    contents = {
        "empty": b"",
        "one.bin": b"\0",
        "dir/ü.bin": secrets.token_bytes(70_000),
        "same.bin": b"x" * 5000,
        "again.bin": b"x" * 5000,
    }
    version = log(source, project, contents, chunk_bytes=1000)
    assert contents_of(source, version.uid) == contents
    assert (version.n_files, version.size_bytes) == (5, 80_001)
    assert source.manifest(version.uid).digest() == version.digest


@OF_BYTES
def test_chunks_of_any_size_and_number_are_sent(source: ArtifactSource, project: str) -> None:
    large = secrets.token_bytes(MAX_CHUNK_BYTES)
    contents = {"large.bin": large + large[:3], "many.bin": secrets.token_bytes(2 * (MAX_CHUNKS + 10))}
    files = Files({"many.bin": contents["many.bin"]}, 2)
    lease = source.begin_upload(project)
    big = Files({"large.bin": contents["large.bin"]}, MAX_CHUNK_BYTES)
    source.put(lease, [*files.pieces, *big.pieces])
    manifest = Files(contents).manifest.encode()
    entries = [*files.entries, *big.entries]
    manifest = type(files.manifest)(entries).encode()
    new = new_version(lease, files, project)
    new.manifest = manifest
    version = source.commit(new)
    assert contents_of(source, version.uid) == contents


@OF_BYTES
def test_what_is_there_is_not_asked_for_again(source: ArtifactSource, project: str) -> None:
    files = Files({"a": b"one", "b": b"two"})
    one, two = (chunk for chunk, _ in files.pieces)
    lease = source.begin_upload(project)
    assert source.missing(lease, [one, two]) == {one.digest, two.digest}
    source.put(lease, files.pieces[:1])
    assert source.missing(lease, [one, two]) == {two.digest}
    source.put(lease, files.pieces)
    assert source.missing(lease, [one, two]) == set()
    other = source.begin_upload(new_name())
    assert source.missing(other, [one]) == {one.digest}, "nothing is shared between projects"


@OF_BYTES
def test_bytes_that_are_not_those_of_their_digest_are_refused(source: ArtifactSource, project: str) -> None:
    lease = source.begin_upload(project)
    wrong = chunk_of(b"what it should be")
    with pytest.raises(UsageError):
        source.put(lease, [(wrong, b"what it should bE")])
    with pytest.raises(UsageError):
        source.put(lease, [(wrong, b"")])
    assert source.missing(lease, [wrong]) == {wrong.digest}


def test_a_version_without_its_chunks_is_not_committed(source: ArtifactSource, project: str) -> None:
    files = Files({"a": b"here", "b": b"not here"})
    lease = source.begin_upload(project)
    source.put(lease, files.pieces[:1])
    with pytest.raises(MissingChunksError) as caught:
        source.commit(new_version(lease, files, project))
    assert caught.value.digests == {chunk_of(b"not here").digest}
    with pytest.raises(NotFoundError):
        source.resolve(project, "m")


def test_an_upload_that_ended_takes_and_pins_nothing(source: ArtifactSource, project: str) -> None:
    files = Files({"a": secrets.token_bytes(100)})
    lease = source.begin_upload(project)
    source.put(lease, files.pieces)
    source.end_upload(lease)
    source.end_upload(lease)
    with pytest.raises(NotFoundError):
        source.put(lease, files.pieces)
    with pytest.raises(NotFoundError):
        source.missing(lease, [files.pieces[0][0]])
    with pytest.raises((NotFoundError, MissingChunksError)):
        source.commit(new_version(lease, files, project))
    with pytest.raises(NotFoundError):
        source.missing("no such lease", [files.pieces[0][0]])


@OF_BYTES
def test_only_chunks_of_a_version_are_read_by_it(source: ArtifactSource, project: str) -> None:
    one, other = log(source, project, {"a": b"one"}), log(source, project, {"a": b"other"})
    assert list(source.read(one.uid, [chunk_of(b"one")])) == [b"one"]
    assert list(source.read(one.uid, [])) == []
    with pytest.raises(NotFoundError):
        list(source.read(one.uid, [chunk_of(b"other")]))
    with pytest.raises(NotFoundError):
        list(source.read(new_uid(), [chunk_of(b"one")]))
    assert list(source.read(other.uid, [chunk_of(b"other")])) == [b"other"]


def test_damage_is_found_and_named(place: Place, project: str) -> None:
    assert place.folder is not None
    content = secrets.token_bytes(5000)
    version = log(place.source, project, {"a": content})
    packs = [path for path in (place.folder / "blobs").rglob("*.pack") if content in path.read_bytes()]
    assert len(packs) == 1
    whole = bytearray(packs[0].read_bytes())
    whole[whole.index(content) + 100] ^= 1
    packs[0].chmod(0o644)
    packs[0].write_bytes(whole)
    with pytest.raises(DamagedChunkError) as caught:
        list(place.source.read(version.uid, [chunk_of(content)]))
    assert caught.value.digest == chunk_of(content).digest


# -- versions


def test_a_version_keeps_what_it_was_committed_with(source: ArtifactSource, project: str) -> None:
    metadata = {"nan": NAN, "inf": -INF, "big": (1 << 63) - 1, "deep": {"a": [1, None, True, "ü"]}, "zero": -0.0}
    references = [
        Entry("ref", 7, reference="s3://bucket/key", checksum="etag:1"),
        Entry("far", -1, reference="gs://b/k"),
    ]
    files = Files({"a": b"a"}, references=references)
    lease = source.begin_upload(project)
    source.put(lease, files.pieces)
    new = new_version(
        lease,
        files,
        project,
        aliases=["best", "latest"],
        tags=["x", "ü"],
        description="# What\nit is",
        metadata=metadata,
        created_ns=1_700_000_000_000_000_001,
        logged_by=RunRef(project, "run"),
        history_step=41,
        ttl_days=2.5,
    )
    found = source.commit(new)
    assert (found.uid, found.version, found.type) == (new.uid, "v0", "model")
    assert (found.aliases, found.tags, found.description) == (["best", "latest"], ["x", "ü"], "# What\nit is")
    assert math.isnan(found.metadata["nan"]) and math.copysign(1, found.metadata["zero"]) == -1
    assert {key: found.metadata[key] for key in ("inf", "big", "deep")} == {
        key: metadata[key] for key in ("inf", "big", "deep")
    }
    assert (found.created_ns, found.history_step, found.ttl_days) == (new.created_ns, 41, 2.5)
    assert (found.logged_by, found.n_references, found.n_files) == (RunRef(project, "run"), 2, 3)
    assert list(source.manifest(found.uid)) == sorted([*files.entries, *references], key=lambda entry: entry.path)
    again = source.version(found.uid)
    assert math.isnan(again.metadata.pop("nan")) and math.isnan(found.metadata.pop("nan"))
    assert again == found


def test_the_same_uid_again_changes_nothing(source: ArtifactSource, project: str) -> None:
    files = Files({"a": b"a"})
    lease = source.begin_upload(project)
    source.put(lease, files.pieces)
    new = new_version(lease, files, project)
    first = source.commit(new)
    assert source.commit(new) == first
    assert [one.uid for one in source.versions(project, "m").items] == [first.uid]


@OF_BYTES
def test_the_same_content_is_the_same_version(source: ArtifactSource, project: str) -> None:
    first = log(source, project, {"a": b"a"}, aliases=["old"])
    second = log(source, project, {"a": b"b"})
    other = new_uid()
    again = log(source, project, {"a": b"a"}, uid=other, aliases=["new"], tags=["t"])
    assert (again.uid, again.version) == (first.uid, "v0")
    assert again.aliases == ["latest", "new", "old"] or sorted(again.aliases) == ["latest", "new", "old"]
    assert again.tags == ["t"] and source.version(other).uid == first.uid
    assert source.version(second.uid).aliases == []


def test_a_name_has_one_type(source: ArtifactSource, project: str) -> None:
    log(source, project, {"a": b"a"}, type="model")
    with pytest.raises(UsageError, match=r"dataset.*model|model.*dataset"):
        log(source, project, {"a": b"b"}, type="dataset")


def test_versions_are_found_by_all_their_names(source: ArtifactSource, project: str) -> None:
    first = log(source, project, {"a": b"1"}, aliases=["best"])
    second = log(source, project, {"a": b"2"})
    for which, uid in {
        "v0": first.uid,
        "best": first.uid,
        "v1": second.uid,
        "latest": second.uid,
        first.digest: first.uid,
        second.digest[:12]: second.uid,
        first.uid: first.uid,
    }.items():
        assert source.resolve(project, "m", which).uid == uid, which
    assert source.resolve(project, "m").uid == second.uid
    for which in ("v2", "none", "0" * 12):
        with pytest.raises(NotFoundError):
            source.resolve(project, "m", which)
    with pytest.raises(NotFoundError):
        source.resolve(project, "no-such-name")
    with pytest.raises(NotFoundError):
        source.resolve("no-such-project", "m")


def test_lists_come_in_pages(source: ArtifactSource, project: str) -> None:
    for number in range(5):
        log(source, project, {"a": b"%d" % number}, name="many")
        log(source, project, {"a": b"%d" % number}, name=f"name-{number}", type="dataset")
    page = source.versions(project, "many", size=2)
    assert [one.ordinal for one in page.items] == [4, 3]
    page = source.versions(project, "many", after=page.next_place, size=2)
    assert [one.ordinal for one in page.items] == [2, 1]
    page = source.versions(project, "many", after=page.next_place, size=2)
    assert [one.ordinal for one in page.items] == [0] and page.next_place is None
    assert [one.name for one in source.collections(project, size=3).items] == ["name-4", "many", "name-3"]
    assert {one.name for one in source.collections(project, type="dataset").items} == {f"name-{n}" for n in range(5)}
    assert [one.name for one in source.collections(project, text="AME-3").items] == ["name-3"]
    assert sorted(source.types(project)) == ["dataset", "model"] and project in source.projects()
    found = source.collection(project, "many")
    assert (found.n_versions, found.size_bytes, found.latest.ordinal) == (5, 5, 4)
    with pytest.raises(NotFoundError):
        source.versions(project, "none")


def test_versions_are_edited(source: ArtifactSource, project: str) -> None:
    first, second = log(source, project, {"a": b"1"}, aliases=["best"]), log(source, project, {"a": b"2"})
    edit = VersionEdit(add_aliases=["best"], tags=["t"], description="new", metadata={"k": NAN}, ttl_days=1.0)
    found = source.edit(second.uid, edit, "better")
    assert sorted(found.aliases) == ["best", "latest"] and found.tags == ["t"] and found.description == "new"
    assert math.isnan(found.metadata["k"]) and found.ttl_days == 1.0 and found.expires_ns is not None
    assert source.version(first.uid).aliases == []
    assert source.edit(second.uid, VersionEdit(remove_aliases=["best"])).aliases == ["latest"]
    for wrong in (VersionEdit(add_aliases=["latest"]), VersionEdit(add_aliases=["v7"]), VersionEdit(tags=["a/b"])):
        with pytest.raises(UsageError):
            source.edit(second.uid, wrong)
    with pytest.raises(NotFoundError):
        source.edit(new_uid(), VersionEdit(tags=[]))


def test_versions_are_deleted_all_or_none(source: ArtifactSource, project: str) -> None:
    first, second, third = (log(source, project, {"a": b"%d" % number}) for number in range(3))
    with pytest.raises(UsageError):
        source.delete([first.uid, third.uid])  # the last has an alias
    assert source.version(first.uid).uid == first.uid
    assert source.delete([first.uid], "too old") == [first.uid]
    with pytest.raises(NotFoundError):
        source.version(first.uid)
    with pytest.raises(NotFoundError):
        source.manifest(first.uid)
    source.edit(second.uid, VersionEdit(add_aliases=["kept"]))
    assert source.delete([second.uid], delete_aliases=True) == [second.uid]
    assert [one.uid for one in source.versions(project, "m").items] == [third.uid]
    assert log(source, project, {"a": b"9"}).version == "v3"
    source.delete_collection(project, "m", "all of it")
    with pytest.raises(NotFoundError):
        source.collection(project, "m")


def test_an_artifact_is_described_and_has_rules_of_what_is_kept(source: ArtifactSource, project: str) -> None:
    log(source, project, {"a": b"1"})
    assert source.describe(project, "m", "what it is").description == "what it is"
    rules = Retention(keep_last=3, ttl_days=9.5, protected_aliases=("production",))
    assert source.set_retention(project, "m", rules).retention == rules
    assert source.collection(project, "m").retention == rules
    with pytest.raises(NotFoundError):
        source.describe(project, "none", "x")


@OF_BYTES
def test_usage_counts_what_is_shared_once(source: ArtifactSource, project: str) -> None:
    shared, own = secrets.token_bytes(20_000), secrets.token_bytes(1000)
    log(source, project, {"a": shared})
    log(source, project, {"a": shared, "b": own})
    (found,) = source.usage(project)
    assert (found.project, found.n_artifacts, found.n_versions, found.logical_bytes) == (project, 1, 2, 41_000)
    assert 21_000 <= found.stored_bytes < 25_000
    assert project in {one.project for one in source.usage()}


WRONG = [
    {"name": "a/b"},
    {"name": ""},
    {"name": "ü"},
    {"name": ".."},
    {"type": "x" * 200},
    {"type": "a:b"},
    {"aliases": ["v1"]},
    {"aliases": ["a/b"]},
    {"tags": ["\x07"]},
    {"uid": "short"},
    {"project": "a/b"},
    {"metadata": {"x": "y" * (1 << 20)}},
    {"ttl_days": NAN},
    {"ttl_days": -3.0},
    {"description": "x" * (1 << 21)},
    {"manifest": b"not a manifest"},
    {"manifest": b""},
]


def test_what_is_not_valid_is_not_committed(source: ArtifactSource, project: str) -> None:
    files = Files({"a": b"1"})
    lease = source.begin_upload(project)
    source.put(lease, files.pieces)
    new = new_version(lease, files, project)
    for fields in WRONG:
        with pytest.raises(UsageError):
            source.commit(msgspec.structs.replace(new, **fields))
    assert source.collections(project).items == []


def test_text_that_is_no_unicode_is_wrong_use(source: ArtifactSource, project: str) -> None:
    version = log(source, project, {"a": b"1"})
    with pytest.raises(UsageError):
        source.edit(version.uid, VersionEdit(tags=["\ud800"]))
    with pytest.raises(UsageError):
        source.describe(project, "m", "\udfff")


# -- lineage


def test_lineage_goes_through_runs_and_versions(source: ArtifactSource, project: str) -> None:
    prepare, train, evaluate = (RunRef(project, name) for name in ("prepare", "train", "evaluate"))
    data = log(source, project, {"d": b"data"}, name="data", type="dataset", logged_by=prepare)
    unknown = new_uid()
    source.add_uses([Use(data.uid, train, 5, used_as="training set"), Use(unknown, train, 6)])
    source.add_uses([Use(data.uid, train, 5, used_as="training set")])
    model = log(source, project, {"m": b"model"}, logged_by=train)
    source.add_uses([Use(model.uid, evaluate, 9)])
    found = source.lineage(f"version:{model.uid}")
    assert {node.id for node in found.nodes} == {
        f"run:{project}/prepare",
        f"version:{data.uid}",
        f"run:{project}/train",
        f"version:{model.uid}",
        f"run:{project}/evaluate",
    }
    assert len(found.edges) == 4 and (f"version:{data.uid}", f"run:{project}/train") in found.edges
    up = source.lineage(f"run:{project}/train", depth=1, direction="up")
    assert {node.id for node in up.nodes} == {f"run:{project}/train", f"version:{data.uid}"}
    of_train = source.of_run(train)
    assert {(use.uid, use.is_output, use.used_as) for use, _ in of_train} == {
        (data.uid, False, "training set"),
        (model.uid, True, ""),
    }
    assert {version.uid for _, version in of_train} == {data.uid, model.uid}
    assert {(use.run.run, use.is_output) for use in source.users(data.uid)} == {("prepare", True), ("train", False)}
    assert source.version(data.uid).n_used_by == 1 and source.of_run(RunRef(project, "nobody")) == []
    with pytest.raises(NotFoundError):
        source.lineage(f"version:{unknown}")


# -- the registry


def test_a_registered_model_links_versions(source: ArtifactSource, project: str) -> None:
    name = new_name("model")
    first, second = log(source, project, {"a": b"1"}), log(source, project, {"a": b"2"})
    one = source.link(name, first.uid, ["candidate"], "it is good")
    assert (one.model, one.number, one.version.uid, one.aliases, one.why) == (
        name,
        one.number,
        first.uid,
        ["candidate"],
        "it is good",
    )
    two = source.link(name, second.uid, ["candidate"])
    assert two.number == one.number + 1 and source.link(name, second.uid).number == two.number
    assert [(link.number, link.aliases) for link in source.linked(name)] == [
        (two.number, ["candidate"]),
        (one.number, []),
    ]
    assert source.resolve_linked(name).number == two.number
    assert source.resolve_linked(name, f"v{one.number}").version.uid == first.uid
    moved = source.set_model_aliases(name, one.number, add=["production", "candidate"], why="promoted")
    assert sorted(moved.aliases) == ["candidate", "production"]
    assert source.resolve_linked(name, "production").number == one.number
    model = source.model(name)
    assert (model.type, model.n_versions, model.aliases) == (
        "model",
        2,
        {"candidate": one.number, "production": one.number},
    )
    assert (name, one.number) in source.version(first.uid).registered_as
    assert source.set_card(name, "# Card", "first").card == "# Card"
    assert [found.name for found in source.models(name)] == [name]
    with pytest.raises(UsageError):
        source.delete([first.uid])
    source.unlink(name, two.number, "not good")
    with pytest.raises(NotFoundError):
        source.resolve_linked(name, f"v{two.number}")
    source.delete_model(name, "gone")
    with pytest.raises(NotFoundError):
        source.model(name)


def test_every_change_of_the_registry_is_in_its_audit(source: ArtifactSource, project: str) -> None:
    name = new_name("model")
    version = log(source, project, {"a": b"1"})
    link = source.link(name, version.uid, ["staging"], "why not")
    source.set_model_aliases(name, link.number, remove=["staging"], why="no reason")
    source.set_card(name, "card")
    entries = source.audit(name)
    actions = [entry.action for entry in entries]
    assert actions == ["register", "link", "set alias", "remove alias", "edit card"]
    assert all(entry.who and entry.model == name and entry.hash for entry in entries)
    assert entries[1].why == "why not" and entries[1].version == link.number
    everything = source.audit()
    assert [entry.hash for entry in everything[:-1]] == [entry.previous_hash for entry in everything[1:]]
    assert source.audit(name, after=entries[2].number) == entries[3:]
    assert source.audit(name, size=2) == entries[:2]


def test_what_is_not_in_the_registry_is_not_found(source: ArtifactSource, project: str) -> None:
    version = log(source, project, {"a": b"1"})
    none = new_name("none")
    for ask in (
        lambda: source.model(none),
        lambda: source.resolve_linked(none),
        lambda: source.unlink(none, 0),
        lambda: source.set_model_aliases(none, 0, add=["x"]),
        lambda: source.set_card(none, "card"),
        lambda: source.delete_model(none),
        lambda: source.link(none, new_uid()),
    ):
        with pytest.raises(NotFoundError):
            ask()
    with pytest.raises(UsageError):
        source.link("a/b", version.uid)
    with pytest.raises(UsageError):
        source.link(none, version.uid, ["v3"])


# -- many at once


def test_clients_that_log_at_the_same_time_get_versions_of_their_own(source: ArtifactSource, project: str) -> None:
    found: list[int] = []
    shared = secrets.token_bytes(30_000)

    def work(number: int) -> None:
        for turn in range(3):
            contents = {"own": b"%d %d" % (number, turn), "shared": shared}
            found.append(log(source, project, contents, chunk_bytes=4000, aliases=[f"a{number}"]).ordinal)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(9))
    versions = source.versions(project, "m").items
    assert [one.ordinal for one in versions if "latest" in one.aliases] == [8]
    for one in versions:
        assert contents_of(source, one.uid)["shared"] == shared


@OF_BYTES
def test_clients_that_log_the_same_content_get_one_version(source: ArtifactSource, project: str) -> None:
    uids: list[str] = []
    contents = {"a": secrets.token_bytes(10_000)}
    threads = [
        threading.Thread(target=lambda: uids.append(log(source, project, contents, chunk_bytes=999).uid))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(uids) == 4 and len(set(uids)) == 1
    assert len(source.versions(project, "m").items) == 1


def test_a_server_and_its_folder_say_the_same(tmp_path: Path) -> None:
    server = run_in_background(tmp_path / ".tracker")
    here = open_local(str(tmp_path / ".tracker"))
    there = open_remote(server.base_url, server.auth.token)
    try:
        version = log(there, "p", {"a": b"1"}, logged_by=RunRef("p", "run"))
        there.link("model", version.uid, ["production"])
        assert here.version(version.uid) == there.version(version.uid)
        assert here.collections() == there.collections() and here.models() == there.models()
        assert here.audit() == there.audit() and here.usage() == there.usage()
        assert here.lineage(f"version:{version.uid}") == there.lineage(f"version:{version.uid}")
        assert here.of_run(RunRef("p", "run")) == there.of_run(RunRef("p", "run"))
        assert there.place == server.base_url and here.place != there.place
    finally:
        there.close()
        here.close()
        server.close()


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/x", "s3://", "s3://key:secret@bucket/x"])
def test_a_server_does_not_start_where_its_object_store_has_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="blobs_url") as caught:
        run_server_in_background(tmp_path / "server", blobs_url=url)
    assert "secret" not in str(caught.value)

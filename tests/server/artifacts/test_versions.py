"""Versions of artifacts in the catalog, on both databases."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3
from sqlalchemy import select, update

from tracker_core.artifacts.errors import MissingChunksError
from tracker_core.artifacts.manifest import Chunk, Entry, Manifest
from tracker_core.artifacts.wire import Best, Retention, RunRef, VersionEdit
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.artifacts.local_artifacts import LocalArtifacts, open_artifacts
from tracker_server.catalog.catalog import Catalog
from tracker_server.catalog.decisions import By
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_artifact_schema import artifact, artifact_use, artifact_version
from tracker_server.store.store_artifact_schema import metadata as catalog_metadata
from tracker_server.store.store_connection import StoreConnection
from tracker_server.store.store_dialect import bulk_insert

from .conftest import Opening, commit_files, new_uid, referring, version_of

RUN = RunRef("p", "train1")


def uids(artifacts: LocalArtifacts, name: str = "m") -> list[str]:
    return [one.uid for one in artifacts.versions("p", name).items]


# -- nothing yet


def test_asking_makes_no_file(tmp_path: Path):
    artifacts = open_artifacts(tmp_path / ".tracker")
    assert artifacts.projects() == artifacts.types("p") == artifacts.models() == artifacts.audit() == []
    assert artifacts.collections().items == [] == artifacts.usage()
    for question in (
        lambda: artifacts.resolve("p", "m"),
        lambda: artifacts.version(new_uid()),
        lambda: artifacts.manifest(new_uid()),
        lambda: artifacts.model("m"),
        lambda: artifacts.lineage("run:p/a"),
        lambda: artifacts.resolve("p", "m\ud800"),
    ):
        with pytest.raises(NotFoundError, match="there is no"):
            question()
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_of_an_earlier_version_has_no_artifacts_until_one_is_committed(tmp_path: Path):
    Catalog(str(tmp_path)).archive([("p", "a")], By("ada", 5, ""))
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        for table in catalog_metadata.tables:
            if table.startswith(("artifact", "registr", "blob", "lease", "upload")):
                connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE catalog_info SET value = '2'")
    artifacts = open_artifacts(tmp_path)
    assert artifacts.collections().items == []
    assert artifacts.commit(version_of(1)).version == "v0"
    assert artifacts.resolve("p", "m").version == "v0"


# -- commit


def test_a_version_is_read_back_as_it_was_committed(opening: Opening):
    metadata = {"n": 1 << 62, "x": math.inf, "nested": {"é": [1, None, True, "\x00\ue000"]}, "": -0.0}
    before_ns = time.time_ns()
    new = version_of(
        1,
        aliases=["best", "latest", "best"],
        tags=["t1", "t2"],
        description="d\n\x00",
        metadata=metadata,
        created_ns=77,
        logged_by=RUN,
        history_step=5,
        ttl_days=2.5,
    )
    info = opening().commit(new)
    assert opening().version(new.uid) == opening().resolve("p", "m") == info
    assert (info.version, info.aliases, info.tags, info.description) == (
        "v0",
        ["best", "latest"],
        ["t1", "t2"],
        "d\n\x00",
    )
    assert info.metadata == metadata and math.copysign(1, info.metadata[""]) == -1
    assert (info.created_ns, info.created_by, info.logged_by, info.history_step) == (77, "ada", RUN, 5)
    assert (info.size_bytes, info.n_files, info.n_references, info.n_used_by) == (5, 1, 1, 0)
    assert info.expires_ns is not None and before_ns < info.expires_ns - int(2.5 * 86_400e9) <= time.time_ns()
    assert [entry.reference for entry in opening().manifest(new.uid)] == ["s3://bucket/1"]
    assert info.digest == Manifest(list(opening().manifest(new.uid))).digest()


def test_nan_in_metadata_stays_nan(artifacts: LocalArtifacts):
    assert math.isnan(artifacts.commit(version_of(1, metadata={"x": math.nan})).metadata["x"])


def test_committing_one_uid_again_changes_nothing(artifacts: LocalArtifacts):
    first = version_of(1, aliases=["best"], tags=["a"])
    artifacts.commit(first)
    artifacts.commit(version_of(2, aliases=["best"]))
    again = artifacts.commit(msgspec.structs.replace(first, tags=["b"], description="other"))
    assert (again.version, again.aliases, again.tags, again.description) == ("v0", [], ["a"], "")
    assert artifacts.resolve("p", "m", "best").version == artifacts.resolve("p", "m").version == "v1"


def test_the_same_content_is_the_same_version_and_takes_aliases_and_tags(artifacts: LocalArtifacts):
    first, again = (
        version_of(1, aliases=["a"], tags=["t"]),
        version_of(1, aliases=["b"], tags=["u", "t"], logged_by=RUN),
    )
    artifacts.commit(first)
    artifacts.commit(version_of(2, aliases=["b"]))
    info = artifacts.commit(again)
    assert (info.uid, info.version, info.aliases, info.tags) == (first.uid, "v0", ["a", "b", "latest"], ["t", "u"])
    assert artifacts.version(again.uid) == artifacts.resolve("p", "m", again.uid[:8]) == info
    assert [use.run for use in artifacts.users(again.uid)] == [RUN]
    assert artifacts.commit(again) == info
    assert artifacts.commit(version_of(3)).version == "v2"


def test_the_same_content_under_another_name_or_project_is_another_version(artifacts: LocalArtifacts):
    assert artifacts.commit(version_of(1)).version == "v0"
    assert artifacts.commit(version_of(1, name="other")).version == "v0"
    assert artifacts.commit(version_of(1, project="q")).version == "v0"
    assert len({artifacts.resolve(*at).uid for at in (("p", "m"), ("p", "other"), ("q", "m"))}) == 3


def test_one_uid_cannot_become_two_versions(artifacts: LocalArtifacts):
    first = version_of(1)
    artifacts.commit(first)
    for change in ({"project": "q"}, {"name": "n"}, {"manifest": referring(2)}):
        with pytest.raises(UsageError, match="taken"):
            artifacts.commit(msgspec.structs.replace(first, **change))
    assert artifacts.projects() == ["p"]


def test_a_name_has_one_type_in_a_project(artifacts: LocalArtifacts):
    artifacts.commit(version_of(1))
    with pytest.raises(UsageError, match="got type 'dataset' for 'm', expected type 'model'"):
        artifacts.commit(version_of(2, type="dataset"))
    assert artifacts.commit(version_of(2, project="q", type="dataset")).type == "dataset"
    assert artifacts.types("p") == ["model"]


@pytest.mark.parametrize(
    "change",
    [
        {"uid": "A" * 32},
        {"uid": "../../x"},
        {"project": "a/b"},
        {"project": ""},
        {"name": "a b"},
        {"name": ".."},
        {"name": "x" * 129},
        {"name": "a\u202eb"},
        {"type": ""},
        {"type": "a:b"},
        {"aliases": ["v3"]},
        {"aliases": ["a/b"]},
        {"aliases": ["\x00"]},
        {"aliases": [f"a{i}" for i in range(2000)]},
        {"tags": [" "]},
        {"metadata": {"x": "y" * (1 << 20)}},
        {"description": "y" * (1 << 21)},
        {"description": "\ud800"},
        {"logged_by": RunRef("p", "../x")},
        {"logged_by": RunRef("", "x")},
        {"history_step": -1},
        {"history_step": 1 << 63},
        {"ttl_days": -1},
        {"ttl_days": math.nan},
        {"manifest": b"\x00"},
        {"manifest": b""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_not_valid_is_refused_and_leaves_nothing(tmp_path: Path, change):
    artifacts = open_artifacts(tmp_path / ".tracker")
    with pytest.raises(UsageError):
        artifacts.commit(msgspec.structs.replace(version_of(1), **change))
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_time_of_logging_becomes_that_of_the_commit(artifacts: LocalArtifacts):
    for created_ns in (-1, 1 << 63, 0):
        assert abs(artifacts.commit(version_of(created_ns, created_ns=created_ns)).created_ns - time.time_ns()) < 60e9


def test_versions_committed_at_once_get_one_ordinal_each(opening: Opening):
    barrier, found = threading.Barrier(4), []

    def work(number: int) -> None:
        artifacts = opening()
        barrier.wait()
        found.extend(artifacts.commit(version_of((number, i % 4), name="m")).ordinal for i in range(5))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(found)) == list(range(16)) and len(found) == 20
    assert len(opening().versions("p", "m").items) == 16


# -- bytes


def test_bytes_are_read_back_and_only_those_of_the_version(artifacts: LocalArtifacts):
    info = commit_files(artifacts, {"a.txt": b"hello", "b/c.bin": b"\x00" * 1000, "empty": b""})
    other = commit_files(artifacts, {"d": b"secret"}, name="n")
    manifest = artifacts.manifest(info.uid)
    chunks = [chunk for entry in manifest for chunk in entry.all_chunks]
    assert list(artifacts.read(info.uid, chunks)) == [b"hello", b"\x00" * 1000]
    with pytest.raises(NotFoundError, match="has no chunk"):
        list(artifacts.read(info.uid, [Chunk(blake3(b"secret").digest(), 6)]))
    assert list(artifacts.read(other.uid, [Chunk(blake3(b"secret").digest(), 6)])) == [b"secret"]
    (usage,) = artifacts.usage()
    assert (usage.project, usage.n_artifacts, usage.n_versions, usage.logical_bytes) == ("p", 2, 2, 1011)
    assert usage.n_chunks == 3 and 0 < usage.stored_bytes < 10_000


def test_a_version_whose_chunks_are_not_there_is_refused(artifacts: LocalArtifacts):
    digest = blake3(b"never sent").digest()
    lease = artifacts.begin_upload("p")
    assert artifacts.lease_project(lease) == "p"
    new = version_of(1, manifest=Manifest([Entry("a", 10, digest)]).encode(), lease=lease)
    with pytest.raises(MissingChunksError) as caught:
        artifacts.commit(new)
    assert caught.value.digests == {digest}
    assert artifacts.projects() == []
    artifacts.put(lease, [(Chunk(digest, 10), b"never sent")])
    assert artifacts.commit(new).version == "v0"


def test_a_chunk_that_is_there_but_not_kept_for_the_upload_is_refused(artifacts: LocalArtifacts):
    commit_files(artifacts, {"a": b"hello"})
    artifacts.delete(uids(artifacts), delete_aliases=True)
    manifest = Manifest([Entry("other name", 5, blake3(b"hello").digest())]).encode()
    for lease in (artifacts.begin_upload("p"), artifacts.begin_upload("q"), "", "nonsense"):
        with pytest.raises((MissingChunksError, NotFoundError)):
            artifacts.commit(version_of(1, manifest=manifest, lease=lease))


# -- finding


def test_a_version_is_found_by_each_of_its_names(artifacts: LocalArtifacts):
    first, second = version_of(1, aliases=["best"]), version_of(2, aliases=["2024.1 é"])
    artifacts.commit(first)
    artifacts.commit(second)
    found = {
        which: artifacts.resolve("p", "m", which).version
        for which in ("v0", "best", "v1", "latest", "2024.1 é", first.uid, first.uid[:8], second.uid[:12].upper())
    }
    assert list(found.values()) == ["v0", "v0", "v1", "v1", "v1", "v0", "v0", "v1"]
    assert artifacts.resolve("p", "m", artifacts.version(first.uid).digest[:10]).version == "v0"


def test_what_is_not_there_is_named_with_what_is(artifacts: LocalArtifacts):
    artifacts.commit(version_of(1, aliases=["best"]))
    for which in ("v7", "v01", "v" + "9" * 30, "nope", "", "abcd", "0" * 8, "%", "v-1", "\x00"):
        with pytest.raises(NotFoundError, match=r"p/m has no version .* it has v0 \(best, latest\)"):
            artifacts.resolve("p", "m", which)


def test_digits_of_several_versions_are_refused(artifacts: LocalArtifacts):
    for n in (1, 2):
        artifacts.commit(version_of(n, uid=f"{'ab' * 8}{n:016x}"))
    with pytest.raises(UsageError, match="v0 and v1 begin with"):
        artifacts.resolve("p", "m", "abababab")
    assert artifacts.resolve("p", "m", f"{'ab' * 8}{2:016x}").version == "v1"


def test_versions_come_newest_first_in_pages(artifacts: LocalArtifacts):
    for n in range(7):
        artifacts.commit(version_of(n))
    pages, place = [], None
    while True:
        page = artifacts.versions("p", "m", place, 3)
        pages.append([one.ordinal for one in page.items])
        place = page.next_place
        if place is None:
            break
    assert pages == [[6, 5, 4], [3, 2, 1], [0]]
    assert artifacts.versions("p", "m", 1 << 70, -5).items[0].ordinal == 6


def test_artifacts_come_last_changed_first_in_pages_and_can_be_searched(artifacts: LocalArtifacts):
    for n, (name, type) in enumerate([("alpha", "model"), ("Beta", "dataset"), ("al_pha2", "model")]):
        artifacts.commit(version_of(n, name=name, type=type))
    artifacts.commit(version_of(9, name="other", project="q"))
    artifacts.commit(version_of(10, name="alpha", aliases=["best"]))
    assert [one.name for one in artifacts.collections().items] == ["alpha", "other", "al_pha2", "Beta"]
    assert [one.name for one in artifacts.collections("p", type="model").items] == ["alpha", "al_pha2"]
    assert [one.name for one in artifacts.collections(text="BET").items] == ["Beta"]
    assert [one.name for one in artifacts.collections(text="l_p").items] == ["al_pha2"]
    first = artifacts.collections(size=3)
    assert [one.name for one in artifacts.collections(after=first.next_place, size=3).items] == ["Beta"]
    alpha = artifacts.collection("p", "alpha")
    assert (alpha.n_versions, alpha.size_bytes, alpha.aliases) == (2, 10, ["best", "latest"])
    assert alpha.latest == artifacts.resolve("p", "alpha", "v1")


# -- edits


def test_a_version_is_edited(opening: Opening):
    artifacts = opening()
    first, second = version_of(1, aliases=["a"]), version_of(2, aliases=["b"])
    artifacts.commit(first)
    artifacts.commit(second)
    edit = VersionEdit(add_aliases=["b", "c"], remove_aliases=["a"], tags=["x"], description="new", metadata={"k": [1]})
    info = opening("bob").edit(first.uid, edit)
    assert (info.aliases, info.tags, info.description, info.metadata) == (["b", "c"], ["x"], "new", {"k": [1]})
    assert opening().version(second.uid).aliases == ["latest"]
    assert opening().edit(first.uid, VersionEdit()) == info
    assert opening().collections().items[0].updated_ns >= info.created_ns


@pytest.mark.parametrize(
    "edit", [{"add_aliases": ["latest"]}, {"remove_aliases": ["latest"]}, {"add_aliases": ["v12"]}]
)
def test_reserved_aliases_are_not_set_or_removed_by_hand(artifacts: LocalArtifacts, edit):
    new = version_of(1)
    artifacts.commit(new)
    with pytest.raises(UsageError):
        artifacts.edit(new.uid, VersionEdit(**edit))
    assert artifacts.version(new.uid).aliases == ["latest"]


def test_an_artifact_is_described_and_its_retention_kept(opening: Opening):
    opening().commit(version_of(1))
    rules = Retention(
        keep_last=3, keep_best=Best("val/loss", 2), ttl_days=30, protected_aliases=("production", "latest")
    )
    assert opening().describe("p", "m", "what it is").description == "what it is"
    assert set(opening().set_retention("p", "m", rules).retention.protected_aliases) == {"production", "latest"}
    info = opening().version(uids(opening())[0])
    assert info.expires_ns is not None and info.ttl_days is None
    assert opening().edit(info.uid, VersionEdit(ttl_days=0)).expires_ns is None
    assert opening().edit(info.uid, VersionEdit(ttl_days=-1)).expires_ns == info.expires_ns
    for wrong in (
        Retention(keep_last=0),
        Retention(ttl_days=0),
        Retention(keep_best=Best("", 1)),
        Retention(ttl_days=math.nan),
    ):
        with pytest.raises(UsageError):
            opening().set_retention("p", "m", wrong)
    with pytest.raises(NotFoundError):
        opening().describe("p", "other", "x")


# -- deletion


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(artifacts: LocalArtifacts):
    first, second = version_of(1), version_of(2)
    artifacts.commit(first)
    artifacts.commit(second)
    assert artifacts.delete([first.uid, first.uid], why="old") == [first.uid]
    for question in (artifacts.version, artifacts.manifest, lambda uid: artifacts.delete([uid])):
        with pytest.raises(NotFoundError, match="it was deleted"):
            question(first.uid)
    assert [one.ordinal for one in artifacts.versions("p", "m").items] == [1]
    assert artifacts.commit(first).deleted_ns is not None
    assert artifacts.commit(version_of(1)).version == "v2"


def test_versions_with_aliases_are_deleted_only_where_that_is_said_all_or_none(artifacts: LocalArtifacts):
    news = [version_of(n) for n in range(3)]
    for new in news:
        artifacts.commit(new)
    with pytest.raises(UsageError, match=r"aliases latest.*delete_aliases=True"):
        artifacts.delete([new.uid for new in news])
    assert len(uids(artifacts)) == 3
    artifacts.delete([news[2].uid], delete_aliases=True)
    assert artifacts.resolve("p", "m").version == "v1"


def test_versions_with_protected_aliases_or_in_the_registry_are_not_deleted(artifacts: LocalArtifacts):
    new, other = version_of(1, aliases=["production"]), version_of(2)
    artifacts.commit(new)
    artifacts.commit(other)
    artifacts.set_retention("p", "m", Retention(protected_aliases=("production",)))
    for attempt in (
        lambda: artifacts.delete([new.uid], delete_aliases=True),
        lambda: artifacts.delete_collection("p", "m"),
    ):
        with pytest.raises(UsageError, match="protected alias 'production'"):
            attempt()
    artifacts.edit(new.uid, VersionEdit(remove_aliases=["production"]))
    artifacts.link("M", new.uid)
    with pytest.raises(UsageError, match="registry links"):
        artifacts.delete([other.uid, new.uid], delete_aliases=True)
    assert len(uids(artifacts)) == 2
    artifacts.unlink("M", 0)
    artifacts.delete_collection("p", "m")
    assert artifacts.projects() == [] == artifacts.collections().items


def test_a_deleted_artifact_may_come_back_with_another_type_and_new_numbers(artifacts: LocalArtifacts):
    artifacts.commit(version_of(1))
    artifacts.describe("p", "m", "old")
    artifacts.delete_collection("p", "m", why="wrong name")
    with pytest.raises(NotFoundError):
        artifacts.versions("p", "m")
    info = artifacts.commit(version_of(1, type="dataset"))
    assert (info.type, info.version, artifacts.collection("p", "m").description) == ("dataset", "v1", "")


def test_deletions_are_in_the_log_of_decisions(tmp_path: Path):
    artifacts = open_artifacts(tmp_path / ".tracker", who="ada")
    new = version_of(1)
    artifacts.commit(new)
    artifacts.delete([new.uid], why="not needed", delete_aliases=True)
    rows = sqlite3.connect(tmp_path / ".tracker" / "catalog.sqlite").execute(
        "SELECT who, action, project, run_id, reason FROM decision"
    )
    assert rows.fetchall() == [("ada", "delete version", "p", "m:v0", "not needed")]


# -- with runs


def test_artifacts_of_an_open_folder_are_those_of_its_catalog(tmp_path: Path):
    folder = open_folder(tmp_path / ".tracker")
    LocalArtifacts.of(folder, "ada").commit(version_of(1))
    assert open_artifacts(folder.path).resolve("p", "m").created_by == "ada"
    mine, hers = LocalArtifacts.of(folder), LocalArtifacts.of(folder).as_user("eve")
    assert hers.commit(version_of(2)).created_by == "eve" != mine.commit(version_of(3)).created_by
    folder.close()


def test_a_database_is_opened_by_its_address_and_let_go_of(database_url: str, tmp_path: Path):
    artifacts = open_artifacts(tmp_path, database_url, who="ada")
    assert artifacts.commit(version_of(1)).version == "v0"
    artifacts.close()
    artifacts.close()
    again = open_artifacts(tmp_path, database_url)
    assert again.resolve("p", "m").created_by == "ada"
    again.close()
    assert list(tmp_path.iterdir()) == []


# -- size


def test_ten_thousand_versions_stay_quick(opening: Opening):
    artifacts = opening()
    fill(artifacts, 10_000)
    questions = {
        "resolve": lambda: artifacts.resolve("p", "m"),
        "by number": lambda: artifacts.resolve("p", "m", "v5000"),
        "by digits": lambda: artifacts.resolve("p", "m", f"{5000:032x}"),
        "page": lambda: artifacts.versions("p", "m", 5000, 100),
        "collections": lambda: artifacts.collections("p"),
        "commit": lambda: artifacts.commit(version_of(time.time_ns())),
        "of run": lambda: artifacts.of_run(RunRef("p", "run5")),
        "lineage": lambda: artifacts.lineage("run:p/run5", depth=4),
        "usage": lambda: artifacts.usage("p"),
    }
    # Some milliseconds each on a machine that has nothing else to do.
    slow = {name: best_s for name, ask in questions.items() if (best_s := _best_s(ask)) > 1.0}
    assert not slow
    assert len(artifacts.lineage("run:p/run5").nodes) == 2000


def _best_s(ask: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        started_s = time.perf_counter()
        ask()
        found.append(time.perf_counter() - started_s)
    return min(found)


def fill(artifacts: LocalArtifacts, n_versions: int) -> None:
    """Add rows as of many commits, each of a run that used the version before."""
    artifacts.commit(version_of("first"))
    manifest = Manifest([Entry(f"{i}.bin", 5, reference=f"s3://b/{i}", checksum="etag:1") for i in range(100)]).encode()
    fixed = {
        "artifact_id": 1,
        "size_bytes": 500,
        "n_files": 100,
        "n_references": 100,
        "created_ns": 1,
        "committed_ns": 1,
        "created_by": "ada",
        "run_project": "p",
        "deleted_by": "",
        "delete_reason": "",
        "tags_json": "[]",
        "description": "",
        "metadata_json": f'{{"x":"{"x" * 500}"}}',
        "manifest": manifest,
    }

    def work(connection: StoreConnection, by: By) -> None:
        number = connection.execute(select(artifact.c.artifact_id)).scalar_one()
        rows, uses = [], []
        for n in range(1, n_versions):
            uid, run = f"{n:032x}", {"run_project": "p", "run_id": f"run{n}"}
            rows.append({**fixed, "artifact_id": number, "uid": uid, "ordinal": n, "digest": f"{n:064x}", **run})
            edge = {"uid": uid, "at_ns": n, "used_as": "", "run_project": "p"}
            uses.append({**edge, "run_id": f"run{n}", "is_output": True})
            uses.append({**edge, "run_id": f"run{n + 1}", "is_output": False})
        bulk_insert(connection, artifact_version, rows)
        bulk_insert(connection, artifact_use, uses)
        connection.execute(update(artifact).values(n_ordinals=n_versions))

    artifacts._catalog.write(work)

"""Collection of garbage: what a version or an upload needs stays, all else goes, and readers come to their end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kept_artifacts import KeptArtifacts, content, cut
from sqlalchemy import select, update

from tracker_core.artifacts.errors import MissingChunksError
from tracker_core.errors import NotFoundError
from tracker_server.store.store_artifact_schema import artifact_version, blob_chunk, blob_pack, upload_lease

DAYS_S = 2 * 86_400


def fates(report: object) -> list[str]:
    return sorted(one.what for one in report.packs)  # type: ignore[attr-defined]


def make_old(kept: KeptArtifacts) -> None:
    """Let two days pass for all files of the store."""
    for place, _, names in os.walk(kept.folder):
        for name in names:
            status = os.stat(os.path.join(place, name))
            os.utime(os.path.join(place, name), (status.st_atime - DAYS_S, status.st_mtime - DAYS_S))


def expire_leases(kept: KeptArtifacts) -> None:
    kept.write(lambda connection: connection.execute(update(upload_lease).values(expires_ns=1)) and None)


def test_what_versions_need_stays(kept: KeptArtifacts) -> None:
    files = {"a.bin": content(1), "b/c.bin": content(2)}
    info = kept.log("model", files)
    before = kept.pack_ids()
    report = kept.collect()
    assert report.packs == [] and report.troubles == []
    assert kept.pack_ids() == before and report.n_kept_packs == len(before)
    assert kept.files(info.uid) == files


def test_a_deleted_version_goes_and_what_others_share_with_it_stays(kept: KeptArtifacts) -> None:
    first = kept.log("model", {"a": content(1), "b": content(2)})
    second = kept.log("model", {"a": content(1), "b": content(3)})
    third = kept.log("other", {"x": content(4)})
    kept.artifacts.delete([third.uid], delete_aliases=True)
    assert fates(kept.collect()) == ["condemn", "remove"]
    kept.artifacts.delete([first.uid])
    kept.collect()
    assert kept.files(second.uid) == {"a": content(1), "b": content(3)}
    with pytest.raises(NotFoundError):
        kept.files(first.uid)


def test_a_dry_run_says_why_and_changes_nothing(kept: KeptArtifacts) -> None:
    kept.log("model", {"a": content(1)})
    info = kept.log("model", {"a": content(2)})
    kept.artifacts.delete([info.uid], delete_aliases=True)
    before = kept.pack_ids()
    report = kept.collect(is_dry_run=True)
    assert [(one.what, one.why) for one in report.packs] == [("condemn", "no version and no upload needs it")]
    assert kept.pack_ids() == before
    assert kept.read(lambda c: c.execute(select(blob_pack.c.state).distinct()).scalars().all()) == ["live"]
    report = kept.collect()
    assert fates(report) == ["condemn", "remove"] and len(kept.pack_ids()) == len(before) - 1


def test_a_dry_run_sees_doomed_versions_as_deleted(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    report = kept.collect(is_dry_run=True, doomed=frozenset([info.uid]))
    assert fates(report) == ["condemn"]
    assert kept.files(info.uid) == {"a": content(1)}


def test_a_condemned_pack_stays_for_the_grace_period_and_its_chunks_are_uploaded_anew(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    kept.artifacts.delete([info.uid], delete_aliases=True)
    report = kept.collect(grace_s=3600.0)
    (pack_id,) = kept.pack_ids()
    assert report.waiting_bytes > 0 and report.freed_bytes == 0
    again = kept.log("model", {"a": content(1)})
    assert len(kept.pack_ids()) == 2
    assert fates(kept.collect(grace_s=3600.0)) == ["wait"]
    report = kept.collect()
    assert report.freed_bytes > 0 and pack_id not in kept.pack_ids()
    assert kept.files(again.uid) == {"a": content(1)}


def test_an_upload_that_goes_on_keeps_what_it_put_and_what_it_found(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    new = kept.begin("model", {"a": content(1), "b": content(2)})
    kept.artifacts.delete([info.uid], delete_aliases=True)
    assert fates(kept.collect()) == []
    made = kept.artifacts.commit(new)
    kept.artifacts.end_upload(new.lease)
    kept.collect()
    assert kept.files(made.uid) == {"a": content(1), "b": content(2)}


def test_an_upload_that_has_expired_keeps_nothing_and_cannot_be_committed(kept: KeptArtifacts) -> None:
    new = kept.begin("model", {"a": content(1)})
    expire_leases(kept)
    report = kept.collect()
    assert report.n_expired_leases == 1 and kept.pack_ids() == set()
    with pytest.raises((MissingChunksError, NotFoundError)):
        kept.artifacts.commit(new)
    ((chunk, data), *_) = cut(content(1))
    with pytest.raises(NotFoundError):
        kept.artifacts.put(new.lease, [(chunk, data)])


def test_projects_share_nothing(kept: KeptArtifacts) -> None:
    mine = kept.log("model", {"a": content(1)}, project="mine")
    yours = kept.log("model", {"a": content(1)}, project="yours")
    kept.artifacts.delete([mine.uid], delete_aliases=True)
    kept.collect()
    assert kept.pack_ids("mine") == set()
    assert kept.files(yours.uid) == {"a": content(1)}


def test_a_pack_that_is_mostly_not_needed_is_written_anew(kept: KeptArtifacts) -> None:
    files = {f"{i}.bin": content(i) for i in range(10)}
    first = kept.log("model", files)
    second = kept.log("model", {"3.bin": files["3.bin"]})
    kept.artifacts.delete([first.uid])
    before = sum(os.path.getsize(path) for path in Path(kept.folder).rglob("*.pack"))
    report = kept.collect()
    after = sum(os.path.getsize(path) for path in Path(kept.folder).rglob("*.pack"))
    assert "rewrite" in fates(report) and after < before / 4
    assert kept.files(second.uid) == {"3.bin": files["3.bin"]}
    assert kept.collect().packs == []


def test_a_reader_goes_on_reading_while_its_pack_is_written_anew(kept: KeptArtifacts) -> None:
    files = {f"{i}.bin": content(i) for i in range(10)}
    first = kept.log("model", files)
    second = kept.log("model", {"3.bin": files["3.bin"]})
    manifest = kept.artifacts.manifest(second.uid)
    reading = kept.artifacts.read(second.uid, [one for entry in manifest for one in entry.all_chunks])
    parts = [next(reading)]
    kept.artifacts.delete([first.uid])
    kept.collect()
    assert b"".join([*parts, *reading]) == files["3.bin"]


def test_many_small_packs_become_one(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}) for i in range(33)]
    assert len(kept.pack_ids()) == 33
    report = kept.collect()
    assert len(kept.pack_ids()) == 1 and fates(report).count("rewrite") == 33
    for i, info in enumerate(infos):
        assert kept.files(info.uid) == {"a": content(i)}
    assert kept.collect().packs == []


def test_a_manifest_that_cannot_be_read_leaves_its_project_as_it_is(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    other = kept.log("model", {"a": content(2)})
    kept.artifacts.delete([other.uid], delete_aliases=True)
    statement = update(artifact_version).where(artifact_version.c.uid == info.uid)
    kept.write(lambda connection: connection.execute(statement.values(manifest=b"garbage")) and None)
    before = kept.pack_ids()
    report = kept.collect()
    assert kept.pack_ids() == before and info.uid in report.troubles[0]


def test_what_a_killed_upload_left_goes_when_no_upload_can_be_so_old(kept: KeptArtifacts) -> None:
    info = kept.log("model", {f"{i}": content(i) for i in range(3)})
    kept.begin("model", {"b": content(9, 1)})
    ((pack_id, *_),) = [kept.pack_ids() - {row.pack_id for row in _packs_of(kept, info)}]
    kept.write(lambda c: c.execute(blob_chunk.delete().where(blob_chunk.c.pack_id == pack_id)) and None)
    kept.write(lambda c: c.execute(blob_pack.delete().where(blob_pack.c.pack_id == pack_id)) and None)
    stray = next(Path(kept.folder).rglob(f"{pack_id}.pack")).with_name(f".part-{pack_id[:2]}{'0' * 30}.pack")
    stray.write_bytes(b"half")
    kept.collect()
    assert pack_id in kept.pack_ids() and stray.exists()
    make_old(kept)
    report = kept.collect()
    assert pack_id not in kept.pack_ids() and not stray.exists() and report.n_strays == 1
    assert set(kept.files(info.uid)) == {"0", "1", "2"}


def _packs_of(kept: KeptArtifacts, info: object) -> list[object]:
    manifest = kept.artifacts.manifest(info.uid)  # type: ignore[attr-defined]
    digests = [chunk.digest for entry in manifest for chunk in entry.all_chunks]
    return kept.read(lambda c: list(c.execute(select(blob_chunk.c.pack_id).where(blob_chunk.c.digest.in_(digests)))))


def test_a_lost_catalog_does_not_make_all_that_there_is_garbage(kept_in_files: KeptArtifacts) -> None:
    kept = kept_in_files
    kept.log("model", {"a": content(1)})
    kept.log("model", {"a": content(2)}, project="q")
    before = kept.pack_ids() | kept.pack_ids("q")
    os.unlink(os.path.join(kept.folder, "catalog.sqlite"))
    kept.artifacts.end_upload(kept.artifacts.begin_upload("p"))
    lease = kept.artifacts.begin_upload("p")
    make_old(kept)
    report = kept.collect()
    assert kept.pack_ids() | kept.pack_ids("q") == before
    assert fates(report) == ["unknown"] and "does not know" in report.troubles[0]
    kept.artifacts.end_upload(lease)
    lease = kept.artifacts.begin_upload("p")
    assert fates(kept.collect(takes_unknown=True)) == ["condemn", "remove"]


def test_packs_in_an_object_store_are_collected_and_written_anew(kept_in_s3: KeptArtifacts) -> None:
    kept = kept_in_s3
    files = {f"{i}.bin": content(i) for i in range(8)}
    first = kept.log("model", files)
    second = kept.log("model", {"3.bin": files["3.bin"]})
    gone = kept.log("other", {"x": content(20)})
    kept.artifacts.delete([first.uid, gone.uid], delete_aliases=True)
    report = kept.collect()
    assert (
        sorted(one.what for one in report.packs) == ["condemn", "remove", "remove", "rewrite"] and not report.troubles
    )
    assert len(kept.pack_ids()) == 1
    assert kept.files(second.uid) == {"3.bin": files["3.bin"]}


def test_a_pack_that_cannot_be_removed_is_told_of_and_goes_with_a_later_collection(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    kept.artifacts.delete([info.uid], delete_aliases=True)
    (pack,) = Path(kept.folder).rglob("*.pack")
    pack.unlink()
    pack.mkdir()
    report = kept.collect()
    assert "cannot be removed" in report.troubles[0] and report.freed_bytes == 0
    assert kept.read(lambda c: c.execute(select(blob_pack.c.state)).scalars().all()) == ["removing"]
    pack.rmdir()
    assert fates(kept.collect()) == ["remove"]
    assert kept.read(lambda c: c.execute(select(blob_pack.c.state)).scalars().all()) == []

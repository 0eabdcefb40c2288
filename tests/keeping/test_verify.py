"""Verification names what cannot be read and whose it is; the tables of chunks are made anew from the packs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kept_artifacts import KeptArtifacts, content
from sqlalchemy import delete, select

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.errors import NotFoundError
from tracker_server.blobs.rebuild_chunks import rebuild_chunks
from tracker_server.blobs.verify_packs import repair, verify
from tracker_server.store.store_artifact_schema import blob_chunk, blob_pack


def packs(kept: KeptArtifacts) -> list[Path]:
    return sorted(Path(kept.folder).rglob("*.pack"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_whole_packs_verify(kept: KeptArtifacts) -> None:
    kept.log("model", {"a": content(1), "b": content(2)})
    found = verify(kept.store, kept.database)
    assert (found.n_packs, found.n_chunks) == (1, 6)
    assert not found.bad_chunks and not found.bad_packs and not found.bad_versions


def test_a_flipped_bit_is_found_with_the_files_that_it_costs(kept: KeptArtifacts) -> None:
    files = {"a": content(1), "b": content(2)}
    info = kept.log("model", files)
    kept.log("other", {"c": content(3)})
    (pack,) = [path for path in packs(kept) if content(1)[:64] in path.read_bytes()]
    flip(pack, pack.read_bytes().index(content(1)[4096:4160]))
    found = verify(kept.store, kept.database)
    assert [one.why for one in found.bad_chunks] == ["its bytes are others"]
    assert [(one.uid, one.files, one.version) for one in found.bad_versions] == [(info.uid, ["a"], "v0")]
    assert not verify(kept.store, kept.database, is_deep=False).bad_chunks
    repair(kept.database, found)
    assert found.n_repaired == 1
    kept.log("model", {"a": content(1), "extra": content(9)})
    assert kept.files(info.uid) == files
    assert not verify(kept.store, kept.database).bad_versions


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_pack_that_is_gone_or_cut_short_is_found_without_reading_bytes(kept: KeptArtifacts, damage: str) -> None:
    info = kept.log("model", {"a": content(1)})
    (pack,) = packs(kept)
    if damage == "gone":
        pack.unlink()
    else:
        os.truncate(pack, 5000)
    found = verify(kept.store, kept.database, is_deep=False)
    assert len(found.bad_chunks) == 3 and [one.uid for one in found.bad_versions] == [info.uid]
    with pytest.raises((DamagedChunkError, NotFoundError)):
        kept.files(info.uid)
    deep = verify(kept.store, kept.database)
    assert len(deep.bad_chunks) == (3 if damage == "gone" else 2)


def test_a_damaged_index_is_named_and_costs_no_chunk(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    (pack,) = packs(kept)
    flip(pack, pack.stat().st_size - 3)
    flip(pack, pack.stat().st_size - 20)
    found = verify(kept.store, kept.database)
    assert len(found.bad_packs) == 1 and not found.bad_chunks
    assert kept.files(info.uid) == {"a": content(1)}


def drop_tables(kept: KeptArtifacts) -> None:
    for table in (blob_chunk, blob_pack):
        kept.write(lambda connection, table=table: connection.execute(delete(table)).rowcount)  # type: ignore[misc]


def rows(kept: KeptArtifacts) -> set[tuple[object, ...]]:
    c = blob_chunk.c
    query = select(c.project, c.digest, c.pack_id, c.offset, c.size_bytes)
    return {tuple(row) for row in kept.read(lambda connection: connection.execute(query).all())}


def test_the_tables_are_made_anew_from_the_packs(kept: KeptArtifacts) -> None:
    one = kept.log("model", {"a": content(1), "b": content(2)})
    other = kept.log("model", {"a": content(1)}, project="Ein Projekt mit Ümlaut?")
    before = rows(kept)
    drop_tables(kept)
    assert len(verify(kept.store, kept.database).bad_versions) == 2
    done = rebuild_chunks(kept.store, kept.database)
    assert (done.n_packs, done.n_added, done.n_gone, done.n_chunks) == (2, 2, 0, 9) and not done.troubles
    assert rows(kept) == before
    assert kept.files(one.uid) == {"a": content(1), "b": content(2)} and kept.files(other.uid) == {"a": content(1)}
    again = rebuild_chunks(kept.store, kept.database)
    assert (again.n_added, again.n_gone, again.n_chunks) == (0, 0, 0)


def test_a_rebuild_leaves_damaged_chunks_and_packs_out_and_forgets_packs_that_are_gone(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}) for i in range(4)]
    by_seed = {i: path for path in packs(kept) for i in range(4) if content(i)[:64] in path.read_bytes()}
    drop_tables(kept)
    rebuild_chunks(kept.store, kept.database)
    flip(by_seed[0], 10)
    flip(by_seed[1], by_seed[1].stat().st_size - 20)
    by_seed[2].unlink()
    done = rebuild_chunks(kept.store, kept.database)
    assert done.n_gone == 1 and len(done.troubles) == 1
    drop_tables(kept)
    done = rebuild_chunks(kept.store, kept.database)
    assert (done.n_added, done.n_bad_chunks, len(done.troubles)) == (2, 1, 1)
    assert kept.files(infos[3].uid) == {"a": content(3)}
    bad = {one.uid for one in verify(kept.store, kept.database).bad_versions}
    assert bad == {info.uid for info in infos[:3]}


def test_a_rebuild_brings_back_a_condemned_pack_that_alone_has_what_is_needed(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(1)})
    kept.artifacts.delete([info.uid], delete_aliases=True)
    kept.collect(grace_s=3600.0)
    assert rebuild_chunks(kept.store, kept.database).n_added == 1
    kept.log("model", {"a": content(1)})
    assert len(packs(kept)) == 1  # found there


def test_a_rebuild_between_the_file_of_an_upload_and_its_rows_does_no_harm(kept: KeptArtifacts) -> None:
    from kept_artifacts import cut, entry_of

    from tracker_core.artifacts.manifest import Manifest
    from tracker_core.artifacts.wire import NewVersion
    from tracker_server.blobs.packs import write_pack
    from tracker_server.store.store_blobs import settle_packs

    lease = kept.artifacts.begin_upload("p")
    chunks = [(chunk.digest, data) for chunk, data in cut(content(1))]
    pack = write_pack(kept.store.place, "p", chunks)
    assert pack is not None
    assert rebuild_chunks(kept.store, kept.database).n_added == 1
    assert kept.write(lambda connection: settle_packs(connection, lease, [pack]))
    manifest = Manifest([entry_of("a", content(1))]).encode()
    info = kept.artifacts.commit(
        NewVersion(uid="1" * 32, project="p", name="m", type="t", manifest=manifest, lease=lease)
    )
    assert kept.files(info.uid) == {"a": content(1)}


def test_a_pack_that_the_device_does_not_give_is_named(kept_in_files: KeptArtifacts) -> None:
    kept = kept_in_files
    info = kept.log("model", {"a": content(1)})
    (pack,) = packs(kept)
    pack.unlink()
    pack.mkdir()
    found = verify(kept.store, kept.database)
    assert {one.why for one in found.bad_chunks} == {"it cannot be read (Is a directory)"}
    assert len(found.bad_packs) == 1 and [one.uid for one in found.bad_versions] == [info.uid]


def test_chunks_in_an_object_store_are_verified_and_their_tables_made_anew(kept_in_s3: KeptArtifacts) -> None:
    kept = kept_in_s3
    info = kept.log("model", {"a": content(1), "b": content(2)})
    drop_tables(kept)
    assert rebuild_chunks(kept.store, kept.database).n_chunks == 6
    found = verify(kept.store, kept.database)
    assert found.n_chunks == 6 and not found.bad_chunks and not found.bad_packs
    assert kept.files(info.uid) == {"a": content(1), "b": content(2)}
    kept.store.place.remove("p", next(iter(kept.pack_ids())))
    assert len(verify(kept.store, kept.database, is_deep=False).bad_chunks) == 6

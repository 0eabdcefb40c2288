"""A store of chunks: what was put is there for good, pinned by its lease, of its project alone, and checked."""

from __future__ import annotations

import os
import threading

import pytest
from stored_chunks import chunk_of, chunks_of

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Chunk
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.blobs import packs as packs_module
from tracker_server.blobs.blob_store import BlobStore
from tracker_server.catalog.decisions import CatalogError
from tracker_server.store import store_blobs

A, B, C = b"a" * 100, os.urandom(70_000), b"c"


def put(store: BlobStore, project: str, *contents: bytes) -> str:
    lease = store.begin_upload(project)
    store.put(lease, chunks_of(*contents))
    return lease


def read(store: BlobStore, project: str, *contents: bytes) -> list[bytes]:
    return list(store.read(project, [chunk_of(data) for data in contents]))


def unpinned(stored, project: str, lease: str, *contents: bytes) -> set[bytes]:
    chunks = [chunk_of(data) for data in contents]
    found = stored.database.read(lambda connection: store_blobs.unpinned(connection, project, lease, chunks))
    assert found is not None
    return found


# -- on every kind of store


def test_what_was_put_is_read_in_any_order_by_another_process(stored):
    put(stored.open(), "p", A, B, C)
    assert read(stored.open(), "p", C, A, B, A) == [C, A, B, A]


def test_missing_are_those_that_were_not_put(stored):
    store = stored.open()
    lease = put(store, "p", A, B)
    asked = [chunk_of(data) for data in (A, B, C)]
    assert store.missing(lease, asked) == {chunk_of(C).digest}
    assert store.missing(stored.open().begin_upload("p"), asked) == {chunk_of(C).digest}


def test_put_and_have_both_pin_to_the_lease(stored):
    store = stored.open()
    first = put(store, "p", A, B)
    second = store.begin_upload("p")
    assert unpinned(stored, "p", first, A, B, C) == {chunk_of(C).digest}
    assert unpinned(stored, "p", second, A, B) == {chunk_of(A).digest, chunk_of(B).digest}
    store.missing(second, [chunk_of(A)])
    assert unpinned(stored, "p", second, A, B) == {chunk_of(B).digest}


def test_a_project_has_nothing_of_another(stored):
    store = stored.open()
    of_p = put(store, "p", A)
    of_q = store.begin_upload("q")
    assert store.missing(of_q, [chunk_of(A)]) == {chunk_of(A).digest}
    assert unpinned(stored, "q", of_p, A) == {chunk_of(A).digest}
    with pytest.raises(NotFoundError, match="no chunk"):
        read(store, "q", A)


@pytest.mark.parametrize("size_bytes", [1, len(B) - 1, len(B) + 1, -1, 1 << 60])
def test_a_chunk_of_another_size_than_it_has_is_not_read(stored, size_bytes):
    """How much is read at once goes by sizes: who could lie would have all of it in memory."""
    store = stored.open()
    put(store, "p", A, B)
    lie = Chunk(chunk_of(B).digest, size_bytes)
    with pytest.raises(NotFoundError, match="no chunk"):
        list(store.read("p", [chunk_of(A), *[lie] * 50]))


def test_an_ended_upload_pins_nothing_and_takes_nothing(stored):
    store = stored.open()
    lease = put(store, "p", A)
    store.end_upload(lease)
    store.end_upload(lease)
    assert unpinned(stored, "p", lease, A) == {chunk_of(A).digest}
    for call in (
        lambda: store.missing(lease, [chunk_of(A)]),
        lambda: store.missing(lease, [chunk_of(C)]),
        lambda: store.put(lease, chunks_of(C)),
        lambda: store.lease_project(lease),
    ):
        with pytest.raises(NotFoundError, match="begin another"):
            call()
    assert read(store, "p", A) == [A]


def test_what_is_put_twice_is_kept_once(stored):
    store = stored.open()
    put(store, "p", A, A, B)
    put(store, "p", A)
    assert read(store, "p", A, B) == [A, B]


def test_many_chunks_go_through_small_questions(stored, monkeypatch):
    monkeypatch.setattr(store_blobs, "_PART", 7)
    monkeypatch.setattr(packs_module, "PACK_BYTES", 2_000)
    contents = [f"{i}".encode() * 40 for i in range(100)]
    store = stored.open()
    lease = put(store, "p", *contents)
    assert store.missing(lease, [chunk_of(data) for data in contents]) == set()
    assert read(store, "p", *contents) == contents
    assert unpinned(stored, "p", lease, *contents) == set()


def test_no_chunks_are_put_and_read(stored):
    store = stored.open()
    lease = put(store, "p")
    assert store.missing(lease, []) == set() and read(store, "p") == []


# -- hostile


@pytest.mark.parametrize(
    ("chunk", "data"),
    [
        (chunk_of(A), B[:100]),
        (Chunk(chunk_of(A).digest, 101), A),
        (Chunk(chunk_of(A).digest, 99), A[:99]),
        (Chunk(b"short", 100), A),
        (chunk_of(b""), b""),
        (chunk_of(bytes(MAX_CHUNK_BYTES + 1)), bytes(MAX_CHUNK_BYTES + 1)),
    ],
    ids=["other bytes", "said to be longer", "cut off", "no digest", "empty", "too large"],
)
def test_bytes_that_are_not_those_of_the_chunk_are_refused_and_leave_nothing(local, chunk, data):
    store = local.open()
    lease = store.begin_upload("p")
    with pytest.raises(UsageError):
        store.put(lease, [*chunks_of(C), (chunk, data)])
    assert local.packs == [] and not list(local.folder.rglob(".part-*"))
    with pytest.raises(NotFoundError):
        read(store, "p", C)


@pytest.mark.parametrize("project", ["../x", "a/b", "a\\b", "..", "", "a\x00b", "CON", "x" * 128, "ü:*", " . "])
def test_names_of_projects_never_lead_out(local, project):
    store = local.open()
    try:
        put(store, project, A)
    except UsageError:
        return
    (pack,) = local.packs
    assert pack.relative_to(local.folder / "blobs").parts[1] == "packs"
    assert read(store, project, A) == [A]


def test_a_size_that_is_not_that_of_the_stored_chunk_counts_as_missing(local):
    store = local.open()
    lease = put(store, "p", A)
    lie = Chunk(chunk_of(A).digest, 5)
    assert store.missing(lease, [lie]) == {lie.digest}
    found = local.database.read(lambda connection: store_blobs.unpinned(connection, "p", lease, [lie]))
    assert found == {lie.digest}


# -- damage


def test_a_flipped_bit_is_found_when_read(local):
    store = local.open()
    put(store, "p", A, B, C)
    (pack,) = local.packs
    data = bytearray(pack.read_bytes())
    data[len(A) + 5] ^= 1
    pack.write_bytes(data)
    assert read(store, "p", A, C) == [A, C]
    with pytest.raises(DamagedChunkError, match="tracker artifact verify"):
        read(store, "p", B)


@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_a_pack_that_is_not_there_any_more_is_named(local, damage):
    store = local.open()
    put(store, "p", A)
    (pack,) = local.packs
    if damage == "gone":
        pack.unlink()
    else:
        os.truncate(pack, 50)
    with pytest.raises(DamagedChunkError, match=pack.stem):
        read(store, "p", A)


def test_a_chunk_that_is_moved_while_it_is_read_is_found_again(local):
    """As garbage collection does: into a new pack, and the old one is removed."""
    store = local.open()
    lease = put(store, "p", A)
    put(store, "p", B)
    reading = store.read("p", [chunk_of(A), chunk_of(B)])
    assert next(reading) == A
    old = [path for path in local.packs if path.stat().st_size > len(B)]
    moved = packs_module.write_pack(store.place, "p", [(chunk_of(B).digest, B)])
    assert moved is not None

    def move(connection):
        from sqlalchemy import delete

        table = store_blobs.blob_chunk
        connection.execute(delete(table).where(table.c.digest == chunk_of(B).digest))
        store_blobs.add_packs(connection, "p", [moved])

    local.database.write(move)
    for path in old:
        path.unlink()
    assert next(reading) == B
    assert unpinned(local, "p", lease, A) == set()


# -- errors of the disk and of the database


def test_an_error_midway_leaves_no_file(local, monkeypatch):
    monkeypatch.setattr(packs_module, "PACK_BYTES", 150)
    store = local.open()
    lease = store.begin_upload("p")

    def broken():
        yield from chunks_of(A, B)  # B fills a pack
        yield from chunks_of(C)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.put(lease, broken())
    assert local.packs == [] and not list(local.folder.rglob(".part-*"))
    store.put(lease, chunks_of(A, B, C))
    assert read(store, "p", A, B, C) == [A, B, C]


def test_packs_stay_where_nobody_knows_whether_the_database_took_them(local, monkeypatch):
    """The reply to a commit may be lost after it was done: taking the file away would then lose the chunks."""
    store = local.open()
    lease = store.begin_upload("p")
    write = local.database.write

    def done_and_lost(work):
        write(work)
        raise CatalogError("catalog", "no reply", "a reply", "try again")

    monkeypatch.setattr(local.database, "write", done_and_lost)
    with pytest.raises(CatalogError):
        store.put(lease, chunks_of(A))
    monkeypatch.undo()
    assert read(store, "p", A) == [A]


def test_a_lease_that_is_collected_during_an_upload_refuses_the_rest(local):
    store = local.open()
    lease = store.begin_upload("p")

    def slow():
        yield from chunks_of(A)
        store.end_upload(lease)

    with pytest.raises(NotFoundError, match="begin another"):
        store.put(lease, slow())
    with pytest.raises(NotFoundError):
        read(store, "p", A)


def test_every_use_lengthens_the_lease(local):
    store = local.open()
    lease = store.begin_upload("p")

    def expires_ns() -> int:
        from sqlalchemy import select

        query = select(store_blobs.upload_lease.c.expires_ns)
        return local.database.read(lambda connection: connection.execute(query).scalar_one())

    times = [expires_ns()]
    store.put(lease, chunks_of(A))
    times.append(expires_ns())
    store.missing(lease, [chunk_of(A)])
    times.append(expires_ns())
    assert times == sorted(set(times))


def test_threads_put_and_read_the_same_chunks_at_once(local):
    store = local.open()
    contents = [os.urandom(1_000) for _ in range(50)]
    read_back: list[list[bytes]] = []

    def work() -> None:
        put(store, "p", *contents)
        read_back.append(read(store, "p", *contents))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert read_back == [contents] * 6


def test_bytes_are_on_the_device_before_their_name_and_their_name_before_they_are_known(local, monkeypatch):
    """Whatever a loss of power cuts off, nothing that is known is missing."""
    done: list[str] = []

    def watched(place, name, label):
        real = getattr(place, name)

        def call(*arguments):
            result = real(*arguments)
            done.append(label)
            return result

        monkeypatch.setattr(place, name, call)

    store = local.open()
    lease = store.begin_upload("p")
    for name in ("fdatasync", "fsync", "rename", "mkdir"):
        watched(os, name, name)
    watched(local.database, "write", "known")
    store.put(lease, chunks_of(A, B))
    # Each new folder first, from the outermost on; then the bytes, the name, and the folder that holds it.
    assert done[-4:] == ["fdatasync", "rename", "fsync", "known"]
    assert done[:-4] == ["mkdir", "fsync"] * 4

"""Files become chunks: each byte once, read whole or again, and nothing but regular files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from stored_chunks import chunk_of

from tracker_core.artifacts.manifest import Entry, Manifest
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.blobs import keep_files as keeping
from tracker_server.blobs import read_files
from tracker_server.blobs.blob_store import BlobStore
from tracker_server.blobs.cuts import WINDOW_BYTES
from tracker_server.blobs.keep_files import keep_files

# Smaller than in use, so that small files are many windows.
WINDOW, SMALL = 1 << 20, 1 << 17
LARGE = os.urandom(1_000_000) * 3 + os.urandom(777_777)


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_files, "WINDOW_BYTES", WINDOW)
    monkeypatch.setattr(read_files, "SMALL_BYTES", SMALL)


class Watched:
    """A store that counts what goes into it, and may do something at a chunk. A target of chunks like any other."""

    def __init__(self, store: BlobStore, at_chunk=lambda n: None) -> None:
        self._store = store
        self._at_chunk = at_chunk
        self.n_bytes = 0
        self.n_chunks = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put(self, lease, chunks):
        self._store.put(lease, self._counted(chunks))

    def _counted(self, chunks):
        for chunk, data in chunks:
            self.n_bytes += len(data)
            self.n_chunks += 1
            yield chunk, data
            self._at_chunk(self.n_chunks)


def content(store: BlobStore, entry: Entry) -> bytes:
    return b"".join(store.read("p", entry.all_chunks))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """Files of every size about which something is done otherwise, below src/."""
    sizes = [0, 1, 10_000, SMALL, SMALL + 1, WINDOW - 1, WINDOW]
    contents = {f"f{n}": os.urandom(n) for n in sizes} | {f"small/{i}": os.urandom(100 + i) for i in range(150)}
    contents |= {"large": LARGE, "same as large": LARGE, "window": os.urandom(WINDOW) * 2}
    for name, data in contents.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return contents


def sources(tmp_path: Path, names) -> list[tuple[str, str]]:
    return [(str(tmp_path / "src" / name), f"in/{name}") for name in names]


def test_files_of_every_size_are_kept_whole_and_in_order(local, tmp_path, files):
    store = local.open()
    lease = store.begin_upload("p")
    done: list[int] = []
    entries = keep_files(store, lease, sources(tmp_path, files), say=done.append)
    assert [entry.path for entry in entries] == [f"in/{name}" for name in files]
    for entry, data in zip(entries, files.values(), strict=True):
        assert (entry.size_bytes, entry.digest) == (len(data), blake3(data).digest())
        assert content(store, entry) == data
    assert sum(done) == sum(map(len, files.values()))
    assert len(Manifest(entries)) == len(files)


def test_windows_of_the_size_in_use_keep_a_file_whole(local, tmp_path, monkeypatch):
    monkeypatch.undo()
    data = os.urandom(3 * WINDOW_BYTES + 5)
    (tmp_path / "file").write_bytes(data)
    store = local.open()
    (entry,) = keep_files(store, store.begin_upload("p"), [(str(tmp_path / "file"), "a")])
    assert entry.digest == blake3(data).digest() and content(store, entry) == data


def test_the_same_content_is_written_once(local, tmp_path, files):
    store = Watched(local.open())
    lease = store.begin_upload("p")
    keep_files(store, lease, sources(tmp_path, ["large", "same as large"]))
    assert store.n_bytes < len(LARGE)  # whose first part repeats itself
    n_bytes = store.n_bytes
    keep_files(store, store.begin_upload("p"), sources(tmp_path, ["same as large", "large"]))
    assert store.n_bytes == n_bytes


def test_an_unchanged_file_is_only_hashed(local, tmp_path, files, monkeypatch):
    store = Watched(local.open())
    names = ["large", "f10000", "f0"]
    before = keep_files(store, store.begin_upload("p"), sources(tmp_path, names))
    monkeypatch.setattr(read_files, "Cuts", None)  # which nothing large needs
    known = {entry.path: entry for entry in before}
    n_chunks = store.n_chunks
    assert keep_files(store, store.begin_upload("p"), sources(tmp_path, ["large"]), known) == before[:1]
    assert store.n_chunks == n_chunks


def test_a_file_of_the_same_size_with_another_content_is_not_taken_for_unchanged(local, tmp_path, files):
    store = local.open()
    before = keep_files(store, store.begin_upload("p"), sources(tmp_path, ["large"]))
    changed = b"X" + LARGE[1:]
    (tmp_path / "src" / "large").write_bytes(changed)
    (after,) = keep_files(store, store.begin_upload("p"), sources(tmp_path, ["large"]), {"in/large": before[0]})
    assert content(store, after) == changed


def test_an_unchanged_file_whose_chunks_are_gone_is_written_again(local, tmp_path, files):
    """The entry is of another project, or what it names was collected."""
    store = local.open()
    before = keep_files(store, store.begin_upload("q"), sources(tmp_path, ["large", "f1"]))
    known = {entry.path: entry for entry in before}
    after = keep_files(store, store.begin_upload("p"), sources(tmp_path, ["large", "f1"]), known)
    assert after == before
    assert content(store, after[0]) == LARGE


def test_all_that_a_version_needs_is_pinned(local, tmp_path, files):
    from tracker_server.store import store_blobs

    store = local.open()
    first = keep_files(store, store.begin_upload("p"), sources(tmp_path, files))
    lease = store.begin_upload("p")
    entries = keep_files(store, lease, sources(tmp_path, files), {entry.path: entry for entry in first})
    chunks = [chunk for entry in entries for chunk in entry.all_chunks]
    assert local.database.read(lambda c: store_blobs.unpinned(c, "p", lease, chunks)) == set()


# -- class 13: what is no regular file


def test_a_link_to_a_file_is_followed(local, tmp_path, files):
    (tmp_path / "link").symlink_to(tmp_path / "src" / "f10000")
    (entry,) = keep_files(local.open(), local.open().begin_upload("p"), [(str(tmp_path / "link"), "a")])
    assert content(local.open(), entry) == files["f10000"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "device", "loop", "nothing", "link to fifo"])
def test_what_is_no_file_is_refused_at_once(local, tmp_path, kind):
    path = tmp_path / "it"
    listener = socket.socket(socket.AF_UNIX)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        listener.bind(os.path.relpath(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "link to fifo":
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    store = local.open()
    lease = store.begin_upload("p")
    good = tmp_path / "good"
    good.write_bytes(b"x" * 100)
    with listener, pytest.raises((UsageError, OSError), match="it"):
        keep_files(store, lease, [(str(good), "good"), (str(path), "a")])
    assert local.packs == []


def test_a_hard_link_is_copied(local, tmp_path, files):
    os.link(tmp_path / "src" / "f10000", tmp_path / "other")
    store = local.open()
    (entry,) = keep_files(store, store.begin_upload("p"), [(str(tmp_path / "other"), "a")])
    (tmp_path / "src" / "f10000").write_bytes(b"changed in place")
    assert content(store, entry) == files["f10000"]


# -- class 21: a file that changes while it is read


def test_a_file_that_changes_once_while_it_is_read_is_kept_as_it_is_then(local, tmp_path, files):
    path = tmp_path / "src" / "window"

    def change(n: int) -> None:
        if n == 1:
            with open(path, "r+b") as file:
                file.write(b"changed")

    store = Watched(local.open(), change)
    # So many windows that the file is still being read when the first chunk is written.
    data = os.urandom(WINDOW) * 2 * read_files.N_WINDOWS
    path.write_bytes(data)
    (entry,) = keep_files(store, store.begin_upload("p"), sources(tmp_path, ["window"]))
    assert content(store, entry) == b"changed" + data[7:]


@pytest.mark.parametrize("size_bytes", [50_000, 3 * WINDOW])
def test_a_file_that_never_holds_still_is_an_error(local, tmp_path, monkeypatch, size_bytes):
    path = tmp_path / "busy"
    path.write_bytes(os.urandom(size_bytes))
    n_calls = [0]
    fill = read_files._fill

    def changing_fill(fd, window, n):
        n_calls[0] += 1
        with open(path, "r+b") as file:
            file.write(b"%d" % n_calls[0])
        return fill(fd, window, n)

    monkeypatch.setattr(read_files, "_fill", changing_fill)
    store = local.open()
    with pytest.raises(UsageError, match="changed during each of 3 attempts"):
        keep_files(store, store.begin_upload("p"), [(str(path), "a")])
    assert local.packs == []


@pytest.mark.parametrize("size_bytes", [50_000, 2 * WINDOW])
@pytest.mark.parametrize("change", ["grows", "shrinks", "vanishes"])
def test_a_file_that_grows_shrinks_or_vanishes_is_kept_whole_at_one_of_its_states(
    local, tmp_path, monkeypatch, size_bytes, change
):
    path = tmp_path / "moving"
    data = os.urandom(size_bytes)
    path.write_bytes(data)
    states = {data}
    settled, is_first = read_files.settled_version, [True]

    def change_after(fd):
        version = settled(fd)
        if is_first[0]:
            is_first[0] = False
            if change == "grows":
                states.add(data + b"more")
                with open(path, "ab") as file:
                    file.write(b"more")
            elif change == "shrinks":
                states.add(data[:100])
                os.truncate(path, 100)
            else:
                path.unlink()
        return version

    monkeypatch.setattr(read_files, "settled_version", change_after)
    store = local.open()
    lease = store.begin_upload("p")
    try:
        (entry,) = keep_files(store, lease, [(str(path), "a")])
    except FileNotFoundError:
        assert change == "vanishes"
    else:
        assert content(store, entry) in states


def test_a_change_within_one_step_of_the_clock_is_seen(local, tmp_path):
    """Files written, kept and written again at once, as a training loop does with its checkpoints."""
    path, store = tmp_path / "checkpoint", local.open()
    lease = store.begin_upload("p")
    for i in range(20):
        path.write_bytes(b"%05d" % i * 1_000)
        (entry,) = keep_files(store, lease, [(str(path), "a")])
        assert content(store, entry) == b"%05d" % i * 1_000


# -- ends


def test_an_error_of_the_target_ends_reading(local, tmp_path, files):
    class Broken(Watched):
        def missing(self, lease, chunks):
            raise OSError(28, "No space left on device")

    n_threads = threading.active_count()
    store = Broken(local.open())
    with pytest.raises(OSError, match="No space"):
        keep_files(store, store.begin_upload("p"), sources(tmp_path, files))
    assert threading.active_count() == n_threads


def test_a_lease_that_is_gone_ends_it(local, tmp_path, files):
    with pytest.raises(NotFoundError):
        keep_files(local.open(), "0" * 32, sources(tmp_path, files))


def test_no_files_are_no_entries(local):
    store = local.open()
    assert keep_files(store, store.begin_upload("p"), []) == []


def test_files_are_kept_and_written_at_the_end_of_the_interpreter(local, tmp_path):
    """When no thread can be started any more, as a run is that nobody finished."""
    script = """
        import atexit, os, sys
        from tracker_server.blobs.blob_store import BlobStore
        from tracker_server.blobs.keep_files import keep_files
        from tracker_server.blobs.write_files import write_files
        from tracker_server.store.store_catalog_file import CatalogFile

        class Reader:
            def read(self, uid, chunks):
                return store.read("p", chunks)

        def at_the_end():
            lease = store.begin_upload("p")
            names = ["large", *(f"small{i}" for i in range(300))]
            entries = keep_files(store, lease, [(os.path.join(sys.argv[2], name), name) for name in names])
            write_files(Reader(), "v", entries, sys.argv[3])

        store = BlobStore(sys.argv[1], CatalogFile(sys.argv[1]))
        atexit.register(at_the_end)
        """
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    contents = {"large": os.urandom(20 << 20), **{f"small{i}": b"%d" % i for i in range(300)}}
    for name, data in contents.items():
        (source / name).write_bytes(data)
    command = [sys.executable, "-c", textwrap.dedent(script), str(local.folder), str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == contents


def test_questions_are_few(local, tmp_path, monkeypatch):
    asked: list[int] = []

    class Asked(Watched):
        def missing(self, lease, chunks):
            asked.append(len(chunks))
            return self._store.missing(lease, chunks)

    monkeypatch.setattr(keeping, "_ASK_CHUNKS", 200)
    for i in range(500):
        (tmp_path / f"{i}").write_bytes(b"%d" % i)
    store = Asked(local.open())
    entries = keep_files(store, store.begin_upload("p"), [(str(tmp_path / f"{i}"), f"{i}") for i in range(500)])
    assert len(asked) <= 4 and sum(asked) == 500
    assert entries[7].digest == chunk_of(b"7").digest

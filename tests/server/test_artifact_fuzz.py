"""Whatever is asked of artifacts and put into them, a server answers in words, goes on, and writes nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker_core.artifacts.open_source import open_remote
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES
from tracker_server.http.server import run_server_in_background
from tracker_server.remote.artifact_wire import CALLS, MAX_CALL_BYTES, MAX_CHUNKS, PIECE_HEAD

from .artifact_places import Files, chunk_of, log, new_version

ARTIFACTS = "/api/v1/exact/artifacts"
ANSWERS = {200, 400, 403, 404, 409, 413, 422}
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=12)
    | st.binary(max_size=40)
    | st.sampled_from(["p", "m", "v0", "latest", "up", "version:", "run:p/a", "../..", "\0", "x" * 300, "registry"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(
    st.tuples(
        st.text(max_size=20) | st.sampled_from(["a", "a/b", "../x", "/etc/x", "CON", "a\0"]),
        st.integers(-2, 1 << 62),
        st.binary(max_size=40) | st.just(b"\1" * 32),
        st.lists(st.tuples(st.binary(min_size=30, max_size=32), st.integers(-1, 1 << 40)), max_size=3),
        st.text(max_size=5),
        st.text(max_size=5),
    ),
    max_size=4,
)
MANIFESTS = (
    st.tuples(st.integers(0, 2), ENTRIES | VALUES).map(lambda one: zstandard.compress(encode(one)))
    | st.binary(max_size=60)
    | st.binary(max_size=60).map(zstandard.compress)
)
options = settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def encode(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return b"\xc1"


class Asker:
    """Posts what the test says."""

    def __init__(self, base_url: str, key: str, folder: Path) -> None:
        self.folder = folder
        self.http = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0)
        self.source = open_remote(base_url, key)
        version = log(self.source, "p", {"a": b"content"})
        self.source.link("m", version.uid, ["production"])
        self.uid = version.uid

    @property
    def lease(self) -> str:
        """A new upload: others may have been ended meanwhile."""
        return self.source.begin_upload("p")

    def ask(self, call: str, body: bytes, **params: Any) -> httpx.Response:
        reply = self.http.post(f"{ARTIFACTS}/{call}", content=body, params=params)
        assert reply.status_code in ANSWERS, (call, reply.status_code, reply.text, body)
        assert str(self.folder) not in reply.text, "it does not tell where the server keeps things"
        return reply


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    running = run_server_in_background(tmp_path_factory.mktemp("fuzz") / "served")
    assert running.admin_key is not None
    made = Asker(running.base_url, running.admin_key, Path(running.folder.path))
    yield made
    made.source.close()
    made.http.close()
    running.close()


@pytest.mark.parametrize("call", CALLS)
def test_any_arguments_are_answered_in_words(asker: Asker, call: str) -> None:
    known = {"uid": asker.uid, "lease": asker.lease, "project": "p", "name": "m", "uids": [asker.uid], "number": 0}
    fields = {
        name: st.just(known[name]) | VALUES if name in known else VALUES
        for name in CALLS[call].request.__struct_fields__
    }

    @options
    @given(st.fixed_dictionaries(fields).map(encode) | st.binary(max_size=30) | VALUES.map(encode))
    def ask(body: bytes) -> None:
        asker.ask(call, body)

    ask()


CHANGES = st.dictionaries(st.sampled_from(["uid", "name", "type", "aliases", "metadata", "ttl_days"]), VALUES)


def test_any_version_is_committed_or_refused_in_words(asker: Asker) -> None:
    given_new = msgspec.to_builtins(new_version(asker.lease, Files({}), "p"), builtin_types=(bytes,))

    @settings(deadline=None, max_examples=60)
    @given(MANIFESTS, CHANGES)
    def commit(manifest: bytes, changes: dict[str, Any]) -> None:
        asker.ask("commit", encode({"new": {**given_new, "manifest": manifest, **changes}}))

    commit()


PIECES = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), st.binary(max_size=30), st.integers(0, 40)), max_size=4
)


def test_any_bytes_are_put_or_refused_in_words(asker: Asker) -> None:
    lease = asker.lease

    @settings(deadline=None, max_examples=60)
    @given(PIECES, st.binary(max_size=50))
    def put(pieces: list[tuple[bytes, bytes, int]], end: bytes) -> None:
        body = b"".join(PIECE_HEAD.pack(digest, size) + content for digest, content, size in pieces) + end
        reply = asker.ask("put", body, lease=lease)
        assert reply.status_code == (422 if body else 200)

    put()


def test_bodies_that_are_too_large_are_refused(asker: Asker) -> None:
    chunk = chunk_of(b"x")
    assert asker.ask("version", bytes(MAX_CALL_BYTES + 1)).status_code == 413
    many = PIECE_HEAD.pack(chunk.digest, 1) + b"x"
    assert asker.ask("put", many * (MAX_CHUNKS + 1), lease=asker.lease).status_code == 422
    assert asker.ask("put", bytes(MAX_CHUNK_BYTES + (1 << 20)), lease=asker.lease).status_code == 413
    large = PIECE_HEAD.pack(chunk.digest, MAX_CHUNK_BYTES + 1) + bytes(MAX_CHUNK_BYTES + 1)
    assert asker.ask("put", large, lease=asker.lease).status_code == 422
    asked = {"lease": asker.lease, "chunks": [(chunk.digest, 1)] * (MAX_CHUNKS + 1)}
    assert asker.ask("missing", encode(asked)).status_code == 422


def test_a_manifest_that_grows_without_end_is_refused(asker: Asker) -> None:
    bomb = zstandard.compress(bytes(1 << 30), 19)
    unknown = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    for manifest in (bomb, unknown, bomb[:50]):
        new = new_version(asker.lease, Files({}), "p")
        reply = asker.ask("commit", encode({"new": msgspec.structs.replace(new, manifest=manifest)}))
        assert reply.status_code == 422


@pytest.mark.parametrize("body", [b"\x91" * 100_000, b"\x81\xa3new" + b"\x81\xa1a" * 50_000])
@pytest.mark.parametrize("call", ["commit", "edit", "add_uses"])
def test_deep_bodies_are_refused(asker: Asker, call: str, body: bytes) -> None:
    assert asker.ask(call, body).status_code in (400, 422)


def test_after_all_that_it_still_serves_and_every_file_lies_where_it_should(asker: Asker) -> None:
    version = log(asker.source, "p", {"a": b"content"}, "still")
    assert list(asker.source.read(version.uid, [chunk_of(b"content")])) == [b"content"]
    outside = {path.name for path in asker.folder.parent.iterdir()} - {asker.folder.name, "served"}
    assert not outside
    for path in (asker.folder / "blobs").rglob("*"):
        assert path.is_dir() or path.suffix == ".pack", path

"""What manifests take of the server's memory is reckoned with their chunks, of which a file may have very many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tracker_core.artifacts.manifest import DIGEST_BYTES, Chunk, Entry, Manifest
from tracker_server.http import artifact_reply, routes_artifacts_exact
from tracker_server.http.artifact_reply import ManifestCache


def manifest_of(n_chunks: int) -> Manifest:
    digest = bytes(DIGEST_BYTES)
    return Manifest([Entry("a", n_chunks, digest, (Chunk(digest, 1),) * n_chunks)])


class Source:
    """Versions named by how many chunks they have."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def manifest(self, uid: str) -> Manifest:
        self.asked.append(uid)
        return manifest_of(int(uid))


@pytest.mark.parametrize(
    ("uids", "asked"),
    [
        (["40", "41", "40"], ["40", "41"]),
        (["60", "61", "60"], ["60", "61", "60"]),
        (["150", "150"], ["150"]),
        (["250", "250"], ["250", "250"]),
        (["40", "250", "40"], ["40", "250"]),
    ],
    ids=["both fit", "together too much", "alone", "too much alone", "pushes nothing out"],
)
def test_chunks_count_in_what_is_kept(monkeypatch: pytest.MonkeyPatch, uids: list[str], asked: list[str]) -> None:
    monkeypatch.setattr(artifact_reply, "_MAX_KEPT_PARTS", 100)
    monkeypatch.setattr(artifact_reply, "_MAX_KEPT_ALONE", 200)
    source: Any = Source()
    cache = ManifestCache()
    assert [len(cache.get(source, uid).get("a").chunks) for uid in uids] == [int(uid) for uid in uids]  # type: ignore[union-attr]
    assert source.asked == asked


def test_a_commit_is_reckoned_with_what_its_manifest_becomes() -> None:
    encoded = manifest_of(100_000).encode()
    body = msgspec.msgpack.encode({"new": {"manifest": encoded}})
    assert len(body) < 10_000 and routes_artifacts_exact._manifest_bytes(body) > 10_000_000


def test_the_largest_manifest_is_worked_on_alone_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    most = routes_artifacts_exact._MAX_RAW_MANIFEST_BYTES
    monkeypatch.setattr(
        routes_artifacts_exact, "zstandard", SimpleNamespace(frame_content_size=lambda _: most, ZstdError=ValueError)
    )
    needed = routes_artifacts_exact._manifest_bytes(msgspec.msgpack.encode({"new": {"manifest": b""}}))
    assert needed + routes_artifacts_exact.MAX_COMMIT_BYTES == routes_artifacts_exact._BUFFERED_MAX_BYTES

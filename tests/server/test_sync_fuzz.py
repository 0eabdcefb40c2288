"""Whatever is posted, a server answers in words and goes on: no 5xx, no file outside, nothing that was not sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker_core.sync.wire import CONTENT_TYPE
from tracker_server.http.server import run_server_in_background

from .conftest import Journal
from .sync_client import SYNC, SyncClient, name_of

ROUTES = ("hello", "state", "blocks", "missing")
ANSWERS = {200, 400, 403, 413, 415, 422}
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=40)
    | st.sampled_from(["p", "a", "main", "0" * 32, "../..", "\0", "x" * 70, "p/a", "CON", "\ud7ff", "é"])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner))
NAMES = st.lists(LEAVES, min_size=3, max_size=5) | st.tuples(st.just("p"), LEAVES, LEAVES, LEAVES)
PARTS = st.tuples(NAMES, LEAVES, LEAVES, LEAVES, LEAVES) | st.lists(VALUES, max_size=6)
BODIES = {
    "hello": VALUES,
    "state": st.fixed_dictionaries({"journals": st.lists(NAMES, max_size=4)}) | VALUES,
    "blocks": st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=4), "running": st.lists(NAMES, max_size=2)}),
    "missing": st.fixed_dictionaries({"project": LEAVES, "run": LEAVES, "digests": st.lists(LEAVES, max_size=3)}),
}
CASES = st.sampled_from(ROUTES).flatmap(
    lambda route: st.tuples(st.just(route), BODIES[route].map(msgspec.msgpack.encode) | st.binary(max_size=200))
)
options = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def sender(tmp_path_factory) -> Iterator[SyncClient]:
    running = run_server_in_background(tmp_path_factory.mktemp("fuzz") / "served")
    made = SyncClient(running.base_url, running.admin_key)
    made.folder = Path(running.folder.path)
    yield made
    made.close()
    running.close()


@options
@given(CASES)
def test_any_body_is_answered_in_words(sender, case):
    route, body = case
    reply = sender.http.post(f"{SYNC}/{route}", content=body, headers={"Content-Type": CONTENT_TYPE})
    assert reply.status_code in ANSWERS, (reply.status_code, reply.text, route, body)
    assert reply.headers["x-tracker-protocol"] == "1"


@options
@given(
    st.tuples(st.text(max_size=12), st.text(max_size=12), st.text(max_size=66)),
    st.dictionaries(st.sampled_from(["offset", "size"]), st.integers(-(2**70), 2**70) | st.text(max_size=5)),
    st.binary(max_size=50),
)
def test_any_file_is_answered_in_words(sender, names, query, data):
    from urllib.parse import quote

    path = "/".join(quote(name, safe="") or "x" for name in names)
    headers = {"Content-Type": "application/octet-stream"}
    reply = sender.http.put(f"{SYNC}/files/{path}", content=data, params=query, headers=headers)
    assert reply.status_code in {200, 307, 404, 405, 422}, (reply.status_code, reply.text)


@options
@given(changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=3))
def test_a_journal_with_any_bytes_changed_is_told_or_kept_as_it_was_sent(sender, changes, tmp_path_factory):
    journal = Journal(tmp_path_factory.mktemp("training"))
    for step in range(5):
        journal.row(step, loss=1.0)
    whole = bytearray(Path(journal.path).read_bytes())
    for place, byte in changes:
        whole[place % len(whole)] = byte
    name = name_of(journal)
    body = {"parts": [[name, 0, 0.0, crc32(bytes(whole)), bytes(whole)]]}
    headers = {"Content-Type": CONTENT_TYPE}
    reply = sender.http.post(f"{SYNC}/blocks", content=msgspec.msgpack.encode(body), headers=headers)
    assert reply.status_code == 200
    ((_, size_bytes, trouble, reason),) = msgspec.msgpack.decode(reply.content)["acks"]
    kept = sender.folder / "runs" / journal.name
    if trouble:
        assert trouble == "refused" and reason and size_bytes == 0 and not kept.exists()
    else:
        assert size_bytes == len(whole) and kept.read_bytes() == bytes(whole)


def test_after_all_that_it_still_serves_and_every_file_lies_where_it_should(sender):
    assert sender.hello().scope == "admin"
    for path in (sender.folder / "runs").rglob("*"):
        parts = path.relative_to(sender.folder / "runs").parts
        assert len(parts) <= 2 or parts[2] == "files" or parts[2].endswith(".journal")

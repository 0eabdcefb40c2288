"""The routes by which senders bring runs, on a real server over real HTTP."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import httpx
import msgspec
import pytest
import zstandard
from blake3 import blake3

from tracker_core.sync.wire import (
    CONTENT_TYPE,
    MAX_BLOCK_DATA_BYTES,
    MAX_NAMES,
    MAX_REQUEST_BYTES,
    PROTOCOL_HEADER,
    BlocksRequest,
    JournalAck,
    JournalName,
    StateRequest,
)
from tracker_server.catalog.decisions import by_me
from tracker_server.catalog.run_removal import delete_runs, empty_trash, undelete_runs
from tracker_server.http.server import TrackerServer, run_server_in_background

from .conftest import Journal
from .sync_client import SYNC, SyncClient, name_of, part


@pytest.fixture(params=["folder", "database"])
def server(request, tmp_path):
    url = request.getfixturevalue("database_url") if request.param == "database" else None
    running = run_server_in_background(tmp_path / "served", url)
    yield running
    running.close()


@pytest.fixture
def folder_server(tmp_path):
    running = run_server_in_background(tmp_path / "served")
    yield running
    running.close()


@pytest.fixture
def sender(server):
    made = SyncClient(server.base_url, server.admin_key)
    yield made
    made.close()


@pytest.fixture
def folder_sender(folder_server):
    made = SyncClient(folder_server.base_url, folder_server.admin_key)
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "training" / ".tracker")


def rows(journal: Journal, n_rows: int, first: int = 0) -> bytes:
    for step in range(first, first + n_rows):
        journal.row(step, loss=step / 2)
    return Path(journal.path).read_bytes()


def values_of(sender: SyncClient, run: str = "a", key: str = "loss") -> list[float] | None:
    reply = sender.http.get(f"/api/v1/projects/p/runs/{run}/series", params={"key": key})
    return reply.json()["values"] if reply.status_code == 200 else None


# -- blocks


def test_hello_says_whose_key_it_is_and_which_server(server, sender):
    first = sender.hello()
    assert (first.scope, first.project, first.protocol, first.max_request_bytes) == (
        "admin",
        None,
        1,
        MAX_REQUEST_BYTES,
    )
    assert first.key_name and first.server == server.server_id == sender.hello().server


def test_what_is_posted_is_shown_within_moments_and_never_twice(sender, journal, wait_until):
    data, name = rows(journal, 500), name_of(journal)
    assert sender.send(journal.path, name).size_bytes == len(data)
    wait_until(lambda: len(values_of(sender) or ()) == 500)
    for _ in range(2):
        assert sender.blocks(part(name, data)).acks[0].size_bytes == len(data)
    rows(journal, 300, first=500)
    sender.send(journal.path, name, part_bytes=1000)
    wait_until(lambda: len(values_of(sender) or ()) >= 800)
    assert values_of(sender) == [step / 2 for step in range(800)]


def test_a_new_point_is_in_the_chart_about_a_second_after_its_ack_although_nobody_listens(
    folder_server, folder_sender, journal, wait_until
):
    name = name_of(journal)
    times = []
    for turn in range(4):
        rows(journal, 5, first=5 * turn)
        folder_sender.send(journal.path, name)
        began = time.monotonic()
        wait_until(lambda n=5 * (turn + 1): len(values_of(folder_sender) or ()) == n)
        times.append(time.monotonic() - began)
    assert min(times) < 1.5, times


def test_gaps_differences_and_broken_checksums_are_told_for_that_journal_alone(sender, tmp_path):
    journals = [Journal(tmp_path / "training", run=run) for run in "abcd"]
    datas = [rows(journal, 50) for journal in journals]
    names = [name_of(journal, run=run) for journal, run in zip(journals, "abcd", strict=True)]
    sender.blocks(part(names[1], datas[1][:200]))
    acks = sender.blocks(
        part(names[0], datas[0], offset=100),
        part(names[1], datas[1][:100] + b"other bytes than those"),
        part(names[2], datas[2], n_bytes=300),
        part(names[2], datas[2], offset=300, crc=1),
        part(names[3], datas[3]),
    ).acks
    assert [(ack.journal, ack.trouble, ack.size_bytes) for ack in acks] == [
        (names[0], "gap", 0),
        (names[1], "differs", 200),
        (names[2], "damaged", 300),
        (names[3], "", len(datas[3])),
    ]


WRONG_NAMES = [
    *[{"project": name} for name in ("", "a/b", "..", "x" * 129, "a\0b", "a\\b", "a\nb")],
    *[{"run": name} for name in ("../up", ".hidden", "con", "x" * 65, "", "a/b", "a.", "a b")],
    *[{"writer": name} for name in ("../main", ".main", "a/b", "", "x" * 65, "a\0")],
    *[{"session": name} for name in ("0" * 31, "g" * 32, "../" + "0" * 29, "A" * 32, "0" * 33)],
]


def test_names_that_are_none_are_refused_and_touch_no_file(folder_server, folder_sender, journal):
    data = rows(journal, 5)
    for changes in WRONG_NAMES:
        wrong = msgspec.structs.replace(name_of(journal), **changes)
        reply = folder_sender.blocks(part(wrong, data), part(name_of(journal), data))
        assert [(ack.trouble, ack.size_bytes) for ack in reply.acks] == [("refused", 0), ("", len(data))], changes
        assert reply.acks[0].reason
        assert folder_sender.state(wrong)[0].trouble == "refused"
    files = list(Path(folder_server.folder.path).rglob("*.journal"))
    assert [path.name for path in files] == [Path(journal.path).name]


def test_a_journal_whose_first_record_says_something_else_is_refused(sender, journal):
    data, own = rows(journal, 5), name_of(journal)
    for field, other in {"run": "b", "project": "q", "writer": "rank1", "session": "0" * 32}.items():
        wrong = msgspec.structs.replace(own, **{field: other})
        assert sender.blocks(part(wrong, data)).acks[0].trouble == "refused"
        assert sender.state(wrong, own) == [JournalAck(wrong, 0), JournalAck(own, 0)]


def test_a_journal_that_does_not_begin_with_its_session_is_refused_and_a_damaged_one_is_taken(sender, journal):
    data, name = rows(journal, 5), name_of(journal)
    from tracker_core.journal_file import JournalFile
    from tracker_core.journal_format import Kind

    path = journal.path + ".other"
    file = JournalFile(path, journal.session)
    file.open()
    file.put(Kind.HEARTBEAT, b"\x80")
    file.close()
    assert sender.blocks(part(name, Path(path).read_bytes())).acks[0].trouble == "refused"
    damaged = b"\0" + data[1:]
    assert sender.blocks(part(name, damaged)).acks[0].trouble == ""


def test_names_of_a_project_in_any_script_become_folders_that_are_safe_everywhere(
    folder_server, folder_sender, tmp_path
):
    project = "über: \u96ea?*."
    journal = Journal(tmp_path / "training", project=project)
    data = rows(journal, 3)
    ack = folder_sender.blocks(part(name_of(journal, project=project), data)).acks[0]
    assert (ack.trouble, ack.size_bytes) == ("", len(data))
    (kept,) = Path(folder_server.folder.path).rglob("*.journal")
    assert kept.relative_to(folder_server.folder.path).parts == Path(journal.path).parts[-4:]


def test_a_run_that_died_long_ago_is_crashed_as_soon_as_it_is_here(sender, journal, wait_until):
    rows(journal, 5)
    sender.send(journal.path, name_of(journal), age_s=3600.0)
    reply = wait_until(lambda: (r := sender.http.get("/api/v1/projects/p/runs/a")).status_code == 200 and r.json())
    assert reply["state"] == "crashed"


def test_an_age_that_is_none_is_taken_for_a_sensible_one(sender, journal):
    data = rows(journal, 50)
    for turn, age_s in enumerate((float("nan"), float("inf"), -5.0, 1e300), start=1):
        assert sender.blocks(part(name_of(journal), data, 0, turn * 100, age_s)).acks[0].size_bytes == turn * 100


def test_a_settled_run_that_goes_on_is_shown_soon(tmp_path, wait_until):
    running = run_server_in_background(tmp_path / "served")
    running.folder._runs._settle_after_s = 0.0
    sender = SyncClient(running.base_url, running.admin_key)
    journal = Journal(tmp_path / "training")
    rows(journal, 10)
    journal.end()
    sender.send(journal.path, name_of(journal), age_s=3600.0)
    wait_until(lambda: running.folder._runs.is_settled(("p", "a")))
    again = Journal(tmp_path / "training", attempt=1, counter=2)
    rows(again, 10, first=10)
    began = time.monotonic()
    sender.send(again.path, name_of(again))
    wait_until(lambda: len(values_of(sender) or ()) == 20)
    assert time.monotonic() - began < 10
    sender.close()
    running.close()


def test_deleted_runs_are_told_to_be_and_come_back_when_they_are_undeleted(server, sender, journal, wait_until):
    data, name = rows(journal, 5), name_of(journal)
    sender.send(journal.path, name)
    wait_until(lambda: values_of(sender) is not None)
    delete_runs(server.folder, [("p", "a")], by_me(), True)
    assert sender.blocks(part(name, data)).acks[0].trouble == "deleted" == sender.state(name)[0].trouble
    undelete_runs(server.folder, [("p", "a")], by_me())
    assert sender.state(name)[0].size_bytes == len(data)


def test_a_run_that_was_removed_for_good_does_not_come_back_when_it_is_sent_again(server, sender, journal, wait_until):
    data, name = rows(journal, 5), name_of(journal)
    journal.end()
    sender.send(journal.path, name)
    wait_until(lambda: values_of(sender) is not None)
    delete_runs(server.folder, [("p", "a")], by_me(), True)
    empty_trash(server.folder, by_me())
    assert sender.state(name)[0].trouble == "deleted" == sender.blocks(part(name, data)).acks[0].trouble
    again = Journal(Path(journal.path).parents[3], attempt=2)
    rows(again, 3)
    assert sender.send(again.path, name_of(again)).trouble == ""


def test_keys_write_only_where_they_may(server, journal, tmp_path):
    key, _ = server.keys.create("p writer", "write", "p", by_me())
    reader, _ = server.keys.create("p reader", "read", "p", by_me())
    other = Journal(tmp_path / "training", project="q")
    datas = rows(journal, 5), rows(other, 5)
    sender = SyncClient(server.base_url, key)
    assert (sender.hello().scope, sender.hello().project) == ("write", "p")
    acks = sender.blocks(part(name_of(journal), datas[0]), part(name_of(other, project="q"), datas[1])).acks
    assert [ack.trouble for ack in acks] == ["", "refused"] and "q" in acks[1].reason
    assert sender.state(name_of(other, project="q"))[0].trouble == "refused"
    assert sender.post("missing", {"project": "q", "run": "a", "digests": []}).status_code == 403
    sender.close()
    for key, status in ((reader, 403), ("tk_wrong", 401), (None, 401)):
        refused = SyncClient(server.base_url, key)
        for name in ("state", "blocks", "missing"):
            reply = refused.post(name, {})
            assert reply.status_code == status and reply.headers[PROTOCOL_HEADER] == "1"
        assert refused.put_bytes("a", "0" * 64, b"x").status_code == status
        refused.close()


# -- bodies


def posted(server, name: str, body, **headers: str) -> httpx.Response:
    given = {"Authorization": f"Bearer {server.admin_key}", "Content-Type": CONTENT_TYPE, **headers}
    return httpx.post(f"{server.base_url}{SYNC}/{name}", content=body, headers=given, timeout=30.0)


def test_bodies_that_are_too_large_are_refused_before_and_after_decompression(folder_server):
    bomb = zstandard.compress(bytes(1 << 30))
    assert len(bomb) < 200_000
    assert posted(folder_server, "blocks", bomb, **{"Content-Encoding": "zstd"}).status_code == 413
    assert posted(folder_server, "blocks", bytes(MAX_REQUEST_BYTES + 1)).status_code == 413

    def endless():
        while True:
            yield bytes(1 << 16)

    with pytest.raises(httpx.TransportError):
        reply = posted(folder_server, "blocks", endless())
        assert reply.status_code == 413
        raise httpx.WriteError("answered before all was sent")


def test_bodies_of_another_kind_are_refused_in_words(folder_server):
    body = msgspec.msgpack.encode(StateRequest([]))
    assert posted(folder_server, "state", body).status_code == 200
    assert posted(folder_server, "state", body, **{"Content-Type": "application/json"}).status_code == 415
    assert posted(folder_server, "state", body, **{"Content-Encoding": "gzip"}).status_code == 415
    assert posted(folder_server, "state", body, **{"Content-Encoding": "zstd"}).status_code == 400
    assert (
        posted(folder_server, "state", zstandard.compress(body)[:-3], **{"Content-Encoding": "zstd"}).status_code == 400
    )
    assert posted(folder_server, "state", b"\xc1").status_code == 400
    assert posted(folder_server, "state", b"").status_code == 400
    assert posted(folder_server, "state", msgspec.msgpack.encode({"journals": 1})).status_code == 422
    many = [JournalName("p", str(i), "main", "0" * 32) for i in range(MAX_NAMES + 1)]
    reply = posted(folder_server, "state", msgspec.msgpack.encode(StateRequest(many)))
    assert reply.status_code == 422 and set(reply.json()["error"]) == {"where", "got", "expected", "remedy"}


def test_a_part_that_is_too_long_is_refused(folder_sender, journal):
    long = part(name_of(journal), bytes(MAX_BLOCK_DATA_BYTES + 1), n_bytes=MAX_BLOCK_DATA_BYTES + 1)
    assert folder_sender.blocks(long).acks[0].trouble == "refused"


def test_uncompressed_bodies_are_taken_too(folder_sender, journal):
    data = rows(journal, 5)
    reply = folder_sender.post("blocks", BlocksRequest([part(name_of(journal), data)]), is_compressed=False)
    assert reply.status_code == 200


# -- files


def test_a_file_arrives_in_parts_and_is_seen_only_when_it_is_whole(server, sender):
    content = os.urandom(300_000)
    digest = blake3(content).hexdigest()
    kept = Path(server.folder.path) / "runs" / "p" / "a" / "files" / digest
    assert sender.missing("p", "a", digest) == {digest: 0}
    ack = sender.put_file("a", content, 0, 100_000, size=len(content))
    assert (ack.offset, ack.is_whole) == (100_000, False) and not kept.exists()
    assert sender.missing("p", "a", digest) == {digest: 100_000}
    assert sender.put_file("a", content, 200_000, size=len(content)).offset == 100_000  # behind a gap
    assert sender.put_file("a", content, 50_000, 200_000, size=len(content)).offset == 200_000
    ack = sender.put_file("a", content, 200_000, size=len(content))
    assert (ack.offset, ack.is_whole) == (300_000, True) and kept.read_bytes() == content
    assert sender.missing("p", "a", digest) == {} and sender.put_file("a", content, 0, 10).is_whole
    assert sorted(path.name for path in kept.parent.iterdir()) == [digest]


def test_without_its_size_a_file_is_whole_as_soon_as_the_digest_says_so(folder_server, folder_sender):
    content = os.urandom(5000)
    assert not folder_sender.put_file("a", content, 0, 3000).is_whole
    assert folder_sender.put_file("a", content, 3000).is_whole
    assert folder_sender.put_file("a", b"").is_whole


def test_a_file_of_another_digest_is_never_seen_and_can_be_sent_again(folder_server, folder_sender):
    content = os.urandom(5000)
    digest = blake3(content).hexdigest()
    wrong = folder_sender.put_bytes("a", digest, bytes(5000), size=5000)
    assert wrong.status_code == 200 and msgspec.msgpack.decode(wrong.content) == {"offset": 0, "is_whole": False}
    assert folder_sender.missing("p", "a", digest) == {digest: 0}
    folder_sender.put_bytes("a", digest, bytes(7000))  # too long, and wrong
    assert folder_sender.put_file("a", content).is_whole


def test_names_of_files_never_become_paths(folder_server, folder_sender):
    for digest in ("x" * 64, "0" * 63, "0" * 65, "..%2f" + "0" * 60, "A" * 64):
        assert folder_sender.put_bytes("a", digest, b"x").status_code in (404, 422)
    for run in ("..", ".", "%2e%2e", "a%2fb", ".hidden"):
        assert folder_sender.put_bytes(run, "0" * 64, b"x").status_code in (404, 422)
    assert folder_sender.post("missing", {"project": "p", "run": "../x", "digests": []}).status_code == 422
    assert not list(Path(folder_server.folder.path).rglob("*.part"))


def test_files_of_a_deleted_run_are_not_wanted(folder_server, folder_sender, journal, wait_until):
    rows(journal, 5)
    folder_sender.send(journal.path, name_of(journal))
    wait_until(lambda: values_of(folder_sender) is not None)
    delete_runs(folder_server.folder, [("p", "a")], by_me(), True)
    assert folder_sender.missing("p", "a", "0" * 64) == {}
    assert folder_sender.put_bytes("a", "0" * 64, b"x").status_code == 410


def test_a_file_larger_than_allowed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKER_FILE_MAX_MIB", "1")
    running = run_server_in_background(tmp_path / "served")
    sender = SyncClient(running.base_url, running.admin_key)
    content = bytes((1 << 20) + 1)
    digest = blake3(content).hexdigest()
    assert sender.put_bytes("a", digest, content).status_code == 413
    assert sender.put_bytes("a", digest, content[:10], size=len(content)).status_code == 413
    assert sender.put_file("a", content[1:]).is_whole
    sender.close()
    running.close()


# -- what is written down of requests


def test_every_reply_has_an_id_and_every_request_a_line_without_secrets(
    folder_server, folder_sender, caplog, wait_until
):
    def written():
        return [json.loads(record.message) for record in caplog.records if record.name == "tracker.access"]

    with caplog.at_level(logging.INFO, logger="tracker.access"):
        given = folder_sender.http.get("/api/v1/projects?secret=value", headers={"X-Request-ID": "mine-1"})
        forged = folder_sender.http.get("/no/such/secret", headers={"X-Request-ID": "a\tb" * 100})
        hello = folder_sender.post("hello", {})
        wait_until(lambda: len(written()) == 3)  # a line follows its reply
    assert given.headers["x-request-id"] == "mine-1"
    assert len(forged.headers["x-request-id"]) == 16 != forged.headers["x-request-id"] and hello.headers["x-request-id"]
    lines = written()
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/api/v1/projects", 200),
        ("(none)", 404),
        (f"{SYNC}/hello", 200),
    ]
    assert {line["key"] for line in lines} == {"first admin key"} and lines[0]["request_id"] == "mine-1"
    assert all(line["client"] == "127.0.0.1" and line["seconds"] >= 0 for line in lines)
    text = json.dumps(lines)
    assert folder_server.admin_key not in text and "secret" not in text


def test_metrics_count_requests_bytes_and_runs_and_need_a_key(folder_server, folder_sender, journal, wait_until):
    data = rows(journal, 50)
    folder_sender.send(journal.path, name_of(journal))
    wait_until(lambda: values_of(folder_sender) is not None)
    folder_sender.blocks(part(name_of(journal), data, offset=len(data) + 1))
    text = folder_sender.http.get("/metrics").text
    for line in (
        f"tracker_sync_bytes_total {float(len(data))}",
        'tracker_sync_troubles_total{trouble="gap"} 1.0',
        'tracker_http_requests_total{method="POST",route="/api/v1/sync/blocks",status="200"} 2.0',
        'tracker_runs{state="running"} 1.0',
        "tracker_journals 1.0",
        "tracker_sync_ack_seconds_count 2.0",
    ):
        assert line in text.splitlines(), (line, text)
    assert httpx.get(f"{folder_server.base_url}/metrics").status_code == 401
    reader, _ = folder_server.keys.create("monitoring", "read", None, by_me())
    one, _ = folder_server.keys.create("of p", "read", "p", by_me())
    for key, status in ((reader, 200), (one, 403)):
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{folder_server.base_url}/metrics", headers=headers).status_code == status


def test_a_database_says_how_many_connections_it_has(tmp_path, database_url):
    running: TrackerServer = run_server_in_background(tmp_path / "served", database_url)
    headers = {"Authorization": f"Bearer {running.admin_key}"}
    text = httpx.get(f"{running.base_url}/metrics", headers=headers).text
    assert 'tracker_database_connections{state="in use"}' in text
    running.close()


def test_alive_and_ready_are_told_to_everybody_and_say_nothing_else(folder_server, tmp_path):
    assert httpx.get(f"{folder_server.base_url}/health").json() == {"status": "alive"}
    assert httpx.get(f"{folder_server.base_url}/ready").json() == {"status": "ready"}
    runs = Path(folder_server.folder.path) / "runs"
    runs.rename(runs.with_name("away"))
    runs.write_text("a file in the place of the folder")
    reply = httpx.get(f"{folder_server.base_url}/ready")
    assert reply.status_code == 503 and reply.json() == {"status": "not ready"}
    assert httpx.get(f"{folder_server.base_url}/health").status_code == 200


def test_while_the_database_is_away_nothing_is_acknowledged_and_afterwards_it_goes_on(
    tmp_path, database_url, journal, postgres, wait_until
):
    running = run_server_in_background(tmp_path / "served", database_url)
    sender = SyncClient(running.base_url, running.admin_key)
    data, name = rows(journal, 50), name_of(journal)
    assert sender.blocks(part(name, data, n_bytes=300)).acks[0].size_bytes == 300
    database = database_url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    reply = sender.post("blocks", BlocksRequest([part(name, data, offset=300)]))
    assert reply.status_code == 503 and reply.headers[PROTOCOL_HEADER] == "1"
    assert database_url.partition("@")[0] not in reply.text and "password" not in reply.text
    assert sender.http.get("/ready").status_code == 503 and sender.http.get("/health").status_code == 200
    postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    wait_until(lambda: sender.http.get("/ready").status_code == 200)
    assert sender.state(name)[0].size_bytes == 300
    assert sender.send(journal.path, name).size_bytes == len(data)
    wait_until(lambda: len(values_of(sender) or ()) == 50)
    sender.close()
    running.close()

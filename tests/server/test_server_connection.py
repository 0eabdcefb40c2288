"""What an address can answer that is no answer is told for what it is; no key goes where it does not belong."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.api import Api
from tracker_core.errors import NotFoundError, UsageError
from tracker_core.remote import connection
from tracker_core.remote.connection import ServerConnection
from tracker_core.remote.server_address import server_address
from tracker_core.remote.server_errors import (
    BrokenReplyError,
    NotPermittedError,
    NoTrackerServerError,
    ServerAwayError,
    ServerError,
    ServerVersionError,
    WrongKeyError,
)
from tracker_core.sync.wire import PROTOCOL_HEADER
from tracker_server.http.server import run_server_in_background
from tracker_server.http.ui_server import UiServer
from tracker_server.query.row_reader import Row
from tracker_server.remote.exact_wire import (
    END,
    FAULT,
    VALUE,
    Fault,
    FaultFrame,
    WireError,
    frame,
    read_frames,
    read_parts,
    read_rows,
    read_series,
    row_frames,
    value_frame,
)
from tracker_server.remote.remote_runs import RemoteRuns

from .conftest import Journal

OURS = {PROTOCOL_HEADER: "1", "Content-Type": "application/msgpack"}
DETAIL = {"where": "GET /x", "got": "a key named 'k' that may not do this", "expected": "another", "remedy": "ask"}


@dataclass
class Odd:
    """A server that answers what a test tells it to, one answer after the other, the last one again and again."""

    url: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.answers.append((status, headers, body))

    def runs(self, key: str | None = "k", **options: object) -> RemoteRuns:
        return RemoteRuns(ServerConnection(self.url, key, pauses_s=(0.01, 0.01), **options))  # type: ignore[arg-type]


@pytest.fixture
def odd() -> Iterator[Odd]:
    found: list[Odd] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server = found[0]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.asked.append((self.path, dict(self.headers)))
            status, headers, body = server.answers[0] if len(server.answers) == 1 else server.answers.pop(0)
            if status == 0:  # cut off
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if headers.get("Content-Length", str(len(body))) != str(len(body)):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found.append(Odd(f"http://127.0.0.1:{server.server_address[1]}"))
    yield found[0]
    server.shutdown()
    server.server_close()


GOOD = value_frame(["p"]) + frame(END)
ZIPPED = gzip.compress(GOOD, mtime=0)  # the time would make another name of the test in every process
ERROR = json.dumps({"error": DETAIL}).encode()
HEALTH = json.dumps({"status": "ok", "version": "0.0.1"}).encode()
HTML = b"<!doctype html><html><title>Sign in to the network</title>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (200, {"Content-Type": "text/html"}, HTML, NoTrackerServerError, "a web page"),
        (200, {"Content-Type": "application/json"}, b"{}", NoTrackerServerError, "application/json"),
        (200, {**OURS, "Content-Encoding": "gzip"}, ZIPPED, NoTrackerServerError, "no tracker server"),
        (302, {"Location": "https://portal.example/login"}, b"", NoTrackerServerError, "portal.example"),
        (401, {}, ERROR, WrongKeyError, "tracker login"),
        (403, {}, ERROR, NotPermittedError, "may not do this"),
        (404, {}, b"", NoTrackerServerError, "status 404"),
        (413, {}, ERROR, ServerError, "413"),
        (500, {}, HTML, NoTrackerServerError, "web page"),
        (500, {}, ERROR, ServerError, "500"),
        (503, {}, b"", ServerAwayError, "503"),
        (200, {**OURS, PROTOCOL_HEADER: "2"}, GOOD, ServerVersionError, "version '2' of the protocol"),
        (200, OURS, b"", BrokenReplyError, "before its end"),
        (200, OURS, GOOD[:-5], BrokenReplyError, "before its end"),
        (200, {**OURS, "Content-Length": "999"}, GOOD[:-3], BrokenReplyError, "whole reply"),
        (200, OURS, b"<html><body>", ServerVersionError, "not known"),
        (200, OURS, value_frame({"a": 1}) + frame(END), ServerVersionError, "not known"),
        (200, OURS, frame(VALUE, b"\xc1") + frame(END), ServerVersionError, "not known"),
        (200, OURS, frame(FAULT, b"\xc1"), ServerError, "not known"),
        (0, {}, b"", ServerAwayError, "closed without an answer"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_for_what_it_is(odd, status, headers, body, kind, words):
    odd.answer(status, headers, body)
    with pytest.raises(kind, match=words) as error:
        odd.runs().projects()
    assert odd.url in str(error.value) and "Remedy" in str(error.value) and "Bearer" not in str(error.value)


def test_an_older_server_is_told_by_its_version(odd):
    odd.answer(404, {}, ERROR)
    odd.answer(200, {}, HEALTH)
    with pytest.raises(ServerVersionError, match=r"0\.0\.1"):
        odd.runs().projects()


def test_a_server_that_comes_back_is_asked_again(odd):
    for answer in ((503, {"Retry-After": "0"}, b""), (0, {}, b""), (200, OURS, GOOD)):
        odd.answer(*answer)
    assert odd.runs().projects() == ["p"] and len(odd.asked) == 3


def test_a_reply_that_breaks_off_is_asked_for_again(odd):
    odd.answer(200, OURS, GOOD[:-5])
    odd.answer(200, OURS, GOOD)
    assert odd.runs().projects() == ["p"]


def test_rows_that_break_off_or_fail_in_the_middle_are_told(odd):
    some = b"".join(row_frames([Row(step, step, {"loss": 1.0}) for step in range(3)]))
    odd.answer(200, OURS, some)
    rows = odd.runs().rows("p", "a")
    assert [next(rows).step for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BrokenReplyError):
        next(rows)
    odd.answers[:] = [(200, OURS, some + frame(FAULT, msgspec.msgpack.encode(Fault("not_found", "gone"))))]
    rows = odd.runs().rows("p", "a")
    with pytest.raises(NotFoundError, match="gone"):
        list(rows)


def test_a_change_is_asked_for_once(odd):
    odd.answer(503, {}, b"")
    with pytest.raises(ServerAwayError, match="look whether it was done"):
        odd.runs()._ask("GET", "/x", lambda frames: None, may_repeat=False)
    assert len(odd.asked) == 1


def test_a_server_that_says_nothing_is_given_up_after_the_time(odd):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = Api(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        began_s = time.monotonic()
        with pytest.raises(ServerError, match=r"no answer within 0\.2 s"):
            api.projects()
        assert time.monotonic() - began_s < 10


def test_nobody_there_is_told(monkeypatch):
    monkeypatch.setattr(connection, "PAUSES_S", (0.0,))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerAwayError, match="no server there") as error:
        RemoteRuns(ServerConnection(f"http://127.0.0.1:{port}", pauses_s=(0.0,))).projects()
    assert f"127.0.0.1:{port}" in str(error.value)


def test_no_key_goes_to_where_a_redirect_leads(odd):
    odd.answer(302, {"Location": f"{odd.url}/elsewhere"}, b"")
    with pytest.raises(NoTrackerServerError):
        odd.runs().projects()
    assert [path for path, _ in odd.asked] == ["/api/v1/exact/projects"]


def test_the_key_is_sent_and_nothing_else_that_knows_the_host(odd, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    odd.answer(200, {**OURS, "Set-Cookie": "a=b"}, GOOD)
    for key, sent in (("tk_secret", "Bearer tk_secret"), (None, None)):
        runs = odd.runs(key)
        runs.projects()
        runs.projects()
        assert odd.asked[-1][1].get("Authorization") == sent and "Cookie" not in odd.asked[-1][1]


def test_files_go_on_where_the_connection_broke(odd):
    content = bytes(range(256)) * 1000
    first = {**OURS, "Content-Length": str(len(content))}
    odd.answer(200, first, content[:100_000])
    odd.answer(200, OURS, content[100_000:])
    with odd.runs().open_file("p", "a", "0" * 64) as file:
        assert file.read() == content
    assert odd.asked[-1][0].endswith("offset=100000")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tracker.example.com", "http:// or https://"),
        ("ftp://host", "http:// or https://"),
        ("http://", "http:// or https://"),
        ("http://host:port", "http:// or https://"),
        ("https://me:tk_secret@host", "name or password"),
        ("http://127.0.0.1:7007/login?key=secret", "http://127.0.0.1:7007"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(text, words):
    with pytest.raises(UsageError, match=words) as error:
        Api(base_url=text)
    assert "secret" not in str(error.value)


def test_addresses_are_one_however_they_are_written():
    assert server_address(" HTTPS://Host.Example:8443/a/ ") == "https://host.example:8443/a"


def test_a_key_of_the_settings_goes_to_its_own_server_only(odd, monkeypatch):
    odd.answer(200, OURS, GOOD)
    monkeypatch.setenv("TRACKER_API_KEY", "k")
    for base_url, sent in ((None, "Bearer k"), (f"{odd.url}/", "Bearer k"), ("https://other.example", None)):
        monkeypatch.setenv("TRACKER_BASE_URL", base_url) if base_url else monkeypatch.delenv("TRACKER_BASE_URL", False)
        Api(base_url=odd.url).projects()
        assert odd.asked[-1][1].get("Authorization") == sent
    Api(base_url=odd.url, api_key="own").projects()
    assert odd.asked[-1][1]["Authorization"] == "Bearer own"


def test_where_an_api_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKER_BASE_URL", "http://127.0.0.1:1/")
    assert Api().place == "http://127.0.0.1:1" and Api(base_url="http://localhost:2").place == "http://localhost:2"
    assert Api(tmp_path).dir == str(tmp_path / ".tracker") or Api(tmp_path).dir == str(tmp_path)
    with pytest.raises(UsageError, match="both dir and base_url"):
        Api(tmp_path, base_url="http://localhost:2")


def test_a_wrong_key_and_no_key_are_told_apart(server: UiServer):
    with pytest.raises(WrongKeyError, match="a key that the server does not know"):
        Api(base_url=server.base_url, api_key="tk_wrong").projects()
    with pytest.raises(WrongKeyError, match="no key"):
        Api(base_url=server.base_url).projects()
    with pytest.raises(UsageError, match="characters that no key has"):
        Api(base_url=server.base_url, api_key="ü")


def test_a_certificate_has_to_be_trusted(tmp_path, monkeypatch):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    if subprocess.run([*command.split(), "-keyout", key, "-out", certificate], capture_output=True).returncode:
        pytest.skip("openssl is not installed")
    server = run_server_in_background(tmp_path / "served", tls_certificate=str(certificate), tls_key=str(key))
    try:
        with pytest.raises(NoTrackerServerError, match="REQUESTS_CA_BUNDLE"):
            Api(base_url=server.base_url, api_key=server.admin_key).projects()
        with pytest.raises(ServerError, match="http://"):
            Api(base_url=server.base_url.replace("https", "http"), api_key=server.admin_key).projects()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert Api(base_url=server.base_url, api_key=server.admin_key).projects() == []
    finally:
        server.close()


def test_an_api_is_used_by_threads_at_once(server: UiServer, tracker_dir: Path):
    journal = Journal(tracker_dir)
    for step in range(100):
        journal.row(step, loss=float(step))
    api = Api(base_url=server.base_url, api_key=server.auth.token)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(api.run("p/a").series("loss")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 8


READERS: list[Callable[[object], object]] = [
    lambda frames: list(read_rows(frames)),  # type: ignore[arg-type]
    read_series,  # type: ignore[list-item]
    lambda frames: list(read_parts(frames)),  # type: ignore[arg-type]
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


class _EndError(Exception):
    pass


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([b"V", b"B", b"E", b"Z", b"?"]), _json | st.binary(max_size=20)), max_size=8),
    st.sampled_from(READERS),
)
def test_replies_of_any_bytes_are_read_or_refused(pieces, reader):
    content = b"".join(frame(kind, p if isinstance(p, bytes) else msgspec.msgpack.encode(p)) for kind, p in pieces)
    place = 0

    def read(n: int) -> bytes:
        nonlocal place
        place += n
        if place > len(content):
            raise _EndError
        return content[place - n : place]

    try:
        reader(read_frames(read))
    except (WireError, FaultFrame, msgspec.MsgspecError, _EndError):
        pass

"""The fault proxy does what it says: each fault as a client and a server meet it."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import fault_proxy
import pytest
import requests
from fault_proxy import Fault, FaultProxy, FullBacklog


class Counting(http.server.ThreadingHTTPServer):
    """A server that remembers the bodies it got, and how requests ended that did not come whole."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.n_broken = 0
        self.news = threading.Condition()

    def handle_error(self, *_: object) -> None:
        with self.news:
            self.n_broken += 1
            self.news.notify_all()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def do_POST(self) -> None:
        n_bytes = int(self.headers["Content-Length"])
        body = self.rfile.read(n_bytes)
        with self.server.news:
            if len(body) < n_bytes:
                self.server.n_broken += 1
            else:
                self.server.bodies.append(body)
            self.server.news.notify_all()
        reply = b"kept " + body[:20]
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Counting]:
    running = Counting()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def proxy(server: Counting) -> Iterator[FaultProxy]:
    with FaultProxy(server.server_address[1]) as running:
        yield running


def post(proxy: FaultProxy | FullBacklog, body: bytes = b"one", timeout_s: float = 20.0) -> requests.Response:
    return requests.post(proxy.url, data=body, timeout=timeout_s, allow_redirects=False)


def test_without_a_fault_requests_pass(server: Counting, proxy: FaultProxy) -> None:
    with requests.Session() as session:
        for body in (b"one", b"x" * 3_000_000):
            reply = session.post(proxy.url, data=body, timeout=20)
            assert reply.content == b"kept " + body[:20]
    assert server.bodies == [b"one", b"x" * 3_000_000]
    assert [request.body for request in proxy.seen] == server.bodies


def test_a_body_in_chunks_passes(server: Counting, proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 501"
    assert proxy.seen[0].data.endswith(b"3\r\nabc\r\n0\r\n\r\n")


def test_delay(proxy: FaultProxy) -> None:
    proxy.add(Fault(delay_s=0.3))
    began_s = time.monotonic()
    assert post(proxy).ok
    assert time.monotonic() - began_s >= 0.3


@pytest.mark.parametrize("code", [500, 502, 503, 429, 413, 401])
def test_a_status_is_answered_and_the_server_sees_nothing(server: Counting, proxy: FaultProxy, code: int) -> None:
    proxy.add(fault_proxy.status(code), fault_proxy.status(code, retry_after="7"))
    first, second = post(proxy), post(proxy)
    assert (first.status_code, second.status_code) == (code, code)
    assert "Retry-After" not in first.headers
    assert second.headers["Retry-After"] == "7"
    assert server.bodies == []
    assert post(proxy).ok, "each fault is for one request"


def test_reset_within_the_request(server: Counting, proxy: FaultProxy) -> None:
    proxy.add(Fault(request_bytes=5), Fault(request_bytes=1000))
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            post(proxy, b"x" * 2000)
    with server.news:
        assert server.news.wait_for(lambda: server.n_broken, 20)
    assert server.bodies == []


@pytest.mark.parametrize("k", [0, 1, 30, -1])
def test_reset_within_the_reply(server: Counting, proxy: FaultProxy, k: int) -> None:
    n_bytes = k if k >= 0 else len(b"x") + 40
    proxy.add(Fault(reply_bytes=n_bytes))
    with pytest.raises(requests.RequestException):
        post(proxy)
    assert server.bodies == [b"one"], "the server has it, and the client does not know"


@pytest.mark.parametrize("is_deaf", [True, False])
def test_black_hole_and_half_open_connection(server: Counting, proxy: FaultProxy, is_deaf: bool) -> None:
    with requests.Session() as session:
        if is_deaf:
            proxy.is_deaf = True
        else:
            assert session.post(proxy.url, data=b"before", timeout=20).ok
            proxy.add(fault_proxy.SILENCE)
        with pytest.raises(requests.Timeout):
            session.post(proxy.url, data=b"one", timeout=0.3)
    assert server.bodies == ([] if is_deaf else [b"before"])
    proxy.heal()
    assert post(proxy).ok


def test_connecting_that_never_ends() -> None:
    with FullBacklog() as hole, pytest.raises(requests.ConnectTimeout):
        post(hole, timeout_s=0.3)


def test_a_reply_byte_by_byte(proxy: FaultProxy) -> None:
    proxy.add(Fault(bytes_per_s=500))
    began_s = time.monotonic()
    assert post(proxy).content == b"kept one"
    assert time.monotonic() - began_s > 0.1


def test_duplicates(server: Counting, proxy: FaultProxy) -> None:
    proxy.add(Fault(copies=3))
    assert post(proxy).content == b"kept one"
    assert server.bodies == [b"one"] * 3


def test_reorder(server: Counting, proxy: FaultProxy) -> None:
    proxy.add(Fault(held_for=2))
    with pytest.raises(requests.ConnectionError):
        post(proxy, b"late")
    for body in (b"one", b"two", b"three"):
        assert post(proxy, body).ok
    assert server.bodies == [b"one", b"two", b"late", b"three"]
    proxy.add(Fault(held_for=9))
    with pytest.raises(requests.ConnectionError):
        post(proxy, b"later")
    assert proxy.release() == 1
    assert server.bodies[-1] == b"later"


def test_captive_portal(server: Counting, proxy: FaultProxy) -> None:
    proxy.add(fault_proxy.portal(), fault_proxy.portal(302))
    page, redirect = post(proxy), post(proxy)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert (redirect.status_code, redirect.headers["Location"]) == (302, "http://portal.invalid/login")
    assert server.bodies == []


def test_stopped_and_started_again_at_the_same_port(server: Counting, proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.stop()
    with pytest.raises(requests.ConnectionError):
        post(proxy)
    proxy.start()
    assert proxy.port == port
    assert post(proxy).ok


def test_an_absent_server_resets_the_client(server: Counting) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with FaultProxy(unused.getsockname()[1]) as proxy, pytest.raises(requests.ConnectionError):
            post(proxy)

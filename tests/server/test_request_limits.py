"""Clients that are slow, endless or gone cost a server little, and hold up nobody else."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest

from tracker_core.sync.wire import CONTENT_TYPE
from tracker_server.http import request_limits
from tracker_server.http.request_limits import BodyBudget, BusyError, PatientProtocol, decompressed
from tracker_server.http.server import run_server_in_background

from .sync_client import SYNC, SyncClient


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HEADER_TIMEOUT_S", "BODY_TIMEOUT_S", "LINGER_S", "WRITE_TIMEOUT_S"):
        monkeypatch.setattr(request_limits, name, 0.5)
    monkeypatch.setattr(request_limits, "KEEP_ALIVE_S", 1)
    running = run_server_in_background(tmp_path / "served")
    yield running
    running.close()


def connected(server) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=20)


def head(server, n_bytes: str = "100", extra: str = "") -> bytes:
    return (
        f"POST {SYNC}/blocks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.admin_key}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {n_bytes}\r\n{extra}\r\n"
    ).encode()


def read_to_end(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(1 << 16):
            found += piece
    except ConnectionError:
        pass
    return found


def drip(connection: socket.socket, pieces) -> threading.Thread:
    """Send one byte now and then until the other side has enough of it."""

    def send() -> None:
        pause = threading.Event()
        try:
            for piece in pieces:
                connection.sendall(piece)
                pause.wait(0.05)
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def assert_still_serves(server) -> None:
    assert httpx.get(f"{server.base_url}/health", timeout=10).status_code == 200


def test_a_connection_that_says_nothing_is_closed(server):
    with connected(server) as connection:
        assert read_to_end(connection) == b""
    assert_still_serves(server)


@pytest.mark.parametrize("first", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["first", "second"])
def test_a_header_that_comes_byte_by_byte_is_not_waited_for(server, first):
    with connected(server) as connection:
        connection.sendall(first)
        began = time.monotonic()
        thread = drip(connection, [b"G", b"E", b"T", b" / HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 400])
        read_to_end(connection)
        assert time.monotonic() - began < 15
        connection.close()
        thread.join(10)
    assert_still_serves(server)


def test_a_body_that_never_comes_whole_is_not_waited_for(server):
    with connected(server) as connection:
        connection.sendall(head(server, "100000"))
        began = time.monotonic()
        thread = drip(connection, [b"x"] * 400)
        read_to_end(connection)
        assert time.monotonic() - began < 15
        connection.close()
        thread.join(10)
    assert_still_serves(server)


def test_a_refused_request_whose_body_goes_on_is_answered_and_then_closed(server):
    with connected(server) as connection:
        connection.sendall(head(server, "100000").replace(server.admin_key.encode(), b"tk_wrong"))
        thread = drip(connection, [b"x" * 10] * 400)
        answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 401 ")
        connection.close()
        thread.join(10)
    assert_still_serves(server)


def test_a_length_that_is_announced_too_large_is_refused_before_the_body_comes(server):
    with connected(server) as connection:
        connection.sendall(head(server, str(1 << 40)))
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "1, 2", "٣"])
def test_a_length_that_is_none_is_refused(server, length):
    with connected(server) as connection:
        connection.sendall(head(server, length))
        assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")
    assert_still_serves(server)


def test_two_lengths_or_a_length_beside_chunks_are_no_way_to_smuggle_a_request(server):
    for extra in ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"):
        with connected(server) as connection:
            connection.sendall(head(server, "30", extra) + b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_to_end(connection).count(b"HTTP/1.1 ") == 1


def test_a_header_without_end_is_refused(server):
    with connected(server) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * (1 << 20))
        except ConnectionError:
            return
        answer = read_to_end(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert_still_serves(server)


def test_chunks_without_end_are_cut_off(server):
    with connected(server) as connection:
        start = head(server).replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        connection.sendall(start)
        with pytest.raises(OSError):
            for _ in range(2000):  # 128 MiB
                connection.sendall(chunk)
    assert_still_serves(server)


def test_an_idle_connection_is_kept_for_a_while_and_then_closed(server):
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            found = b""
            while not found.endswith(b"}"):
                found += connection.recv(1 << 16)
            assert found.startswith(b"HTTP/1.1 200 ")
        assert read_to_end(connection) == b""


def test_a_client_that_goes_away_within_a_body_harms_nobody(server):
    for _ in range(5):
        with connected(server) as connection:
            connection.sendall(head(server, "100000") + b"x" * 500)
    assert_still_serves(server)
    sender = SyncClient(server.base_url, server.admin_key)
    assert sender.hello().scope == "admin"
    sender.close()


def test_bodies_together_have_a_bound():
    budget = BodyBudget(100)
    with budget.held(60):
        with pytest.raises(BusyError), budget.held(60):
            pass
        with budget.held(40):
            pass
    with budget.held(100):
        pass


def test_what_is_decompressed_is_bounded_however_it_is_framed():
    import zstandard

    assert decompressed(zstandard.compress(b"abc"), "zstd", 3) == b"abc"
    with pytest.raises(request_limits.TooLargeError):
        decompressed(zstandard.compress(b"abcd"), "zstd", 3)
    two = zstandard.compress(b"abc") + zstandard.compress(bytes(1 << 20))
    with pytest.raises(request_limits.TooLargeError):
        decompressed(two, "zstd", 3)
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=27, write_content_size=False)
    )
    frame = wide.compressobj()
    with pytest.raises(ValueError):
        decompressed(frame.compress(b"x" * 100) + frame.flush(), "zstd", 1000)


def test_the_protocol_is_that_of_the_server(server):
    assert server._server.config.http_protocol_class is PatientProtocol

"""Something between a sender and its server that answers in the server's place, or changes what the server said."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec
import zstandard

from tracker_core.sync.wire import CONTENT_TYPE, PROTOCOL, PROTOCOL_HEADER, BlocksRequest, StateRequest

TYPES: dict[str, Any] = {"hello": Any, "blocks": BlocksRequest, "state": StateRequest}
REPLY_HEADERS = {"Content-Type": CONTENT_TYPE, PROTOCOL_HEADER: str(PROTOCOL)}


class Answer(msgspec.Struct):
    """A reply: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def packed(value: Any) -> Answer:
    """A reply as a tracker server makes it."""
    return Answer(200, dict(REPLY_HEADERS), msgspec.msgpack.encode(value))


def tracker_error(status: int, **headers: str) -> Answer:
    """An error as a tracker server makes it."""
    return Answer(status, {"Content-Type": "application/json", PROTOCOL_HEADER: str(PROTOCOL), **headers}, b"{}")


class AnsweringProxy:
    """Passes requests on, unless `answer` returns a reply; `change` may change a reply that the server gave.

    Attributes:
        seen: the routes asked for, such as "blocks", each with the decoded body, in order.
        target_url, target_key: the server, and the key for it where that is not the sender's.
    """

    def __init__(self, target_url: str) -> None:
        self.answer: Callable[[str, Any], Answer | None] = lambda route, body: None
        self.change: Callable[[str, Any, Answer], Answer] = lambda route, body, reply: reply
        self.seen: list[tuple[str, Any]] = []
        self.target_url, self.target_key = target_url, ""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._pass()

            def do_PUT(self) -> None:
                self._pass()

            def log_message(self, format: str, *args: object) -> None: ...

            def _pass(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                route = self.path.partition("/api/v1/sync/")[2].partition("/")[0].partition("?")[0]
                body = _decoded(route, raw, self.headers.get("Content-Encoding", ""))
                proxy.seen.append((route, body))
                reply = proxy.answer(route, body)
                if reply is None:
                    reply = proxy.change(route, body, self._ask(raw))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def _ask(self, raw: bytes) -> Answer:
                target = urlsplit(proxy.target_url)
                connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                if proxy.target_key:
                    headers["Authorization"] = f"Bearer {proxy.target_key}"
                connection.request(self.command, self.path, raw, headers)
                response = connection.getresponse()
                kept = ("Content-Type", PROTOCOL_HEADER, "Retry-After")
                found = {name: response.headers[name] for name in kept if name in response.headers}
                answer = Answer(response.status, found, response.read())
                connection.close()
                return answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def routes(self) -> list[str]:
        return [route for route, _ in self.seen]

    def always(self, reply: Answer) -> None:
        """Answer everything with one reply."""
        self.answer = lambda route, body: reply

    def heal(self) -> None:
        """Pass everything on."""
        self.answer = lambda route, body: None
        self.change = lambda route, body, reply: reply

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _decoded(route: str, raw: bytes, encoding: str) -> Any:
    if route not in TYPES:
        return raw
    data = zstandard.ZstdDecompressor().decompress(raw) if encoding == "zstd" else raw
    return msgspec.msgpack.decode(data, type=TYPES[route])

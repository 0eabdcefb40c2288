"""A proxy for HTTP that does to requests and replies whatever a network can do, over real sockets.

It reads a whole request, takes the fault that is next in line for it, and passes it on over a connection of its own:
so the server behind it may be killed and come back, and what is lost, late or twice is decided request by request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one request. Without anything set it is passed on, and its reply back.

    Attributes:
        delay_s: wait so long before it is passed on.
        answer: this reply, and the request goes nowhere.
        request_bytes: pass on only so many bytes of it, then reset both connections.
        reply_bytes: pass back only so many bytes of the reply, then reset; 0 loses the reply of what the server did.
        copies: how often it is passed on, one after the other; the reply is the last one's.
        held_for: the client is reset, and the request is passed on only after so many later ones.
        is_silent: nothing is passed on, nothing answered, and the connection stays open.
        bytes_per_s: the pace of the reply.
    """

    delay_s: float = 0.0
    answer: bytes = b""
    request_bytes: int | None = None
    reply_bytes: int | None = None
    copies: int = 1
    held_for: int = 0
    is_silent: bool = False
    bytes_per_s: float = 0.0


NONE = Fault()
LOST_REPLY = Fault(reply_bytes=0)
SILENCE = Fault(is_silent=True)


def status(code: int, retry_after: str = "", body: bytes = b"trouble", kind: str = "text/plain") -> Fault:
    """An error that something between client and server answers."""
    head = f"HTTP/1.1 {code} Trouble\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    if retry_after:
        head += f"Retry-After: {retry_after}\r\n"
    return Fault(answer=head.encode() + b"\r\n" + body)


def portal(code: int = 200, location: str = "http://portal.invalid/login") -> Fault:
    """A captive portal, which answers for every server: a page, or a redirect to one."""
    body = b"<!DOCTYPE html><title>Welcome to our Wi-Fi</title><p>Accept the terms to go on."
    head = f"HTTP/1.1 {code} OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    if code >= 300:
        head += f"Location: {location}\r\n"
    return Fault(answer=head.encode() + b"\r\n" + body)


@dataclass(slots=True)
class Request:
    """A request as it came, byte for byte."""

    method: str
    path: str
    data: bytes
    fault: Fault = NONE

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]


@dataclass(slots=True)
class _Held:
    request: Request
    n_left: int


@dataclass
class FaultProxy:
    """Listens on 127.0.0.1 and passes requests on to another port there.

    `faults` are taken one a request; when there are none left, `rule` says. All of it may be set from any thread.

    Attributes:
        target_port: where requests are passed on to; may be changed at any time.
        port: where it listens; the same after `stop` and `start`.
        seen: every request that came whole, in order.
    """

    target_port: int
    port: int = 0
    rule: Callable[[Request], Fault] = lambda _: NONE
    faults: deque[Fault] = field(default_factory=deque)
    seen: list[Request] = field(default_factory=list)
    is_deaf: bool = False
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _held: list[_Held] = field(default_factory=list)
    _end: asyncio.Event | None = None
    _trouble: BaseException | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, *faults: Fault) -> None:
        """Let the next requests meet these faults, one each."""
        self.faults.extend(faults)

    def always(self, fault: Fault) -> None:
        """Let every request from now on meet a fault."""
        self.faults.clear()
        self.rule = lambda _: fault

    def heal(self) -> None:
        """Pass everything on from now on. What is held is kept until `release`."""
        self.is_deaf = False
        self.always(NONE)

    def start(self) -> FaultProxy:
        """Listen, in a thread; returns once connections are accepted."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="fault-proxy", daemon=True)
        self._thread.start()
        assert ready.wait(_START_S), "the proxy did not start"
        if self._trouble is not None:
            raise self._trouble
        return self

    def stop(self) -> None:
        """Close the port and reset every connection."""
        if self._loop is not None and self._end is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(_START_S)
            assert not self._thread.is_alive()
            self._thread = self._loop = None

    def release(self) -> int:
        """Pass on at once what is held; return how many requests that were."""
        assert self._loop is not None
        done = asyncio.run_coroutine_threadsafe(self._release(everything=True), self._loop)
        return done.result(_START_S)

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # In the thread

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            self._trouble = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.is_deaf:
                await asyncio.Event().wait()
            while (request := await _read_request(reader)) is not None:
                request.fault = self.faults.popleft() if self.faults else self.rule(request)
                self.seen.append(request)
                if not await self._handle(request, writer):
                    break
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went, the server is not there, or the proxy ends
        finally:
            _reset(writer)

    async def _handle(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Do what the fault says; returns whether the connection may be used for more."""
        fault = request.fault
        await asyncio.sleep(fault.delay_s)
        if fault.is_silent:
            await asyncio.Event().wait()
        if fault.answer:
            writer.write(fault.answer)
            await writer.drain()
            return True
        if fault.held_for:
            self._held.append(_Held(replace(request, fault=NONE), fault.held_for))
            return False
        if fault.request_bytes is not None and fault.request_bytes < len(request.data):
            await self._pass_on(request.data[: fault.request_bytes])
            return False
        for _ in range(fault.copies):
            reply = await self._pass_on(request.data)
        await self._release()
        return await _write_reply(writer, reply, fault)

    async def _release(self, everything: bool = False) -> int:
        for held in self._held:
            held.n_left -= 1
        due = [held for held in self._held if everything or held.n_left <= 0]
        self._held = [held for held in self._held if held not in due]
        for held in due:
            with contextlib.suppress(OSError, EOFError):
                await self._pass_on(held.request.data)
        return len(due)

    async def _pass_on(self, data: bytes) -> bytes:
        """Send a request to the server, or the beginning of one; return the whole reply."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port, limit=1 << 26)
        try:
            writer.write(data)
            await writer.drain()
            request = _parse(data)
            if request is None:
                return b""
            return await _read_reply(reader, request.method)
        finally:
            _reset(writer)


async def _write_reply(writer: asyncio.StreamWriter, reply: bytes, fault: Fault) -> bool:
    whole = fault.reply_bytes is None or fault.reply_bytes >= len(reply)
    reply = reply if whole else reply[: fault.reply_bytes]
    if fault.bytes_per_s:
        for i in range(len(reply)):
            writer.write(reply[i : i + 1])
            await writer.drain()
            await asyncio.sleep(1 / fault.bytes_per_s)
    else:
        writer.write(reply)
        await writer.drain()
    return whole


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a machine does that knows nothing of it."""
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    head = await _read_head(reader)
    if not head:
        return None
    method, path = head.split(b" ", 2)[:2]
    return Request(method.decode(), path.decode(), head + await _read_body(reader, head))


async def _read_reply(reader: asyncio.StreamReader, method: str) -> bytes:
    head = await _read_head(reader)
    if not head:
        raise EOFError
    has_none = method == "HEAD" or head.split(b" ", 2)[1][:3] in (b"204", b"304")
    return head if has_none else head + await _read_body(reader, head)


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    fields = _fields(head)
    if "chunked" in fields.get("transfer-encoding", "").lower():
        data = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            data += size + chunk
            if chunk == b"\r\n":
                return data
    return await reader.readexactly(int(fields.get("content-length", "0")))


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parse(data: bytes) -> Request | None:
    """Return the request if its bytes are all there."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    fields = _fields(head)
    is_chunked = "chunked" in fields.get("transfer-encoding", "").lower()
    if not (body.endswith(b"0\r\n\r\n") if is_chunked else len(body) >= int(fields.get("content-length", "0"))):
        return None
    return Request(*(word.decode() for word in head.split(b" ", 2)[:2]), data)


class FullBacklog:
    """A port where connecting takes for ever: packets to it vanish, as behind a firewall that drops them."""

    def __init__(self) -> None:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(0)
        self.port: int = self._listening.getsockname()[1]
        self._waiting = [self._connect() for _ in range(4)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _connect(self) -> socket.socket:
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(("127.0.0.1", self.port))
        return waiting

    def __enter__(self) -> FullBacklog:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listening, *self._waiting):
            one.close()

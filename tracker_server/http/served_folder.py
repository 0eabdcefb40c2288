"""What `tracker ui` and `tracker server` have in common: a folder, its change feed, and requests until told to stop."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn

from ..artifacts.garbage_keeper import GarbageKeeper
from ..catalog.trash_keeper import TrashKeeper
from ..query.folder import LocalFolder
from .events import ChangeFeed

_TAKEN = (errno.EADDRINUSE, errno.EACCES)
_STARTED_S = 30.0


class AnnouncingServer(uvicorn.Server):
    """Says when it answers requests."""

    on_started: Callable[[], object] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()


class ServedFolder:
    """A folder that is being served. The subclass opens it and makes the application.

    Attributes:
        folder: what is served.
        feed: tells pages what changed.
        host, port: where it listens.
    """

    folder: LocalFolder
    feed: ChangeFeed
    host: str
    port: int
    scheme = "http"
    _trash: TrashKeeper
    _garbage: GarbageKeeper
    _server: AnnouncingServer
    _socket: socket.socket
    _thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The server's address, without a key."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host).strip("[]")
        return f"{self.scheme}://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    def run(self, on_started: Callable[[], object] | None = None) -> None:
        """Serve in this thread until told to stop; Ctrl-C and SIGTERM do where this is the main thread."""
        self.feed.start()
        self._trash.start()
        self._garbage.start()
        self._server.on_started = on_started
        try:
            self._server.run([self._socket])
        except KeyboardInterrupt:
            pass

    def start(self) -> None:
        """Serve in a thread; returns once requests are answered. Raises OSError where that takes too long."""
        started = threading.Event()
        self._thread = threading.Thread(target=self.run, args=(started.set,), name="tracker-server", daemon=True)
        self._thread.start()
        if not started.wait(timeout=_STARTED_S):
            raise OSError(f"the server at {self.base_url} did not start within {_STARTED_S:g} s; see its log")

    def stop(self, timeout_s: float) -> None:
        """End all streams, and what `start` began, within about `timeout_s`."""
        self._server.should_exit = True
        self.feed.close()
        self._trash.close()
        self._garbage.close()
        if self._thread is not None:
            self._thread.join(timeout_s)


def bind(host: str, port: int, n_ports: int) -> socket.socket:
    """Return a socket that listens at `port`, or at the first free one of `n_ports` from it on; 0 takes any.

    Raises:
        OSError: none could be had.
    """
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    tried = [port] if port == 0 else range(port, min(port + n_ports, 65536))
    for number in tried:
        # With the protocol left at 0 asyncio would not turn Nagle's delay off: 40 ms a request.
        candidate = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform == "win32":
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((name, number))
            # Bound is not enough: two servers can be bound to one port, but only one can listen.
            candidate.listen(128)
        except OSError as error:
            candidate.close()
            if error.errno not in _TAKEN:
                raise OSError(error.errno, f"cannot listen on {host} port {number}: {error.strerror}") from error
            continue
        return candidate
    taken = f"port {port} of {host} is" if n_ports == 1 else f"ports {port} to {port + n_ports - 1} of {host} are all"
    raise OSError(f"{taken} taken; name another with --port")

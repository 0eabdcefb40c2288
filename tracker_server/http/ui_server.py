"""Serve a tracker folder's dashboard on this machine: in the foreground for `tracker ui`, or beside other work."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn

from tracker_core.paths import make_folder
from tracker_core.settings import load_settings

from ..catalog.trash_keeper import TrashKeeper
from ..query.open_folder import open_folder
from .events import ChangeFeed
from .http_app import make_app
from .local_auth import LocalAuth, load_token, save_ui_file
from .static_files import Dashboard, dashboard_folder

DEFAULT_PORT = 7007
_PORTS_TRIED = 100
_GRACE_S = 1
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def serve(
    dir: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    on_ready: Callable[[str], None] | None = None,
    database_url: str | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        dir: the tracker folder; made where there is none.
        host: the address to listen on.
        port: where this port is taken, the next free one is used; 0 takes any.
        on_ready: called once, when requests are answered, with an address that signs its first visitor in.
        database_url: the PostgreSQL database that holds the store. Default: files of the folder.

    Raises:
        OSError: no port could be had.
        UsageError: the database cannot be used.
    """
    server = UiServer(dir, host, port, database_url)
    try:
        server.run(lambda: on_ready(server.login_url()) if on_ready else None)
    finally:
        server.close()


def run_in_background(
    dir: str | os.PathLike[str], port: int = 0, host: str = "127.0.0.1", database_url: str | None = None
) -> UiServer:
    """Serve from a thread of this process; returns once requests are answered. Call `close()` on the result."""
    server = UiServer(dir, host, port, database_url)
    server.start()
    return server


class UiServer:
    """One server for one tracker folder.

    Attributes:
        port: the port that it listens on.
        url: an address that signs its first visitor in.
        folder: what it serves.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str],
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        database_url: str | None = None,
    ) -> None:
        self.folder = open_folder(dir, database_url)
        try:
            make_folder(self.folder.path)
        except OSError:
            # A read-only folder is served all the same, from memory and with a token that nobody else learns.
            logging.getLogger(__name__).info("%s cannot be written", self.folder.path)
        self._socket = _bind(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        ui_file = os.path.join(self.folder.path, "ui.json")
        self.auth = LocalAuth(load_token(ui_file), [host, *load_settings().allowed_hosts])
        save_ui_file(ui_file, self.auth.token, self.port)
        self.feed = ChangeFeed(self.folder)
        self._trash = TrashKeeper(self.folder, load_settings().trash_days)
        self.dashboard = Dashboard(dashboard_folder())
        self.app = make_app(self.folder, self.feed, self.auth, self.dashboard)
        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            lifespan="off",
        )
        self._server = _Server(config, self.feed)
        self._thread: threading.Thread | None = None
        self.url = self.login_url()

    @property
    def base_url(self) -> str:
        """The server's address without a key."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{shown}]' if ':' in shown and shown[0] != '[' else shown}:{self.port}"

    def login_url(self) -> str:
        """Return a new address that signs its first visitor in."""
        return f"{self.base_url}/login?key={self.auth.make_login_key()}"

    def run(self, on_started: Callable[[], object] | None = None) -> None:
        """Serve in this thread until told to stop; Ctrl-C and SIGTERM do where this is the main thread."""
        self.feed.start()
        self._trash.start()
        self._server.on_started = on_started
        try:
            self._server.run([self._socket])
        except KeyboardInterrupt:
            pass

    def start(self) -> None:
        """Serve in a thread; returns once requests are answered."""
        started = threading.Event()
        self._thread = threading.Thread(target=self.run, args=(started.set,), name="tracker-ui", daemon=True)
        self._thread.start()
        if not started.wait(timeout=30.0):
            raise OSError(f"the server at {self.base_url} did not start within 30 s; see its log")

    def close(self) -> None:
        """Stop serving, end all streams and let go of the folder."""
        self._server.should_exit = True
        self.feed.close()
        self._trash.close()
        if self._thread is not None:
            self._thread.join(timeout=10.0)
        self._socket.close()
        self.folder.close()


class _Server(uvicorn.Server):
    """Says when it is started, and ends the event streams before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, feed: ChangeFeed) -> None:
        super().__init__(config)
        self.on_started: Callable[[], object] | None = None
        self._feed = feed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.end_streams()
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    tried = [port] if port == 0 else range(port, min(port + _PORTS_TRIED, 65536))
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
    raise OSError(f"ports {port} to {port + _PORTS_TRIED - 1} of {host} are all taken; name another with --port")

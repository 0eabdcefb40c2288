"""Serve a tracker folder's dashboard on this machine: in the foreground for `tracker ui`, or beside other work."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

import uvicorn

from tracker_core.paths import make_folder
from tracker_core.settings import load_settings

from ..artifacts.garbage_keeper import GarbageKeeper
from ..catalog.trash_keeper import TrashKeeper
from ..query.open_folder import open_folder
from .events import ChangeFeed
from .http_app import make_app
from .local_auth import LocalAuth, load_token, save_ui_file
from .served_artifacts import ServedArtifacts
from .served_folder import AnnouncingServer, ServedFolder, bind
from .static_files import Dashboard, dashboard_folder

DEFAULT_PORT = 7007
_PORTS_TRIED = 100
_GRACE_S = 1


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


class UiServer(ServedFolder):
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
        settings = load_settings()
        self.folder = open_folder(dir, database_url)
        try:
            make_folder(self.folder.path)
        except OSError:
            # A read-only folder is served all the same, from memory and with a token that nobody else learns.
            logging.getLogger(__name__).info("%s cannot be written", self.folder.path)
        self._socket = bind(host, port, _PORTS_TRIED)
        self.host, self.port = self._socket.getsockname()[:2]
        ui_file = os.path.join(self.folder.path, "ui.json")
        self.auth = LocalAuth(load_token(ui_file), [host, *settings.allowed_hosts])
        save_ui_file(ui_file, self.auth.token, self.port)
        self.feed = ChangeFeed(self.folder)
        self._trash = TrashKeeper(self.folder, settings.trash_days)
        self.dashboard = Dashboard(dashboard_folder())
        self.artifacts = ServedArtifacts(self.folder, settings.blobs_url)
        self._garbage = GarbageKeeper(self.folder, self.artifacts.local)
        self.app = make_app(self.folder, self.feed, self.auth, self.dashboard, self.artifacts)
        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # what a proxy says is not believed here
            timeout_graceful_shutdown=_GRACE_S,
            lifespan="off",
        )
        self._server = _Server(config, self.feed)
        self.url = self.login_url()

    def login_url(self) -> str:
        """Return a new address that signs its first visitor in."""
        return f"{self.base_url}/login?key={self.auth.make_login_key()}"

    def close(self) -> None:
        """Stop serving, end all streams and let go of the folder."""
        self.stop(10.0)
        self._socket.close()
        self.artifacts.close()
        self.folder.close()


class _Server(AnnouncingServer):
    """Ends the event streams before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, feed: ChangeFeed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.end_streams()
        await super().shutdown(sockets)

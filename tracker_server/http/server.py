"""`tracker server`: takes runs from training machines and shows them, in the foreground or beside other work."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import secrets
import signal
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.responses import Response

from tracker_core.errors import TrackerError, UsageError
from tracker_core.paths import make_folder
from tracker_core.settings import Settings, load_settings
from tracker_core.sync.wire import JournalName, Order

from ..artifacts.garbage_keeper import GarbageKeeper
from ..catalog.decisions import by_me
from ..catalog.stop_orders import orders_for
from ..catalog.trash_keeper import TrashKeeper
from ..ingest.block_sink import BlockSink
from ..ingest.folder_naming import SERVER_FILE
from ..ingest.folder_sink import FolderSink
from ..ingest.posted_files import PostedFiles
from ..ingest.posted_journals import PostedJournals, Taken
from ..ingest.tail_sink import TailSink
from ..query.open_folder import open_folder
from .access import Action, RouteTable
from .api_keys import ApiKeys
from .events import ChangeFeed
from .forwarded import ForwardedHeaders
from .http_app import make_app
from .http_errors import json_response
from .key_auth import KeyAuth
from .request_limits import BodyBudget, OneLength, protocol_options
from .request_log import RequestLog
from .routes_api import PREFIX
from .routes_sync import SyncService, add_sync_routes
from .served_artifacts import ServedArtifacts
from .served_folder import AnnouncingServer, ServedFolder, bind
from .server_metrics import CONTENT_TYPE, ServerMetrics
from .static_files import Dashboard, dashboard_folder

DRAIN_S = 1.0
GRACE_S = 20
# With a database fewer: each uses a connection.
_N_SYNC_THREADS, _N_DATABASE_THREADS = 16, 8


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server is started with.

    Attributes:
        dir: its folder: journals, kept files, index and catalog; with a database only the kept files.
        host, port: where it listens; port 0 takes any that is free.
        database_url: the PostgreSQL database that holds journals, index and catalog. Default: files of the folder.
        tls_certificate, tls_key: files in PEM. Default: plain HTTP.
        trusted_proxies: addresses whose X-Forwarded-For and -Proto count.
        blobs_url: the object store that holds the bytes of artifacts. Default: blobs/ of the folder.
    """

    dir: str
    host: str = "127.0.0.1"
    port: int = 7080
    database_url: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    trusted_proxies: Sequence[str] = ()
    blobs_url: str | None = None


def run_server_in_background(
    dir: str | os.PathLike[str], database_url: str | None = None, port: int = 0, **options: Any
) -> TrackerServer:
    """Serve from a thread of this process; returns once requests are answered. Call `close()` on the result.

    Args:
        dir: the server's folder.
        database_url: its PostgreSQL database. Default: files of the folder.
        port: where to listen; 0 takes any.
        options: further ones of `ServerOptions`.
    """
    server = TrackerServer(ServerOptions(os.fspath(dir), port=port, database_url=database_url, **options))
    server.start()
    return server


class TrackerServer(ServedFolder):
    """One server process.

    Raises:
        UsageError: the options cannot be served with.
        OSError: the port is taken, or the folder cannot be written.
        DatabaseAwayError: the database does not answer.

    Attributes:
        admin_key: the key that was made because there was none, None where there were keys.
        drain_s: for how long it says that it is not ready before it stops to listen.
        on_ending: called when it begins to stop.
        host, port: where it listens.
        folder, app, metrics, keys: what it is made of.
    """

    def __init__(self, options: ServerOptions, settings: Settings | None = None) -> None:
        settings = settings or load_settings()
        _check_tls(options)
        self.scheme = "http" if options.tls_certificate is None else "https"
        self._is_public = not _is_loopback(options.host)
        self._socket = bind(options.host, options.port, n_ports=1)
        self.host, self.port = self._socket.getsockname()[:2]
        try:
            self._open(options, settings)
        except BaseException:
            self._socket.close()
            raise
        self.is_ending = False
        self.drain_s = 0.0
        self.on_ending: Callable[[], object] | None = None
        self._server = _Server(self._config(options), self)

    def _open(self, options: ServerOptions, settings: Settings) -> None:
        self.folder = open_folder(options.dir, options.database_url)
        self.artifacts = ServedArtifacts(self.folder, options.blobs_url or settings.blobs_url)
        try:
            self.artifacts.check()
        except UsageError:
            self.folder.close()
            raise
        make_folder(self.folder.path)
        self.server_id = _server_id(self.folder.path)
        self.keys = ApiKeys(self.folder.catalog.database)
        self.admin_key = self.keys.make_first(by_me("first start of the server"))
        if self._is_public and not self.keys.has_live_key():
            self.folder.close()
            remedy = "make one: tracker keys create NAME --scope admin, with the same --dir or --database-url"
            raise UsageError("tracker server --host", f"{options.host}, and no key", "a key that is live", remedy)
        self.metrics = ServerMetrics(self.folder)
        self.feed = ChangeFeed(self.folder)
        self.feed.on_look = self.metrics.note_look
        self._trash = TrashKeeper(self.folder, settings.trash_days)
        self._garbage = GarbageKeeper(self.folder, self.artifacts.local)
        n_threads = _N_DATABASE_THREADS if self.folder.database.has_tail else _N_SYNC_THREADS
        self._executor = ThreadPoolExecutor(n_threads, thread_name_prefix="tracker-sync")
        self._sink: BlockSink = (
            TailSink(self.folder.database) if self.folder.database.has_tail else FolderSink(self.folder.path)
        )
        self.app = self._make_app(options, settings)

    def _make_app(self, options: ServerOptions, settings: Settings) -> Any:
        def decisions() -> Any:
            return self.folder.catalog.decisions

        service = SyncService(
            self.server_id,
            PostedJournals(self._sink, decisions),
            PostedFiles(self.folder.path, decisions, settings.file_max_mib << 20),
            self._orders,
            self._on_taken,
            self._executor,
            BodyBudget(),
        )

        def declare(routes: RouteTable) -> None:
            add_sync_routes(routes, service, PREFIX)
            add_watching_routes(routes, self)

        auth = KeyAuth(self.keys, [options.host, *settings.allowed_hosts])
        app = make_app(self.folder, self.feed, auth, Dashboard(dashboard_folder()), self.artifacts, declare)
        app.add_middleware(RequestLog, metrics=self.metrics, sync_prefix=f"{PREFIX}/sync/")
        app.add_middleware(ForwardedHeaders, trusted=options.trusted_proxies)
        app.add_middleware(OneLength)
        return app

    def _config(self, options: ServerOptions) -> uvicorn.Config:
        return uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            lifespan="off",
            proxy_headers=False,
            ssl_certfile=options.tls_certificate,
            ssl_keyfile=options.tls_key,
            **protocol_options(),
        )

    def _orders(self, journals: Sequence[JournalName]) -> list[Order]:
        if not self.folder.catalog.decisions.stops:  # which the feed looks for about once a second
            return []
        return orders_for(self.folder, journals)

    def _on_taken(self, taken: Taken, seconds: float) -> None:
        self.metrics.note_taken(taken, seconds)
        if taken.grown:
            self.folder.note_grown(taken.grown)
            self.feed.nudge()

    @property
    def place(self) -> str:
        """Its folder, and the database where there is one."""
        database = self.folder.database
        return f"{self.folder.path} and {database.place}" if database.has_tail else self.folder.path

    @property
    def is_open_plainly(self) -> bool:
        """Whether other machines can reach it, and without TLS."""
        return self._is_public and self.scheme == "http"

    def is_ready(self) -> str | None:
        """Return why it cannot take runs now, None where it can."""
        if self.is_ending:
            return "the server is being stopped"
        try:
            self._sink.check()
        except TrackerError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Finish what is being answered, seal what can be and let go of the folder."""
        self.stop(GRACE_S + 10.0)
        self._executor.shutdown()
        self._socket.close()
        self.artifacts.close()
        self.folder.close()


class _Server(AnnouncingServer):
    """Before it stops, it says so for a while and ends the event streams."""

    def __init__(self, config: uvicorn.Config, owner: TrackerServer) -> None:
        super().__init__(config)
        self._owner = owner

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGINT and SIGTERM; uvicorn's own way ends the process before the folder is sealed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: Any = None) -> None:
        """Say for a while that no more requests should come, then finish those that did."""
        self._owner.is_ending = True
        if self._owner.on_ending is not None:
            self._owner.on_ending()
        await asyncio.sleep(self._owner.drain_s)
        self._owner.feed.end_streams()
        await super().shutdown(sockets)


def add_watching_routes(routes: RouteTable, server: TrackerServer) -> None:
    """Declare what monitoring asks for."""
    hidden: dict[str, Any] = {"response_model": None, "include_in_schema": False}

    @routes.add("GET", "/health", Action.PUBLIC, **hidden)
    async def health() -> Response:
        return json_response({"status": "alive"})

    @routes.add("GET", "/ready", Action.PUBLIC, **hidden)
    def ready() -> Response:
        trouble = server.is_ready()
        return json_response(
            {"status": "ready"} if trouble is None else {"status": "not ready"}, 503 if trouble else 200
        )

    @routes.add("GET", "/metrics", Action.READ, **hidden)
    def metrics() -> Response:
        return Response(server.metrics.text(), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _check_tls(options: ServerOptions) -> None:
    where = "tracker server"
    if options.tls_certificate is None and options.tls_key is None:
        return
    if options.tls_certificate is None or options.tls_key is None:
        raise UsageError(where, "one of certificate and key", "both or none", "name both files, in PEM")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.tls_certificate, options.tls_key)
    except OSError as error:  # among them SSLError
        got = f"{options.tls_certificate} and {options.tls_key}: {error.strerror or error}"
        expected = "a certificate chain and its private key in PEM, which this user can read"
        raise UsageError(where, got, expected, "look at both files with openssl") from None


def _server_id(folder: str) -> str:
    """Return what tells this folder's servers from others; made at the first start."""
    path = os.path.join(folder, SERVER_FILE)
    for _ in range(2):
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)["id"]
            return str(found)
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump({"id": secrets.token_hex(16)}, file)
            os.replace(temporary, path)
    raise OSError(f"{path} cannot be read after it was written")

"""`tracker server`: take runs from training machines, and show them."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import threading
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue
from typing import TYPE_CHECKING

from tracker_core.paths import find_folder
from tracker_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from ..http.server import ServerOptions, TrackerServer

ACCESS_LOG = "tracker.access"

# After SIGTERM everything has ended by then, whatever a disk or a database does meanwhile.
STOP_BOUND_S = 60.0
_WAITING_LINES = 10_000
_WANTED_FILES = 65_536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    settings = load_settings()
    parser.add_argument("--dir", help="the server's folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--host", default=settings.server_host, help="address to listen at (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=settings.server_port, help="port to listen at (default %(default)s)"
    )
    url_help = "PostgreSQL database to hold runs (default: TRACKER_DATABASE_URL, else files of the folder)"
    parser.add_argument("--database-url", metavar="URL", help=url_help)
    blobs_help = "keep the bytes of artifacts in an object store: s3://, gs:// or az:// (TRACKER_BLOBS_URL)"
    parser.add_argument("--blobs-url", metavar="URL", help=blobs_help)
    parser.add_argument("--tls-certificate", metavar="FILE", help="certificate chain, PEM (default: plain HTTP)")
    parser.add_argument("--tls-key", metavar="FILE", help="private key of the certificate, PEM")
    proxy_help = "address of a proxy whose X-Forwarded-* headers count; may be given again"
    parser.add_argument("--trusted-proxy", metavar="ADDRESS", action="append", help=proxy_help)
    parser.add_argument("--no-access-log", action="store_true", help="write no line for each request")


def server(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from ..http.server import ServerOptions

    settings = load_settings()
    options = ServerOptions(
        dir=find_folder(args.dir or settings.dir),
        host=args.host,
        port=args.port,
        database_url=args.database_url or settings.database_url,
        tls_certificate=args.tls_certificate or settings.tls_certificate,
        tls_key=args.tls_key or settings.tls_key,
        trusted_proxies=tuple(args.trusted_proxy or settings.trusted_proxies),
        blobs_url=args.blobs_url or settings.blobs_url,
    )
    _allow_many_connections()
    log = _log_to_stderr(not args.no_access_log)
    try:
        return _serve(options, settings)
    finally:
        log.stop()


def _serve(options: ServerOptions, settings: Settings) -> int:
    from ..http.server import DRAIN_S, TrackerServer

    running = TrackerServer(options, settings)
    running.drain_s = DRAIN_S
    running.on_ending = threading.Thread(target=_end_in_time, name="tracker-server-end", daemon=True).start
    try:
        running.run(lambda: _announce(running))
    finally:
        running.close()
    return 0


class _LosingHandler(QueueHandler):
    """Hands lines to a thread, and loses some where whoever reads them is too slow: no request waits for that."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put one line into the queue, if there is room."""
        with contextlib.suppress(Full):
            self.queue.put_nowait(record)


def _log_to_stderr(has_access_log: bool) -> QueueListener:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    lines: Queue[logging.LogRecord] = Queue(_WAITING_LINES)
    listener = QueueListener(lines, handler)
    logging.getLogger().addHandler(_LosingHandler(lines))
    logging.getLogger(ACCESS_LOG).setLevel(logging.INFO if has_access_log else logging.WARNING)
    listener.start()
    return listener


class _Lines(logging.Formatter):
    """Lines of requests are JSON already."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, or a few with a traceback."""
        return record.getMessage() if record.name == ACCESS_LOG else super().format(record)


def _allow_many_connections() -> None:
    """Let the process have as many open files as the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _announce(running: TrackerServer) -> None:
    lines = [f"Tracker server for {running.place} at {running.base_url}"]
    if running.admin_key is not None:
        lines += [
            "",
            "The first admin key, shown this once (only its hash is kept):",
            "",
            f"    {running.admin_key}",
            "",
            "Make others with it:  tracker keys create NAME --scope write --project PROJECT",
        ]
    lines += [
        "",
        "On a training machine:",
        "",
        f"    tracker login {running.base_url}",
        "",
        f"or set TRACKER_BASE_URL={running.base_url} and TRACKER_API_KEY. Stop the server with Ctrl-C.",
    ]
    if running.is_open_plainly:
        lines += ["", "Keys travel in clear text: put TLS in front, or name --tls-certificate and --tls-key."]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _end_in_time() -> None:
    """End the process where something holds up its end; what was acknowledged is kept all the same."""
    threading.Event().wait(STOP_BOUND_S)
    sys.stderr.write(f"tracker server: not everything ended within {STOP_BOUND_S:.0f} s; leaving\n")
    os._exit(1)

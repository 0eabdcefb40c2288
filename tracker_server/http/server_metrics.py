"""What a server tells Prometheus of itself. A registry of its own: nothing of another library gets in."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tracker_core.version import __version__

from ..ingest.posted_journals import Taken

if TYPE_CHECKING:
    from ..query.folder import LocalFolder

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ServerMetrics:
    """Counts and times of one server process. Thread-safe.

    Args:
        folder: what it serves.
    """

    def __init__(self, folder: LocalFolder) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        options: dict[str, Any] = {"registry": self._registry}
        Gauge("tracker_info", "Version of the server.", ["version"], **options).labels(__version__).set(1)
        self._requests = Counter(
            "tracker_http_requests", "Requests answered.", ["method", "route", "status"], **options
        )
        self._request_s = Histogram(
            "tracker_http_request_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS, **options
        )
        self._running = Gauge("tracker_http_requests_running", "Requests being answered.", **options)
        self._ack_s = Histogram(
            "tracker_sync_ack_seconds",
            "Time from the last byte of posted blocks until they are kept for good.",
            buckets=_SECONDS,
            **options,
        )
        self._parts = Counter("tracker_sync_parts", "Parts of journals taken.", **options)
        self._bytes = Counter("tracker_sync_bytes", "Bytes of journals that were new.", **options)
        self._troubles = Counter("tracker_sync_troubles", "Journals not taken as sent.", ["trouble"], **options)
        self._unseen_since: float | None = None
        self._seen_at = time.monotonic()
        self._registry.register(_FolderState(folder, self))

    def begin_request(self) -> None:
        """Count a request that has come."""
        self._running.inc()

    def end_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered. `route` is its template, so that there are few of them."""
        self._running.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def note_taken(self, taken: Taken, seconds: float) -> None:
        """Count what came with one request."""
        self._ack_s.observe(seconds)
        self._parts.inc(taken.n_parts)
        self._bytes.inc(taken.n_bytes)
        for ack in taken.acks:
            if ack.trouble:
                self._troubles.labels(ack.trouble).inc()
        if taken.n_bytes and self._unseen_since is None:
            self._unseen_since = time.monotonic()

    def note_look(self, began_s: float) -> None:
        """Say that what came before `began_s` (monotonic) is seen by charts now."""
        if self._unseen_since is not None and self._unseen_since <= began_s:
            self._unseen_since = None

    @property
    def lag_s(self) -> float:
        """How long the oldest blocks wait that were taken and that no chart shows yet."""
        since = self._unseen_since
        return 0.0 if since is None else time.monotonic() - since

    def text(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self._registry)


class _FolderState(Collector):
    """What is there now, looked at when it is asked for."""

    def __init__(self, folder: LocalFolder, metrics: ServerMetrics) -> None:
        self._folder = folder
        self._metrics = metrics

    def describe(self) -> list[Any]:
        """Return nothing: collecting needs the folder."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        yield _gauge("tracker_ingest_lag_seconds", "Age of the oldest blocks that no chart shows.", self._metrics.lag_s)
        load = self._folder.load()
        yield _gauge("tracker_journals", "Journals that may still change.", load.n_journals)
        yield _gauge("tracker_unsealed_bytes", "Bytes of journals in memory, not sealed yet.", load.n_unsealed_bytes)
        yield _gauge("tracker_rows_live", "Rows of runs that may still change.", load.n_rows)
        runs = GaugeMetricFamily("tracker_runs", "Runs by state; settled ones are held by the index.", labels=["state"])
        for state, n_runs in sorted(Counts(load.states).items()):
            runs.add_metric([state], n_runs)
        runs.add_metric(["settled"], load.n_settled)
        yield runs
        pool = getattr(getattr(self._folder.database, "engine", None), "pool", None)
        if pool is not None:
            found = GaugeMetricFamily("tracker_database_connections", "Of the pool, by state.", labels=["state"])
            found.add_metric(["in use"], pool.checkedout())
            found.add_metric(["idle"], pool.checkedin())
            yield found


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)

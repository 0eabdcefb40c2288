"""Orders of a table's rows that were computed last, so that the next page of them is quick. All of it is bounded."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

Order = NDArray[np.int32]
_MAX_KEPT_BYTES = 64 << 20
_MAX_KEPT = 1000
# Computed at once, as each may take much memory; and at work or waiting, so that threads are left for other requests.
_MAX_COMPUTED = 2
_MAX_WAITING = 8


@dataclass(slots=True)
class _Running:
    lock: threading.Lock = field(default_factory=threading.Lock)
    n_threads: int = 0


class KeptOrders:
    """Orders by table and question. Each is computed once; others are computed beside it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_MAX_COMPUTED)
        self._running: dict[bytes, _Running] = {}
        self._kept: OrderedDict[bytes, Order] = OrderedDict()

    def order(self, digest: str, question: bytes, compute: Callable[[], Order]) -> Order:
        """Return the order that answers a question about a table; it is kept for the next time.

        Raises:
            UsageError: too many others are computed already, or `compute` raised it.
        """
        key = hashlib.sha256(f"{digest}\n".encode() + question).digest()
        known = self._get(key)
        if known is not None:
            return known
        with self._turn(key):
            found = self._get(key)
            if found is None:
                with self._slots:
                    found = compute()
                self._keep(key, found)
        return found

    @contextmanager
    def _turn(self, key: bytes) -> Iterator[None]:
        with self._lock:
            if sum(one.n_threads for one in self._running.values()) >= _MAX_WAITING:
                got = f"{_MAX_WAITING} other questions that are not answered yet"
                raise UsageError("table", got, "fewer at a time to sort or to search", "ask again in a few seconds")
            running = self._running.setdefault(key, _Running())
            running.n_threads += 1
        try:
            with running.lock:
                yield
        finally:
            with self._lock:
                running.n_threads -= 1
                if not running.n_threads:
                    del self._running[key]

    def _get(self, key: bytes) -> Order | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: bytes, order: Order) -> None:
        with self._lock:
            self._kept[key] = order
            while len(self._kept) > _MAX_KEPT or sum(one.nbytes for one in self._kept.values()) > _MAX_KEPT_BYTES:
                self._kept.popitem(last=False)

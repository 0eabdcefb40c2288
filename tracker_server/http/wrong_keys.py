"""How often somebody may try a wrong key.

Nobody guesses a key. This keeps a client with a mistyped one, or a search of the whole network, from being work for
the database. Who has a right key is never held up, also where others at the same address have a wrong one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

N_AT_ONCE = 20
REFILL_S = 3.0
_MAX_CLIENTS = 10_000


class TooManyTriesError(Exception):
    """A wrong key after too many others; `seconds` is how long to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.seconds = max(1, math.ceil(wait_s))


class WrongKeys:
    """Counts wrong keys by the client's address. Thread-safe; memory is bounded.

    Each address has `N_AT_ONCE` tries, and gets one back every `REFILL_S`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When all tries of a client are back again.
        self._whole_at_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Return how long a client is to wait before its next try, 0 for not at all."""
        with self._lock:
            return max(0.0, self._missing_s(_network_of(client)) - (N_AT_ONCE - 1) * REFILL_S)

    def note(self, client: str) -> None:
        """Count one wrong key."""
        name = _network_of(client)
        with self._lock:
            self._whole_at_s[name] = self._clock() + self._missing_s(name) + REFILL_S
            self._whole_at_s.move_to_end(name)
            while len(self._whole_at_s) > _MAX_CLIENTS:
                self._whole_at_s.popitem(last=False)

    def _missing_s(self, name: str) -> float:
        return max(0.0, self._whole_at_s.get(name, 0.0) - self._clock())


def _network_of(client: str) -> str:
    """Return what one customer of a provider has: an address, or with IPv6 a network of 64 bits."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return client
    return str(address.ipv4_mapped) if address.ipv4_mapped else str(int(address) >> 64)

"""How long to wait before the next try: exponential back-off with full jitter (M. Brooker, AWS, 2015)."""

from __future__ import annotations

import random
from collections.abc import Callable

_MAX_RETRY_AFTER_S = 300.0


class Backoff:
    """The waits of one sender.

    Args:
        first_s: bound of the first wait.
        most_s: bound of all waits.
        uniform: returns a number between two others at random.
    """

    def __init__(
        self, first_s: float = 0.5, most_s: float = 60.0, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.n_failures = 0
        self._first_s = first_s
        self._most_s = most_s
        self._uniform = uniform

    def next_s(self, retry_after_s: float | None = None) -> float:
        """Return how long to wait after one more failure; not less than what the server asked for, within bounds."""
        bound_s = min(self._most_s, self._first_s * 2.0 ** min(self.n_failures, 40))
        self.n_failures += 1
        wait_s = max(self._first_s / 10, self._uniform(0.0, bound_s))
        return max(wait_s, min(retry_after_s or 0.0, _MAX_RETRY_AFTER_S))

    def reset(self) -> None:
        """Begin anew: something went well."""
        self.n_failures = 0

"""A clock that waits are jumped over with."""

from __future__ import annotations

import time


class Clock:
    """Seconds that never go back."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s

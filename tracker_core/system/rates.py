"""What is made of counters that only ever grow: a rate over the measured interval."""

from __future__ import annotations


class Rate:
    """Turn readings of one counter into its growth per second. Not thread-safe."""

    __slots__ = ("_time_s", "_value")

    def __init__(self) -> None:
        self._value: float | None = None
        self._time_s = 0.0

    def per_s(self, value: float, now_s: float) -> float | None:
        """Return the growth per second since the last reading.

        None for the first reading, and where the counter went back (it wrapped, or its device was replaced): a rate
        that is not known is left out, never guessed.
        """
        before, elapsed_s = self._value, now_s - self._time_s
        self._value, self._time_s = value, now_s
        if before is None or value < before or elapsed_s <= 0:
            return None
        return (value - before) / elapsed_s


class Rates:
    """Rates of many counters by name. Not thread-safe."""

    def __init__(self) -> None:
        self._rates: dict[str, Rate] = {}

    def per_s(self, counters: dict[str, float], now_s: float) -> dict[str, float]:
        """Return the growth per second of each counter of which it is known."""
        known: dict[str, float] = {}
        for name, value in counters.items():
            rate = self._rates.setdefault(name, Rate()).per_s(value, now_s)
            if rate is not None:
                known[name] = rate
        return known

"""`Histogram`: how many values lie in which bin."""

from __future__ import annotations

import math
import sys
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .arrays import ArraySnapshot
from .place import Pending, Place

MAX_BINS = 512
_AT_ONCE_VALUES = 100_000
_NEAR_OVERFLOW, _NARROWEST = 1e300, 1e-290


class Histogram(RichValue):
    """Counts of values in bins of equal width, or bins and counts that are known already.

    Args:
        sequence: numbers: a list, array or tensor of any shape. NaN and infinite ones are counted beside.
        np_histogram: (counts, edges) as `numpy.histogram` returns them; one edge more than counts.
        num_bins: how many bins, at most 512.

    Raises:
        UsageError: both or neither of `sequence` and `np_histogram` are given, or one is not what it must be.
    """

    MAX_LENGTH = MAX_BINS
    kind = "histogram"

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        self._values: ArraySnapshot | None = None
        self._found: dict[str, Any] | None = None
        if (sequence is None) == (np_histogram is None):
            got = "both" if sequence is not None else "neither"
            raise UsageError("Histogram()", got, "one of sequence and np_histogram", "pass one of the two")
        if np_histogram is not None:
            self._found = _of_counts(np_histogram)
            return
        if not isinstance(num_bins, int) or not 1 <= num_bins <= MAX_BINS:
            raise UsageError("Histogram(num_bins=)", f"{num_bins!r:.100}", f"1 to {MAX_BINS}", "choose fewer bins")
        self._n_bins = num_bins
        self._values = ArraySnapshot(sequence, "Histogram(sequence=)")
        n_values = math.prod(self._values.shape)
        if self._values.is_at_hand and n_values <= _AT_ONCE_VALUES:
            self._found = _of_values(self._values.numpy(), num_bins)
            self._values = None

    @property
    def histogram(self) -> list[float]:
        """The counts."""
        counts: list[float] = self.value()["counts"]
        return counts

    @property
    def bins(self) -> list[float]:
        """The edges of the bins, one more than there are counts."""
        edges: list[float] = self.value()["bins"]
        return edges

    def value(self) -> dict[str, Any]:
        """Return what a row holds of it; waits for the device where the values are on one."""
        if self._found is None:
            assert self._values is not None
            self._found = _of_values(self._values.numpy(), self._n_bins)
            self._values = None
        return self._found

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        """Return the histogram; of many values, or values on a device, nothing yet: a row of its own follows."""
        if self._found is not None:
            return self._found, []
        assert self._values is not None
        return {}, [Pending(self._values.n_bytes, lambda target, _: True, late=self.value)]


def _of_values(array: Any, n_bins: int) -> dict[str, Any]:
    import numpy as np

    flat = array.reshape(-1)
    flat = flat.astype(np.float64 if flat.dtype.itemsize > 4 else np.float32) if flat.dtype.kind != "f" else flat
    if flat.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    finite = flat[np.isfinite(flat)]
    n_nonfinite = int(flat.size - finite.size)
    value: dict[str, Any] = {"_type": "histogram", "bins": [0.0, 1.0], "counts": [0]}
    if finite.size:
        counts, edges = _counted(finite.astype(np.float64, copy=False), n_bins)
        value["bins"], value["counts"] = edges.tolist(), counts.tolist()
    if n_nonfinite:
        value["n_nonfinite"] = n_nonfinite
    return value


def _counted(values: Any, n_bins: int) -> tuple[Any, Any]:
    """Return counts and edges of finite float64 values, where NumPy's own range has no such bins of a wider one."""
    import numpy as np

    lowest, highest = float(values.min()), float(values.max())
    if math.isfinite(highest - lowest):
        try:
            return np.histogram(values, bins=n_bins)
        except ValueError:  # the values are so near that edges between them would be equal
            pass
    scale = 0.25 if max(-lowest, highest) > _NEAR_OVERFLOW else 1.0
    lowest, highest = lowest * scale, highest * scale
    middle, largest = lowest / 2 + highest / 2, max(abs(lowest), abs(highest))
    half = max((highest - lowest) / 2, 2 * n_bins * float(np.spacing(largest)), _NARROWEST)
    bound = sys.float_info.max * scale
    within = max(min(lowest, middle - half), -bound), min(max(highest, middle + half), bound)
    counts, edges = np.histogram(values * scale, bins=n_bins, range=within)
    return counts, edges / scale


def _of_counts(given: Any) -> dict[str, Any]:
    where = "Histogram(np_histogram=)"
    expected = f"(counts, edges) as numpy.histogram returns them, at most {MAX_BINS} counts"
    try:
        counts, edges = given
        plain_counts = [_number(one) for one in counts]
        plain_edges = [float(one) for one in edges]
    except (TypeError, ValueError):
        raise UsageError(where, f"{given!r:.200}", expected, "pass what numpy.histogram(...) returns") from None
    got = f"{len(plain_counts)} counts and {len(plain_edges)} edges"
    if not 0 < len(plain_counts) <= MAX_BINS or len(plain_edges) != len(plain_counts) + 1:
        raise UsageError(where, got, expected, "pass one edge more than there are counts")
    if any(not math.isfinite(one) for one in (*plain_counts, *plain_edges)) or plain_edges != sorted(plain_edges):
        raise UsageError(where, f"{got}, not finite or not sorted", expected, "leave NaN out before counting")
    return {"_type": "histogram", "bins": plain_edges, "counts": plain_counts}


def _number(value: Any) -> float | int:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return value

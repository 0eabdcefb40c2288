"""A small picture of a series in one line of text. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(times: NDArray[np.int64], values: NDArray[np.float64], n_chars: int = 24) -> str:
    """Return the mean of the values in each of `n_chars` equal spans of time, drawn between their min and max.

    Args:
        times: int64[n].
        values: float64[n]; those that are not finite are left out. A span without values is a blank.
        n_chars: the length of the text at most; of few values it is shorter.
    """
    is_finite = np.isfinite(values)
    times, values = times[is_finite], values[is_finite]
    if not len(values):
        return ""
    n_chars = min(n_chars, len(values))
    begin, end = int(times.min()), int(times.max())
    places = ((times - begin).astype(np.float64) / max(end - begin, 1) * n_chars).astype(np.int64)
    places = np.clip(places, 0, n_chars - 1)
    counts = np.bincount(places, minlength=n_chars)
    means = np.bincount(places, weights=values, minlength=n_chars) / np.maximum(counts, 1)
    shown = means[counts > 0]
    low, span = float(shown.min()), float(np.ptp(shown))
    levels = np.rint((means - low) / (span or 1.0) * (len(_BARS) - 1)).astype(np.int64)
    return "".join(_BARS[level] if count else " " for level, count in zip(levels, counts, strict=True)).rstrip()

"""Smooth a series: exponential moving average over its raw points. Pure NumPy.

The average is debiased as Adam's moments are (Kingma and Ba, 2015): the running value starts at zero and is divided by
`1 - weight**n`, so that early points are neither pulled to zero nor to the first value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_WEIGHT = 0.999
_BLOCK = 64


def ema(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return the debiased exponential moving average of `values`, taken over the finite ones only.

    Args:
        values: float64[n], in x order. NaN and infinities are skipped; their places are NaN in the result.
        weight: 0 (no smoothing) to `MAX_WEIGHT`; the share that the running average keeps per point.

    Raises:
        ValueError: `weight` is outside that range.
    """
    if not 0.0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"smoothing weight: got {weight!r}, expected 0 to {MAX_WEIGHT}; choose a weight inside it")
    is_finite = np.isfinite(values)
    if is_finite.all():
        return _ema_of_finite(values.astype(np.float64, copy=False), weight)
    smoothed = np.full(len(values), np.nan)
    smoothed[is_finite] = _ema_of_finite(values[is_finite].astype(np.float64, copy=False), weight)
    return smoothed


def _ema_of_finite(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    if weight == 0.0 or len(values) == 0:
        return values.copy()
    running = _decayed_sums(values * (1.0 - weight), weight)
    # -expm1(n*log(w)) is 1 - w**n without cancellation.
    n_seen = np.arange(1, len(values) + 1, dtype=np.float64)
    debiased: NDArray[np.float64] = running / -np.expm1(n_seen * np.log(weight))
    return debiased


def _decayed_sums(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return s with s[k] = values[k] + weight * s[k-1], block by block.

    Inside a block the sums double their reach with each pass (Hillis and Steele, 1986); all powers of `weight` are
    <= 1, so nothing overflows. The ends of the blocks are the same recurrence with `weight**_BLOCK`, solved by
    recursion. No matrix product: its threads would fight those of a training that runs beside us.
    """
    n = len(values)
    n_blocks = -(-n // _BLOCK)
    padded = np.zeros(n_blocks * _BLOCK)
    padded[:n] = values
    sums = padded.reshape(n_blocks, _BLOCK)
    reach = 1
    while reach < _BLOCK:
        sums[:, reach:] += weight**reach * sums[:, :-reach]
        reach *= 2
    if n_blocks > 1:
        block_ends = _decayed_sums(sums[:-1, -1], weight**_BLOCK)
        sums[1:] += block_ends[:, None] * weight ** np.arange(1, _BLOCK + 1)
    return padded[:n]

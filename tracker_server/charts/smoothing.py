"""Smooth a series over its raw points, whatever part of it is looked at. Pure NumPy, in time linear in the points.

Every kind is an average of the points around, so a constant stays one and a spike fades but is never made up. What is
not finite is skipped. Sums are only ever added up, never subtracted from one another: a running total over the whole
series would drown what comes after one huge value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_WEIGHT = 0.999
GAUSSIAN_REACH = 4.0
"""In sigma: a point further away has no share."""

_BLOCK = 64
_HUGE = 2.0**900
_DOWN = 2.0**-100
# exp(-u*u/2) for |u| <= 4 as a sum of cosines: of period 2 * 5.6 it errs by 2e-11.
_HALF_PERIOD = 5.6
_N_COSINES = 14
# Up to here a plain convolution of evenly spaced points is quicker than sums of cosines.
_MAX_PRODUCTS = 10_000_000

Floats = NDArray[np.float64]


def ema(values: Floats, weight: float) -> Floats:
    """Return the exponential moving average of `values`, taken over the finite ones only.

    It is debiased as Adam's moments are (Kingma and Ba, 2015): the running value starts at zero and is divided by
    `1 - weight**n`, so that early points are neither pulled to zero nor to the first value.

    Args:
        values: float64[n], in x order. NaN and infinities are skipped; their places are NaN in the result.
        weight: 0 (no smoothing) to `MAX_WEIGHT`; the share that the running average keeps per point.

    Raises:
        ValueError: `weight` is outside that range.
    """
    if not 0.0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"smoothing weight: got {weight!r}, expected 0 to {MAX_WEIGHT}; choose a weight inside it")

    def smooth(values: Floats) -> Floats:
        if weight == 0.0:
            return values.copy()
        running = decayed_sums((values * (1.0 - weight))[None], np.full(len(values), weight))[0]
        # -expm1(n*log(w)) is 1 - w**n without cancellation.
        n_seen = np.arange(1, len(values) + 1, dtype=np.float64)
        debiased: Floats = running / -np.expm1(n_seen * np.log(weight))
        return debiased

    return _over_finite(values, smooth)


def ema_of_means(means: Floats, counts: NDArray[np.int64], weight: float) -> Floats:
    """Return what `ema` is at the last of each group of neighbouring points, of which all but the mean is forgotten.

    Args:
        means: float64[n], finite.
        counts: int64[n], how many points each stands for, above zero.
        weight: as for `ema`.
    """
    if weight == 0.0 or not len(means):
        return means.copy()
    decays = weight ** counts.astype(np.float64)
    running = decayed_sums((means * (1.0 - decays))[None], decays)[0]
    average = running / -np.expm1(np.cumsum(counts) * np.log(weight))
    clipped: Floats = np.clip(average, means.min(), means.max())
    return clipped


def time_weighted_ema(x: NDArray[Any], values: Floats, half_life: float) -> Floats:
    """Return the average of the points up to each, whose weight halves with every `half_life` of distance in x.

    Args:
        x: int64[n] or float64[n], ascending.
        values: float64[n], as for `ema`.
        half_life: in units of x, above zero.
    """
    positions, half_life = _positions(x, half_life)

    def smooth(values: Floats, positions: Floats) -> Floats:
        with np.errstate(over="ignore"):
            decays = np.exp2(-np.diff(positions, prepend=positions[0]) / half_life)
        total, weight = decayed_sums(np.stack([values, np.ones_like(values)]), decays)
        average: Floats = total / weight
        return average

    return _over_finite(values, smooth, positions)


def gaussian(x: NDArray[Any], values: Floats, sigma: float) -> Floats:
    """Return the average of the points around each, weighted by exp(-distance**2 / (2 * sigma**2)) up to 4 sigma.

    The weights are taken relative to those of the points that are there. Arguments are as for `time_weighted_ema`.
    """
    positions, sigma = _positions(x, sigma)
    scale = np.sqrt(2 * np.pi) / (2 * _HALF_PERIOD)
    orders = np.arange(_N_COSINES) * (np.pi / _HALF_PERIOD)
    shares = scale * np.exp(-(orders**2) / 2) * np.where(orders > 0, 2.0, 1.0)
    frequency = np.pi / (_HALF_PERIOD * sigma)

    def smooth(values: Floats, positions: Floats) -> Floats:
        spacing = _even_spacing(positions)
        if spacing is not None and len(values) * (GAUSSIAN_REACH * sigma / spacing) <= _MAX_PRODUCTS:
            return _convolved(values, sigma / spacing)
        return _windowed_average(positions, values, GAUSSIAN_REACH * sigma, shares.tolist(), frequency)

    return _over_finite(values, smooth, positions)


def running_mean(x: NDArray[Any], values: Floats, window: float) -> Floats:
    """Return the mean of the points at most `window / 2` away from each. Arguments are as for `time_weighted_ema`."""
    positions, window = _positions(x, window)

    def smooth(values: Floats, positions: Floats) -> Floats:
        return _windowed_average(positions, values, window / 2, [1.0], 0.0)

    return _over_finite(values, smooth, positions)


def decayed_sums(values: NDArray[Any], decays: Floats) -> NDArray[Any]:
    """Return s with s[:, k] = values[:, k] + decays[k] * s[:, k-1].

    Args:
        values: float64[rows, n] or complex128[rows, n].
        decays: float64[n], 0 to 1, so that nothing overflows; 0 begins a new sum.

    Blocks of points go through the recurrence side by side; their ends are the same recurrence over whole blocks,
    solved by recursion. No matrix product: its threads would fight those of a training that runs beside us.
    """
    rows, n = values.shape
    n_blocks = -(-n // _BLOCK)
    height = min(n, _BLOCK)
    sums = _in_blocks(values, n_blocks, height)
    reach = _in_blocks(decays[None], n_blocks, height)[:, 0]
    for k in range(1, height):
        sums[k] += reach[k] * sums[k - 1]
    if n_blocks > 1:
        np.multiply.accumulate(reach, axis=0, out=reach)
        ends = decayed_sums(sums[-1, :, :-1], reach[-1, :-1])
        sums[:, :, 1:] += reach[:, None, 1:] * ends
    return sums.transpose(1, 2, 0).reshape(rows, -1)[:, :n]


def _in_blocks(values: NDArray[Any], n_blocks: int, height: int) -> NDArray[Any]:
    """Return [height, rows, n_blocks], contiguous: the same place of all blocks side by side."""
    rows, n = values.shape
    padded = np.zeros((rows, n_blocks * height), values.dtype)
    padded[:, :n] = values
    return np.ascontiguousarray(padded.reshape(rows, n_blocks, height).transpose(2, 0, 1))


def _over_finite(values: Floats, smooth: Callable[..., Floats], *others: Floats) -> Floats:
    """Return what `smooth` makes of the finite values, NaN where there is none."""
    is_finite = np.isfinite(values)
    smoothed = np.full(len(values), np.nan)
    if not is_finite.any():
        return smoothed
    finite = values[is_finite].astype(np.float64, copy=False)
    low, high = finite.min(), finite.max()
    # So that sums of the largest numbers stay finite; an average may be scaled back.
    scale = _DOWN if max(abs(low), abs(high)) > _HUGE else 1.0
    average = smooth(finite * scale, *(other[is_finite] for other in others)) / scale
    smoothed[is_finite] = np.clip(average, low, high)
    return smoothed


def _positions(x: NDArray[Any], length: float) -> tuple[Floats, float]:
    """Return x as float64 whose distances are exact (of integers, up to 2**53), and the length that suits it."""
    if x.dtype != np.float64:
        # The difference of any two int64 fits in uint64.
        return (x - x[:1]).view(np.uint64).astype(np.float64), length
    scale = _DOWN if len(x) and max(abs(x[0]), abs(x[-1])) > _HUGE else 1.0
    return x * scale, max(length * scale, np.finfo(np.float64).tiny)


def _even_spacing(x: Floats) -> float | None:
    """Return the distance from each point to the next where that is the same everywhere, and exactly so."""
    steps = np.diff(x)
    is_even = len(steps) > 0 and steps[0] > 0 and bool((steps == steps[0]).all())
    return float(steps[0]) if is_even else None


def _convolved(values: Floats, sigma: float) -> Floats:
    reach = min(int(GAUSSIAN_REACH * sigma), len(values) - 1)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    total, weight = (np.convolve(one, kernel)[reach : reach + len(values)] for one in (values, np.ones_like(values)))
    average: Floats = total / weight
    return average


def _windowed_average(x: Floats, values: Floats, radius: float, shares: Sequence[float], frequency: float) -> Floats:
    """Return for each point the average over those within `radius`.

    A point at distance d has the weight sum(shares[k] * cos(k * frequency * d)), which parts into sums that know
    nothing of the point averaged for; these are made once, by blocks.
    """
    windows = _Windows(x, radius)
    turn_in = np.exp(-1j * frequency * windows.from_block_start)
    turns_out = [np.exp(1j * frequency * (x - x[windows.block_start[place]])) for place in windows.places]
    totals = np.zeros((2, len(x)))
    terms: NDArray[Any] = np.stack([values, np.ones_like(values)])
    turned: list[Any] = [1.0] * len(turns_out)
    for order, share in enumerate(shares):
        if order > 0:
            terms = terms * turn_in
            turned = [one * turn for one, turn in zip(turned, turns_out, strict=True)]
        totals += share * windows.sums(terms, turned)
    average: Floats = totals[0] / totals[1]
    return average


class _Windows:
    """The points within a radius of each, as pieces of blocks that are a little shorter than the windows.

    A window then is the tail of one block, perhaps a whole one, and the head of the next: three sums that are known.

    Attributes:
        block_start: int64[n], the first point of each point's block.
        from_block_start: float64[n], how far each lies from that.
        places: where each window's tail, whole block and head are to be looked up, int64[n] each.
    """

    def __init__(self, x: Floats, radius: float) -> None:
        radius = max(radius, float(x[-1] - x[0]) * 1e-290)
        first = np.searchsorted(x, x - radius, "left")
        last = np.searchsorted(x, x + radius, "right") - 1
        block = np.floor((x - x[0]) / (radius * (4 / 3)))
        self._is_start = np.concatenate(([True], block[1:] != block[:-1]))
        starts = np.flatnonzero(self._is_start)
        number = np.cumsum(self._is_start) - 1
        ends = np.append(starts[1:], len(x)) - 1
        self.block_start = starts[number]
        self.from_block_start = x - x[self.block_start]
        n_crossed = number[last] - number[first]
        middle = ends[np.minimum(number[first] + 1, len(starts) - 1)]
        # A window within one block holds that block from its start or to its end, being the longer.
        has_head = (n_crossed > 0) | self._is_start[first]
        has_tail = (n_crossed > 0) | ~self._is_start[first]
        self.places = (first, middle, last)
        self._is_used = (has_tail, n_crossed > 1, has_head)

    def sums(self, terms: NDArray[Any], factors: Sequence[Any]) -> NDArray[np.float64]:
        """Return float64[rows, n]: the real part of each window's sum, its pieces times the factors, one each."""
        heads = decayed_sums(terms, (~self._is_start).astype(np.float64))
        is_end = np.append(self._is_start[1:], True)
        tails = decayed_sums(terms[:, ::-1], (~is_end[::-1]).astype(np.float64))[:, ::-1]
        total = np.zeros(terms.shape)
        for place, is_used, factor, pieces in zip(
            self.places, self._is_used, factors, (tails, heads, heads), strict=True
        ):
            total += np.where(is_used, (factor * pieces[:, place]).real, 0.0)
        return total

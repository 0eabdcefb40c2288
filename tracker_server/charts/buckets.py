"""Put many series on one x-grid, exactly. Pure NumPy, no loop over points.

While all series together have at most `2 * n_buckets` distinct x, the grid is these x and a cell holds what was logged
there. Beyond that the grid is equal-width buckets aligned to multiples of the width, so that a bucket does not move
when the range does, and each cell holds the first, last, min, max and mean of all its points: no spike is lost.

x is int64 (steps, or times in ns) or float64 (a metric used as x); int64 is never turned into float64 to decide where
a point belongs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# int64 or float64.
X = NDArray[Any]
Widths = Literal["binary", "decimal"]

_INT64 = np.iinfo(np.int64)
_NICE = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a chart.

    Attributes:
        lower: int64[n] or float64[n], ascending: where each cell begins. Cells touch; with `is_exact` each holds one x.
        end: where the last cell ends (outside it); None with `is_exact`, or when that is beyond x's type.
        width: what every cell measures in x, None with `is_exact`.
        is_exact: whether each cell is one distinct x.
    """

    lower: X
    end: int | float | None
    width: int | float | None
    is_exact: bool

    def centres(self) -> NDArray[np.float64]:
        """Return the x to draw each cell at: the x itself, or the middle of the bucket."""
        lower = self.lower.astype(np.float64)
        return lower if self.width is None else lower + self.width / 2


@dataclass(frozen=True, slots=True)
class Cells:
    """One series on a grid of n cells.

    Attributes:
        first, last: float64[n] by x order, ties by the order given. NaN where a cell has no finite value, as below.
        min, max, mean: float64[n] over the finite values.
        count, nonfinite: uint32[n], how many finite and how many NaN or infinite values.
        smooth: float64[n], mean of the smoothed values in the cell, or None.
    """

    first: NDArray[np.float64]
    last: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    count: NDArray[np.uint32]
    nonfinite: NDArray[np.uint32]
    smooth: NDArray[np.float64] | None = None


def sort_by_x(x: X, values: NDArray[Any]) -> tuple[X, NDArray[Any]]:
    """Return both in ascending x, ties in the order given, without points whose x is NaN or infinite."""
    if x.dtype == np.float64:
        is_finite = np.isfinite(x)
        if not is_finite.all():
            x, values = x[is_finite], values[is_finite]
    if len(x) < 2 or bool(np.all(x[1:] >= x[:-1])):
        return x, values
    order = np.argsort(x, kind="stable")
    return x[order], values[order]


def choose_grid(
    xs: Sequence[X],
    n_buckets: int,
    x_min: int | float | None = None,
    x_max: int | float | None = None,
    widths: Widths = "decimal",
    extent: tuple[int | float, int | float] | None = None,
) -> Grid:
    """Return the grid for series with these x.

    Args:
        xs: per series its x, sorted, all of one dtype.
        n_buckets: at most so many equal-width buckets and one for alignment, or twice as many distinct x.
        x_min, x_max: keep to this range, ends included; None means from the first, to the last point. An exact grid
            also has each series' nearest x on either side.
        widths: "binary" takes powers of two (integers only), "decimal" 1, 2 or 5 times a power of ten.
        extent: the lowest and highest x of all series, where `xs` are only what lies in the range and next to it.
            Buckets cover the range as far as there is anything on either side.
    """
    parts = [part for part in (_within(x, x_min, x_max) for x in xs) if len(part)]
    beside = _neighbours(xs, x_min, x_max)
    distinct = _distinct([*parts, *beside], 2 * n_buckets + len(beside), 2 * n_buckets)
    if distinct is not None and _is_distinct_as_float(distinct):
        return Grid(distinct, None, None, True)
    if not parts:
        return Grid(np.empty(0), None, None, True)
    lowest, highest = extent or (min(x[0].item() for x in xs if len(x)), max(x[-1].item() for x in xs if len(x)))
    low, high = shown_range(lowest, highest, x_min, x_max)
    if parts[0].dtype == np.int64:
        return integer_buckets(int(low), int(high), n_buckets, widths)
    return float_buckets(low, high, n_buckets)


def shown_range(
    lowest: int | float, highest: int | float, x_min: int | float | None, x_max: int | float | None
) -> tuple[int | float, int | float]:
    """Return the range that is asked for, as far as there is anything; the first is larger where there is nothing."""
    is_integer = isinstance(lowest, int)
    if x_min is not None:
        lowest = max(lowest, math.ceil(x_min) if is_integer else float(x_min))
    if x_max is not None:
        highest = min(highest, math.floor(x_max) if is_integer else float(x_max))
    return lowest, highest


def fill_cells(grid: Grid, x: X, values: NDArray[np.float64], smooth: NDArray[np.float64] | None = None) -> Cells:
    """Return what a series holds in each cell of `grid`.

    Args:
        x: sorted as by `sort_by_x`, of the grid's dtype.
        values: float64[n].
        smooth: float64[n], finite where `values` is.
    """
    is_finite = np.isfinite(values)
    nonfinite = np.zeros(len(grid.lower), np.int64)
    if not is_finite.all():
        starts, stops = _cell_bounds(grid, x[~is_finite])
        nonfinite = stops - starts
        x, values = x[is_finite], values[is_finite]
        smooth = None if smooth is None else smooth[is_finite]
    starts, stops = _cell_bounds(grid, x)
    full = np.flatnonzero(stops > starts)
    found = _reduced(values, smooth, starts[full], stops[full]) if len(full) else {}

    def spread(name: str) -> NDArray[np.float64]:
        cells = np.full(len(grid.lower), np.nan)
        if name in found:
            cells[full] = found[name]
        return cells

    return Cells(
        first=spread("first"),
        last=spread("last"),
        min=spread("min"),
        max=spread("max"),
        mean=spread("mean"),
        count=(stops - starts).astype(np.uint32),
        nonfinite=nonfinite.astype(np.uint32),
        smooth=None if smooth is None else spread("smooth"),
    )


def fill_line(
    grid: Grid,
    x: X,
    values: NDArray[np.float64],
    x_min: int | float | None,
    x_max: int | float | None,
    smooth: NDArray[np.float64] | None = None,
) -> Cells:
    """Return what a series holds in each cell of a grid for this range, as `fill_cells` does.

    Beyond the range an exact grid has the next x of every series: of these a series shows its own alone.
    """
    if grid.is_exact and len(x):
        shown = with_neighbours(x, x_min, x_max)
        x, values, smooth = x[shown], values[shown], None if smooth is None else smooth[shown]
    return fill_cells(grid, x, values, smooth)


def cell_of(grid: Grid, x: X) -> NDArray[np.int64]:
    """Return int64[n]: in which cell each of the sorted x lies, that the grid was made for."""
    return np.searchsorted(grid.lower, x, side="right") - 1


def _reduced(
    values: NDArray[np.float64],
    smooth: NDArray[np.float64] | None,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return the aggregates of values[start:stop] for each pair; no pair is empty."""
    # reduceat takes from each index to the next: every second result is between two cells and is left out.
    bounds = np.stack([starts, stops], axis=1).reshape(-1)
    bounds = bounds[:-1] if bounds[-1] == len(values) else bounds
    counts = stops - starts
    smallest, largest = np.minimum.reduceat(values, bounds)[::2], np.maximum.reduceat(values, bounds)[::2]
    found = {"first": values[starts], "last": values[stops - 1], "min": smallest, "max": largest}
    found["mean"] = np.clip(_means(values, bounds, counts), smallest, largest)
    if smooth is not None:
        found["smooth"] = _means(smooth, bounds, counts)
    return found


def _means(values: NDArray[np.float64], bounds: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        means: NDArray[np.float64] = np.add.reduceat(values, bounds)[::2] / counts
        if np.isfinite(means).all():
            return means
        # A sum beyond the largest float: add fractions of it.
        shares = np.add.reduceat(values / counts.max(), bounds)[::2] * (counts.max() / counts)
    return np.where(np.isfinite(means), means, shares)


def _cell_bounds(grid: Grid, x: X) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return int64[n_cells] twice: the positions in `x` where each cell begins and stops."""
    starts = np.searchsorted(x, grid.lower)
    if grid.is_exact:
        return starts, np.searchsorted(x, grid.lower, "right")
    end = len(x) if grid.end is None else int(np.searchsorted(x, x.dtype.type(grid.end)))
    return starts, np.append(starts[1:], end)


def _within(x: X, x_min: int | float | None, x_max: int | float | None) -> X:
    start, stop = 0, len(x)
    if x_min is not None:
        start = int(np.searchsorted(x, _as_type_of(x, x_min, math.ceil), "left"))
    if x_max is not None:
        stop = int(np.searchsorted(x, _as_type_of(x, x_max, math.floor), "right"))
        if x.dtype == np.int64 and x_max < _INT64.min:
            stop = 0
    return x[start:stop]


def _as_type_of(x: X, bound: int | float, to_integer: Any) -> Any:
    if x.dtype != np.int64:
        return np.float64(bound)
    if isinstance(bound, float) and math.isinf(bound):
        return np.int64(_INT64.max if bound > 0 else _INT64.min)
    return np.int64(min(max(to_integer(bound), _INT64.min), _INT64.max))


def _neighbours(xs: Sequence[X], x_min: int | float | None, x_max: int | float | None) -> list[X]:
    """Return each series' nearest x on either side of the range, so that its line can leave the picture."""
    found = []
    for x in xs:
        before = 0 if x_min is None else len(x) - len(_within(x, x_min, None))
        after = len(x) if x_max is None else len(_within(x, None, x_max))
        found += [x[max(before - 1, 0) : before], x[after : after + 1]]
    return [x for x in found if len(x)]


def with_neighbours(x: X, x_min: int | float | None, x_max: int | float | None) -> slice:
    """Return the places of the sorted x that lie in a range, and of the nearest x on either side of it."""
    before = 0 if x_min is None else len(x) - len(_within(x, x_min, None))
    after = len(x) if x_max is None else len(_within(x, None, x_max))
    start = int(np.searchsorted(x, x[before - 1], "left")) if before else 0
    stop = int(np.searchsorted(x, x[after], "right")) if after < len(x) else len(x)
    return slice(start, stop)


def _distinct(parts: Sequence[X], limit: int, limit_per_part: int) -> X | None:
    """Return the sorted union of all x, or None as soon as it is known to be larger than a limit."""
    if not parts:
        return None
    shortened = []
    for part in parts:
        is_new = part[1:] != part[:-1]
        if np.count_nonzero(is_new) >= limit_per_part:
            return None
        shortened.append(part[np.concatenate(([True], is_new))])
    union = np.unique(np.concatenate(shortened))
    return union if len(union) <= limit else None


def _is_distinct_as_float(x: X) -> bool:
    """Say whether no two of the sorted x become one when drawn (float64)."""
    if x.dtype == np.float64:
        return True
    drawn = x.astype(np.float64)
    return bool(np.all(drawn[1:] > drawn[:-1]))


def integer_buckets(low: int, high: int, n_buckets: int, widths: Widths) -> Grid:
    """Return buckets that hold all integers from `low` to `high`, both included."""
    # Cells closer than float64 can tell apart at this magnitude could not be drawn.
    resolution = 2 * int(max(math.ulp(float(max(abs(low), abs(high)))), 1))
    wanted = max(-(-(high - low + 1) // n_buckets), resolution if resolution > 2 else 1)
    width = _binary_width(wanted) if widths == "binary" else _decimal_integer_width(wanted)
    # One bucket more than asked for, since alignment may cut off a part at both ends.
    while high // width - low // width > n_buckets:
        width = _binary_width(width + 1) if widths == "binary" else _decimal_integer_width(width + 1)
    first, last = low // width, high // width
    lower = [max(index * width, _INT64.min) for index in range(first, last + 1)]
    end = (last + 1) * width
    return Grid(np.array(lower, np.int64), end if end <= _INT64.max else None, width, False)


def _binary_width(at_least: int) -> int:
    return int(1 << (at_least - 1).bit_length())


def _decimal_integer_width(at_least: int) -> int:
    power = 10 ** (len(str(at_least)) - 1)
    return int(next(nice * power for nice in (*_NICE, 10) if nice * power >= at_least))


def float_buckets(low: float, high: float, n_buckets: int) -> Grid:
    """Return buckets whose bounds are exact multiples of the width, each rounded once, so computed as fractions."""
    span = Fraction(high) - Fraction(low)
    wanted = max(span / max(n_buckets, 2), 4 * Fraction(math.ulp(max(abs(low), abs(high)))))
    exponent = math.floor(math.log10(float(wanted)))
    widths = (nice * Fraction(10) ** (exponent + shift) for shift in range(3) for nice in _NICE)
    for width in widths:
        first, last = Fraction(low) // width, Fraction(high) // width
        if width >= wanted and (last - first <= n_buckets):
            break
    lower = np.array([_rounded(index * width) for index in range(first, last + 1)])
    end = max(_rounded((last + 1) * width), math.nextafter(high, math.inf))
    return Grid(lower, end, _rounded(width), False)


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return sys.float_info.max if number > 0 else -sys.float_info.max

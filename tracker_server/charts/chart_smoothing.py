"""How a chart's lines are smoothed: what a request may say, and its effect on a run's points. Pure."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .buckets import Widths, X, cell_of, choose_grid, fill_cells
from .smoothing import MAX_WEIGHT, Floats, ema, ema_of_means, gaussian, running_mean, time_weighted_ema

MAX_RAW_POINTS = 100_000
"""A run with more is smoothed over the means of cells."""

# Four a bucket of the widest chart, and fixed to the whole range of x: zooming does not move them.
_N_CELLS = 16_384
_PARAMETERS = {"ema": "weight", "time_weighted_ema": "half_life", "gaussian": "sigma", "running_mean": "window"}


class Smoothing(msgspec.Struct, forbid_unknown_fields=True):
    """How lines are smoothed; each kind has a parameter of its own, and all but `weight` are in units of x.

    ema: `weight`, the share kept per point. time_weighted_ema: `half_life`. gaussian: `sigma`, cut off at 4 sigma.
    running_mean: `window`, centred.
    """

    kind: Literal["none", "ema", "time_weighted_ema", "gaussian", "running_mean"] = "none"
    weight: float | None = None
    half_life: float | None = None
    sigma: float | None = None
    window: float | None = None

    def parameter(self) -> tuple[str, float] | None:
        """Return the name and value of what this kind is told, None where nothing is smoothed."""
        name = _PARAMETERS.get(self.kind)
        return None if name is None else (name, getattr(self, name))


def check_smoothing(smoothing: Smoothing) -> None:
    """Raise UsageError where the kind lacks its parameter, has another's, or is told a senseless one."""
    own = _PARAMETERS.get(smoothing.kind)
    for name in _PARAMETERS.values():
        value = getattr(smoothing, name)
        # A weight of 0 smooths nothing, so any kind may have it.
        if name != own and value is not None and not (name == "weight" and value == 0):
            expected = "no parameter" if own is None else own
            raise UsageError(f"smoothing.{name}", str(value), f"{expected}: kind is {smoothing.kind}", "leave it out")
    if own is None:
        return
    value = getattr(smoothing, own)
    if value is None:
        raise UsageError("smoothing", f"kind {smoothing.kind} alone", f"{own} too", f"add {own}")
    if own == "weight":
        if not 0 <= value <= MAX_WEIGHT:
            raise UsageError("smoothing.weight", str(value), f"0 to {MAX_WEIGHT}", "choose a weight inside it")
    elif not (math.isfinite(value) and value > 0):
        raise UsageError(f"smoothing.{own}", str(value), "a number above 0, in units of x", "choose such a number")


def smooth_points(
    x: X, values: NDArray[np.float64], smoothing: Smoothing, units: float, widths: Widths
) -> tuple[NDArray[np.float64] | None, bool]:
    """Return a run's smoothed values, None for kind none, and whether each was made of the raw points.

    Args:
        x: sorted as by `sort_by_x`.
        values: float64[n].
        smoothing: checked.
        units: how many of x's units are one of the request's: 10**9 where x is in ns and the request in seconds.
        widths: as for `choose_grid`.
    """
    if smoothing.kind == "none":
        return None, True
    if smoothing.kind == "ema":
        return ema(values, smoothing.weight or 0.0), True
    if len(x) <= MAX_RAW_POINTS:
        return _smoothed(x, values, smoothing, units), True
    grid = choose_grid([x], _N_CELLS, widths=widths)
    means = fill_cells(grid, x, values).mean
    smoothed = _smoothed(grid.lower, means, smoothing, units)[cell_of(grid, x)]
    return np.where(np.isfinite(values), smoothed, np.nan), False


def smooth_cells(x: X, means: Floats, counts: NDArray[np.int64], smoothing: Smoothing, units: float) -> Floats:
    """Return the smoothed means of cells, NaN where a cell has none.

    Args:
        x: int64[n], where the cells are, ascending.
        means: float64[n], of the finite values of each; NaN without any.
        counts: int64[n], how many these are.
        smoothing: checked, of a kind other than none.
        units: as for `smooth_points`.
    """
    if smoothing.kind != "ema":
        return _smoothed(x, means, smoothing, units)
    smoothed = np.full(len(means), np.nan)
    is_there = counts > 0
    smoothed[is_there] = ema_of_means(means[is_there], counts[is_there], smoothing.weight or 0.0)
    return smoothed


def _smoothed(x: X, values: NDArray[np.float64], smoothing: Smoothing, units: float) -> NDArray[np.float64]:
    if smoothing.half_life is not None:
        return time_weighted_ema(x, values, smoothing.half_life * units)
    if smoothing.sigma is not None:
        return gaussian(x, values, smoothing.sigma * units)
    if smoothing.window is not None:
        return running_mean(x, values, smoothing.window * units)
    raise AssertionError(f"{smoothing.kind} without its parameter")

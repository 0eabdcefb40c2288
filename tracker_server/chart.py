"""A chart: one metric of many runs on one x-grid, exactly. Reads from a `LocalFolder`; computes outside its lock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .buckets import Cells, Grid, Widths, X, choose_grid, fill_cells, sort_by_x
from .fold import SYSTEM_PREFIX
from .folder import LocalFolder
from .series import Series, align, align_by_time, numbers_only
from .smoothing import MAX_WEIGHT, ema

MAX_BUCKETS = 4096
MAX_RUNS = 2000
_METRIC_PREFIX = "metric:"
_LABELS = {"step": "step", "relative_time": "relative time", "wall_time": "wall time"}
_NS = 1_000_000_000
# float64 seconds since 1970 are this coarse; a range given in them must not lose the point that it was read off.
_WALL_TIME_GRAIN_NS = 500


class Smoothing(msgspec.Struct, forbid_unknown_fields=True):
    """How a line is smoothed: not at all, or by a debiased exponential moving average over the raw points."""

    kind: Literal["none", "ema"] = "none"
    weight: float = 0.0


class ChartRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to draw. `x` is step, relative_time, wall_time or metric:<key>; x_min and x_max are in units of x.

    `writer` is whose points are drawn; without it the primary writer's, or of system metrics those shown by default.
    """

    runs: list[str]
    metric: str
    x: str = "step"
    x_min: float | None = None
    x_max: float | None = None
    n_buckets: int = 390
    smoothing: Smoothing = msgspec.field(default_factory=Smoothing)
    writer: str | None = None


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One run on the grid. `n_points`, `n_nonfinite`, `last`, `min`, `max` are over all its points, zoomed or not."""

    id: str
    n_points: int
    n_nonfinite: int
    last: float | int
    min: float | int | None
    max: float | int | None
    cells: Cells


@dataclass(frozen=True, slots=True)
class Chart:
    """The answer: x of the cells (float64[n], ascending, in units of x) and a line per run that has the metric."""

    x: NDArray[np.float64]
    x_kind: str
    x_label: str
    is_exact: bool
    bucket_width: float | int | None
    x_min: float | None
    x_max: float | None
    smoothing: Smoothing
    lines: list[ChartLine]


def check_request(request: ChartRequest) -> None:
    """Raise UsageError where a request is out of bounds."""
    x_min, x_max = request.x_min, request.x_max
    if not 1 <= request.n_buckets <= MAX_BUCKETS:
        raise UsageError("n_buckets", str(request.n_buckets), f"1 to {MAX_BUCKETS}", "ask for about half the pixels")
    if len(request.runs) > MAX_RUNS:
        raise UsageError("runs", f"{len(request.runs)} runs", f"at most {MAX_RUNS}", "ask for fewer runs")
    if request.x not in _LABELS and not request.x.startswith(_METRIC_PREFIX):
        expected = "step, relative_time, wall_time or metric:<key>"
        raise UsageError("x", repr(request.x)[:200], expected, "choose one of these")
    if not 0 <= request.smoothing.weight <= MAX_WEIGHT:
        got = str(request.smoothing.weight)
        raise UsageError("smoothing.weight", got, f"0 to {MAX_WEIGHT}", "choose a weight inside it")
    if any(bound is not None and not math.isfinite(bound) for bound in (x_min, x_max)):
        raise UsageError("x_min, x_max", f"{x_min}, {x_max}", "finite numbers or null", "leave out an open end")
    if x_min is not None and x_max is not None and x_min > x_max:
        raise UsageError("x_min, x_max", f"{x_min}, {x_max}", "x_min <= x_max", "swap them")


def draw(folder: LocalFolder, project: str, request: ChartRequest) -> Chart:
    """Return the chart that `request` asks for. Runs that do not exist or lack the metric have no line.

    Raises:
        UsageError: the request is out of bounds.
    """
    check_request(request)
    runs = [run_id for run_id in dict.fromkeys(request.runs) if folder.has_run(project, run_id)]
    by_metric = request.x.startswith(_METRIC_PREFIX)
    found = folder.series_of(project, runs, request.metric, request.writer, with_order=by_metric)
    present = [(run_id, numbers_only(found[run_id])) for run_id in runs]
    present = [(run_id, series) for run_id, series in present if len(series)]
    xs = _xs(folder, project, request, present)
    points = [
        _Points(run_id, len(series), *sort_by_x(x, _as_drawn(series.values)), series.values)
        for (run_id, series), x in zip(present, xs, strict=True)
    ]
    bounds = _bounds(request)
    grid = choose_grid([p.x for p in points], request.n_buckets, *bounds, widths=_widths(request.x))
    lines = [_line(grid, p, request.smoothing) for p in points]
    return _chart(request, grid, points, lines)


@dataclass(frozen=True, slots=True)
class _Points:
    run_id: str
    n_points: int
    x: X
    values: NDArray[np.float64]
    logged: NDArray[Any]


def _as_drawn(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64, copy=False)


def _xs(
    folder: LocalFolder, project: str, request: ChartRequest, present: Sequence[tuple[str, Series]]
) -> list[NDArray[np.int64]] | list[NDArray[np.float64]]:
    """Return each series' x: int64 steps, int64 ns, or the float64 values of a metric."""
    kind = request.x
    if kind == "step":
        return [series.steps for _, series in present]
    if kind == "wall_time":
        return [series.wall_time_ns for _, series in present]
    if kind == "relative_time":
        return [series.wall_time_ns - folder.run(project, run_id).created_ns for run_id, series in present]
    x_metric = kind.removeprefix(_METRIC_PREFIX)
    others = folder.series_of(project, [run_id for run_id, _ in present], x_metric, request.writer)
    # Samples of the machine have no row in common with what was logged, and may be of another process.
    by_time = any(key.startswith(SYSTEM_PREFIX) for key in (request.metric, x_metric))
    place = align_by_time if by_time else align
    return [place(series, numbers_only(others[run_id])) for run_id, series in present]


def _is_time(kind: str) -> bool:
    return kind in ("relative_time", "wall_time")


def _widths(kind: str) -> Widths:
    return "binary" if kind == "step" else "decimal"


def _bounds(request: ChartRequest) -> tuple[int | float | None, int | float | None]:
    """Return the range asked for in the units that x is computed in."""
    if not _is_time(request.x):
        return request.x_min, request.x_max
    grain = _WALL_TIME_GRAIN_NS if request.x == "wall_time" else 0
    low = None if request.x_min is None else math.floor(request.x_min * _NS) - grain
    high = None if request.x_max is None else math.ceil(request.x_max * _NS) + grain
    return low, high


def _line(grid: Grid, points: _Points, smoothing: Smoothing) -> ChartLine:
    smooth = ema(points.values, smoothing.weight) if smoothing.kind == "ema" else None
    cells = fill_cells(grid, points.x, points.values, smooth)
    logged = points.logged
    finite = logged if logged.dtype == np.int64 else logged[np.isfinite(logged)]
    return ChartLine(
        points.run_id,
        points.n_points,
        len(logged) - len(finite),
        logged[-1].item(),
        finite.min().item() if len(finite) else None,
        finite.max().item() if len(finite) else None,
        cells,
    )


def _chart(request: ChartRequest, grid: Grid, points: Sequence[_Points], lines: list[ChartLine]) -> Chart:
    scale = _NS if _is_time(request.x) else 1
    width = grid.width if grid.width is None or scale == 1 else grid.width / scale
    starts = [p.x[0].item() for p in points if len(p.x)]
    ends = [p.x[-1].item() for p in points if len(p.x)]
    return Chart(
        x=grid.centres() / scale if scale != 1 else grid.centres(),
        x_kind=request.x,
        x_label=_LABELS.get(request.x, request.x.removeprefix(_METRIC_PREFIX)),
        is_exact=grid.is_exact,
        bucket_width=width,
        x_min=min(starts) / scale if starts else None,
        x_max=max(ends) / scale if ends else None,
        smoothing=request.smoothing,
        lines=lines,
    )

"""A chart: metrics of many runs on one x-grid, exactly. Reads from a `LocalFolder`; computes outside its lock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import UsageError

from .buckets import Cells, Grid, Widths, X, choose_grid, fill_cells, sort_by_x
from .chart_groups import GroupCells, GroupRequest, group_cells
from .chart_smoothing import Smoothing, check_smoothing, smooth_points
from .fold import SYSTEM_PREFIX
from .folder import LocalFolder
from .series import Series, align, align_by_time, numbers_only

MAX_BUCKETS = 4096
MAX_RUNS = 2000
MAX_GROUPS = 200
_METRIC_PREFIX = "metric:"
_LABELS = {"step": "step", "relative_time": "relative time", "wall_time": "wall time"}
_NS = 1_000_000_000
# float64 seconds since 1970 are this coarse; a range given in them must not lose the point that it was read off.
_WALL_TIME_GRAIN_NS = 500


class ChartRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to draw: `metric`, or `metrics`, of `runs`, and of `groups` of runs.

    `x` is step, relative_time, wall_time or metric:<key>; x_min and x_max are in units of x. `writer` is whose points
    are drawn; without it the primary writer's, or of system metrics those shown by default.
    """

    runs: list[str] = []
    metric: str | None = None
    x: str = "step"
    x_min: float | None = None
    x_max: float | None = None
    n_buckets: int = 390
    smoothing: Smoothing = msgspec.field(default_factory=Smoothing)
    writer: str | None = None
    metrics: list[str] = []
    groups: list[GroupRequest] = []

    def all_metrics(self) -> list[str]:
        """Return the metrics, each once."""
        return list(dict.fromkeys([*([] if self.metric is None else [self.metric]), *self.metrics]))


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A metric of one run on the grid.

    `n_points`, `n_nonfinite`, `last`, `min`, `max` are over all its points, zoomed or not.
    """

    id: str
    metric: str
    n_points: int
    n_nonfinite: int
    last: float | int
    min: float | int | None
    max: float | int | None
    cells: Cells


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """A metric of a group on the grid: `n_runs` members have it, with `n_points` together."""

    name: str
    metric: str
    n_runs: int
    n_points: int
    cells: GroupCells


@dataclass(frozen=True, slots=True)
class Chart:
    """The answer: x of the cells (float64[n], ascending, in units of x) and a line per run and metric that it has.

    With `is_smoothed_raw` False some run had so many points that means of them were smoothed.
    """

    x: NDArray[np.float64]
    x_kind: str
    x_label: str
    is_exact: bool
    bucket_width: float | int | None
    x_min: float | None
    x_max: float | None
    smoothing: Smoothing
    is_smoothed_raw: bool
    lines: list[ChartLine]
    groups: list[ChartGroup]


def check_request(request: ChartRequest) -> None:
    """Raise UsageError where a request is out of bounds."""
    x_min, x_max = request.x_min, request.x_max
    if not 1 <= request.n_buckets <= MAX_BUCKETS:
        raise UsageError("n_buckets", str(request.n_buckets), f"1 to {MAX_BUCKETS}", "ask for about half the pixels")
    _check_lines(request)
    if request.x not in _LABELS and not request.x.startswith(_METRIC_PREFIX):
        expected = "step, relative_time, wall_time or metric:<key>"
        raise UsageError("x", repr(request.x)[:200], expected, "choose one of these")
    check_smoothing(request.smoothing)
    if any(bound is not None and not math.isfinite(bound) for bound in (x_min, x_max)):
        raise UsageError("x_min, x_max", f"{x_min}, {x_max}", "finite numbers or null", "leave out an open end")
    if x_min is not None and x_max is not None and x_min > x_max:
        raise UsageError("x_min, x_max", f"{x_min}, {x_max}", "x_min <= x_max", "swap them")


def _check_lines(request: ChartRequest) -> None:
    if not request.all_metrics():
        raise UsageError("metric", "none", "the key of a metric, or several in metrics", "say what to draw")
    if len(request.runs) > MAX_RUNS:
        raise UsageError("runs", f"{len(request.runs)} runs", f"at most {MAX_RUNS}", "ask for fewer runs")
    names = [group.name for group in request.groups]
    if len(names) > MAX_GROUPS:
        raise UsageError("groups", f"{len(names)} groups", f"at most {MAX_GROUPS}", "ask for fewer groups")
    if len(set(names)) < len(names):
        raise UsageError("groups", "a name twice", "a name of its own for each group", "rename one")
    members = {run_id for group in request.groups for run_id in group.runs}
    n_lines = len(members.union(request.runs)) * len(request.all_metrics())
    if n_lines > MAX_RUNS:
        got = f"{n_lines} lines: runs, those of groups too, times metrics"
        raise UsageError("runs, groups, metrics", got, f"at most {MAX_RUNS}", "ask for fewer runs or metrics")


def draw(folder: LocalFolder, project: str, request: ChartRequest) -> Chart:
    """Return the chart that `request` asks for. Runs that do not exist or lack the metric have no line.

    Raises:
        UsageError: the request is out of bounds.
    """
    check_request(request)
    wanted = dict.fromkeys([*request.runs, *(run_id for group in request.groups for run_id in group.runs)])
    runs = [run_id for run_id in wanted if folder.has_run(project, run_id)]
    points = [one for key in request.all_metrics() for one in _points(folder, project, request, runs, key)]
    widths = _widths(request.x)
    grid = choose_grid([p.x for p in points], request.n_buckets, *_bounds(request), widths=widths)
    units = _NS if _is_time(request.x) else 1
    is_raw = True
    lines = []
    for one in points:
        smooth, is_of_raw = smooth_points(one.x, one.values, request.smoothing, units, widths)
        is_raw = is_raw and is_of_raw
        lines.append(_line(one, fill_cells(grid, one.x, one.values, smooth)))
    return _chart(request, grid, points, lines, is_raw)


def _points(
    folder: LocalFolder, project: str, request: ChartRequest, runs: Sequence[str], key: str
) -> Iterator[_Points]:
    """Yield a metric of the runs that have it."""
    by_metric = request.x.startswith(_METRIC_PREFIX)
    found = folder.series_of(project, runs, key, request.writer, with_order=by_metric)
    present = [(run_id, numbers_only(found[run_id])) for run_id in runs]
    present = [(run_id, series) for run_id, series in present if len(series)]
    xs = _xs(folder, project, request, key, present)
    for (run_id, series), x in zip(present, xs, strict=True):
        yield _Points(run_id, key, len(series), *sort_by_x(x, _as_drawn(series.values)), series.values)


@dataclass(frozen=True, slots=True)
class _Points:
    run_id: str
    metric: str
    n_points: int
    x: X
    values: NDArray[np.float64]
    logged: NDArray[Any]


def _as_drawn(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64, copy=False)


def _xs(
    folder: LocalFolder, project: str, request: ChartRequest, key: str, present: Sequence[tuple[str, Series]]
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
    by_time = any(name.startswith(SYSTEM_PREFIX) for name in (key, x_metric))
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


def _line(points: _Points, cells: Cells) -> ChartLine:
    logged = points.logged
    finite = logged if logged.dtype == np.int64 else logged[np.isfinite(logged)]
    return ChartLine(
        points.run_id,
        points.metric,
        points.n_points,
        len(logged) - len(finite),
        logged[-1].item(),
        finite.min().item() if len(finite) else None,
        finite.max().item() if len(finite) else None,
        cells,
    )


def _groups(request: ChartRequest, lines: Sequence[ChartLine], n_cells: int) -> Iterator[ChartGroup]:
    by_place = {(line.metric, line.id): line for line in lines}
    for key in request.all_metrics():
        for group in request.groups:
            places = [(key, run_id) for run_id in dict.fromkeys(group.runs)]
            members = [by_place[place] for place in places if place in by_place]
            cells = group_cells([line.cells for line in members], n_cells)
            yield ChartGroup(group.name, key, len(members), sum(line.n_points for line in members), cells)


def _chart(
    request: ChartRequest, grid: Grid, points: Sequence[_Points], lines: list[ChartLine], is_smoothed_raw: bool
) -> Chart:
    scale = _NS if _is_time(request.x) else 1
    width = grid.width if grid.width is None or scale == 1 else grid.width / scale
    starts = [p.x[0].item() for p in points if len(p.x)]
    shown = set(request.runs)
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
        is_smoothed_raw=is_smoothed_raw,
        lines=[line for line in lines if line.id in shown],
        groups=list(_groups(request, lines, len(grid.lower))),
    )

"""A chart: metrics of many runs on one x-grid, exactly. Reads from a `LocalFolder`; computes outside its lock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import NotFoundError, UsageError

from ..ingest.fold import SYSTEM_PREFIX
from ..query.folder import LocalFolder
from ..query.metric_source import LineJournals, MetricSource
from ..query.series import Series, align, align_by_time, numbers_only
from ..store.store_lines import Axis
from .buckets import Cells, Grid, Widths, X, choose_grid, fill_line, sort_by_x
from .chart_by_metric import fill_by_metric
from .chart_groups import GroupCells, GroupRequest, group_cells
from .chart_plan import MAX_POINTS, LinePlan, Read, View, fill_lines, plan_line
from .chart_smooth_lines import smooth_lines
from .chart_smoothing import Smoothing, check_smoothing, smooth_points

MAX_BUCKETS = 4096
MAX_RUNS = 2000
MAX_GROUPS = 200
_METRIC_PREFIX = "metric:"
_LABELS = {"step": "step", "relative_time": "relative time", "wall_time": "wall time"}
_NS = 1_000_000_000
# float64 seconds since 1970 are this coarse; a range given in them must not lose the point that it was read off.
_WALL_TIME_GRAIN_NS = 500
_FAR_S = 1e12
# Of all lines together; fewer are read whole, which is as quick.
MAX_WHOLE_POINTS = 100_000
_ATTEMPTS = 3

T = TypeVar("T")


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

    With `is_smoothed_raw` False some run had so many points that means of them were smoothed. `x_error`, in units of x,
    is how far from its bucket a point that is counted there can lie at most; 0 means not at all.
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
    x_error: float = 0.0


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
    for _ in range(_ATTEMPTS - 1):
        with suppress(NotFoundError):  # a run was deleted meanwhile
            return _draw(folder, project, request)
    return _draw(folder, project, request)


def _draw(folder: LocalFolder, project: str, request: ChartRequest) -> Chart:
    wanted = dict.fromkeys([*request.runs, *(run_id for group in request.groups for run_id in group.runs)])
    runs = folder.known_runs(project, wanted)
    is_by_metric = request.x.startswith(_METRIC_PREFIX)
    plans = _plans(folder, project, request, runs, MAX_POINTS if is_by_metric else MAX_WHOLE_POINTS)
    if plans is None:
        return _draw_points(folder, project, request, runs)
    if is_by_metric:
        return _draw_by_metric(folder, project, request, plans) or _draw_points(folder, project, request, runs)
    return _draw_plans(folder, project, request, plans)


def _draw_points(folder: LocalFolder, project: str, request: ChartRequest, runs: Sequence[str]) -> Chart:
    """Draw from all points of all runs."""
    points = [one for key in request.all_metrics() for one in _points(folder, project, request, runs, key)]
    widths = _widths(request.x)
    grid = choose_grid([p.x for p in points], request.n_buckets, *_bounds(request), widths=widths)
    units = _NS if _is_time(request.x) else 1
    is_raw = True
    lines = []
    for one in points:
        smooth, is_of_raw = smooth_points(one.x, one.values, request.smoothing, units, widths)
        is_raw = is_raw and is_of_raw
        lines.append(_line(one, fill_line(grid, one.x, one.values, *_bounds(request), smooth)))
    ends = [(p.x[0].item(), p.x[-1].item()) for p in points if len(p.x)]
    return _chart(request, grid, ends, lines, is_raw)


def _plans(
    folder: LocalFolder, project: str, request: ChartRequest, runs: Sequence[str], max_points: int
) -> list[LinePlan] | None:
    """Return the lines of a chart of more points than that, None where all points are to be read."""
    found: dict[str, list[LineJournals]] = {}
    for key in request.all_metrics():
        lines = folder.lines_of(project, runs, key, request.writer)
        if lines is None or any(line.has_objects for line in lines):
            return None
        found[key] = lines
    if sum(line.n_points for lines in found.values() for line in lines) <= max_points:
        return None
    starts = {run_id: folder.run(project, run_id).created_ns for run_id in runs} if request.x == "relative_time" else {}
    plans: list[LinePlan] = []
    for key, lines in found.items():
        extents = folder.ask_metric(project, runs, key, request.writer, lambda source: source.extents())
        plans += [
            plan for line in lines for plan in [plan_line(key, line, extents, starts.get(line.run_id, 0))] if plan
        ]
    return plans or None


def _reader(folder: LocalFolder, project: str, request: ChartRequest, plans: Sequence[LinePlan]) -> Read:
    runs = list(dict.fromkeys(plan.run_id for plan in plans))

    def read(key: str, question: Callable[[MetricSource], T], /) -> T:
        return folder.ask_metric(project, runs, key, request.writer, question)

    return read


def _draw_by_metric(
    folder: LocalFolder, project: str, request: ChartRequest, plans: Sequence[LinePlan]
) -> Chart | None:
    """Draw over another metric; None where that takes all points."""
    x_key = request.x.removeprefix(_METRIC_PREFIX)
    if request.smoothing.kind != "none" or any(
        key.startswith(SYSTEM_PREFIX) for key in (x_key, *request.all_metrics())
    ):
        return None
    runs = list(dict.fromkeys(plan.run_id for plan in plans))
    lines = {line.run_id: line for line in folder.lines_of(project, runs, x_key, request.writer) or []}
    folds = {run_id: line.fold for run_id, line in lines.items() if line.fold and line.fold.stats.n}
    if len(folds) < len(runs) or any(line.has_objects for line in lines.values()):
        return None
    ends = {run_id: (float(fold.stats.min), float(fold.stats.max)) for run_id, fold in folds.items()}
    extent = (min(low for low, _ in ends.values()), max(high for _, high in ends.values()))
    view = View("step", request.n_buckets, request.x_min, request.x_max)
    filled = fill_by_metric(_reader(folder, project, request, plans), plans, x_key, extent, view)
    if filled is None:
        return None
    drawn = [_planned_line(plan, own) for plan, own in zip(plans, filled.cells, strict=True)]
    return _chart(request, filled.grid, list(ends.values()), drawn, True, filled.x_error)


def _draw_plans(folder: LocalFolder, project: str, request: ChartRequest, plans: Sequence[LinePlan]) -> Chart:
    read = _reader(folder, project, request, plans)
    axis: Axis = "step" if request.x == "step" else "time"
    view = View(axis, request.n_buckets, *_bounds(request))
    filled = fill_lines(read, plans, view)
    cells, is_raw = filled.cells, True
    if request.smoothing.kind != "none":
        units = 1 if axis == "step" else _NS
        cells, is_raw = smooth_lines(read, plans, view, filled, request.smoothing, units)
    lines = [_planned_line(plan, own) for plan, own in zip(plans, cells, strict=True)]
    return _chart(request, filled.grid, [plan.bounds(axis) for plan in plans], lines, is_raw, filled.x_error)


def _planned_line(plan: LinePlan, cells: Cells) -> ChartLine:
    stats, is_integer = plan.fold.stats, plan.fold.is_integer
    last, low, high = ((one if is_integer else float(one)) for one in (stats.last, stats.min, stats.max))
    if not stats.n:
        return ChartLine(plan.run_id, plan.metric, plan.n_points, stats.n_nonfinite, last, None, None, cells)
    return ChartLine(plan.run_id, plan.metric, plan.n_points, stats.n_nonfinite, last, low, high, cells)


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
    # No time is so far away, and the largest floats would overflow.
    x_min, x_max = (None if end is None else min(max(end, -_FAR_S), _FAR_S) for end in (request.x_min, request.x_max))
    low = None if x_min is None else math.floor(x_min * _NS) - grain
    high = None if x_max is None else math.ceil(x_max * _NS) + grain
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
    request: ChartRequest,
    grid: Grid,
    ends: Sequence[tuple[int | float, int | float]],
    lines: list[ChartLine],
    is_smoothed_raw: bool,
    x_error: float = 0.0,
) -> Chart:
    """Put the answer together; `ends` are the lowest and highest x of each line that has any."""
    scale = _NS if _is_time(request.x) else 1
    width = grid.width if grid.width is None or scale == 1 else grid.width / scale
    shown = set(request.runs)
    return Chart(
        x=grid.centres() / scale if scale != 1 else grid.centres(),
        x_kind=request.x,
        x_label=_LABELS.get(request.x, request.x.removeprefix(_METRIC_PREFIX)),
        is_exact=grid.is_exact,
        bucket_width=width,
        x_min=min(low for low, _ in ends) / scale if ends else None,
        x_max=max(high for _, high in ends) / scale if ends else None,
        smoothing=request.smoothing,
        is_smoothed_raw=is_smoothed_raw,
        lines=[line for line in lines if line.id in shown],
        groups=list(_groups(request, lines, len(grid.lower))),
        x_error=x_error / scale,
    )

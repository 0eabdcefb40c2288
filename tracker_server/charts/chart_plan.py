"""Charts of many points: which cells and points to read for all lines of a chart, and only these.

By step a chart is exact: its buckets are made of cells of a level that divides them, and of the points of rows that
have no such cells. By time it is exact as long as not too many points are shown; beyond, a cell is put where its middle
lies, and the chart says by how much a point can be misplaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import groupby
from typing import Protocol, TypeVar

from ..ingest.metric_fold import MetricFold
from ..query.metric_source import LineJournals, MetricSource, union
from ..query.series import PointPart, Points
from ..store.store_lines import EVERYTHING, Axis, Bounds, CellPart, Extent
from . import cells
from .buckets import Cells, Grid, Widths, choose_grid, fill_cells, fill_line, integer_buckets, shown_range
from .chart_fill import LineParts, cells_on_grid, merged_steps, merged_times, n_distinct, n_distinct_steps

# By time: as long as no more points are shown, a chart is made of these alone.
MAX_POINTS = 2_000_000
# By time: so many cells in a bucket at least, on average.
CELLS_PER_BUCKET = 2

T = TypeVar("T")
Number = int | float
Found = tuple[dict[str, list[CellPart]], dict[str, list[PointPart]]]


class Read(Protocol):
    """Asks a question about one metric of all runs of a chart."""

    def __call__(self, metric: str, question: Callable[[MetricSource], T], /) -> T:
        """Return the answer."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """One line that has points. x is its steps, or its wall times less `offset`, in ns."""

    run_id: str
    metric: str
    names: tuple[str, ...]
    fold: MetricFold
    extent: Extent
    offset: int

    @property
    def n_points(self) -> int:
        """How many it has, finite or not."""
        return self.fold.stats.n + self.fold.stats.n_nonfinite

    def bounds(self, axis: Axis) -> Bounds:
        """Return its ends in x."""
        low, high = self.extent.bounds(axis)
        return low - self.offset, high - self.offset


def plan_line(metric: str, line: LineJournals, extents: Mapping[str, Extent], offset: int) -> LinePlan | None:
    """Return the plan of a line, None where it has no points."""
    own = [extents[name] for name in line.names if name in extents]
    if line.fold is None or not own:
        return None
    whole = reduce(union, own)
    return LinePlan(line.run_id, metric, line.names, line.fold, whole, offset)


@dataclass(frozen=True, slots=True)
class View:
    """What part of x is asked for, in how many buckets."""

    axis: Axis
    n_buckets: int
    x_min: Number | None
    x_max: Number | None

    @property
    def widths(self) -> Widths:
        """What widths of buckets look right."""
        return "binary" if self.axis == "step" else "decimal"

    def shown(self, lines: Sequence[LinePlan]) -> tuple[int, int]:
        """Return the range asked for, as far as there is anything; the first is larger where there is nothing."""
        low, high = shown_range(*self.extent(lines), self.x_min, self.x_max)
        return int(low), int(high)

    def extent(self, lines: Sequence[LinePlan]) -> Bounds:
        """Return the lowest and highest x of all lines."""
        ends = [line.bounds(self.axis) for line in lines]
        return min(low for low, _ in ends), max(high for _, high in ends)


@dataclass(frozen=True, slots=True)
class Filled:
    """All lines on one grid. `x_error` is how far from its bucket a point can lie at most, in x."""

    grid: Grid
    cells: list[Cells]
    x_error: float


def fill_lines(read: Read, lines: Sequence[LinePlan], view: View) -> Filled:
    """Return the lines on the grid that the view asks for.

    Args:
        read: how to ask.
        lines: at least one; those of a metric are neighbours.
        view: the view.
    """
    filled = _by_steps(read, lines, view) if view.axis == "step" else _by_times(read, lines, view)
    return filled or _by_points(read, lines, view)


def _by_steps(read: Read, lines: Sequence[LinePlan], view: View) -> Filled | None:
    """Fill buckets of steps; None where so few different steps are shown that each is a cell of its own."""
    low, high = view.shown(lines)
    limit = 2 * view.n_buckets
    if high - low + 1 <= limit:
        return None
    grid = integer_buckets(low, high, view.n_buckets, "binary")
    assert isinstance(grid.width, int)
    level = grid.width.bit_length() - 1
    first = low >> level
    wanted = (max(first << level, EVERYTHING[0]), min((first + len(grid.lower) << level) - 1, EVERYTHING[1]))

    def ask(source: MetricSource, ranges: Mapping[str, Bounds]) -> Found:
        return source.cells(level, "step", ranges), source.points(level, "step", ranges)

    filled, n_steps = [], 0
    for parts in read_parts(read, lines, wanted, ask):
        table = merged_steps(parts, level, (first, first + len(grid.lower))) if parts.has_cells else None
        if table is None:
            points = parts.joined()
            n_steps = n_steps if n_steps > limit else max(n_steps, n_distinct(points.x, low, high))
            filled.append(fill_cells(grid, points.x, points.values))
        else:
            n_steps = max(n_steps, n_distinct_steps(table, level, low, high))
            filled.append(cells_on_grid(grid, table, first))
    return Filled(grid, filled, 0) if n_steps > limit else None


def _by_times(read: Read, lines: Sequence[LinePlan], view: View) -> Filled | None:
    """Fill buckets of time from cells; None where so few points are shown that they can be read."""
    low, high = view.shown(lines)
    if low > high or _n_rows(read, lines, (low, high)) <= MAX_POINTS:
        return None
    grid = integer_buckets(low, high, view.n_buckets, "decimal")
    assert isinstance(grid.width, int)
    width, first = grid.width, low // grid.width
    wanted = (int(grid.lower[0]), int(grid.lower[-1]) + width - 1)
    filled: dict[int, Cells] = {}
    error = 0
    for level, places in _by_level(lines, width).items():

        def ask(source: MetricSource, ranges: Mapping[str, Bounds], level: int = level) -> Found:
            return source.cells(level, "time", ranges), source.points(level, "time", ranges)

        own = [lines[place] for place in places]
        for place, parts in zip(places, read_parts(read, own, wanted, ask), strict=True):
            shown = (first, first + len(grid.lower))
            table, displaced = merged_times(parts, width, lines[place].offset, shown)
            error = max(error, displaced)
            filled[place] = cells_on_grid(grid, table, first)
    return Filled(grid, [filled[place] for place in range(len(lines))], error)


def _by_level(lines: Sequence[LinePlan], width: int) -> dict[int, list[int]]:
    """Return the places of the lines by the level of whose cells some are in a bucket of time, on average."""
    found: dict[int, list[int]] = {}
    for place, line in enumerate(lines):
        level = max(level_of_times(line.extent, width), lowest_level(line.extent))
        found.setdefault(level, []).append(place)
    return found


def level_of_times(extent: Extent, width: int) -> int:
    """Return the level of whose cells some lie in a bucket of time, on average."""
    n_steps = extent.max_step - extent.min_step + 1
    duration = extent.max_time - extent.min_time + 1
    return max((n_steps * width // (duration * CELLS_PER_BUCKET)).bit_length() - 1, 0)


def lowest_level(extent: Extent) -> int:
    """Return a level that rows have cells of, or of the one below it, wherever they have any."""
    n_steps = extent.max_step - extent.min_step + 1
    return (cells.MIN_ROWS_PER_CELL * n_steps // extent.n_rows).bit_length() + 1


def _n_rows(read: Read, lines: Sequence[LinePlan], wanted: Bounds) -> int:
    total = 0
    for metric, own in by_metric(lines):
        ranges = _ranges(own, wanted)
        total += read(metric, partial(count_rows, "time", ranges))
    return total


def count_rows(axis: Axis, ranges: Mapping[str, Bounds], source: MetricSource) -> int:
    """Return about how many rows lie in each journal's range."""
    return source.n_rows(axis, ranges)


def _by_points(read: Read, lines: Sequence[LinePlan], view: View) -> Filled:
    """Fill the grid from the points that are shown, and the next on either side."""
    low, high = view.shown(lines)
    if low > high:
        bounds = (view.x_min, view.x_max)
        low, high = (int(end) if bound is None else round(bound) for bound, end in zip(bounds, EVERYTHING, strict=True))
    points = _points(read, lines, view, (low, high))
    xs = [one.x for one in points]
    grid = choose_grid(xs, view.n_buckets, view.x_min, view.x_max, view.widths, view.extent(lines))
    return Filled(grid, [fill_line(grid, one.x, one.values, view.x_min, view.x_max) for one in points], 0)


def _points(read: Read, lines: Sequence[LinePlan], view: View, wanted: Bounds) -> list[Points]:
    def ask(source: MetricSource, ranges: Mapping[str, Bounds]) -> Found:
        return {}, source.points(-1, view.axis, ranges, True)

    found = zip(lines, read_parts(read, lines, wanted, ask), strict=True)
    joined = [(line, parts.joined()) for line, parts in found]
    return [replace(one, x=one.x - line.offset) if line.offset else one for line, one in joined]


def read_parts(
    read: Read,
    lines: Sequence[LinePlan],
    wanted: Bounds,
    ask: Callable[[MetricSource, Mapping[str, Bounds]], Found],
) -> Iterator[LineParts]:
    """Yield what `ask` reads of each line.

    Args:
        read, lines: as for `fill_lines`.
        wanted: in which range of x.
        ask: is given a metric, and the range of each journal in its own steps or times.
    """
    for metric, own in by_metric(lines):
        cells, points = read(metric, partial(_ask, ask, _ranges(own, wanted)))
        for line in own:
            of_cells = [cells.get(name, []) for name in line.names]
            yield LineParts(of_cells, [points.get(name, []) for name in line.names])


def _ask(
    ask: Callable[[MetricSource, Mapping[str, Bounds]], Found], ranges: Mapping[str, Bounds], source: MetricSource
) -> Found:
    return ask(source, ranges)


def by_metric(lines: Sequence[LinePlan]) -> Iterator[tuple[str, list[LinePlan]]]:
    """Yield each metric with its lines, which are neighbours."""
    for metric, own in groupby(lines, key=lambda line: line.metric):
        yield metric, list(own)


def _ranges(lines: Sequence[LinePlan], wanted: Bounds) -> dict[str, Bounds]:
    """Return the range in each journal's own steps or times."""
    lowest, highest = EVERYTHING
    return {
        name: (
            min(max(wanted[0] + line.offset, lowest), highest),
            min(max(wanted[1] + line.offset, lowest), highest),
        )
        for line in lines
        for name in line.names
    }

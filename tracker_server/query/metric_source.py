"""One metric of many journals for a chart: what is sealed and what is still in memory, told apart by nobody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ingest.journal_tail import JournalTail
from ..ingest.metric_fold import MetricFold
from ..ingest.row_blocks import OBJECT_CODE, RowBlock
from ..runs.run_view import merged_folds
from ..store.store_lines import Axis, Bounds, CellPart, Extent, ObjectChunk, SealedMetric
from .series import PointPart

_END = 1 << 62


@dataclass(frozen=True, slots=True)
class LineJournals:
    """Where the points of one metric of one run are.

    Attributes:
        run_id: the run.
        names: the journals that may have some, in the order of their sessions.
        fold: what the numbers add up to, None where there are none.
        has_objects: whether values of other kinds were logged too.
    """

    run_id: str
    names: tuple[str, ...]
    fold: MetricFold | None
    has_objects: bool

    @property
    def n_points(self) -> int:
        """How many numbers were logged, finite or not."""
        return 0 if self.fold is None else self.fold.stats.n + self.fold.stats.n_nonfinite


def line_journals(run_id: str, tails: Sequence[JournalTail], key: str, is_system: bool) -> LineJournals:
    """Return where a metric of a run is, in these journals of it."""
    folds = []
    for tail in tails:
        metrics = tail.fold.details().system if is_system else tail.fold.metrics
        folds.append({key: metrics[key]} if key in metrics else {})
    has_objects = not is_system and any(key in tail.fold.objects for tail in tails)
    names = tuple(tail.found.name for tail in tails)
    return LineJournals(run_id, names, merged_folds(folds).get(key), has_objects)


@dataclass(frozen=True, slots=True)
class ObjectPlaces:
    """Where values are that are no numbers; all arrays int64[n]. `values` reads those at ascending places."""

    journal: str
    steps: NDArray[np.int64]
    wall_time_ns: NDArray[np.int64]
    sequences: NDArray[np.int64]
    values: Callable[[Sequence[int]], list[Any]]


class MetricSource:
    """A metric of journals that are told by name, within one read transaction.

    Args:
        sealed: what the index has.
        tails: the journals.
        key: the metric.
        is_system: whether of samples of the machine.
    """

    def __init__(self, sealed: SealedMetric, tails: Sequence[JournalTail], key: str, is_system: bool) -> None:
        self._sealed = sealed
        self._tails = tails
        self._key = key
        self._is_system = is_system

    def extents(self) -> dict[str, Extent]:
        """Return the bounds of the rows of each journal that has the metric."""
        found = self._sealed.extents()
        for name, block, _ in self._blocks():
            steps, times = block.steps, block.wall_time_ns
            bounds = (int(steps.min()), int(steps.max()), int(times.min()), int(times.max()))
            known = found.get(name)
            more = Extent(len(block), *bounds)
            found[name] = more if known is None else union(known, more)
        return found

    def n_rows(self, axis: Axis, ranges: Mapping[str, Bounds]) -> int:
        """Return about how many rows lie in each journal's range, never fewer than do."""
        in_memory = sum(len(block) for name, block, _ in self._blocks() if name in ranges)
        return self._sealed.n_rows(axis, ranges) + in_memory

    def cells(self, level: int, axis: Axis, ranges: Mapping[str, Bounds]) -> dict[str, list[CellPart]]:
        """Return cells as `SealedMetric.cells` does."""
        return self._sealed.cells(level, axis, ranges)

    def points(
        self,
        finest_above: int,
        axis: Axis,
        ranges: Mapping[str, Bounds],
        with_neighbours: bool = False,
    ) -> dict[str, list[PointPart]]:
        """Return points as `SealedMetric.points` does, and all that are in memory."""
        found = self._sealed.points(finest_above, axis, ranges, with_neighbours)
        for name, block, column in self._blocks():
            if name in ranges:
                found.setdefault(name, []).append(_part(block, column, axis))
        return found

    def objects(self) -> list[ObjectPlaces]:
        """Return where the values are that are no numbers: journal after journal, each in the order logged."""
        found = [
            ObjectPlaces(chunk.journal, chunk.steps, chunk.wall_time_ns, chunk.sequences, partial(self._values, chunk))
            for chunk in self._sealed.objects()
        ]
        for name, block, column in self._blocks():
            if block.codes[column] == OBJECT_CODE:
                values = block.column(column)
                steps, times = np.ascontiguousarray(block.steps), np.ascontiguousarray(block.wall_time_ns)
                found.append(ObjectPlaces(name, steps, times, block.sequences, partial(_at, values)))
        places = {tail.found.name: place for place, tail in enumerate(self._tails)}
        return sorted(found, key=lambda part: (places[part.journal], int(part.sequences[0])))

    def _values(self, chunk: ObjectChunk, places: Sequence[int]) -> list[Any]:
        return self._sealed.object_values(chunk, places)

    def _blocks(self) -> Iterator[tuple[str, RowBlock, int]]:
        for tail in self._tails:
            name = tail.found.name
            for block, column in tail.rows.columns(self._key, self._is_system):
                rest = block.between(self._sealed.next_sequences.get(name, 0), _END)
                if len(rest):
                    yield name, rest, column


def _at(values: NDArray[Any], places: Sequence[int]) -> list[Any]:
    return [values[place] for place in places]


def _part(block: RowBlock, column: int, axis: Axis) -> PointPart:
    x = np.ascontiguousarray(block.steps if axis == "step" else block.wall_time_ns)
    first, last = int(block.sequences[0]), int(block.sequences[-1])
    return PointPart(first, last, x, block.column(column), lambda: block.sequences)


def union(one: Extent, other: Extent) -> Extent:
    """Return the bounds of both."""
    return Extent(
        one.n_rows + other.n_rows,
        min(one.min_step, other.min_step),
        max(one.max_step, other.max_step),
        min(one.min_time, other.min_time),
        max(one.max_time, other.max_time),
    )

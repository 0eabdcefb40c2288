"""What of a run can be exported, as columns in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracker_core.api import ApiRun
from tracker_core.errors import NotFoundError

from ..query.console_log import without_ansi

What = Literal["history", "points", "system", "console"]
Type = Literal["int", "float", "time", "text", "any"]
WHATS: tuple[What, ...] = ("history", "points", "system", "console")
PART_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ExportTable:
    """A table of a run.

    Attributes:
        columns: names and types: int, float, time (int nanoseconds since the Unix epoch), text, or any (what was logged
            with other values than numbers).
        n_rows: how many rows there are, where that is known beforehand.
        parts: lists of rows, each a list of one value per column; None where there is none.
    """

    columns: list[tuple[str, Type]]
    n_rows: int | None
    parts: Iterator[list[list[Any]]]


def table_of(run: ApiRun, what: What, keys: Sequence[str] | None = None) -> ExportTable:
    """Return a table of a run.

    Args:
        run: the run.
        what: history has a row per step, as `ApiRun.history`; points one per logged value; system one per sample of
            the machine; console one per line of output.
        keys: the metrics wanted; None for all.

    Raises:
        NotFoundError: the run has none of a metric.
    """
    if what == "console":
        return _console(run)
    known = run.system_keys() if what == "system" else [*run.keys(), *_other_keys(run)]
    wanted = list(dict.fromkeys(known if keys is None else keys))
    if what == "points":
        return _points(run, wanted)
    return _wide(run, wanted, by_time=what == "system")


def _other_keys(run: ApiRun) -> list[str]:
    """Return the keys that were never logged with a number."""
    metrics, found = set(run.keys()), []
    for key in run.summary:
        if key not in metrics:
            try:
                run.series(key)
            except NotFoundError:  # set in the summary, not logged
                continue
            found.append(key)
    return found


def _type_of(values: NDArray[Any]) -> Type:
    return "any" if values.dtype == object else "int" if np.issubdtype(values.dtype, np.integer) else "float"


def _wide(run: ApiRun, keys: Sequence[str], by_time: bool) -> ExportTable:
    """Return a row per step, or per sample, with a column per metric: of values at one place the latest."""
    series = {key: run.series(key) for key in keys}
    places = [one.wall_time_ns if by_time else one.steps for one in series.values()]
    rows = np.unique(np.concatenate(places)) if places else np.empty(0, np.int64)
    steps, times = np.zeros(len(rows), np.int64), np.full(len(rows), np.iinfo(np.int64).min)
    latest: list[NDArray[np.int64]] = []
    for one, place in zip(series.values(), places, strict=True):
        index = np.full(len(rows), -1)
        row = np.searchsorted(rows, place)
        index[row] = np.arange(len(place))  # of equal places the last one assigned stays
        latest.append(index)
        has = index >= 0
        steps[has] = one.steps[index[has]]
        times[has] = np.maximum(times[has], one.wall_time_ns[index[has]])
    types = [(key, _type_of(one.values)) for key, one in series.items()]
    columns = [one.values for one in series.values()]
    parts = _wide_parts(steps, times, columns, latest)
    return ExportTable([("_step", "int"), ("_timestamp", "time"), *types], len(rows), parts)


def _wide_parts(
    steps: NDArray[np.int64],
    times: NDArray[np.int64],
    columns: Sequence[NDArray[Any]],
    latest: Sequence[NDArray[np.int64]],
) -> Iterator[list[list[Any]]]:
    for start in range(0, len(steps), PART_ROWS):
        part = slice(start, start + PART_ROWS)
        cells = [steps[part].tolist(), times[part].tolist()]
        for values, index in zip(columns, latest, strict=True):
            found = values[index[part]].tolist()
            cells.append([v if i >= 0 else None for v, i in zip(found, index[part].tolist(), strict=True)])
        yield [list(row) for row in zip(*cells, strict=True)]


def _points(run: ApiRun, keys: Sequence[str]) -> ExportTable:
    series = {key: run.series(key) for key in keys}
    types = {_type_of(one.values) for one in series.values()}
    kind: Type = types.pop() if len(types) == 1 else "float" if types == {"int", "float"} else "any"
    columns: list[tuple[str, Type]] = [("key", "text"), ("step", "int"), ("wall_time", "time"), ("value", kind)]
    return ExportTable(columns, sum(len(one) for one in series.values()), _point_parts(series))


def _point_parts(series: dict[str, Any]) -> Iterator[list[list[Any]]]:
    for key, one in series.items():
        for start in range(0, len(one), PART_ROWS):
            part = slice(start, start + PART_ROWS)
            cells = (one.steps[part].tolist(), one.wall_time_ns[part].tolist(), one.values[part].tolist())
            yield [[key, *row] for row in zip(*cells, strict=True)]


def _console(run: ApiRun) -> ExportTable:
    columns: list[tuple[str, Type]] = [("number", "int"), ("time", "time"), ("stream", "text"), ("text", "text")]
    return ExportTable(columns, None, _console_parts(run))


def _console_parts(run: ApiRun) -> Iterator[list[list[Any]]]:
    first = 0
    while lines := run.console(first, PART_ROWS):
        yield [
            [line.number, line.wall_time_ns, "stderr" if line.stream == 2 else "stdout", without_ansi(line.text)]
            for line in islice(lines, PART_ROWS)
        ]
        first += len(lines)

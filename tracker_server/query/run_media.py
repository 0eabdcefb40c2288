"""What a run logged that is more than numbers, as its readers ask for it: a window of the values of a key, by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tracker_core.errors import NotFoundError

from ..runs.run_details import MediaKeyView, media_keys
from ..runs.run_states import journals_of
from .folder import LocalFolder
from .metric_source import MetricSource, ObjectPlaces


@dataclass(frozen=True, slots=True)
class MediaQuery:
    """Which values of a key are wanted. Values are counted from 0, by step, equal steps in the order logged.

    Attributes:
        key: as it was logged.
        first, limit: so many from this one on.
        step: instead of `first`: from the last one whose step is at most this, or the first one of all.
        is_spread: instead of those that follow one another: `limit` of all, evenly, first and last among them.
        writer: whose; None for the primary one's.
    """

    key: str
    first: int = 0
    limit: int = 50
    step: int | None = None
    is_spread: bool = False
    writer: str | None = None


class MediaValue(msgspec.Struct, frozen=True):
    """One value: media is a mapping with `_type`. `place` counts the values of the key by step, from 0."""

    place: int
    step: int
    wall_time_ns: int
    value: Any


class MediaPage(msgspec.Struct, frozen=True):
    """Some values of a key, of `n_values` in all with steps from `first_step` to `last_step`."""

    key: str
    n_values: int
    first_step: int
    last_step: int
    values: list[MediaValue]


def run_media_keys(folder: LocalFolder, project: str, run_id: str, writer: str | None = None) -> list[MediaKeyView]:
    """Return the keys that a writer, by default the primary one, logged media or text under.

    Raises NotFoundError where there is no such run.
    """
    statuses, _ = folder.progress(project, run_id)
    return media_keys(journals_of(statuses, writer))


def media_page(folder: LocalFolder, project: str, run_id: str, query: MediaQuery) -> MediaPage:
    """Return some values of a key.

    Raises:
        NotFoundError: there is no such run, or it logged nothing but numbers under this key.
    """
    found = folder.ask_metric(project, [run_id], query.key, query.writer, lambda source: _page(source, query))
    if found is None:
        raise NotFoundError(f"run {project}/{run_id} logged no media under {query.key[:200]!r}; see its media keys")
    return found


def _page(source: MetricSource, query: MediaQuery) -> MediaPage | None:
    parts = source.objects()
    if not parts:
        return None
    steps = np.concatenate([part.steps for part in parts])
    order = _by_step(steps)
    places = _wanted(steps, order, query)
    values = [
        MediaValue(place, int(steps[at]), time_ns, value) for place, at, time_ns, value in _read(parts, places, order)
    ]
    in_order = steps if order is None else steps[order]
    return MediaPage(query.key, len(steps), int(in_order[0]), int(in_order[-1]), values)


def _by_step(steps: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return which value comes at each place, None where they are in order as they were logged."""
    return None if bool(np.all(steps[1:] >= steps[:-1])) else np.argsort(steps, kind="stable")


def _wanted(steps: NDArray[np.int64], order: NDArray[np.int64] | None, query: MediaQuery) -> Sequence[int]:
    n = len(steps)
    if query.is_spread and n > query.limit:
        spread: list[int] = np.unique(np.linspace(0, n - 1, query.limit).round().astype(np.int64)).tolist()
        return spread
    first = query.first
    if query.step is not None:
        in_order = steps if order is None else steps[order]
        first = max(0, int(np.searchsorted(in_order, query.step, side="right")) - 1)
    return range(min(first, n), min(n, first + query.limit)) if not query.is_spread else range(n)


def _read(
    parts: Sequence[ObjectPlaces], places: Sequence[int], order: NDArray[np.int64] | None
) -> list[tuple[int, int, int, Any]]:
    """Return place, index among all values as logged, time and value of these places; each part is read once."""
    ends = np.cumsum([len(part.steps) for part in parts])
    wanted = np.asarray(places, np.int64)
    at = wanted if order is None else order[wanted]
    found: list[tuple[int, int, int, Any]] = []
    which = np.searchsorted(ends, at, side="right")
    for number in np.unique(which).tolist():
        part, begin = parts[number], int(ends[number]) - len(parts[number].steps)
        mine = np.flatnonzero(which == number)
        inside = (at[mine] - begin).tolist()
        ascending = sorted(set(inside))
        values = dict(zip(ascending, part.values(ascending), strict=True))
        for index, place in zip(mine.tolist(), inside, strict=True):
            found.append((int(wanted[index]), begin + place, int(part.wall_time_ns[place]), values[place]))
    return sorted(found, key=lambda one: one[0])

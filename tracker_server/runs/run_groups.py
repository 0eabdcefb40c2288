"""Runs grouped by what they have in common, with statistics of their values. Pure.

Values that are equal are one group, but True and 1 are two. Groups go by their keys: numbers, text, anything else, NaN,
and then what has no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .run_search import NAN_RANK, NONE_RANK, NUMBER_RANK, OTHER_RANK, TEXT_RANK

# What tells one value from another, and sorts it.
_Identity: TypeAlias = tuple[int, Any, bool]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the finite numbers of a group.

    Attributes:
        n: how many.
        mean: None without any.
        std: of the sample, None below two.
        sem: standard error of the mean, None below two.
        min, max: None without any.
    """

    n: int
    mean: float | None
    std: float | None
    sem: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs of one key: a value for each thing that was grouped by, None where they have none."""

    key: list[Any]
    n_runs: int
    n_running: int
    values: list[Statistics]


@dataclass(slots=True)
class _Members:
    key: list[Any]
    values: list[list[float]]
    n_runs: int = 0
    n_running: int = 0


@dataclass(slots=True)
class RunGroups:
    """Adds up runs into groups.

    Args:
        n_values: how many values of each run are looked at.
    """

    n_values: int
    _members: dict[tuple[_Identity, ...], _Members] = field(default_factory=dict)

    def add(self, key: Sequence[Any], values: Sequence[Any], is_running: bool = False) -> None:
        """Take a run in: what it is grouped by, and its values. Mappings and what is missing are None."""
        self.add_runs(key, 1, [[value] for value in values], int(is_running))

    def add_runs(self, key: Sequence[Any], n_runs: int, values: Sequence[Iterable[Any]], n_running: int = 0) -> None:
        """Take runs of one key in, with their values at each place, in any order."""
        identities = tuple(map(_identity, key))
        members = self._members.get(identities)
        if members is None:
            members = _Members([_shown(value) for value in key], [[] for _ in range(self.n_values)])
            self._members[identities] = members
        members.n_runs += n_runs
        members.n_running += n_running
        for found, added in zip(members.values, values, strict=True):
            found += [number for value in added if (number := finite(value)) is not None]

    def __len__(self) -> int:
        return len(self._members)

    def sorted(self, first: int = 0, limit: int | None = None) -> list[RunGroup]:
        """Return the groups from the first-th on, at most so many."""
        identities = sorted(self._members)[first:]
        return [_group(self._members[identity]) for identity in identities[:limit]]


def finite(value: Any) -> float | None:
    """Return a finite number as float, or None for anything else."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def statistics_of(numbers: Sequence[float]) -> Statistics:
    """Return the statistics of finite numbers; two passes, so that no digits are lost."""
    n = len(numbers)
    if n == 0:
        return Statistics(0, None, None, None, None, None)
    low, high = min(numbers), max(numbers)
    # Divided first, lest the sum overflow.
    mean = math.fsum(number / n for number in numbers) if max(-low, high) > 1e300 else math.fsum(numbers) / n
    mean = max(low, min(mean, high))
    if n == 1:
        return Statistics(n, mean, None, None, low, high)
    scale = max(high - mean, mean - low)
    std = 0.0
    if scale > 0 and math.isfinite(scale):
        squares = math.fsum(((number - mean) / scale) ** 2 for number in numbers)
        std = scale * math.sqrt(squares / (n - 1))
    elif scale:
        std = math.inf
    return Statistics(n, mean, std, std / math.sqrt(n), low, high)


def _group(members: _Members) -> RunGroup:
    return RunGroup(members.key, members.n_runs, members.n_running, [statistics_of(found) for found in members.values])


def _identity(value: Any) -> _Identity:
    if isinstance(value, (int, float)):
        return (NUMBER_RANK, value, isinstance(value, bool)) if value == value else (NAN_RANK, 0, False)
    if isinstance(value, str):
        return TEXT_RANK, value, False
    if value is None:
        return NONE_RANK, 0, False
    return OTHER_RANK, str(value), False


def _shown(value: Any) -> Any:
    """Return a key such that 1 and 1.0, which are one group, look alike."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= 1 << 64
    return int(value) if is_whole else value

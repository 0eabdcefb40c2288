"""Which metrics the runs of a project have, searched by name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from .run_view import RunView


class MetricRow(msgspec.Struct):
    """A metric that runs of a project have in common."""

    key: str
    n_runs: int
    n_points: int
    step_metric: str | None
    goal: str | None
    hidden: bool


def metric_rows(views: Iterable[RunView]) -> dict[str, MetricRow]:
    """Return what the runs have in metrics; what several say of one, the first has its say."""
    rows: dict[str, MetricRow] = {}
    for view in views:
        for key, metric in view.metrics.items():
            row = rows.get(key)
            if row is None:
                row = rows[key] = MetricRow(key, 0, 0, metric.step_metric, metric.goal, metric.hidden)
            row.n_runs += 1
            row.n_points += metric.n_points
            row.step_metric = row.step_metric or metric.step_metric
            row.goal = row.goal or metric.goal
    return rows


def find_metrics(
    live: dict[str, MetricRow],
    stored_keys: Iterable[str],
    stored: Callable[[Sequence[str]], Iterable[MetricRow]],
    search: str | None = None,
    limit: int | None = None,
) -> tuple[list[MetricRow], int]:
    """Return the first metrics by name that hold every word of a search, and how many there are in all.

    Args:
        live: of runs in memory.
        stored_keys: the names of those of stored runs.
        stored: gives these by their names.
        search: words, in upper or lower case.
        limit: at most so many. Default: all.
    """
    words = (search or "").casefold().split()
    keys = _matching(stored_keys, words) | _matching(live, words)
    shown = sorted(keys)[:limit]
    found = {row.key: row for row in stored(shown)}
    return [_sum(live.get(key), found.get(key)) for key in shown], len(keys)


def _matching(keys: Iterable[str], words: Sequence[str]) -> set[str]:
    """Return the keys that hold every word."""
    if not words:
        return set(keys)
    rarest, *others = sorted(words, key=len, reverse=True)
    found = {key for key in keys if rarest in key.casefold()}
    return {key for key in found if all(word in key.casefold() for word in others)}


def _sum(one: MetricRow | None, other: MetricRow | None) -> MetricRow:
    if one is None or other is None:
        found = one or other
        assert found is not None
        return found
    return MetricRow(
        one.key,
        one.n_runs + other.n_runs,
        one.n_points + other.n_points,
        one.step_metric or other.step_metric,
        one.goal or other.goal,
        one.hidden,
    )

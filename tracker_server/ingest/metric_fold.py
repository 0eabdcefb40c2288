"""Aggregates of a journal's metrics, added up block by block. Pure."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tracker_core.metrics import MetricStats

from .row_blocks import INTEGER_CODES, RowBlock, numeric_stats


class MetricFold(msgspec.Struct, array_like=True):
    """Aggregates of one metric in one journal, and between which sequence numbers."""

    stats: MetricStats
    first_sequence: int
    last_sequence: int
    is_integer: bool


def add_block(metrics: dict[str, MetricFold], block: RowBlock) -> None:
    """Take the numbers of a block in, which is not empty. Blocks may come in any order."""
    first, last = int(block.sequences[0]), int(block.sequences[-1])
    for index, column in numeric_stats(block):
        is_integer = block.codes[index] in INTEGER_CODES and column.max <= (1 << 63) - 1
        stats = MetricStats(column.n, column.n_nonfinite, column.first, column.last, column.min, column.max, column.sum)
        added = MetricFold(stats, first, last, is_integer)
        known = metrics.get(block.keys[index])
        metrics[block.keys[index]] = added if known is None else merge_metric(known, added)


def merge_metric(one: MetricFold, other: MetricFold) -> MetricFold:
    """Return the aggregates of both. Which is first or last is decided by sequence."""
    a, b = one.stats, other.stats
    earliest = a if one.first_sequence <= other.first_sequence else b
    latest = b if other.last_sequence >= one.last_sequence else a
    stats = MetricStats(
        a.n + b.n,
        a.n_nonfinite + b.n_nonfinite,
        earliest.first,
        latest.last,
        _over_finite(min, a.n, a.min, b.n, b.min),
        _over_finite(max, a.n, a.max, b.n, b.max),
        a.sum + b.sum,
    )
    return MetricFold(
        stats,
        min(one.first_sequence, other.first_sequence),
        max(one.last_sequence, other.last_sequence),
        one.is_integer and other.is_integer,
    )


def _over_finite(choose: Any, n_a: int, a: float, n_b: int, b: float) -> float:
    if n_a and n_b:
        chosen: float = choose(a, b)
        return chosen
    return a if n_a else b if n_b else math.nan

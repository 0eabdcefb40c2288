"""Plan how the rows of a key set are written, once, so that logging the same keys again is cheap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .journal_file import MAX_LAYOUT_BODY_BYTES, RowLayout
from .journal_format import Kind
from .metrics import MetricRules, MetricStats
from .values import column_code, is_wide_int

_MAX_SCHEMA_BYTES = 36_000
_MAX_PLANS = 4096


class RowPlan(NamedTuple):
    """How one key set is packed: one layout, or several for a very wide row.

    `parts` holds (layout, slice of the row's values). `aggregates` holds (index of the value, its statistics) for the
    metrics that a definition wants aggregated.
    """

    parts: tuple[tuple[RowLayout, slice | None], ...]
    aggregates: tuple[tuple[int, MetricStats], ...]


def ensure_plan(
    plans: dict[tuple[Any, ...], RowPlan], row: dict[str, Any], rules: MetricRules, stats: dict[str, MetricStats]
) -> bool:
    """Say whether a flat row is to be packed; where `plans` has no plan for its keys and types yet, add one."""
    if any(is_wide_int(value) for value in row.values()):
        return False
    kind = (*row, *map(type, row.values()))
    if kind in plans:
        return True
    plan = plan_row(row, rules, stats)
    if plan is None:
        return False
    if len(plans) >= _MAX_PLANS:
        plans.clear()
    plans[kind] = plan
    return True


def plan_row(
    row: Mapping[str, Any], rules: MetricRules, stats: dict[str, MetricStats], kind: int = Kind.ROW
) -> RowPlan | None:
    """Return the plan for rows with these keys and value types, or None where a value is no number or truth value."""
    codes = "".join(column_code(type(value)) or " " for value in row.values())
    if " " in codes or not row:
        return None
    keys = tuple(row)
    bounds = _part_bounds(keys)
    if len(bounds) == 1:
        parts: tuple[tuple[RowLayout, slice | None], ...] = ((RowLayout(keys, codes, kind), None),)
    else:
        parts = tuple((RowLayout(keys[a:b], codes[a:b], kind), slice(a, b)) for a, b in bounds)
    aggregates = []
    for index, key in enumerate(keys) if rules else ():
        if rules.wants_stats(key):
            aggregates.append((index, stats.setdefault(key, MetricStats())))
    return RowPlan(parts, tuple(aggregates))


def _part_bounds(keys: tuple[str, ...]) -> list[tuple[int, int]]:
    """Cut a key set where its schema or its rows would leave too little room in a block."""
    bounds, start, schema_bytes = [], 0, 0
    for index, key in enumerate(keys):
        n_bytes = len(key.encode()) + 4
        if schema_bytes + n_bytes > _MAX_SCHEMA_BYTES or (index - start + 1) * 8 > MAX_LAYOUT_BODY_BYTES:
            bounds.append((start, index))
            start, schema_bytes = index, 0
        schema_bytes += n_bytes
    bounds.append((start, len(keys)))
    return bounds

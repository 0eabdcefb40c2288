"""Metric definitions: which rule holds for a metric, and aggregates that non-finite values do not poison. Pure."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from time import time_ns
from typing import Any

import msgspec

from .errors import UsageError
from .records import MetricDefinition
from .values import check_key

_EXACT_TYPES = frozenset([float, int, bool])
AGGREGATES = ("min", "max", "mean", "first", "last", "best")
_KINDS = (*AGGREGATES, "none", "copy")
GOALS = {"minimize": "minimize", "min": "minimize", "maximize": "maximize", "max": "maximize"}


class MetricRule(msgspec.Struct, frozen=True):
    """What holds for the metrics that `pattern` matches. An empty `summary` means the last value."""

    pattern: str
    step_metric: str | None = None
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False


class MetricRules:
    """All definitions of a run. An exact name beats a glob; then more literal characters; then the later one."""

    def __init__(self) -> None:
        self._rules: dict[str, MetricRule] = {}
        self._patterns: list[tuple[int, int, re.Pattern[str], MetricRule]] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, definition: MetricDefinition) -> None:
        """Take a definition in; what it leaves unsaid keeps what an earlier one of the same name said."""
        name = definition.name
        old = MetricRule(name) if definition.overwrite else self._rules.pop(name, MetricRule(name))
        self._rules.pop(name, None)
        self._rules[name] = MetricRule(
            name,
            old.step_metric if definition.step_metric is None else definition.step_metric,
            old.summary if definition.summary is None else tuple(definition.summary),
            old.goal if definition.goal is None else definition.goal,
            old.hidden if definition.hidden is None else definition.hidden,
        )
        self._patterns = [
            (len(rule.pattern.replace("*", "")), order, _compile(rule.pattern), rule)
            for order, rule in enumerate(self._rules.values())
            if "*" in rule.pattern
        ]

    def match(self, key: str) -> MetricRule | None:
        """Return the one rule that holds for a metric, or None."""
        exact = self._rules.get(key)
        if exact is not None:
            return exact
        matches = [(literal, order, rule) for literal, order, regex, rule in self._patterns if regex.fullmatch(key)]
        return max(matches, key=lambda match: match[:2])[2] if matches else None

    def wants_stats(self, key: str) -> bool:
        """Say whether a metric's rule asks for aggregates."""
        rule = self.match(key)
        return rule is not None and bool(rule.summary)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def new_definition(
    name: object,
    step_metric: object | None,
    summary: str | list[str] | None,
    goal: str | None,
    hidden: bool | None,
    overwrite: bool,
) -> MetricDefinition:
    """Return the record of a `define_metric` call; raises UsageError where an argument is wrong."""
    return MetricDefinition(
        wall_time_ns=time_ns(),
        name=check_key(name, "define_metric(name=)"),
        step_metric=None if step_metric is None else check_key(step_metric, "define_metric(step_metric=)"),
        summary=parse_summary(summary),
        goal=parse_goal(goal),
        hidden=hidden,
        overwrite=overwrite,
    )


def parse_summary(summary: str | list[str] | tuple[str, ...] | None) -> list[str] | None:
    """Return the aggregates named in `define_metric(summary=)`, as a list; "none" hides the metric from the summary.

    Raises:
        UsageError: a name is not an aggregate.
    """
    if summary is None:
        return None
    if not isinstance(summary, (str, list, tuple)):
        got = f"{summary!r} of type {type(summary).__name__}"
        raise UsageError("define_metric(summary=)", got, "text or a list of text", 'write summary="min,last"')
    names = summary.split(",") if isinstance(summary, str) else summary
    kinds = [str(name).strip() for name in names if str(name).strip()]
    for kind in kinds:
        if kind not in _KINDS:
            expected = "one or more of " + ", ".join(_KINDS)
            raise UsageError("define_metric(summary=)", repr(kind), expected, 'write for example summary="min,last"')
    return [kind for kind in kinds if kind != "copy"]


def parse_goal(goal: str | None) -> str | None:
    """Return "minimize", "maximize" or None; raises UsageError for anything else."""
    if goal is None:
        return None
    if isinstance(goal, str) and goal in GOALS:
        return GOALS[goal]
    raise UsageError("define_metric(goal=)", repr(goal), '"minimize" or "maximize"', "choose one of the two")


class MetricStats(msgspec.Struct):
    """Running aggregates of one metric. `n` counts finite values; min, max, sum are over these alone."""

    n: int = 0
    n_nonfinite: int = 0
    first: float | int = math.nan
    last: float | int = math.nan
    min: float | int = math.nan
    max: float | int = math.nan
    sum: float = 0.0

    def add(self, value: float | int) -> None:
        """Take one logged value in; a NumPy scalar as a Python one, since a sum of float16 overflows at 65,504."""
        if type(value) not in _EXACT_TYPES:
            value = value.item() if hasattr(value, "item") else float(value)
        if self.n + self.n_nonfinite == 0:
            self.first = value
        self.last = value
        if not math.isfinite(value):
            self.n_nonfinite += 1
            return
        if self.n == 0:
            self.min = self.max = value
        elif value < self.min:
            self.min = value
        elif value > self.max:
            self.max = value
        self.n += 1
        self.sum += value

    @property
    def mean(self) -> float:
        return self.sum / self.n if self.n else math.nan


def summary_value(rule: MetricRule | None, stats: MetricStats) -> object:
    """Return what a run's summary holds for a metric: its last value, or a dict of the aggregates its rule names.

    Returns None where the rule hides the metric (summary "none").
    """
    kinds = rule.summary if rule else ()
    if not kinds:
        return stats.last
    if "none" in kinds:
        return None
    assert rule is not None
    values: dict[str, float | int] = {}
    for kind in kinds:
        name = kind if kind != "best" else ("max" if rule.goal == "maximize" else "min")
        values[kind] = getattr(stats, name)
    if stats.n_nonfinite:
        values["n_nonfinite"] = stats.n_nonfinite
    return values


def logged_summary(last: dict[str, Any], rules: MetricRules, stats: dict[str, MetricStats]) -> dict[str, Any]:
    """Return what a run's summary holds for the metrics whose last values are in `last`."""
    summary = {}
    for key, value in last.items():
        rule = rules.match(key)
        if rule is None or not rule.summary:
            summary[key] = value
        elif "none" not in rule.summary and key in stats:
            summary[key] = summary_value(rule, stats[key])
    return summary

"""Alerts of many runs as one list, newest first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from .run_details import AlertView


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts are wanted.

    Attributes:
        project: whose; None for all projects.
        since_ns: only later ones.
        before_ns: only those until then.
        levels: only these; empty for all.
        text: words that title or text hold, in any case; "" for any.
    """

    project: str | None = None
    since_ns: int | None = None
    before_ns: int | None = None
    levels: frozenset[str] = frozenset()
    text: str = ""


class FoundAlert(msgspec.Struct, frozen=True):
    """An alert and the run that it is of."""

    project: str
    run_id: str
    alert: AlertView


class AlertPage(msgspec.Struct, frozen=True):
    """The newest alerts that match, and how many do; there may be more where `is_complete` is false."""

    alerts: list[FoundAlert]
    n_matching: int
    is_complete: bool


def matches(found: FoundAlert, query: AlertQuery) -> bool:
    """Say whether an alert is wanted."""
    alert = found.alert
    is_in_time = (query.since_ns is None or alert.at_ns > query.since_ns) and (
        query.before_ns is None or alert.at_ns <= query.before_ns
    )
    is_of = query.project in (None, found.project) and (not query.levels or alert.level in query.levels)
    return is_in_time and is_of and _holds(alert, query.text)


def _holds(alert: AlertView, text: str) -> bool:
    words = text.casefold().split()
    content = f"{alert.title}\n{alert.text}".casefold() if words else ""
    return all(word in content for word in words)


def newest_first(live: Iterable[FoundAlert], stored: Iterable[FoundAlert]) -> Iterator[FoundAlert]:
    """Yield both together; `stored` comes newest first."""
    in_order = sorted(live, key=_age)
    return heapq.merge(in_order, stored, key=_age)


def _age(found: FoundAlert) -> int:
    return -found.alert.at_ns

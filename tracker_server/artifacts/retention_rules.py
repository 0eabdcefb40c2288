"""Which versions of an artifact its rules keep, and why. Pure.

Every rule names what it keeps: the newest, the best, what is younger than its time to live, what has a protected alias;
and what the registry links is always kept. A version goes when there is a rule that speaks of it and none keeps it.
Where a rule cannot tell yet, as of the metric of a run that has not ended, it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracker_core.artifacts.wire import Best, Retention

from ..store.store_artifacts import expires_ns

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """What the rules look at of a version.

    Attributes:
        uid: the version.
        ordinal: 3 of "v3".
        committed_ns: when it was committed, in ns since the Unix epoch.
        aliases: its aliases, "latest" too.
        ttl_days: its own time to live, 0 for ever; None that of the artifact.
        links: where the registry links it, such as "digits v2".
        is_unsent: whether a server is still to get it.
    """

    uid: str
    ordinal: int
    committed_ns: int
    aliases: frozenset[str] = frozenset()
    ttl_days: float | None = None
    links: tuple[str, ...] = ()
    is_unsent: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """The metric of the run that logged a version: `value`, or `why_unknown` for one that cannot be told yet."""

    value: float | None = None
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version is kept, and why."""

    uid: str
    is_kept: bool
    why: str


def judge(
    versions: Sequence[KnownVersion], rules: Retention, scores: Mapping[str, Score], now_ns: int
) -> list[Verdict]:
    """Return what becomes of each version of one artifact, newest first.

    Args:
        versions: all versions that are not deleted.
        rules: of the artifact.
        scores: by uid, what `rules.keep_best` goes by; a version that is not there has none.
        now_ns: the time, in ns since the Unix epoch.
    """
    newest = sorted(versions, key=lambda one: -one.ordinal)
    last = {one.uid for one in newest[: max(rules.keep_last, 0)]} if rules.keep_last is not None else set()
    ranks = _ranks(newest, rules.keep_best, scores) if rules.keep_best else {}
    verdicts = []
    for one in newest:
        keeping = next(_reasons(one, rules, one.uid in last, ranks.get(one.uid, ""), now_ns), "")
        if keeping:
            verdicts.append(Verdict(one.uid, True, keeping))
        elif going := _going(one, rules, now_ns):
            verdicts.append(Verdict(one.uid, False, going))
        else:
            verdicts.append(Verdict(one.uid, True, "no rule speaks of it"))
    return verdicts


def _reasons(one: KnownVersion, rules: Retention, is_last: bool, rank: str, now_ns: int) -> Iterator[str]:
    """Yield why a version is kept."""
    if one.is_unsent:
        yield "was not sent to its server yet"
    if one.links:
        yield f"registered as {', '.join(one.links)}"
    for alias in sorted(one.aliases.intersection(rules.protected_aliases)):
        yield f"has the protected alias {alias}"
    if is_last:
        yield f"is one of the newest {rules.keep_last}"
    if rank:
        yield rank
    if one.ttl_days is not None and not one.ttl_days:
        yield "is kept for ever by its own time to live"
    ends_ns = expires_ns(one.committed_ns, one.ttl_days, rules)
    if ends_ns is not None and ends_ns > now_ns:
        yield f"is younger than its time to live of {_days(one, rules):g} days"


def _going(one: KnownVersion, rules: Retention, now_ns: int) -> str:
    """Return which rules do not keep a version; "" where none speaks of it."""
    parts = []
    ends_ns = expires_ns(one.committed_ns, one.ttl_days, rules)
    if ends_ns is not None:
        parts.append(f"its time to live of {_days(one, rules):g} days ended {(now_ns - ends_ns) / DAY_NS:.1f} days ago")
    if rules.keep_last is not None:
        parts.append(f"it is not one of the newest {rules.keep_last}")
    if rules.keep_best is not None:
        parts.append(f"its run is not one of the best {rules.keep_best.n} by {rules.keep_best.metric}")
    return ", ".join(parts)


def _days(one: KnownVersion, rules: Retention) -> float:
    return one.ttl_days if one.ttl_days is not None else rules.ttl_days or 0.0


def _ranks(newest: Sequence[KnownVersion], best: Best, scores: Mapping[str, Score]) -> dict[str, str]:
    """Return, for each version that the metric keeps, why; of equal ones the newer counts as better."""
    found: dict[str, str] = {}
    known: list[tuple[float, int, str]] = []
    sign = -1.0 if best.goal == "maximize" else 1.0
    for one in newest:
        score = scores.get(one.uid, Score())
        if score.why_unknown:
            found[one.uid] = score.why_unknown
        elif score.value is not None and not math.isnan(score.value):
            known.append((sign * score.value, -one.ordinal, one.uid))
    for rank, (value, _, uid) in enumerate(sorted(known)[: max(best.n, 0)], 1):
        found[uid] = f"is number {rank} of the best {best.n} by {best.metric} ({sign * value:g})"
    return found

"""The rules of what is kept, each alone and together."""

from __future__ import annotations

from typing import Any

import pytest

from tracker_core.artifacts.wire import Best, Retention
from tracker_server.artifacts.retention_rules import DAY_NS, KnownVersion, Score, judge

NOW_NS = 1_000 * DAY_NS


def version(ordinal: int, age_days: float = 10, **fields: Any) -> KnownVersion:
    return KnownVersion(f"{ordinal:032x}", ordinal, NOW_NS - int(age_days * DAY_NS), **fields)


def kept(versions: list[KnownVersion], rules: Retention, scores: dict[int, Score] | None = None) -> list[int]:
    by_uid = {f"{ordinal:032x}": score for ordinal, score in (scores or {}).items()}
    return sorted(int(one.uid, 16) for one in judge(versions, rules, by_uid, NOW_NS) if one.is_kept)


FIVE = [version(i) for i in range(5)]
RUN_LOSSES = {0: Score(0.5), 1: Score(0.1), 2: Score(0.9), 3: Score(float("nan")), 4: Score()}


def test_without_rules_everything_is_kept() -> None:
    assert kept(FIVE, Retention()) == [0, 1, 2, 3, 4]
    assert kept(FIVE, Retention(protected_aliases=("production",))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("n", "expected"), [(1, [4]), (2, [3, 4]), (99, [0, 1, 2, 3, 4])])
def test_the_newest_are_kept(n: int, expected: list[int]) -> None:
    assert kept(FIVE, Retention(keep_last=n)) == expected


def test_the_best_by_a_metric_are_kept() -> None:
    assert kept(FIVE, Retention(keep_best=Best("loss", 2)), RUN_LOSSES) == [0, 1]
    assert kept(FIVE, Retention(keep_best=Best("acc", 1, "maximize")), RUN_LOSSES) == [2]


def test_of_equally_good_ones_the_newest_is_kept() -> None:
    assert kept(FIVE, Retention(keep_best=Best("loss", 1)), {i: Score(0.5) for i in range(4)}) == [3]


def test_infinite_losses_are_worst_or_best() -> None:
    scores = {0: Score(float("inf")), 1: Score(float("-inf")), 2: Score(0.0)}
    assert kept(FIVE, Retention(keep_best=Best("loss", 2)), scores) == [1, 2]


def test_one_whose_metric_cannot_be_told_yet_is_kept_and_takes_no_place() -> None:
    scores = {**RUN_LOSSES, 2: Score(why_unknown="its run is still running")}
    assert kept(FIVE, Retention(keep_best=Best("loss", 1)), scores) == [1, 2]


def test_one_lives_as_long_as_its_time_to_live() -> None:
    old_and_new = [version(0, age_days=31), version(1, age_days=29)]
    assert kept(old_and_new, Retention(ttl_days=30)) == [1]


def test_its_own_time_to_live_wins_over_that_of_the_artifact() -> None:
    versions = [
        version(0, 31, ttl_days=60.0),
        version(1, 31, ttl_days=0.0),
        version(2, 5, ttl_days=3.0),
        version(3, 31),
    ]
    assert kept(versions, Retention(ttl_days=30)) == [0, 1]
    assert kept(versions, Retention()) == [0, 1, 3]


def test_a_version_that_one_rule_keeps_stays_whatever_others_say() -> None:
    rules = Retention(keep_last=1, keep_best=Best("loss", 1), ttl_days=30)
    versions = [*(version(i, 100) for i in range(4)), version(4, 20), version(5, 100)]
    assert kept(versions, rules, {**RUN_LOSSES, 5: Score(9.0)}) == [1, 4, 5]


def test_a_protected_alias_keeps_one_and_other_aliases_do_not() -> None:
    versions = [version(0, aliases=frozenset(["production"])), version(1, aliases=frozenset(["best"])), version(2)]
    assert kept(versions, Retention(keep_last=1, protected_aliases=("production",))) == [0, 2]


def test_what_the_registry_links_or_a_server_is_to_get_stays() -> None:
    versions = [version(0, links=("digits v2",)), version(1, is_unsent=True), version(2), version(3)]
    assert kept(versions, Retention(keep_last=1)) == [0, 1, 3]


def test_it_says_why() -> None:
    rules = Retention(keep_last=1, keep_best=Best("loss", 1), ttl_days=30, protected_aliases=("prod",))
    versions = [version(0, 40), version(1, 40, aliases=frozenset(["prod"])), version(2, 40), version(3, 2), version(4)]
    found = judge(versions, rules, {version(2).uid: Score(0.25)}, NOW_NS)
    assert [one.why for one in found] == [
        "is one of the newest 1",
        "is younger than its time to live of 30 days",
        "is number 1 of the best 1 by loss (0.25)",
        "has the protected alias prod",
        "its time to live of 30 days ended 10.0 days ago, it is not one of the newest 1, "
        "its run is not one of the best 1 by loss",
    ]

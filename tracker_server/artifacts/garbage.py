"""The whole of `tracker gc`: versions that no rule keeps, then chunks that nothing needs."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tracker_core.errors import UsageError

from ..blobs.collect import Options, collect
from ..blobs.gc_report import GcReport
from ..catalog.decisions import By, CatalogError
from ..query.folder import LocalFolder
from ..store.store_lock import try_store_lock
from .local_artifacts import LocalArtifacts
from .retention import drop_versions, scores_from
from .unsent import unsent_versions

LOCK = "gc.lock"


def collect_garbage(artifacts: LocalArtifacts, runs: Callable[[], LocalFolder], by: By, options: Options) -> GcReport:
    """Let versions go that no rule keeps, and remove what nothing needs.

    Args:
        artifacts: of the folder.
        runs: gives the folder in which runs are looked up, where a rule goes by a metric.
        by: who decides this, and when.
        options: how.

    Raises:
        CatalogError: another collection or a backup is at work in this folder, or the catalog cannot be read or
            written. What was done until then holds.
    """
    report = GcReport(is_dry_run=options.is_dry_run)
    with _alone(artifacts.place, options.is_dry_run):
        unsent = unsent_versions(artifacts.place)
        score_of = scores_from(runs, time.time_ns())
        report.dropped, troubles = drop_versions(artifacts.database, score_of, by, unsent, options.is_dry_run)
        report.troubles += troubles
        if options.is_dry_run:
            options = dataclasses.replace(options, doomed=frozenset(one.uid for one in report.dropped))
        collect(artifacts.store, artifacts.database, options, report)
    return report


@contextmanager
def _alone(folder: str, is_dry_run: bool) -> Iterator[None]:
    if is_dry_run or not os.path.isdir(folder):
        yield
        return
    with garbage_lock(folder):
        yield


@contextmanager
def garbage_lock(folder: str) -> Iterator[None]:
    """Have no collection in a folder for the block; raises CatalogError where one is at work."""
    place = os.path.join(folder, LOCK)
    with try_store_lock(place) as is_held:
        if not is_held:
            got = "a lock that a collection or a backup holds, or a folder that cannot be written"
            raise CatalogError(place, got, "the lock", "wait until the other one is done, and try again")
        yield


def check_grace(grace_s: float) -> float:
    """Return a grace period in seconds; raises UsageError where it is none."""
    if not 0 <= grace_s <= 3650 * 86_400:
        raise UsageError("--grace", f"{grace_s:g} s", "0 s to ten years", "1h is the default")
    return grace_s

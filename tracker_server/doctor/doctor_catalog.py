"""Checks of the catalog: whether the decisions about runs can be read, and what waits in the trash."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from ..catalog.catalog import Catalog
from ..catalog.decisions import CatalogError, Stage
from ..catalog.run_files import size_on_disk
from .doctor_finding import Finding, fault, ok, warning

_LARGE_BYTES = 10 << 30
_DAY_NS = 86_400 * 10**9


def check_catalog(folder: str) -> Iterator[Finding]:
    """Check the catalog of a tracker folder; nothing is said where nobody has decided anything yet."""
    catalog = Catalog(folder)
    if not os.path.exists(catalog.place):
        return
    try:
        catalog.check()
        catalog.refresh()
    except CatalogError as error:
        yield fault("catalog", f"{error.where}: {error.got}", error.remedy)
        return
    decisions = catalog.decisions
    yield ok("catalog", f"{len(decisions.in_trash())} runs in the trash, {len(decisions.archived)} archived")
    if any(run.stage is Stage.EMPTYING for run in decisions.tombstones):
        yield warning("catalog", "emptying the trash was broken off", "finish it with: tracker trash empty")
    yield from _check_trash(folder, catalog)


def _check_trash(folder: str, catalog: Catalog) -> Iterator[Finding]:
    found = catalog.decisions.in_trash()
    n_bytes = sum(size_on_disk(folder, run) for run in found)
    if n_bytes > _LARGE_BYTES:
        oldest_days = (time.time_ns() - min(run.by.at_ns for run in found)) // _DAY_NS
        text = f"the trash holds {n_bytes / (1 << 30):,.1f} GiB, the oldest for {oldest_days} days"
        yield warning("catalog", text, "give the room back with: tracker trash empty")

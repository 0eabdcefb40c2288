"""Checks of artifacts: whether packs are where the catalog says, and what waits to be collected."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tracker_core.paths import project_dir_name
from tracker_core.settings import Settings
from tracker_core.sync.online import shown_bytes

from ..artifacts.local_artifacts import LocalArtifacts, open_artifacts
from ..blobs.collect import GRACE_S
from ..blobs.file_cache import FileCache, user_cache_folder
from ..store import store_collect as sql
from .doctor_finding import Finding, fault, ok, warning

_TOPIC = "artifacts"
_GIB = 1 << 30
_DAY_NS = 86_400 * 10**9


def check_artifacts(folder: str, settings: Settings) -> Iterator[Finding]:
    """Check the artifacts of a tracker folder; nothing is said where there are none."""
    artifacts = open_artifacts(folder, settings.database_url, settings.blobs_url)
    try:
        used = artifacts.usage()
        if used:
            logical, stored = sum(one.logical_bytes for one in used), sum(one.stored_bytes for one in used)
            n_versions = sum(one.n_versions for one in used)
            text = f"{n_versions} versions of {sum(one.n_artifacts for one in used)} artifacts"
            yield ok(
                _TOPIC, f"{text}, {shown_bytes(logical)} in {shown_bytes(stored)} at {artifacts.store.place.place}"
            )
            for one in used:
                yield from _check_project(artifacts, one.project)
    finally:
        artifacts.close()
    yield from _check_cache(settings)


def _check_project(artifacts: LocalArtifacts, project: str) -> Iterator[Finding]:
    place, folder = artifacts.store.place, project_dir_name(project)
    rows = artifacts.database.read(lambda connection: sql.packs_of(connection, project)) or []
    there = {one.pack_id: one for one in place.packs(folder)}  # behind the rows: what is new meanwhile has none
    live = [row for row in rows if row.state == sql.LIVE]
    now = artifacts.database.read(lambda connection: sql.packs_of(connection, project)) or []
    still = {row.pack_id for row in now if row.state == sql.LIVE}
    lost = [row for row in live if row.pack_id not in there and row.pack_id in still]
    short = [row for row in live if row.pack_id in there and there[row.pack_id].size_bytes != row.size_bytes]
    if lost or short:
        text = f"project {project}: of {len(live)} packs {len(lost)} are not there and {len(short)} of another size"
        yield fault(_TOPIC, text, "put a backup of blobs/ back; `tracker artifact verify` names the versions it costs")
    known = {row.pack_id for row in (*rows, *now)}
    unknown = [one for one in there.values() if one.pack_id not in known and time.time_ns() - one.changed_ns > _DAY_NS]
    if unknown:
        text = f"project {project}: {len(unknown)} packs, {shown_bytes(sum(one.size_bytes for one in unknown))}"
        remedy = "`tracker gc` removes them; after a lost catalog first: tracker artifact verify --rebuild"
        yield warning(_TOPIC, f"{text}, of which the catalog knows nothing", remedy)
    latest_ns = time.time_ns() - int(2 * GRACE_S * 1e9)
    waiting = [row for row in rows if row.state != sql.LIVE and (row.condemned_ns or 0) < latest_ns]
    if waiting:
        size = shown_bytes(sum(row.size_bytes for row in waiting))
        yield warning(_TOPIC, f"project {project}: {size} that nothing needs any more", "give it back with: tracker gc")


def _check_cache(settings: Settings) -> Iterator[Finding]:
    bound = int(settings.cache_max_gib * _GIB)
    cache = FileCache(user_cache_folder(settings.cache_dir), bound)
    n_bytes = sum(one.size_bytes for one in cache.files())
    if n_bytes > bound:
        text = (
            f"the cache {cache.folder} holds {shown_bytes(n_bytes)}, more than the {settings.cache_max_gib:g} GiB set"
        )
        yield warning(_TOPIC, text, "make room with: tracker cache clean")

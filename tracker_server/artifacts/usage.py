"""What each artifact takes on the store, and what it alone takes: that is given back when it is deleted."""

from __future__ import annotations

import msgspec

from tracker_core.artifacts.manifest import decode_manifest

from ..blobs.kept_manifests import kept_manifests
from ..store.store_catalog import CatalogDatabase
from ..store.store_verify import artifacts_of

_SHARED = -1
_PREFIX = 8


class ArtifactUsage(msgspec.Struct, frozen=True):
    """What an artifact takes.

    Attributes:
        logical_bytes: of its versions, as if nothing were shared.
        stored_bytes: of its chunks, each once.
        own_bytes: of those chunks that no other artifact of the project needs.
    """

    project: str
    name: str
    type: str
    n_versions: int
    logical_bytes: int
    stored_bytes: int
    own_bytes: int


def artifact_usage(database: CatalogDatabase, project: str) -> list[ArtifactUsage]:
    """Return what each artifact of a project takes, those that take most first.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    rows = database.read(lambda connection: artifacts_of(connection, project)) or []
    numbers = {uid: row.number for row in rows for uid in row.uids}
    owners: dict[bytes, int] = {}
    sizes: dict[bytes, int] = {}
    seen: dict[int, set[bytes]] = {row.number: set() for row in rows}
    for uid, manifest in kept_manifests(database, project):
        number = numbers.get(uid)
        if number is None or manifest is None:  # committed just now
            continue
        for entry in decode_manifest(manifest):
            for chunk in entry.all_chunks:
                key = chunk.digest[:_PREFIX]
                sizes[key] = chunk.size_bytes
                owners[key] = number if owners.get(key, number) == number else _SHARED
                seen[number].add(key)
    found = [
        ArtifactUsage(
            project=project,
            name=row.name,
            type=row.type,
            n_versions=len(row.uids),
            logical_bytes=row.size_bytes,
            stored_bytes=sum(sizes[key] for key in seen[row.number]),
            own_bytes=sum(sizes[key] for key in seen[row.number] if owners[key] == row.number),
        )
        for row in rows
        if row.uids
    ]
    return sorted(found, key=lambda one: (-one.stored_bytes, one.name))

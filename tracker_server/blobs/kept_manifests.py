"""Reads the manifests of a project, some megabytes at a time, in transactions that hold nobody up for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..store import store_collect as sql
from ..store.store_catalog import CatalogDatabase

_MOST_BYTES = 8 << 20
_MOST = 200


def kept_manifests(database: CatalogDatabase, project: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield uid and encoded manifest of the versions that are not deleted; one may be missing, which is a fault.

    Versions that are committed or deleted meanwhile may be among them or not.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    sizes = database.read(lambda connection: sql.manifest_sizes(connection, project)) or []
    for uids in _parts(sizes):
        yield from database.read(lambda connection: sql.manifests_of(connection, uids)) or []  # noqa: B023


def _parts(sizes: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    part: list[str] = []
    n_bytes = 0
    for uid, size_bytes in sizes:
        if part and (n_bytes + size_bytes > _MOST_BYTES or len(part) == _MOST):
            yield part
            part, n_bytes = [], 0
        part.append(uid)
        n_bytes += size_bytes
    if part:
        yield part

"""Make the tables of chunks and packs anew from what is in the packs: after a damaged catalog, or an old backup of it.

Rows that are right stay. A chunk without a row is read and compared with its digest before it gets one. Works beside
uploads and collection: each project's tables are changed in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from blake3 import blake3

from ..store import store_collect as sql
from ..store.store_catalog import CatalogDatabase
from ..store.store_dialect import database_ns
from ..store.store_verify import Chunks, settle_found_packs
from .blob_store import BlobStore
from .pack_format import DamagedPackError
from .packs import read_pack_index

_PART = 1_000


class Rebuilt(msgspec.Struct):
    """What was found.

    Attributes:
        n_packs: packs looked at.
        n_added: packs that became known, or were to be removed and are needed.
        n_gone: packs whose files are not there any more.
        n_chunks: chunks that are known now where they were not.
        n_bad_chunks: chunks whose bytes are others; left out.
        troubles: packs that cannot be read.
    """

    n_packs: int = 0
    n_added: int = 0
    n_gone: int = 0
    n_chunks: int = 0
    n_bad_chunks: int = 0
    troubles: list[str] = []


def rebuild_chunks(store: BlobStore, database: CatalogDatabase, say: Callable[[int], None] | None = None) -> Rebuilt:
    """Bring the tables in line with the packs that are there.

    Args:
        store: where the packs are.
        database: the catalog.
        say: is told how many packs are done.

    Raises:
        CatalogError: the catalog cannot be read or written. Projects that were done stay so.
        OSError: the place does not answer.
    """
    done = Rebuilt()
    folders = store.place.projects()
    if not folders:
        return done
    before_ns = database.write(database_ns)  # makes the tables where there are none
    for folder in folders:
        by_project: dict[str, dict[str, tuple[int, Chunks]]] = {}
        for one in store.place.packs(folder):
            done.n_packs += 1
            try:
                index = read_pack_index(store.place, folder, one.pack_id)
            except (DamagedPackError, FileNotFoundError) as error:
                done.troubles.append(str(error))
                continue
            chunks = _whole(store, database, index.project, folder, one.pack_id, index.chunks, done)
            by_project.setdefault(index.project, {})[one.pack_id] = (one.size_bytes, chunks)
            if say is not None:
                say(done.n_packs)
        for project, found in by_project.items():
            _settle(store, database, project, folder, found, before_ns, done)
    return done


def _whole(
    store: BlobStore,
    database: CatalogDatabase,
    project: str,
    folder: str,
    pack_id: str,
    chunks: Chunks,
    done: Rebuilt,
) -> Chunks:
    """Return the chunks of a pack without those that no row tells of and whose bytes are others."""
    bad: set[bytes] = set()
    for part in _parts(chunks):
        digests = [digest for digest, _, _ in part]
        places = database.read(lambda c: sql.places_of_chunks(c, project, digests)) or []  # noqa: B023
        known = {place.digest for place in places}
        unknown = [one for one in part if one[0] not in known]
        ranges = [(offset, size_bytes) for _, offset, size_bytes in unknown]
        for (digest, _, _), data in zip(unknown, store.place.read_ranges(folder, pack_id, ranges), strict=False):
            if blake3(data).digest() != digest:
                bad.add(digest)
    done.n_bad_chunks += len(bad)
    return [one for one in chunks if one[0] not in bad]


def _settle(
    store: BlobStore,
    database: CatalogDatabase,
    project: str,
    folder: str,
    found: dict[str, tuple[int, Chunks]],
    before_ns: int,
    done: Rebuilt,
) -> None:
    def is_there(pack_id: str) -> bool:
        try:
            return store.place.size_bytes(folder, pack_id) > 0
        except FileNotFoundError:
            return False

    n_packs, n_gone, n_chunks = database.write(
        lambda connection: settle_found_packs(connection, project, found, is_there, before_ns)
    )
    done.n_added += n_packs
    done.n_gone += n_gone
    done.n_chunks += n_chunks


def _parts(chunks: Chunks) -> Iterator[Sequence[tuple[bytes, int, int]]]:
    for start in range(0, len(chunks), _PART):
        yield chunks[start : start + _PART]

"""Say how the store of a tracker folder is: its index, and which of its journals have more than that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tracker_core.errors import UsageError

from ..ingest.journal_scan import JournalScan
from ..store.store_connection import IndexUnreadableError
from ..store.store_read import IndexReader, SealedJournal
from ..store.store_schema import INDEX_VERSION
from ..store.store_sqlite import file_version, is_newer
from ..store.store_status import StoreStatus, store_status


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """How the store of a folder is now.

    Attributes:
        place: the path of the index.
        version: that of the index, None where there is none.
        size_bytes: of the files of index and catalog.
        n_journals: journals in the folder.
        n_unsealed: those of them that have something which is not sealed, `unsealed_bytes` together.
        store: what the index says of itself, None where there is none of this version.
    """

    place: str
    version: str | None
    size_bytes: int
    n_journals: int
    n_unsealed: int
    unsealed_bytes: int
    store: StoreStatus | None


def folder_status(folder: str) -> FolderStatus:
    """Return how the store of a folder is.

    Raises:
        UsageError: a newer version of the tracker made its index.
        OSError: the index is damaged.
    """
    place, version = os.path.join(folder, "index.sqlite"), file_version(folder)
    if is_newer(version):
        expected = f"version {INDEX_VERSION}"
        remedy = "update the tracker on this machine; until then everything works from the journals"
        raise UsageError(place, f"an index of the newer version {version}", expected, remedy)
    reader = IndexReader(folder)
    try:
        with reader.transaction() as connection:
            store = None if connection is None else store_status(connection)
        waiting = _waiting(JournalScan(folder), reader)
    except IndexUnreadableError as error:
        raise OSError(f"{error}; `tracker db rebuild` makes it anew from the journals") from None
    finally:
        reader.close()
    unsealed = [n_bytes for n_bytes in waiting.values() if n_bytes]
    return FolderStatus(place, version, _size(folder), len(waiting), len(unsealed), sum(unsealed), store)


def _waiting(scan: JournalScan, reader: IndexReader) -> Mapping[str, int]:
    found = scan.scan()
    sealed: dict[str, SealedJournal] = reader.journals(list(found))
    waiting = {}
    for name, journal in found.items():
        try:
            size_bytes = scan.state(journal).size_bytes
        except OSError:
            continue
        waiting[name] = max(0, size_bytes - (sealed[name].sealed_offset if name in sealed else 0))
    return waiting


def _size(folder: str) -> int:
    paths = [os.path.join(folder, name) for name in ("index.sqlite", "index.sqlite-wal", "catalog.sqlite")]
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))

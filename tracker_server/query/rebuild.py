"""Build an index anew from the journals, telling how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ingest.folder_naming import tracker_folder
from ..ingest.journal_forwarder import JournalForwarder
from ..ingest.journal_scan import JournalScan
from ..ingest.journal_source import JournalPath, JournalSource
from ..ingest.journal_tail import JournalTail
from ..ingest.tail_source import TailSource
from ..store.store_connection import IndexDatabase
from ..store.store_rebuild import drop_files, drop_journals
from .folder_index import SEAL_BATCH_BYTES, FolderIndex

# Called with the number of bytes that are done and of all.
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did. `kept` are journals that only the database has, which it left as they are."""

    n_journals: int
    n_bytes: int
    kept: Sequence[str] = ()


def rebuild_files(folder: str, on_progress: Progress = lambda done, total: None) -> Rebuilt:
    """Drop the index of a tracker folder and build it from the journals.

    Others may go on reading and writing: what is not sealed again yet they read from the journals.

    Raises:
        OSError: another process is writing the index, or the folder cannot be written.
    """
    folder = tracker_folder(folder)
    drop_files(folder)
    scan = JournalScan(folder)
    journals = list(scan.scan().values())
    index = FolderIndex(folder, True, scan)
    try:
        return Rebuilt(len(journals), _seal_all(index, scan, journals, on_progress))
    finally:
        index.close()


def rebuild_database(folder: str, database: IndexDatabase, on_progress: Progress = lambda done, total: None) -> Rebuilt:
    """Drop what a database has of the journals that are whole in a tracker folder, and take them in anew.

    Raises:
        DatabaseAwayError: the database does not answer. Called again, this goes on.
    """
    folder = tracker_folder(folder)
    scan = JournalScan(folder)
    local = {name: scan.state(journal).size_bytes for name, journal in scan.scan().items()}
    kept = drop_journals(database, local)
    forwarder = JournalForwarder(folder, database)
    source = TailSource(database)
    index = FolderIndex(folder, True, source, database)
    n_bytes, total = 0, sum(local.values())
    wanted = [name for name in local if name not in kept]
    try:
        more = 1
        while more:
            more = forwarder.forward()
            found = source.scan()
            n_bytes += more
            _seal_all(index, source, [found[name] for name in wanted if name in found], lambda done, total: None)
            on_progress(min(n_bytes, total), total)
    finally:
        index.close()
    return Rebuilt(len(wanted), total, sorted(kept))


def _seal_all(index: FolderIndex, source: JournalSource, journals: list[JournalPath], on_progress: Progress) -> int:
    sizes = [source.state(journal).size_bytes for journal in journals]
    total, done = sum(sizes), 0
    due: list[JournalTail] = []
    for journal, size in zip(journals, sizes, strict=True):
        (tail,) = index.begin([journal])
        _read(index, tail)
        due.append(tail)
        done += size
        if sum(tail.n_sealable_bytes for tail in due) >= SEAL_BATCH_BYTES:
            index.write(due)
            due = []
            on_progress(done, total)
    index.write(due)
    on_progress(done, total)
    return total


def _read(index: FolderIndex, tail: JournalTail) -> None:
    if not tail.look():
        return
    n_bytes = 1
    while n_bytes:
        n_bytes, _ = tail.read()
        if tail.n_sealable_bytes >= SEAL_BATCH_BYTES:
            index.write([tail])

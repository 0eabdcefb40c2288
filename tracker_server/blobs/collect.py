"""Collect what nothing needs any more: chunks of deleted versions and of uploads that were broken off.

A chunk is needed by versions that are not deleted, and by uploads that have not expired. What is needed is found out
while others work; then, in one transaction, packs are condemned of which that still holds, seen together with the
versions that were committed and the chunks that were pinned meanwhile. The file of a condemned pack is removed later,
so that who is reading it comes to an end. What is needed of a pack that is mostly not needed goes into a new one first,
and many small ones are put together.

A kill at any point costs nothing but the work since the last transaction: a file without a row is taken as broken off
when it is older than any upload can be, and a removal that was begun is finished by the next collection. Several may
collect at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeVar

from blake3 import blake3

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Manifest, decode_manifest
from tracker_core.errors import TrackerError, UsageError
from tracker_core.paths import project_dir_name

from ..store import store_collect as sql
from ..store.store_blobs import LEASE_NS, NewPack
from ..store.store_catalog import CatalogDatabase
from ..store.store_connection import StoreConnection
from ..store.store_dialect import database_ns
from .blob_store import BlobStore
from .folder_place import FolderPlace
from .gc_report import GcReport, PackFate
from .kept_manifests import kept_manifests
from .needed_chunks import NeededChunks
from .pack_place import StoredPack
from .pack_shares import PackShare, groups_of, sort_out
from .packs import write_pack

GRACE_S = 3600.0
# The clocks of a file system and of a database may differ by so much.
_CLOCKS_NS = 3600 * 10**9
_PACKS_AT_ONCE = 100
# Who waits for a turn to write looks for it every 20 ms; a long collection leaves some between its own.
_WRITES_AT_ONCE, _PAUSE_S = 4, 0.05
T = TypeVar("T")
_LEFT = "no row tells of it; left, as the catalog may be the wrong one: `tracker gc --unknown` takes it"
Fate = Literal["condemn", "rewrite", "wait", "remove", "unknown"]


@dataclass(frozen=True)
class Options:
    """How to collect.

    Attributes:
        grace_s: how long a condemned pack stays for those that are reading it.
        is_dry_run: only say what would be done.
        doomed: versions that are to be seen as deleted, of a dry run.
        takes_unknown: also remove packs that no row tells of, however much they are.
    """

    grace_s: float = GRACE_S
    is_dry_run: bool = False
    doomed: frozenset[str] = frozenset()
    takes_unknown: bool = False


def collect(store: BlobStore, database: CatalogDatabase, options: Options, report: GcReport) -> None:
    """Collect in all projects.

    Args:
        store: where the chunks are.
        database: the catalog that knows of them.
        options: how.
        report: where what was done, or could not be done, is added.

    Raises:
        CatalogError: the catalog cannot be read or written. What was done until then holds.
    """
    projects = database.read(sql.blob_projects) or []
    if not options.is_dry_run and projects:
        report.n_expired_leases += database.write(sql.end_expired_leases)
    for project in projects:
        try:
            _Collection(store, database, project, options, report).run()
        except (UnreadableManifestError, OSError) as error:
            report.troubles.append(f"project {project!r} is left as it is: {error}")
    _tell_of_unknown_folders(store, projects, report)


class UnreadableManifestError(TrackerError):
    """What a version needs cannot be read; collecting could take it."""


class _Collection:
    """The collection of one project."""

    def __init__(
        self, store: BlobStore, database: CatalogDatabase, project: str, options: Options, report: GcReport
    ) -> None:
        self._place, self._database, self._project = store.place, database, project
        self._folder = project_dir_name(project)
        self._options, self._report = options, report
        self._needed = NeededChunks()
        self._uids: set[str] = set()
        self._n_writes = 0

    def run(self) -> None:
        """Do, or say, all of it."""
        stored = {one.pack_id: one for one in self._place.packs(self._folder)}  # before the rows that tell of them
        self._mark()
        pins = NeededChunks()
        pins.add(self._database.read(lambda c: sql.pinned_digests(c, self._project)) or ())
        shares = self._shares(pins)
        known = {one.row.pack_id for one in shares}
        dead, worn = sort_out(shares)
        self._condemn(dead)
        for group in groups_of(worn):
            self._rewrite(group, pins)
        self._take_unknown([one for pack_id, one in stored.items() if pack_id not in known], shares)
        self._remove(shares)
        self._take_strays()
        changed = {one.row.pack_id for one in (*dead, *worn)}
        kept = [one.row for one in shares if one.row.state == sql.LIVE and one.row.pack_id not in changed]
        self._report.n_kept_packs += len(kept)
        self._report.kept_bytes += sum(row.size_bytes for row in kept)

    def _write(self, work: Callable[[StoreConnection], T]) -> T:
        self._n_writes += 1
        if self._n_writes > _WRITES_AT_ONCE:
            time.sleep(_PAUSE_S)
        return self._database.write(work)

    # -- what is needed

    def _mark(self) -> None:
        self._add(kept_manifests(self._database, self._project))

    def _add(self, versions: Iterable[tuple[str, bytes | None]]) -> None:
        for uid, manifest in versions:
            self._uids.add(uid)
            if uid not in self._options.doomed:
                self._needed.add_manifest(_decoded(uid, manifest))

    def _needed_now(self, connection: StoreConnection) -> sql.IsNeeded:
        """Return what tells whether a version of this transaction needs a chunk."""
        new = sql.kept_uids(connection, self._project) - self._uids
        self._add(sql.manifests_of(connection, new))
        return self._needed.has_any

    def _shares(self, pins: NeededChunks) -> list[PackShare]:
        """Return all packs with how much of each is needed."""
        rows = self._database.read(lambda c: sql.packs_of(c, self._project)) or []
        found = []
        for start in range(0, len(rows), _PACKS_AT_ONCE):
            part = rows[start : start + _PACKS_AT_ONCE]
            places: dict[str, list[sql.Place]] = {row.pack_id: [] for row in part}
            for place in self._database.read(lambda c: sql.places_of(c, self._project, list(places))) or ():  # noqa: B023
                places[place.pack_id].append(place)
            found += [self._share(row, places[row.pack_id], pins) for row in part]
        return found

    def _share(self, row: sql.PackRow, places: Sequence[sql.Place], pins: NeededChunks) -> PackShare:
        digests = [place.digest for place in places]
        is_needed = self._needed.of(digests) | pins.of(digests)
        sizes = [place.size_bytes for place, needed in zip(places, is_needed, strict=True) if needed]
        return PackShare(row, len(places), len(sizes), sum(sizes))

    # -- what is not

    def _condemn(self, dead: Sequence[PackShare]) -> None:
        wanted = {one.row.pack_id: one for one in dead}
        done: Collection[str] = wanted
        if not self._options.is_dry_run:
            done = []
            for part in _parts(list(wanted)):
                done += self._write(
                    lambda c: sql.condemn(c, self._project, part, self._needed_now(c))  # noqa: B023
                )
        for pack_id in done:
            self._tell(wanted[pack_id].row, 0, "condemn", "no version and no upload needs it")

    def _rewrite(self, group: Sequence[PackShare], pins: NeededChunks) -> None:
        if not self._options.is_dry_run:
            done = self._write_anew([one.row.pack_id for one in group], pins)
            group = [one for one in group if one.row.pack_id in done]
        for one in group:
            share = f"{one.needed_bytes / max(one.row.size_bytes, 1):.0%} of it is needed"
            why = share if one.is_worn else f"one of many small packs, of which {share}"
            self._tell(one.row, one.needed_bytes, "rewrite", why)

    def _write_anew(self, old_ids: list[str], pins: NeededChunks) -> Collection[str]:
        """Bring what is needed of packs into a new one; return those that were condemned then."""
        places = self._database.read(lambda c: sql.places_of(c, self._project, old_ids)) or []
        digests = [place.digest for place in places]
        is_needed = self._needed.of(digests) | pins.of(digests)
        wanted = [place for place, needed in zip(places, is_needed, strict=True) if needed]
        try:
            new = write_pack(self._place, self._project, self._read(wanted))
        except DamagedChunkError as error:
            self._report.troubles.append(f"{error}; its pack is not written anew")
            return ()
        if new is None:
            return ()
        n_moved, done = self._write(lambda c: self._move(c, old_ids, new))
        if not n_moved:  # it has no row
            self._place.remove(self._folder, new.pack_id)
        return done

    def _move(self, connection: StoreConnection, old_ids: list[str], new: NewPack) -> tuple[int, list[str]]:
        # After a day of standstill, another collection may have taken the file, which has no row, for broken off. Who
        # takes it gives it a row first, so from this look on it stays.
        self._place.size_bytes(self._folder, new.pack_id)
        return sql.move_chunks(connection, self._project, old_ids, new, self._needed_now(connection))

    def _read(self, places: Sequence[sql.Place]) -> Iterator[tuple[bytes, bytes]]:
        for pack_id, part in groupby(places, key=lambda place: place.pack_id):
            inside = list(part)
            ranges = [(place.offset, place.size_bytes) for place in inside]
            for place, data in zip(inside, self._place.read_ranges(self._folder, pack_id, ranges), strict=True):
                if blake3(data).digest() != place.digest:
                    raise DamagedChunkError(f"{self._place.place}: pack {self._folder}/{pack_id}", place.digest)
                yield place.digest, data

    def _take_unknown(self, unknown: Sequence[StoredPack], shares: Sequence[PackShare]) -> None:
        """Condemn packs that no row tells of, as an upload leaves them that was killed in between."""
        latest_ns = time.time_ns() - LEASE_NS - _CLOCKS_NS
        old = [one for one in unknown if one.changed_ns < latest_ns]
        # A catalog that was lost, or is another one's, knows of nothing: then they may be all that there is.
        known_bytes = sum(one.row.size_bytes for one in shares if one.row.state == sql.LIVE)
        n_bytes = sum(one.size_bytes for one in old)
        is_safe = self._options.takes_unknown or (n_bytes <= known_bytes and isinstance(self._place, FolderPlace))
        if old and is_safe and not self._options.is_dry_run:
            sizes = [(one.pack_id, one.size_bytes) for one in old]
            self._write(lambda c: sql.condemn_unknown(c, self._project, sizes))
        why = "no row tells of it: an upload was broken off" if is_safe else _LEFT
        for one in old:
            fate = PackFate(self._project, one.pack_id, one.size_bytes, 0, "condemn" if is_safe else "unknown", why)
            self._report.packs.append(fate)

    def _remove(self, shares: Sequence[PackShare]) -> None:
        grace_ns = int(self._options.grace_s * 1e9)
        if self._options.is_dry_run:
            latest_ns = (self._database.read(database_ns) or 0) - grace_ns
            rows = [one.row for one in shares]
            due = [row for row in rows if row.state == sql.REMOVING or _is_due(row, latest_ns)]
            waiting = [row for row in rows if row.state == sql.CONDEMNED and row not in due]
        else:
            due = self._write(lambda c: sql.begin_removal(c, self._project, grace_ns))
            due = self._removed(due)
            rows = self._database.read(lambda c: sql.packs_of(c, self._project)) or []
            waiting = [row for row in rows if row.state == sql.CONDEMNED]
        for row in due:
            self._report.freed_bytes += row.size_bytes
            self._tell(row, 0, "remove", "was condemned, and its grace period is over")
        told = {fate.pack_id for fate in self._report.packs}
        self._report.waiting_bytes += sum(row.size_bytes for row in waiting)
        for row in waiting:
            if row.pack_id not in told:
                self._tell(row, 0, "wait", "was condemned; its grace period is not over")

    def _removed(self, due: Sequence[sql.PackRow]) -> list[sql.PackRow]:
        """Remove the files of packs; return those that are gone."""
        gone = []
        for row in due:
            try:
                self._place.remove(self._folder, row.pack_id)
            except OSError as error:
                self._report.troubles.append(f"pack {self._folder}/{row.pack_id} cannot be removed: {error}")
            else:
                gone.append(row)
        if gone:
            self._write(lambda c: sql.end_removal(c, [row.pack_id for row in gone]))
        return gone

    def _take_strays(self) -> None:
        latest_ns = time.time_ns() - LEASE_NS - _CLOCKS_NS
        for name, changed_ns in list(self._place.stray(self._folder)):
            if changed_ns < latest_ns:
                self._report.n_strays += 1
                if not self._options.is_dry_run:
                    self._place.remove_stray(self._folder, name)

    def _tell(self, row: sql.PackRow, needed_bytes: int, what: Fate, why: str) -> None:
        fate = PackFate(self._project, row.pack_id, row.size_bytes, needed_bytes, what, why)
        self._report.packs.append(fate)


def _decoded(uid: str, manifest: bytes | None) -> Manifest:
    if manifest is None:
        raise UnreadableManifestError(f"version {uid} has no manifest")
    try:
        return decode_manifest(manifest)
    except UsageError as error:
        raise UnreadableManifestError(f"the manifest of version {uid} cannot be read: {error}") from None


def _is_due(row: sql.PackRow, latest_ns: int) -> bool:
    return row.state == sql.CONDEMNED and (row.condemned_ns or 0) <= latest_ns


def _parts(pack_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(pack_ids), _PACKS_AT_ONCE):
        yield pack_ids[start : start + _PACKS_AT_ONCE]


def _tell_of_unknown_folders(store: BlobStore, projects: Collection[str], report: GcReport) -> None:
    known = {project_dir_name(project) for project in projects}
    for folder in store.place.projects():
        if folder not in known and (packs := list(store.place.packs(folder))):
            size = sum(one.size_bytes for one in packs) / (1 << 20)
            text = f"{store.place.place}: {folder} holds {len(packs)} packs, {size:,.1f} MiB, of a project that the"
            report.troubles.append(f"{text} catalog does not know; they are left")

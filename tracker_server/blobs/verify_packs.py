"""Check that every chunk that the tables name is there, whole, and which versions miss one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec
from blake3 import blake3

from tracker_core.artifacts.manifest import decode_manifest
from tracker_core.paths import project_dir_name

from ..store import store_collect as sql
from ..store.store_catalog import CatalogDatabase
from ..store.store_verify import forget_chunks, names_of
from .blob_store import BlobStore
from .folder_place import FolderPlace
from .kept_manifests import kept_manifests
from .pack_format import DamagedPackError
from .packs import read_pack_index

_PACKS_AT_ONCE = 100
_SHOWN_FILES = 20


class BadChunk(msgspec.Struct, frozen=True):
    """A chunk that cannot be read: its digest, hexadecimal, the pack, and why."""

    project: str
    digest: str
    pack_id: str
    why: str


class BadVersion(msgspec.Struct, frozen=True):
    """A version of which not every file can be read. `files` are some of these."""

    project: str
    name: str
    version: str
    uid: str
    n_files: int
    files: list[str]


class Verification(msgspec.Struct):
    """What was checked and found.

    Attributes:
        n_packs, n_chunks, size_bytes: what was looked at.
        is_deep: whether every byte was read, and not only names and sizes.
        bad_packs: packs whose own index cannot be read; their chunks may be whole all the same.
        n_repaired: chunks that were forgotten, so that the next upload of the same bytes brings them anew.
    """

    is_deep: bool
    n_packs: int = 0
    n_chunks: int = 0
    size_bytes: int = 0
    bad_chunks: list[BadChunk] = []
    bad_packs: list[str] = []
    bad_versions: list[BadVersion] = []
    n_repaired: int = 0


def verify(
    store: BlobStore,
    database: CatalogDatabase,
    projects: Sequence[str] | None = None,
    is_deep: bool = True,
    say: Callable[[int, int], None] | None = None,
) -> Verification:
    """Check the packs of projects, or of all.

    Args:
        store: where they are.
        database: the catalog that knows of them.
        projects: which. Default: all.
        is_deep: read every byte; else look only whether the packs are there in their size.
        say: is told how many bytes are done, of how many.

    Raises:
        CatalogError: the catalog cannot be read.
        OSError: the place does not answer.
    """
    found = Verification(is_deep)
    known = database.read(sql.blob_projects) or []
    wanted = [project for project in known if projects is None or project in projects]
    rows = {project: _live(database, project) for project in wanted}
    total = sum(row.size_bytes for some in rows.values() for row in some)
    for project in wanted:
        check = _Check(store, database, project, found, is_deep)
        for row, places in _with_places(database, project, rows[project]):
            check.pack(row, places)
            if say is not None:
                say(found.size_bytes, total)
        check.versions()
    return found


def repair(database: CatalogDatabase, found: Verification) -> None:
    """Forget chunks that cannot be read: whoever logs the same bytes again brings them, which mends the versions."""
    by_project: dict[str, list[tuple[bytes, str]]] = {}
    for one in found.bad_chunks:
        by_project.setdefault(one.project, []).append((bytes.fromhex(one.digest), one.pack_id))
    for project, chunks in by_project.items():
        found.n_repaired += database.write(lambda connection: forget_chunks(connection, project, chunks))  # noqa: B023


class _Check:
    """The check of one project."""

    def __init__(
        self, store: BlobStore, database: CatalogDatabase, project: str, found: Verification, is_deep: bool
    ) -> None:
        self._place, self._database, self._project = store.place, database, project
        self._found, self._is_deep = found, is_deep
        self._folder = project_dir_name(project)
        self._bad: set[bytes] = set()

    def pack(self, row: sql.PackRow, places: Sequence[sql.Place]) -> None:
        """Check one pack."""
        bad = self._bad_in(row, places)
        if bad and not self._is_still_there(row, places):
            return  # collected, or written anew, since we looked
        for digest, why in bad.items():
            self._bad.add(digest)
            self._found.bad_chunks.append(BadChunk(self._project, digest.hex(), row.pack_id, why))
        self._found.n_packs += 1
        self._found.n_chunks += len(places)
        self._found.size_bytes += row.size_bytes

    def _bad_in(self, row: sql.PackRow, places: Sequence[sql.Place]) -> dict[bytes, str]:
        try:
            size_bytes = self._place.size_bytes(self._folder, row.pack_id)
        except FileNotFoundError:
            return {place.digest: "its pack is not there" for place in places}
        if not self._is_deep:
            is_short = size_bytes != row.size_bytes
            why = f"its pack has {size_bytes:,} bytes, expected {row.size_bytes:,}"
            return {place.digest: why for place in places} if is_short else {}
        try:
            read_pack_index(self._place, self._folder, row.pack_id)
        except DamagedPackError as error:
            self._found.bad_packs.append(str(error))
        except OSError as error:
            if not isinstance(self._place, FolderPlace):
                raise
            self._found.bad_packs.append(f"{self._folder}/{row.pack_id}: its index cannot be read ({error.strerror})")
        return dict(self._read(row.pack_id, places))

    def _read(self, pack_id: str, places: Sequence[sql.Place]) -> Iterator[tuple[bytes, str]]:
        try:
            yield from list(self._read_once(pack_id, places))
        except OSError as error:
            if not isinstance(self._place, FolderPlace):
                raise  # a store that does not answer says nothing about what it has
            if len(places) == 1:
                yield places[0].digest, f"it cannot be read ({error.strerror})"
            else:
                for place in places:
                    yield from self._read(pack_id, [place])

    def _read_once(self, pack_id: str, places: Sequence[sql.Place]) -> Iterator[tuple[bytes, str]]:
        ranges = [(place.offset, place.size_bytes) for place in places]
        for place, data in zip(places, self._place.read_ranges(self._folder, pack_id, ranges), strict=False):
            if len(data) != place.size_bytes:
                yield place.digest, f"{len(data):,} bytes of it are there, of {place.size_bytes:,}"
            elif blake3(data).digest() != place.digest:
                yield place.digest, "its bytes are others"

    def _is_still_there(self, row: sql.PackRow, places: Sequence[sql.Place]) -> bool:
        digests = [place.digest for place in places]
        now = self._database.read(lambda c: sql.places_of_chunks(c, self._project, digests)) or []
        return any(place.pack_id == row.pack_id for place in now)

    def versions(self) -> None:
        """Find the versions that miss a chunk: one that is bad, or one that no table knows."""
        for uid, manifest in kept_manifests(self._database, self._project):
            if manifest is not None:
                self._version(uid, manifest)

    def _version(self, uid: str, encoded: bytes) -> None:
        by_file = {entry.path: [one.digest for one in entry.all_chunks] for entry in decode_manifest(encoded)}
        digests = sorted({digest for some in by_file.values() for digest in some})
        places = self._database.read(lambda c: sql.places_of_chunks(c, self._project, digests)) or []
        lost = set(digests) - {place.digest for place in places}
        bad = [path for path, some in by_file.items() if not self._bad.isdisjoint(some) or not lost.isdisjoint(some)]
        if bad and (names := self._database.read(lambda c: names_of(c, uid))):
            version = BadVersion(self._project, *names, uid, len(bad), sorted(bad)[:_SHOWN_FILES])
            self._found.bad_versions.append(version)


def _live(database: CatalogDatabase, project: str) -> list[sql.PackRow]:
    rows = database.read(lambda connection: sql.packs_of(connection, project)) or []
    return [row for row in rows if row.state == sql.LIVE]


def _with_places(
    database: CatalogDatabase, project: str, rows: Sequence[sql.PackRow]
) -> Iterator[tuple[sql.PackRow, list[sql.Place]]]:
    for start in range(0, len(rows), _PACKS_AT_ONCE):
        part: Mapping[str, sql.PackRow] = {row.pack_id: row for row in rows[start : start + _PACKS_AT_ONCE]}
        places = database.read(lambda connection: sql.places_of(connection, project, list(part))) or []  # noqa: B023
        by_pack = {pack_id: list(some) for pack_id, some in groupby(places, key=lambda place: place.pack_id)}
        for pack_id, row in part.items():
            yield row, by_pack.get(pack_id, [])

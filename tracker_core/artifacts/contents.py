"""What a version that is being put together holds: files that are still to be read, and entries that are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..errors import UsageError
from .local_files import LocalFile
from .manifest import Entry, Manifest
from .open_source import keep_files
from .source import ArtifactSource

Item = LocalFile | Entry
ASK_CHUNKS = 1000  # a store is asked for so many at a time


class Contents:
    """The items of a draft, by name. Not thread-safe."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items: dict[str, Item] = {name_of(item): item for item in items}
        self._folder: str | None = None
        self._drop: Callable[[], object] | None = None
        self._n_ours = 0
        self._copies: dict[str, tuple[LocalFile, str]] = {}  # by name: a file and the path of our copy of it
        self._early: dict[str, tuple[LocalFile, Entry]] = {}  # by name: a file and what a store has of it already
        self._trouble: OSError | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter([self._items[name] for name in sorted(self._items)])

    def get(self, name: str) -> Item | None:
        return self._items.get(name)

    @property
    def size_bytes(self) -> int:
        return sum(max(item.size_bytes, 0) for item in self._items.values())

    def add(self, items: Sequence[Item], overwrite: bool, where: str) -> None:
        """Add all or none; raises UsageError where a name is taken by something else and `overwrite` is not set."""
        for item in items if not overwrite else ():
            there = self._items.get(name_of(item))
            if there is not None and there != item:
                got = f"{name_of(item)!r}, which is in the artifact already"
                raise UsageError(where, got, "a name that is free", "pass overwrite=True, or another name")
        self._items.update((name_of(item), item) for item in items)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._items.pop(name, None)

    def names_below(self, folder: str) -> list[str]:
        """Return the names of all items in a folder of the version."""
        return [name for name in self._items if name.startswith(f"{folder}/")]

    # Files of our own

    def own_path(self, name: str) -> str:
        """Return a path for a file that is made for the version; it lies in a temporary folder of ours."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="tracker-artifact-")
            self._drop = weakref.finalize(self, _remove_folder, self._folder, os.getpid())
        self._n_ours += 1
        folder = os.path.join(self._folder, str(self._n_ours))
        os.mkdir(folder)
        return os.path.join(folder, os.path.basename(name)[-100:])

    @contextmanager
    def noting_trouble(self) -> Iterator[None]:
        """Take an error of the disk as one of the whole version, which then cannot be kept: no call here raises it."""
        try:
            yield
        except OSError as error:
            self._trouble = error

    def drop_own_files(self) -> None:
        """Remove the files that were made for the version."""
        if self._drop is not None:
            self._drop()
            self._folder = self._drop = None

    # Files as they were when they were added

    def copy(self, file: LocalFile) -> None:
        """Keep a copy of a file, so that it may change; where that cannot be, it is read when it is logged."""
        try:
            path = self.own_path(file.name)
            shutil.copyfile(file.path, path)
        except OSError:
            return
        self._copies[file.name] = file, path

    def note_kept(self, files: Sequence[LocalFile], entries: Sequence[Entry]) -> None:
        """Take note that a store has the content of files already."""
        self._early.update((file.name, (file, entry)) for file, entry in zip(files, entries, strict=True))

    # Keeping

    def kept(
        self,
        source: ArtifactSource,
        lease: str,
        known: Mapping[str, Entry],
        is_early: bool,
        bring: Callable[[Sequence[Entry]], None],
    ) -> Manifest:
        """Bring all that is not kept yet to a store, and return the manifest.

        Args:
            source: the store.
            lease: what the bytes are pinned to.
            known: entries of the last version: what they hold is not written again.
            is_early: whether `lease` pins already what was noted by `note_kept`.
            bring: sees to it that the content of entries of other versions is there, and pinned.

        Raises:
            UsageError: a file was changed or removed after it was added, or a name is a file's and a folder's too.
        """
        if self._trouble is not None:
            raise self._trouble
        self._check_names()
        entries = [item for item in self if isinstance(item, Entry)]
        bring([entry for entry in entries if not entry.reference])
        early = [entry for file, entry in self._early.values() if self._items.get(file.name) is file]
        entries += early if is_early else _pinned(early, source, lease)
        done = {entry.path for entry in entries}
        left = [item for item in self if isinstance(item, LocalFile) and item.name not in done]
        paths = [(self._path_now(file), file.name) for file in left]
        entries += keep_files(source, lease, paths, known) if left else []
        for file in left:
            self._path_now(file)
        return Manifest(entries)

    def _path_now(self, file: LocalFile) -> str:
        """Return where the content of a file is; raises UsageError where it is not what was added any more."""
        copied = self._copies.get(file.name)
        if copied is not None and copied[0] is file:
            return copied[1]
        if not file.is_unchanged():
            what = "changed" if os.path.exists(file.path) else "removed"
            got = f"{file.path!r}, which was {what} after it had been added"
            remedy = "log the artifact before the file is written again, or add a copy of it"
            raise UsageError(f"artifact file {file.name!r}", got, "the file as it was", remedy)
        return file.path

    def _check_names(self) -> None:
        for name in self._items:
            at = name.find("/")
            while at >= 0:
                if name[:at] in self._items:
                    got = f"{name[:at]!r} as a file, and as a folder with {name!r} in it"
                    raise UsageError("artifact", got, "one of the two", "give one of them another name")
                at = name.find("/", at + 1)


def _pinned(entries: Sequence[Entry], source: ArtifactSource, lease: str) -> list[Entry]:
    """Return the entries whose content a store has, after pinning it to a lease."""
    chunks = list(dict.fromkeys(chunk for entry in entries for chunk in entry.all_chunks))
    missing: set[bytes] = set()
    for start in range(0, len(chunks), ASK_CHUNKS):
        missing |= source.missing(lease, chunks[start : start + ASK_CHUNKS])
    return [entry for entry in entries if not any(chunk.digest in missing for chunk in entry.all_chunks)]


def _remove_folder(folder: str, pid: int) -> None:
    """Remove a temporary folder; a process that was forked leaves that of its parent alone."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def name_of(item: Item) -> str:
    """Return the name of an item in the version."""
    return item.name if isinstance(item, LocalFile) else item.path

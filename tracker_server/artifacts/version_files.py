"""What a version holds, folder by folder, and in what two versions differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from tracker_core.artifacts.manifest import Entry, Manifest

Kind = Literal["added", "removed", "changed", "moved"]
_ORDER: tuple[Kind, ...] = ("changed", "moved", "added", "removed")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a version: its path, how many files are below it, and their bytes."""

    path: str
    n_files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of a folder: its sub-folders (only with the first part), files, and where the next part begins."""

    folders: list[Folder]
    files: list[Entry]
    n_files: int
    next_place: int | None


def list_folder(manifest: Manifest, folder: str, after: int, size: int) -> Listing:
    """Return what is directly in a folder; "" is the whole version."""
    prefix = f"{folder}/" if folder else ""
    below: dict[str, list[int]] = {}
    files = []
    for entry in manifest:
        if not entry.path.startswith(prefix):
            continue
        first, is_deeper, _ = entry.path[len(prefix) :].partition("/")
        if not is_deeper:
            files.append(entry)
            continue
        counts = below.setdefault(first, [0, 0])
        counts[0] += 1
        counts[1] += max(0, entry.size_bytes)
    folders = [Folder(prefix + name, counts[0], counts[1]) for name, counts in below.items()]
    return _part(folders, files, after, size)


def find_files(manifest: Manifest, text: str, after: int, size: int) -> Listing:
    """Return the files that have `text` in their path, whatever the case."""
    needle = text.casefold()
    return _part([], [entry for entry in manifest if needle in entry.path.casefold()], after, size)


def _part(folders: list[Folder], files: list[Entry], after: int, size: int) -> Listing:
    end = after + size
    shown = folders if after == 0 else []
    return Listing(shown, files[after:end], len(files), end if end < len(files) else None)


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs. `old` is None for an added one, `new` for a removed one; a moved one has other paths."""

    kind: Kind
    old: Entry | None
    new: Entry | None

    @property
    def path(self) -> str:
        """Its path in the new version, or in the old one where it is gone."""
        return (self.new or self.old).path  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """In what two versions differ: changed files first, then moved, added and removed ones.

    Attributes:
        n_same: files that are the same.
        reused_bytes: of the new version's content, what the old one has too, wherever it is.
    """

    changes: list[FileChange]
    n_same: int
    reused_bytes: int

    def count(self, kind: Kind) -> int:
        """Return how many changes are of a kind."""
        return sum(1 for change in self.changes if change.kind == kind)

    def part(self, after: int, size: int) -> tuple[list[FileChange], int | None]:
        """Return some changes, and where the next ones begin."""
        found = list(islice(self.changes, after, after + size))
        return found, after + size if after + size < len(self.changes) else None


def compare(old: Manifest, new: Manifest) -> ManifestDiff:
    """Return in what `new` differs from `old`."""
    changes: list[FileChange] = []
    added, n_same = [], 0
    for entry in new:
        before = old.get(entry.path)
        if before is None:
            added.append(entry)
        elif _content(before) == _content(entry):
            n_same += 1
        else:
            changes.append(FileChange("changed", before, entry))
    removed = [entry for entry in old if entry.path not in new]
    changes += _moved_or_not(removed, added)
    changes.sort(key=lambda change: (_ORDER.index(change.kind), change.path))
    return ManifestDiff(changes, n_same, _reused_bytes(old, new))


def _content(entry: Entry) -> tuple[object, ...]:
    return (entry.size_bytes, entry.digest, entry.reference, entry.checksum)


def _moved_or_not(removed: list[Entry], added: list[Entry]) -> list[FileChange]:
    """Pair what went with what came where the content is the same; empty files are all alike and never moved."""
    gone: dict[tuple[object, ...], list[Entry]] = {}
    for entry in reversed(removed):
        gone.setdefault(_content(entry), []).append(entry)
    changes = []
    moved: set[str] = set()
    for entry in added:
        candidates = gone.get(_content(entry)) if entry.size_bytes else None
        if candidates:
            before = candidates.pop()
            moved.add(before.path)
            changes.append(FileChange("moved", before, entry))
        else:
            changes.append(FileChange("added", None, entry))
    changes += [FileChange("removed", entry, None) for entry in removed if entry.path not in moved]
    return changes


def _reused_bytes(old: Manifest, new: Manifest) -> int:
    known = {chunk.digest for entry in old for chunk in entry.all_chunks}
    return sum(chunk.size_bytes for entry in new for chunk in entry.all_chunks if chunk.digest in known)

"""Packs in backups: copies of their files, which never change, so that a second backup copies only what is new."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator

from tracker_core.errors import UsageError

from .folder_place import FolderPlace, make_lasting_folder, sync_folder
from .pack_place import TEMPORARY_PREFIX, PackPlace, pack_path

Say = Callable[[int], None]


def back_up_packs(place: PackPlace, target: str, say: Say | None = None) -> tuple[int, int]:
    """Copy the packs of a folder below `target`, where they are not there yet.

    To be called after the catalog was copied, with no collection of garbage at work: all that the copy of the catalog
    names is there then.

    Args:
        place: where the packs are.
        target: the folder of the copies; made where it is not there.
        say: is told how many bytes are copied.

    Returns:
        How many packs the backup has, and how many bytes were copied now.

    Raises:
        UsageError: the packs are in an object store.
        OSError: one cannot be read or written.
    """
    if not isinstance(place, FolderPlace):
        remedy = "leave --blobs out, and back the bucket up by its own means, such as versioning or replication"
        raise UsageError("tracker db backup", f"packs in {place.place}", "packs in a folder", remedy)
    return _copy_all(place.place, target, say)


def restore_packs(source: str, place: PackPlace, say: Say | None = None) -> tuple[int, int]:
    """Copy the packs of a backup to where the packs of a folder are; those that are there stay as they are.

    Returns and raises as `back_up_packs` does.
    """
    if not isinstance(place, FolderPlace):
        remedy = f"add --no-blobs, and copy {source} into it by the means of the object store"
        raise UsageError("tracker db restore", f"packs in {place.place}", "packs in a folder", remedy)
    return _copy_all(source, place.place, say)


def _copy_all(source: str, target: str, say: Say | None) -> tuple[int, int]:
    n_packs = n_copied = 0
    for relative, size_bytes in _packs(FolderPlace(source)):
        n_packs += 1
        path = os.path.join(target, *relative.split("/"))
        if _size(path) != size_bytes:
            _copy(os.path.join(source, *relative.split("/")), path)
            n_copied += size_bytes
            if say is not None:
                say(n_copied)
    return n_packs, n_copied


def _packs(place: FolderPlace) -> Iterator[tuple[str, int]]:
    for folder in place.projects():
        for pack in place.packs(folder):
            yield pack_path(folder, pack.pack_id), pack.size_bytes


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return -1


def _copy(source: str, target: str) -> None:
    parent, name = os.path.split(target)
    make_lasting_folder(parent)
    temporary = os.path.join(parent, f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{name}")
    try:
        shutil.copyfile(source, temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    sync_folder(parent)

"""The part of `tracker db backup` and `restore` that is about the bytes of artifacts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tracker_core.errors import TrackerError, UsageError
from tracker_core.paths import find_folder
from tracker_core.settings import load_settings

from .cli_system import with_unit

BLOBS = "blobs"


def add_blobs(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the arguments that say what becomes of the bytes of artifacts."""
    parser.add_argument("--no-blobs", action="store_true", help="leave the bytes of artifacts out")
    help = "a folder of their own for them, which later backups add to (default: blobs/ of the backup)"
    parser.add_argument("--blobs", metavar="FOLDER", help=help if name == "backup" else "where a backup put them")


class BackedUpBlobs:
    """The bytes of artifacts, on their way into a backup or out of one.

    Args:
        args: of the command.

    Attributes:
        told: what was done, in words.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        settings = load_settings()
        self._database_url = args.database_url or settings.database_url
        self.folder = find_folder(args.dir or settings.dir)
        self._blobs_url = settings.blobs_url
        self._is_left_out = args.no_blobs
        self._place = args.blobs or os.path.join(args.target, BLOBS)
        self._is_named = bool(args.blobs)
        self.told = "The bytes of artifacts are not in it (--no-blobs)." if args.no_blobs else "There are no artifacts."

    def back_up(self) -> None:
        """Copy the packs; the catalog was copied before."""
        from ..artifacts.local_artifacts import open_artifacts
        from ..blobs.backup_packs import back_up_packs

        if self._is_left_out:
            return
        artifacts = open_artifacts(self.folder, self._database_url, self._blobs_url)
        if self._blobs_url and not self._is_named:
            self.told = f"The bytes of artifacts are in {artifacts.store.place.place}, and not in it: back that up too."
        elif artifacts.projects() or artifacts.usage():
            n_packs, n_bytes = back_up_packs(artifacts.store.place, self._place)
            new = "" if not self._is_named else f", {with_unit('_bytes', n_bytes)} of them new"
            self.told = f"The bytes of artifacts: {n_packs} packs in {self._place}{new}."
        artifacts.close()

    def restore(self) -> None:
        """Copy the packs of a backup to where the folder has its packs."""
        from ..blobs.backup_packs import restore_packs
        from ..blobs.blob_store import open_place

        if self._is_left_out:
            return
        if os.path.isdir(self._place):
            n_packs, _ = restore_packs(self._place, open_place(self.folder, self._blobs_url))
            self.told = f"The bytes of artifacts: {n_packs} packs."
        elif self._is_named:
            raise UsageError("--blobs", f"{self._place}, which is not there", "a folder", "name that of the backup")

    def settle(self) -> None:
        """Bring the restored catalog in line with the packs that are there, which may have been written anew since."""
        from ..artifacts.local_artifacts import open_artifacts
        from ..blobs.rebuild_chunks import rebuild_chunks
        from ..blobs.verify_packs import verify

        artifacts = open_artifacts(self.folder, self._database_url, self._blobs_url)
        if not artifacts.projects():
            return
        if self._blobs_url:
            self.told = "Bring the catalog in line with the object store: tracker artifact verify --quick --rebuild"
            return
        rebuild_chunks(artifacts.store, artifacts.database)
        lost = verify(artifacts.store, artifacts.database, is_deep=False).bad_versions
        artifacts.close()
        if lost:
            names = ", ".join(f"{one.project}/{one.name}:{one.version}" for one in lost[:5])
            raise TrackerError(
                f"restored, but the bytes of {len(lost)} versions are not there, such as {names}; `tracker artifact "
                f"verify` names all. Remedy: restore the folder blobs/ of the same backup, or name it with --blobs"
            )


@contextmanager
def blobs_of(args: argparse.Namespace) -> Iterator[BackedUpBlobs]:
    """Keep garbage from being collected for the block, so that what the catalog names is there when it is copied."""
    from ..artifacts.garbage import garbage_lock

    blobs = BackedUpBlobs(args)
    is_there = os.path.isdir(os.path.join(blobs.folder, BLOBS))
    with garbage_lock(blobs.folder) if is_there else nullcontext():
        yield blobs

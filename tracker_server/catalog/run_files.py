"""Remove what a deleted run has on disk: its journals, kept files and claims, and nothing of another run.

Whatever step a kill comes at, what is left is found and removed by the next call.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.paths import JOURNAL_SUFFIX
from tracker_core.records import File

from .decisions import Decisions, Tombstone

_RUN_DIR = re.compile(r"[^/\\]+/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_READ_BYTES = 4 << 20
# A journal that nobody closed and nobody wrote to for so long is that of a process that died.
_SILENT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed of a run.

    Attributes:
        journals: the names of its journals, those that were gone already too.
        n_bytes: how much room their files took.
        troubles: what could not be removed, and why; empty where all is done.
        is_in_use: whether a later run has the id.
    """

    journals: frozenset[str]
    n_bytes: int
    troubles: tuple[str, ...]
    is_in_use: bool


def size_on_disk(folder: str, run: Tombstone) -> int:
    """Return how many bytes a run's files have, with those of a later run of the same id."""
    return sum(size for _, size in _files_below(_run_dir(folder, run)))


def is_on_disk(folder: str, run: Tombstone, decisions: Decisions) -> bool:
    """Say whether a run has journals, as one that was removed has where its process put them back."""
    return bool(decisions.hidden(run.folder, _journals(_run_dir(folder, run), run.folder)))


def remove_files(folder: str, run: Tombstone, decisions: Decisions) -> Removed:
    """Remove a deleted run from a tracker folder.

    Files that a later run of the same id keeps too stay, and while that run is being written all of them.
    """
    run_dir = _run_dir(folder, run)
    removing = _Removing()
    names = _journals(run_dir, run.folder)
    hidden = {name for name in decisions.hidden(run.folder, names) if _is_of(run, run_dir, name)}
    for name in sorted(hidden):
        removing.file(os.path.join(run_dir, name.rpartition("/")[2]))
    others = _journals(run_dir, run.folder)
    if not others:
        _remove_rest(run_dir, removing)
    elif not _remove_unshared_files(run_dir, others, removing):
        removing.troubles.append(f"{run_dir}: its files stay until the later run of this id has ended")
    return Removed(run.journals | hidden, removing.n_bytes, tuple(removing.troubles), is_in_use=bool(others))


class _Removing:
    """Removes files and counts their bytes."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.troubles: list[str] = []

    def file(self, path: str) -> None:
        """Remove a file that may be gone."""
        try:
            n_bytes = os.lstat(path).st_size
            os.unlink(path)
            self.n_bytes += n_bytes
        except FileNotFoundError:
            pass
        except OSError as error:
            self.troubles.append(f"{path}: {error.strerror or error}")

    def tree(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; a link is not followed."""
        if os.path.islink(path) or not os.path.isdir(path):
            self.file(path)
            return
        n_bytes = sum(size for _, size in _files_below(path))
        try:
            shutil.rmtree(path)
            self.n_bytes += n_bytes
        except FileNotFoundError:
            pass
        except OSError as error:
            self.troubles.append(f"{path}: {error.strerror or error}")


def _run_dir(folder: str, run: Tombstone) -> str:
    """Return the run's folder. Raises ValueError where the catalog names what cannot be one."""
    project_dir = run.folder.partition("/")[0]
    if not _RUN_DIR.fullmatch(run.folder) or project_dir in (".", ".."):
        raise ValueError(f"the catalog names {run.folder[:200]!r}, which is not the folder of a run")
    return os.path.join(folder, "runs", *run.folder.split("/"))


def _journals(run_dir: str, prefix: str) -> list[str]:
    try:
        names = os.listdir(run_dir)
    except OSError:
        return []
    return [f"{prefix}/{name}" for name in names if name.endswith(JOURNAL_SUFFIX)]


def _is_of(run: Tombstone, run_dir: str, name: str) -> bool:
    """Say whether a hidden journal is the run's: it was there, or its process joined no later attempt."""
    if name in run.journals:
        return True
    try:
        session = read_session(os.path.join(run_dir, name.rpartition("/")[2]))
    except OSError:
        return False
    return session is not None and session.attempt <= run.attempt


def _remove_rest(run_dir: str, removing: _Removing) -> None:
    """Remove all but journals, which can only be those of a run that began this moment, and the folder itself."""
    try:
        names = sorted(os.listdir(run_dir))
    except OSError:
        return
    for name in names:
        if not name.endswith(JOURNAL_SUFFIX):
            removing.tree(os.path.join(run_dir, name))
    for empty in (run_dir, os.path.dirname(run_dir)):
        with contextlib.suppress(OSError):  # another run of the project, or a journal that came back
            os.rmdir(empty)


def _remove_unshared_files(run_dir: str, others: list[str], removing: _Removing) -> bool:
    """Remove the kept files that no other journal of the run's folder names. Says whether that could be done now."""
    wanted: set[str] = set()
    for name in others:
        digests = _digests_of_ended(os.path.join(run_dir, name.rpartition("/")[2]))
        if digests is None:
            return False
        wanted |= digests
    for path, _ in list(_files_below(os.path.join(run_dir, "files"))):
        if os.path.basename(path) not in wanted:
            removing.file(path)
    return True


def _digests_of_ended(path: str) -> set[str] | None:
    """Return the files that a journal names; None where it may still name more, or cannot be read."""
    reader, digests = JournalReader(path), set[str]()
    try:
        while (batch := reader.read(_READ_BYTES)).n_bytes:
            digests.update(record.digest for _, record in batch.records if isinstance(record, File))
        is_silent = time.time() - os.stat(path).st_mtime > _SILENT_S
    except OSError:
        return None
    return digests if reader.is_closed or is_silent else None


def _files_below(path: str) -> Iterator[tuple[str, int]]:
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                yield os.path.join(folder, name), os.lstat(os.path.join(folder, name)).st_size

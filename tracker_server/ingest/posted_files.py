"""Files kept with a run, as they arrive: in parts, from any offset that was reached, and seen only when whole.

They lie where those of a tracker folder do, `<run folder>/files/<digest>`; one that is arriving has the suffix `.part`.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Sequence

from blake3 import blake3

from tracker_core.errors import UsageError
from tracker_core.paths import check_project, check_run_id, run_folder
from tracker_core.sync.wire import FileAck, FileState

from ..blobs.folder_place import sync_folder
from ..catalog.decisions import Decisions
from .block_sink import SinkFullError
from .folder_sink import hold_file

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_N_LOCKS = 64


class FileTooLargeError(Exception):
    """A file is larger than the server takes; the argument is how large that is, in bytes."""


class RunDeletedError(Exception):
    """The run was deleted; nothing more of it is taken."""


class PostedFiles:
    """Takes the files of runs into a tracker folder. Thread-safe, and safe beside other server processes.

    Args:
        folder: the tracker folder.
        decisions: returns what is decided about runs now.
        max_bytes: the largest file that is taken; 0 for no limit.
    """

    def __init__(self, folder: str, decisions: Callable[[], Decisions], max_bytes: int = 0) -> None:
        self._folder = folder
        self._decisions = decisions
        self._max_bytes = max_bytes
        self._locks = [threading.Lock() for _ in range(_N_LOCKS)]

    def missing(self, project: str, run_id: str, digests: Sequence[str]) -> list[FileState]:
        """Return which of these files are not there whole, and where to go on with each; none of a deleted run."""
        folder = self._files_folder(project, run_id)
        if self._is_deleted(folder):
            return []
        found = []
        for digest in dict.fromkeys(digests):
            path = os.path.join(folder, _checked(digest))
            if not os.path.isfile(path):
                found.append(FileState(digest, _size(path + _PART)))
        return found

    def put(
        self, project: str, run_id: str, digest: str, offset: int, data: bytes, size_bytes: int | None = None
    ) -> FileAck:
        """Take the bytes of a file from `offset` on. What is acknowledged outlives a loss of power.

        Args:
            project, run_id, digest: which file.
            offset: where they begin; not behind what is there.
            data: the bytes.
            size_bytes: how long the whole file is. Without it the digest is looked at after each part.

        Raises:
            FileTooLargeError: the file is larger than allowed.
            RunDeletedError: the run was deleted.
            SinkFullError: there is no room.
        """
        folder = self._files_folder(project, run_id)
        path = os.path.join(folder, _checked(digest))
        if self._max_bytes and max(size_bytes or 0, offset + len(data)) > self._max_bytes:
            raise FileTooLargeError(self._max_bytes)
        if self._is_deleted(folder):
            raise RunDeletedError
        with self._locks[hash(path) % _N_LOCKS]:
            try:
                return self._put(path, digest, offset, data, size_bytes)
            except OSError as error:
                raise SinkFullError(f"{folder} cannot be written: {error.strerror or error}") from error

    def _put(self, path: str, digest: str, offset: int, data: bytes, size_bytes: int | None) -> FileAck:
        if os.path.isfile(path):
            return FileAck(os.path.getsize(path), True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = path + _PART
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(part, flags, 0o644), "r+b", buffering=0) as file:
            hold_file(file.fileno())
            if os.path.isfile(path):  # another process has finished it meanwhile
                return FileAck(os.path.getsize(path), True)
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                return FileAck(size, False)
            if offset == 0 and size:  # from the beginning: what is there was not what it should be
                file.truncate(0)
                size = 0
            file.seek(offset)
            _write_all(file.fileno(), data)
            size = max(size, offset + len(data))
            if size_bytes is not None and size > size_bytes:
                file.truncate(0)
                return FileAck(0, False)
            os.fsync(file.fileno())
            if size_bytes is not None and size < size_bytes:
                return FileAck(size, False)
            if _digest_of(part) == digest:
                os.replace(part, path)
                sync_folder(os.path.dirname(path))
                sync_folder(os.path.dirname(os.path.dirname(path)))
                return FileAck(size, True)
            if size_bytes is not None:  # all there and not what it should be: from the beginning
                file.truncate(0)
                return FileAck(0, False)
            return FileAck(size, False)

    def _files_folder(self, project: str, run_id: str) -> str:
        where = "sync: files"
        run = run_folder(self._folder, check_project(project, where), check_run_id(run_id, where))
        return os.path.join(run, "files")

    def _is_deleted(self, files_folder: str) -> bool:
        """Say whether the run is deleted, and no later one has its id."""
        run = os.path.dirname(files_folder)
        name = "/".join(run.split(os.sep)[-2:])
        decisions = self._decisions()
        if name not in decisions.by_folder:
            return False
        journals: list[str] = []
        with contextlib.suppress(OSError):
            journals = [f"{name}/{file}" for file in os.listdir(run) if file.endswith(".journal")]
        return not journals or decisions.hidden(name, journals) == set(journals)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise UsageError("sync: digest", repr(digest)[:100], "64 hexadecimal digits", "send the BLAKE3 of the file")
    return digest


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _digest_of(path: str) -> str:
    hasher = blake3()
    hasher.update_mmap(path)
    return hasher.hexdigest()

"""Files kept with a run: which names and digests are taken from a journal, and where the bytes lie. Pure but `open`."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import BinaryIO

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.file_names import check_file_name
from tracker_core.records import File

# Opening a pipe that somebody put there must not wait for its other end.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INT64_MAX = (1 << 63) - 1
# The kind of files that values of rows name.
MEDIA = "media"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file kept with a run. `path` is relative, with forward slashes; `kind` is file, code, diff or `MEDIA`."""

    path: str
    digest: str
    size_bytes: int
    kind: str
    saved_ns: int


def kept_file(record: File) -> KeptFile:
    """Return what a FILE record says.

    Raises:
        ValueError: its name could lead out of a folder, or its digest is none.
    """
    try:
        path = check_file_name(record.path)
    except UsageError as error:
        raise ValueError(f"a file with the name {error.got}, which is no relative path") from error
    if not _DIGEST.fullmatch(record.digest):
        raise ValueError(f"file {path[:200]!r} with the digest {record.digest[:80]!r}, which is none")
    size, saved = max(0, record.size_bytes), max(-_INT64_MAX, record.wall_time_ns)
    return KeptFile(path, record.digest, min(size, _INT64_MAX), record.kind[:40], min(saved, _INT64_MAX))


def latest_files(files: list[KeptFile]) -> list[KeptFile]:
    """Return what was saved last under each path, by path."""
    latest: dict[str, KeptFile] = {}
    for file in sorted(files, key=lambda file: file.saved_ns):
        latest[file.path] = file
    return [latest[path] for path in sorted(latest)]


def open_kept(run_folder: str, digest: str) -> BinaryIO:
    """Open the bytes with this digest, which `kept_file` has checked; a link is not followed.

    Raises:
        NotFoundError: they are not there, or are no plain file.
    """
    path, shown = os.path.join(run_folder, "files", digest), f"files/{digest} in the run's folder"
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | _NONBLOCK)
    except OSError as error:
        why = "it is still on its way here, or was deleted"
        raise NotFoundError(f"{shown} cannot be read: {error.strerror}; {why}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotFoundError(f"{shown} is no plain file")
    return os.fdopen(fd, "rb")

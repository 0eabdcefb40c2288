"""The pictures, tables and the like that inherited rows name: the run that inherits gets copies of its own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence

from .file_copies import copy_bytes, remove, size_at
from .lazy_pattern import lazy_pattern
from .records import File

FILES_FOLDER = "files"
_STEP = lazy_pattern(r".*_(-?\d{1,20})_[0-9a-f]{12}\.\w+")


def is_media_until(file: File, max_step: int, journal_path: str) -> bool:
    """Say whether a file is media of a row of at most that step, and is in the folder of the run's journal."""
    if file.kind != "media":
        return False
    match = _STEP.fullmatch(file.path)
    is_before = match is None or int(match[1]) <= max_step
    return is_before and size_at(_content(os.path.dirname(journal_path), file.digest)) == file.size_bytes


def copy_media(digests: Iterable[str], sources: Sequence[str], folder: str, rest: Callable[[], None]) -> None:
    """Copy contents from the run folders `sources` to that of another run.

    Raises:
        OSError: one cannot be read or written.
    """
    for digest in dict.fromkeys(digests):
        target = _content(folder, digest)
        source = next((path for path in (_content(one, digest) for one in sources) if os.path.exists(path)), None)
        if source is None or size_at(target) == size_at(source):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        draft = os.path.join(os.path.dirname(target), f".part-{os.getpid()}-{time.time_ns():x}-inherited")
        try:
            with open(source, "rb", buffering=0) as read, open(draft, "xb", buffering=0) as written:
                copy_bytes(read.fileno(), written.fileno(), size_at(source), 0)
            os.replace(draft, target)
        finally:
            with contextlib.suppress(OSError):
                remove(draft)
        rest()


def _content(run_folder: str, digest: str) -> str:
    return os.path.join(run_folder, FILES_FOLDER, digest)

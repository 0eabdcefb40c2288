"""Files kept with a run: their bytes lie in <run folder>/files/<digest>, a FILE record names them.

The bytes are always copied, never linked, so nothing that the user does later changes what was kept. Content is
addressed by its BLAKE3 digest and appears under it by one rename, whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import UsageError
from .file_copies import (
    Version,
    copy_bytes,
    digest_at,
    digest_of,
    refuse_unless_regular,
    remove,
    size_at,
    version_at,
    version_of,
    write_new,
)
from .file_names import check_file_name as check_file_name
from .file_names import found_files, pattern_and_base
from .records import File, Record
from .say import warn

FILES_FOLDER = "files"
POLICIES = ("live", "now", "end")
_TEMPORARY_PREFIX = ".part-"
_LEFT_OVER_S = 3600.0  # nobody copies for so long without writing
_N_COPIES = 3  # of a file that changes while it is read
_LIVE_SHARE = 20  # a look at live files that took one second is followed by twenty without


@dataclass(slots=True)
class _Kept:
    """What was last kept under a name."""

    file: File
    version: Version
    is_ours: bool  # this keeper brought the content, so that it may take it away when it is replaced


@dataclass(frozen=True, slots=True)
class _Watched:
    """A glob given to `save`, to be looked at again."""

    pattern: str
    base: str
    policy: Literal["live", "end"]


class FileKeeper:
    """Keeps copies of files with one run. Thread-safe. Trouble with files or the disk warns once and never raises.

    Args:
        run_folder: the run's folder; `files/` in it is made when the first file is kept.
        put: takes the FILE records.
        max_bytes: the size above which files are left out; 0 for no limit.
    """

    def __init__(self, run_folder: str, put: Callable[[Record], None], max_bytes: int = 0) -> None:
        self._run_folder = os.path.abspath(run_folder)
        self._folder = os.path.join(self._run_folder, FILES_FOLDER)
        self._put = put
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._for_good: set[bytes] = set()  # digests of media
        self._watched: list[_Watched] = []
        self._warned: set[str] = set()
        self._look_again_s = 0.0
        self._n_temporary = 0

    @property
    def runs_folder(self) -> str:
        """The folder of all runs, whose files are never kept with a run."""
        return os.path.dirname(os.path.dirname(self._run_folder))

    def keep(self, source_path: str | os.PathLike[str], name: str, kind: str = "file") -> File | None:
        """Copy a file into the run under a name; return its record, or None where it could not be kept.

        A symlink is followed to a regular file; anything else is refused. A file that changes while it is copied is
        copied again, and after three times kept as it was read.

        Raises:
            UsageError: the name is not a valid one.
        """
        name = check_file_name(name)
        source = os.fspath(source_path)
        try:
            with self._source(source) as fd:
                temporary, version = self._copy(fd)
                return self._settle(temporary, name, kind, version)
        except (OSError, ValueError) as error:
            self._warn_once(_cause(error, source), f"{source} is not kept with the run: {_reason(error)}")
            return None

    def keep_bytes(self, data: bytes, name: str, kind: str = "file") -> File | None:
        """Keep bytes under a name; return their record, or None where they could not be kept.

        Raises:
            UsageError: the name is not a valid one.
        """
        name = check_file_name(name)
        try:
            temporary = self._written(lambda path: write_new(path, data))
            return self._settle(temporary, name, kind, (0, 0, len(data), 0))
        except OSError as error:
            self._warn_once(_cause(error, name), f"{name} is not kept with the run: {_reason(error)}")
            return None

    def keep_media(self, name: str, source: bytes | int | Callable[[str], None]) -> bool:
        """Keep, under a name that nothing else has, what is never replaced; say whether that could be done.

        Args:
            name: of ours; it is not checked.
            source: the bytes, the descriptor of an open file, or a function that writes a new file at a path.
        """
        temporary = ""
        try:
            if isinstance(source, bytes):
                digest, size_bytes = digest_of(source), len(source)
            else:
                temporary = self._copy(source)[0] if isinstance(source, int) else self._written(source)
                digest, size_bytes = digest_at(temporary)
            if self._max_bytes and size_bytes > self._max_bytes:
                raise ValueError(f"it has {size_bytes} bytes, more than the setting file_max_mib allows")
            self._place_media(digest, size_bytes, source if isinstance(source, bytes) else temporary)
        except (OSError, ValueError) as error:
            self._warn_once(_cause(error, "media"), f"{name} is not kept with the run: {_reason(error)}")
            return False
        finally:
            if temporary:
                remove(temporary)
        self._put(File(wall_time_ns=time.time_ns(), path=name, digest=digest, size_bytes=size_bytes, kind="media"))
        return True

    def _place_media(self, digest: str, size_bytes: int, source: bytes | str) -> None:
        with self._lock:
            self._for_good.add(bytes.fromhex(digest))
        path = os.path.join(self._folder, digest)
        if size_at(path) == size_bytes:
            return
        temporary = source if isinstance(source, str) else self._written(lambda where: write_new(where, source))
        try:
            os.replace(temporary, path)
        finally:
            remove(temporary)

    def _written(self, write: Callable[[str], None]) -> str:
        temporary = self._temporary_path()
        try:
            write(temporary)
        except BaseException:
            remove(temporary)
            raise
        return temporary

    # Files that are looked at again

    def watch(self, pattern: str, base: str, policy: Literal["live", "end"]) -> None:
        """Keep what matches a glob at the end, and for "live" also whenever it has changed before."""
        with self._lock:
            watched = _Watched(pattern, base, policy)
            if watched not in self._watched:
                self._watched.append(watched)

    def refresh_live(self) -> None:
        """Keep the live files that have changed. Called every few seconds; does nothing while that would cost much."""
        began_s = time.monotonic()
        if began_s < self._look_again_s:
            return
        self._refresh(is_end=False)
        ended_s = time.monotonic()
        self._look_again_s = ended_s + _LIVE_SHARE * (ended_s - began_s)

    def finish(self) -> None:
        """Keep what `save(policy="end")` and `save(policy="live")` named, as it is now."""
        self._refresh(is_end=True)

    def _refresh(self, is_end: bool) -> None:
        with self._refreshing:  # or an older copy might be recorded after a newer one
            for watched in [one for one in self._watched if is_end or one.policy == "live"]:
                for path, name in self.matches(watched.pattern, watched.base):
                    kept = self._kept.get(name)
                    if kept is None or kept.version != version_at(path):
                        self.keep(path, name)

    def matches(self, pattern: str, base: str) -> Iterator[tuple[str, str]]:
        """Yield (path, name) of the files below `base` that match; folders and the tracker's own are left out."""
        for found in sorted(found_files(pattern, base)):
            path = os.path.join(base, found)
            if os.path.isdir(path) or path.startswith(self.runs_folder + os.sep):
                continue
            try:
                yield path, check_file_name(found.replace(os.sep, "/"))
            except UsageError as error:
                self._warn_once(f"name {found!a}", f"{path!a} is not kept with the run: expected {error.expected}")

    # Copying

    @contextlib.contextmanager
    def _source(self, path: str) -> Iterator[int]:
        """Open a regular file for reading; anything else is refused before it is opened, for that may wait for ever."""
        refuse_unless_regular(os.stat(path))
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fd = os.open(path, flags)
        try:
            refuse_unless_regular(os.fstat(fd))
            yield fd
        finally:
            os.close(fd)

    def _copy(self, source_fd: int) -> tuple[str, Version]:
        """Copy a file under a temporary name, again where it changed meanwhile; return that name and the version."""
        n_left = _N_COPIES
        while True:
            before = version_of(os.fstat(source_fd))
            temporary = self._copy_once(source_fd, before[2])
            n_left -= 1
            if n_left == 0 or version_of(os.fstat(source_fd)) == before:
                return temporary, before
            remove(temporary)

    def _copy_once(self, source_fd: int, n_bytes: int) -> str:
        if self._max_bytes and n_bytes > self._max_bytes:
            raise ValueError(f"it has {n_bytes} bytes, more than the setting file_max_mib allows")
        temporary = self._temporary_path()
        try:
            with open(temporary, "xb") as target:
                copy_bytes(source_fd, target.fileno(), n_bytes, self._max_bytes)
                getattr(os, "fdatasync", os.fsync)(target.fileno())
        except BaseException:
            remove(temporary)
            raise
        return temporary

    def _temporary_path(self) -> str:
        with self._lock:
            os.makedirs(self._folder, exist_ok=True)
            if not self._n_temporary:
                _remove_left_over(self._folder)
            self._n_temporary += 1
            return os.path.join(
                self._folder, f"{_TEMPORARY_PREFIX}{os.getpid()}-{time.time_ns():x}-{self._n_temporary}"
            )

    def _settle(self, temporary: str, name: str, kind: str, version: Version) -> File:
        """Give the copy its name, record it, and take away what it replaces."""
        try:
            digest, size_bytes = digest_at(temporary)
            path = os.path.join(self._folder, digest)
            is_new = size_at(path) != size_bytes  # a power loss may have left an empty file under the name
            if is_new:
                os.replace(temporary, path)
        finally:
            remove(temporary)
        file = File(wall_time_ns=time.time_ns(), path=name, digest=digest, size_bytes=size_bytes, kind=kind)
        with self._lock:
            before = self._kept.get(name)
            is_ours = is_new or any(kept.is_ours for kept in self._kept.values() if kept.file.digest == digest)
            self._kept[name] = _Kept(file, version, is_ours)
        if before is None or (before.file.digest, before.file.kind) != (digest, kind):
            self._put(file)
            self._drop(before)
        return file

    def _drop(self, replaced: _Kept | None) -> None:
        """Remove content that no name of this run stands for any more, so that a live file does not fill the disk."""
        if replaced is None or not replaced.is_ours:
            return
        with self._lock:
            digest = replaced.file.digest
            is_needed = bytes.fromhex(digest) in self._for_good
            if not is_needed and all(kept.file.digest != digest for kept in self._kept.values()):
                remove(os.path.join(self._folder, digest))

    def _warn_once(self, cause: str, message: str) -> None:
        with self._lock:
            is_known = cause in self._warned
            self._warned.add(cause)
        if not is_known:
            warn(message)


def save_files(
    keeper: FileKeeper,
    glob_str: str | os.PathLike[str],
    base_path: str | os.PathLike[str] | None = None,
    policy: str = "live",
) -> list[str]:
    """Keep the files that match a glob with the run; return the names that they have there.

    Args:
        keeper: of the run.
        glob_str: a path or glob (`**` goes down folders), from the working directory where it is relative.
        base_path: the folder that names are relative to. Default: the working directory; for an absolute glob, the
            folder that it names.
        policy: "now" keeps what is there; "end" keeps at the end of the run what is there then; "live" keeps what is
            there and again whenever it has changed.

    Raises:
        UsageError: the policy is none of these, or the glob leads out of the base path.
    """
    pattern, base = pattern_and_base(glob_str, base_path)
    if policy == "now":
        watch: Literal["live", "end"] | None = None
    elif policy == "live" or policy == "end":
        watch = "live" if policy == "live" else "end"
        keeper.watch(pattern, base, watch)
    else:
        raise UsageError("save(policy=)", repr(policy)[:200], '"live", "now" or "end"', "choose one of these")
    found = list(keeper.matches(pattern, base))
    if not found:
        later = "" if watch is None else "; it is looked for again until the run ends"
        is_folder = os.path.isdir(os.path.join(base, pattern))
        what = "is a folder; '/**' behind it keeps its files" if is_folder else f"matches no file{later}"
        warn(f"save({os.fspath(glob_str)!r}) {what}")
        return []
    if policy == "end":
        return [name for _, name in found]
    return [name for path, name in found if keeper.keep(path, name)]


def _remove_left_over(folder: str) -> None:
    """Remove the unfinished copies of processes that were killed."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(_TEMPORARY_PREFIX) and time.time() - os.lstat(path).st_mtime > _LEFT_OVER_S:
            remove(path)


def _cause(error: Exception, path: str) -> str:
    """Return what counts as one cause: the same trouble of the disk, or the same path."""
    is_disk = isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, PermissionError))
    return f"errno {error.errno}" if is_disk and isinstance(error, OSError) else f"{type(error).__name__} {path}"


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

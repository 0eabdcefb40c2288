"""Files kept with a run: their bytes lie in <run folder>/files/<digest>, a FILE record names them.

The bytes are always copied, never linked, so nothing that the user does later changes what was kept. Content is
addressed by its BLAKE3 digest and appears under it by one rename, whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import UsageError
from .file_names import check_file_name as check_file_name
from .file_names import found_files, pattern_and_base
from .records import File, Record
from .say import warn

FILES_FOLDER = "files"
POLICIES = ("live", "now", "end")
_COPY_BYTES = 1 << 20
_TEMPORARY_PREFIX = ".part-"
_LEFT_OVER_S = 3600.0  # nobody copies for so long without writing
_N_COPIES = 3  # of a file that changes while it is read
_LIVE_SHARE = 20  # a look at live files that took one second is followed by twenty without
_Version = tuple[int, int, int, int]  # device, inode, size in bytes, time of change in ns: of a file at one moment


@dataclass(slots=True)
class _Kept:
    """What was last kept under a name."""

    file: File
    version: _Version
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
            temporary = self._temporary_path()
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
            except BaseException:
                _remove(temporary)
                raise
            return self._settle(temporary, name, kind, (0, 0, len(data), 0))
        except OSError as error:
            self._warn_once(_cause(error, name), f"{name} is not kept with the run: {_reason(error)}")
            return None

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
                    if kept is None or kept.version != _version_at(path):
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
        _refuse_unless_regular(os.stat(path))
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fd = os.open(path, flags)
        try:
            _refuse_unless_regular(os.fstat(fd))
            yield fd
        finally:
            os.close(fd)

    def _copy(self, source_fd: int) -> tuple[str, _Version]:
        """Copy a file under a temporary name, again where it changed meanwhile; return that name and the version."""
        n_left = _N_COPIES
        while True:
            before = _version(os.fstat(source_fd))
            temporary = self._copy_once(source_fd, before[2])
            n_left -= 1
            if n_left == 0 or _version(os.fstat(source_fd)) == before:
                return temporary, before
            _remove(temporary)

    def _copy_once(self, source_fd: int, n_bytes: int) -> str:
        if self._max_bytes and n_bytes > self._max_bytes:
            raise ValueError(f"it has {n_bytes} bytes, more than the setting file_max_mib allows")
        temporary = self._temporary_path()
        try:
            with open(temporary, "xb") as target:
                _copy_bytes(source_fd, target.fileno(), n_bytes, self._max_bytes)
                getattr(os, "fdatasync", os.fsync)(target.fileno())
        except BaseException:
            _remove(temporary)
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

    def _settle(self, temporary: str, name: str, kind: str, version: _Version) -> File:
        """Give the copy its name, record it, and take away what it replaces."""
        try:
            digest, size_bytes = _digest(temporary)
            path = os.path.join(self._folder, digest)
            is_new = _size_at(path) != size_bytes  # a power loss may have left an empty file under the name
            if is_new:
                os.replace(temporary, path)
        finally:
            _remove(temporary)
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
            if all(kept.file.digest != replaced.file.digest for kept in self._kept.values()):
                _remove(os.path.join(self._folder, replaced.file.digest))

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


def _refuse_unless_regular(status: os.stat_result) -> None:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"it is {kinds.get(stat.S_IFMT(status.st_mode), 'a device')}, not a regular file")


def _copy_bytes(source_fd: int, target_fd: int, n_bytes: int, max_bytes: int) -> None:
    """Copy a file from its beginning, by the file system where it can share or copy the blocks itself."""
    done = _copy_in_kernel(source_fd, target_fd, n_bytes) if hasattr(os, "copy_file_range") else 0
    os.lseek(source_fd, done, os.SEEK_SET)
    os.lseek(target_fd, done, os.SEEK_SET)
    while data := os.read(source_fd, _COPY_BYTES):  # to the end, which may have moved
        done += len(data)
        if max_bytes and done > max_bytes:
            raise ValueError("it grew beyond what the setting file_max_mib allows")
        while data:
            data = data[os.write(target_fd, data) :]


def _copy_in_kernel(source_fd: int, target_fd: int, n_bytes: int) -> int:
    """Return how many bytes the kernel has copied; a file system that cannot, copies none."""
    done = 0
    while done < n_bytes:
        try:
            n_copied = os.copy_file_range(source_fd, target_fd, min(n_bytes - done, 64 << 20), done, done)
        except OSError:
            break
        if n_copied == 0:
            break
        done += n_copied
    return done


def _digest(path: str) -> tuple[str, int]:
    from blake3 import blake3

    hasher, size_bytes = blake3(), 0
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_COPY_BYTES):
            hasher.update(data)
            size_bytes += len(data)
    return hasher.hexdigest(), size_bytes


def _version(status: os.stat_result) -> _Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _version_at(path: str) -> _Version | None:
    try:
        return _version(os.stat(path))
    except OSError:
        return None


def _size_at(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _remove_left_over(folder: str) -> None:
    """Remove the unfinished copies of processes that were killed."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(_TEMPORARY_PREFIX) and time.time() - os.lstat(path).st_mtime > _LEFT_OVER_S:
            _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _cause(error: Exception, path: str) -> str:
    """Return what counts as one cause: the same trouble of the disk, or the same path."""
    is_disk = isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, PermissionError))
    return f"errno {error.errno}" if is_disk and isinstance(error, OSError) else f"{type(error).__name__} {path}"


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

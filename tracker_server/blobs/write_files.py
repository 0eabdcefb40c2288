"""Writes files of a version below a folder. Each appears under its name by one rename, whole and checked, or never."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from blake3 import blake3

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.source import ChunkReader
from tracker_core.errors import UsageError
from tracker_core.file_names import check_file_name

from .file_cache import FileCache, user_cache_folder
from .target_names import check_case_clash, check_no_clash, check_windows_names, folded_clash

TEMPORARY_PREFIX = ".tracker-part-"
# Small files are asked for together.
_GROUP_BYTES, _GROUP_FILES = 8 << 20, 256
_N_THREADS = 4
_READ_BYTES = 1 << 20


def write_files(
    reader: ChunkReader,
    uid: str,
    entries: Sequence[Entry],
    root: str,
    cache_dir: str | None = None,
    cache_max_bytes: int = 0,
    say: Callable[[int], None] | None = None,
) -> list[str]:
    """Write files of a version below a folder; return their paths. What is there with the right content is left alone.

    Args:
        reader: gives the chunks.
        uid: of the version.
        entries: of the files; none a reference.
        root: the folder, which is made where it is not there.
        cache_dir: folder of the cache. Default: the user's.
        cache_max_bytes: the most that the cache holds afterwards; 0 for no cache.
        say: is called, by any thread, with how many bytes are done since it was called last.

    Raises:
        UsageError: a name leads out of the folder, or cannot be written there, or a link or folder is in the way.
        NotFoundError: there is no such version, or it has no such file.
        DamagedChunkError: the bytes are not those of the version. Nothing is left of that file.
        OSError: a file cannot be written.
    """
    root = os.path.abspath(root)
    names = [check_file_name(entry.path, "download") for entry in entries]
    check_no_clash(names)
    os.makedirs(root, exist_ok=True)
    _check_names_fit(names, root)
    cache = FileCache(user_cache_folder(cache_dir), cache_max_bytes) if cache_max_bytes > 0 else None
    writing = _Writing(reader, uid, root, cache, say or (lambda _: None))
    _in_threads(writing.write, list(_groups(entries)))
    if cache is not None:
        cache.trim()
    return [os.path.join(root, *name.split("/")) for name in names]


class _Writing:
    """One download. Thread-safe."""

    def __init__(
        self, reader: ChunkReader, uid: str, root: str, cache: FileCache | None, say: Callable[[int], None]
    ) -> None:
        self._reader = reader
        self._uid = uid
        self._root = root
        self._cache = cache
        self._say = say
        self._folders = {root}
        self._lock = threading.Lock()

    def write(self, entries: Sequence[Entry]) -> None:
        """Write some files, with one question for all that have to be fetched."""
        wanted = []
        for entry in entries:
            path = self._target(entry.path)
            if _is_there(path, entry) or self._is_from_cache(path, entry):
                self._say(entry.size_bytes)
            else:
                wanted.append((entry, path))
        if wanted:
            chunks = [chunk for entry, _ in wanted for chunk in entry.all_chunks]
            found = iter(self._reader.read(self._uid, chunks)) if chunks else iter(())
            for entry, path in wanted:
                self._assemble(entry, path, found)
                self._say(entry.size_bytes)

    def _assemble(self, entry: Entry, path: str, found: Iterator[bytes]) -> None:
        temporary = _temporary_path(path)
        try:
            hasher = blake3()
            with open(temporary, "xb", buffering=0) as file:
                for chunk in entry.all_chunks:
                    data = next(found, b"")
                    if len(data) != chunk.size_bytes:
                        raise DamagedChunkError(f"download of {path}", chunk.digest)
                    hasher.update(data)
                    _write_all(file.fileno(), data)
            if hasher.digest() != entry.digest:
                raise DamagedChunkError(f"download of {path}", entry.digest)
            if self._cache is not None:
                self._cache.keep(entry, temporary)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _is_from_cache(self, path: str, entry: Entry) -> bool:
        if self._cache is None:
            return False
        temporary = _temporary_path(path)
        try:
            is_taken = self._cache.take(entry, temporary)
            if is_taken:
                os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return is_taken

    def _target(self, name: str) -> str:
        """Return the path of a file, in a folder that is there and no link."""
        *above, last = check_file_name(name, "download").split("/")
        folder = self._root
        for part in above:
            folder = os.path.join(folder, part)
            if folder in self._folders:
                continue
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise _in_the_way(folder, "a link or file", "a folder")
            with self._lock:
                self._folders.add(folder)
        return os.path.join(folder, last)


def _is_there(path: str, entry: Entry) -> bool:
    """Say whether a path has the content of an entry.

    Raises:
        UsageError: it is a link, a folder, or another thing that is no file.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise _in_the_way(
            path, "a link" if stat.S_ISLNK(status.st_mode) else "a folder or device", "a file, or nothing"
        )
    if status.st_size != entry.size_bytes:
        return False
    hasher = blake3()
    try:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(_READ_BYTES):
                hasher.update(data)
    except PermissionError:  # it is put aside by the rename, which needs no leave to read it
        return False
    return hasher.digest() == entry.digest


def _in_the_way(path: str, got: str, expected: str) -> UsageError:
    remedy = "remove it, or download to another folder with root="
    return UsageError(f"download to {path!r}", got, expected, remedy)


def _check_names_fit(names: Sequence[str], root: str) -> None:
    if os.name == "nt":
        check_windows_names(names)
    if folded_clash(names) is not None and _is_case_blind(root):
        check_case_clash(names)


def _is_case_blind(root: str) -> bool:
    """Say whether the file system of a folder takes a name in upper case for the same in lower case."""
    name = f"{TEMPORARY_PREFIX}case-{secrets.token_hex(8)}"
    path = os.path.join(root, name)
    with open(path, "xb"):
        pass
    try:
        return os.path.exists(os.path.join(root, name.upper()))
    finally:
        os.unlink(path)


def _temporary_path(path: str) -> str:
    return os.path.join(os.path.dirname(path), TEMPORARY_PREFIX + secrets.token_hex(8))


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    n_bytes = 0
    for entry in entries:
        if group and (n_bytes + entry.size_bytes > _GROUP_BYTES or len(group) == _GROUP_FILES):
            yield group
            group, n_bytes = [], 0
        group.append(entry)
        n_bytes += entry.size_bytes
    if group:
        yield group


def _in_threads(work: Callable[[list[Entry]], None], groups: Sequence[list[Entry]]) -> None:
    """Do something with each group, side by side. After an error those that were not begun are left out."""
    begun: list[Future[None]] = []
    with ThreadPoolExecutor(_N_THREADS, "tracker-write") as threads:
        try:
            begun += [threads.submit(work, group) for group in groups] if len(groups) > 1 else []
        except RuntimeError:  # the interpreter is ending, or there may be no more threads: then one after the other
            pass
        try:
            for one in begun:
                one.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    for group in groups if not begun else ():
        work(group)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

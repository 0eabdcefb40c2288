"""Reads files once from beginning to end, cuts and hashes them, ahead of who takes the chunks and within a bound."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import msgspec
from blake3 import blake3

from tracker_core.artifacts.manifest import Chunk, Entry

from .cuts import WINDOW_BYTES, Cuts
from .source_file import FileVersion, changing, file_version, open_source, settled_version
from .tensor_spans import tensor_spans

N_ATTEMPTS = 3  # at a file that changes while it is read
# Files up to this size are read whole, some at a time.
SMALL_BYTES = 1 << 20
_GROUP_BYTES, _GROUP_FILES = 2 << 20, 64
# Windows of large files, and groups of small ones, that may be there at once.
N_WINDOWS = 8
_N_WAITING = 12
_N_THREADS = 2
_STOP_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read: its place among all, its path, and its name in the version."""

    number: int
    path: str
    name: str


@dataclass(slots=True)
class Read:
    """Some of what was read.

    Attributes:
        chunks: what was cut off.
        data: the bytes of each chunk, valid until `Reading.release`; nothing where a file was found unchanged.
        entries: (number of the file, entry) of those that end here.
        n_bytes: how far this brings the work.
        window: what the bytes are in; None for bytes of their own.
    """

    chunks: Sequence[Chunk]
    data: list[memoryview]
    entries: list[tuple[int, Entry]]
    n_bytes: int
    window: bytearray | None = None


class Reading:
    """Reads files in threads. To be used in a `with` block, by one thread.

    Args:
        sources: the files.
        known: entries, by name, that large files may be unchanged from: those are hashed and not cut.
    """

    def __init__(self, sources: Sequence[Source], known: Mapping[str, Entry]) -> None:
        self._sources = sources
        self._known = known
        self._waiting: queue.Queue[Future[Read] | None] = queue.Queue(_N_WAITING)
        self._windows: queue.Queue[bytearray] = queue.Queue()
        self._n_windows = 0
        self._stopped = threading.Event()
        self._hashing = ThreadPoolExecutor(_N_THREADS, "tracker-hash")
        self._reading = ThreadPoolExecutor(1, "tracker-read")
        self._done: Future[None] | None = None

    def __enter__(self) -> Reading:
        try:
            self._done = self._reading.submit(self._run)
        except RuntimeError:  # the interpreter is ending, or there may be no more threads: then one after the other
            self._done = None
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._reading.shutdown(cancel_futures=True)
        self._hashing.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Read]:
        """Yield what was read, in order.

        Raises:
            UsageError: a file is no regular one, or changed again and again.
            OSError: one cannot be read.
        """
        if self._done is None:
            for one in self._reads():
                yield one.result()
            return
        while (found := self._waiting.get()) is not None:
            yield found.result()
        self._done.result()

    def release(self, read: Read) -> None:
        """Say that the bytes are not needed any more."""
        read.data = []
        if read.window is not None:
            self._windows.put(read.window)

    # -- in the thread that reads

    def _run(self) -> None:
        try:
            for one in self._reads():
                self._hand_over(one)
        finally:
            self._hand_over(None)

    def _hand_over(self, found: Future[Read] | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                return self._waiting.put(found, timeout=_STOP_LOOK_S)
        raise _StoppedError

    def _reads(self) -> Iterator[Future[Read]]:
        for group in _groups(self._sources):
            if len(group) == 1 and _size(group[0].path) > SMALL_BYTES:
                yield from self._read_large(group[0])
            else:
                yield self._start(partial(_read_small, group))

    def _start(self, work: Callable[[], Read]) -> Future[Read]:
        """Do something in another thread, or here where there is none."""
        try:
            return self._hashing.submit(work)
        except RuntimeError:
            return _finished(work())

    def _window(self) -> bytearray:
        if self._windows.empty() and (self._n_windows < N_WINDOWS or self._done is None):
            self._n_windows += 1
            return bytearray(WINDOW_BYTES)
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Empty):
                return self._windows.get(timeout=_STOP_LOOK_S)
        raise _StoppedError

    def _read_large(self, source: Source) -> Iterator[Future[Read]]:
        for _ in range(N_ATTEMPTS):
            with open_source(source.path) as fd:
                version = settled_version(fd)
                known = self._unchanged(fd, source.name, version)
                entry = known or (yield from self._read_windows(fd, source.name, version))
                if entry.size_bytes != version.size_bytes or file_version(fd) != version:
                    continue
            end = Read([], [], [(source.number, entry)], 0)
            if known is not None:
                end = Read(known.all_chunks, [], end.entries, known.size_bytes)
            yield _finished(end)
            return
        raise changing(source.path, N_ATTEMPTS)

    def _unchanged(self, fd: int, name: str, version: FileVersion) -> Entry | None:
        """Return what is known under a name, where the file has its content."""
        known = self._known.get(name)
        if known is None or known.reference or known.size_bytes != version.size_bytes:
            return None
        hasher, window = blake3(max_threads=_N_THREADS), self._window()
        while n := _fill(fd, window, 0):
            hasher.update(memoryview(window)[:n])
        self._windows.put(window)
        return msgspec.structs.replace(known, path=name) if hasher.digest() == known.digest else None

    def _read_windows(self, fd: int, name: str, version: FileVersion) -> Generator[Future[Read], None, Entry]:
        cuts, hasher = Cuts(tensor_spans(fd, version.size_bytes)), blake3()
        found: list[Future[Read]] = []
        os.lseek(fd, 0, os.SEEK_SET)
        position, rest, is_end = 0, b"", False
        while not is_end:
            window = self._window()
            window[: len(rest)] = rest
            n = _fill(fd, window, len(rest))
            view, is_end = memoryview(window)[:n], n < len(window)
            hasher.update(view[len(rest) :])
            sizes = cuts.of_window(view, position, is_end)
            rest = bytes(view[sum(sizes) :])
            found.append(self._start(partial(_hash_window, window, sizes)))
            yield found[-1]
            position += sum(sizes)
        chunks = [chunk for one in found for chunk in one.result().chunks]
        return _entry(name, position, hasher.digest(), chunks)


class _StoppedError(Exception):
    """Nobody takes what is read any more."""


def _groups(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """Yield files to be read together: one large one, or some small ones."""
    group: list[Source] = []
    n_bytes = 0
    for source in sources:
        size_bytes = _size(source.path)
        is_full = n_bytes + size_bytes > _GROUP_BYTES or len(group) == _GROUP_FILES
        if group and (is_full or size_bytes > SMALL_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(source)
        n_bytes += size_bytes
        if size_bytes > SMALL_BYTES:
            yield group
            group, n_bytes = [], 0
    if group:
        yield group


def _size(path: str) -> int:
    return os.stat(path).st_size


def _read_small(group: Sequence[Source]) -> Read:
    read = Read([], [], [], 0)
    chunks: list[Chunk] = []
    for source in group:
        data, found, digest = _read_whole(source.path)
        chunks += found
        at = 0
        for chunk in found:
            read.data.append(data[at : at + chunk.size_bytes])
            at += chunk.size_bytes
        read.entries.append((source.number, _entry(source.name, len(data), digest, found)))
        read.n_bytes += len(data)
    read.chunks = chunks
    return read


def _read_whole(path: str) -> tuple[memoryview, list[Chunk], bytes]:
    """Return the content of a file, its chunks and its digest."""
    for _ in range(N_ATTEMPTS):
        with open_source(path) as fd:
            version = settled_version(fd)
            # One byte more, so that a file that grew is seen to.
            data = memoryview(bytearray(version.size_bytes + 1))
            n = _fill(fd, data, 0)
            if n != version.size_bytes or file_version(fd) != version:
                continue
            data = data[:n]
            spans = tensor_spans(fd, n)
        sizes = Cuts(spans).of_window(data, 0, is_end=True)
        digest = blake3(data).digest()
        return data, [Chunk(digest, n)] if len(sizes) == 1 else _hashed(data, sizes), digest
    raise changing(path, N_ATTEMPTS)


def _hash_window(window: bytearray, sizes: Sequence[int]) -> Read:
    view = memoryview(window)
    chunks, data, at = _hashed(view, sizes), [], 0
    for size_bytes in sizes:
        data.append(view[at : at + size_bytes])
        at += size_bytes
    return Read(chunks, data, [], at, window)


def _hashed(data: memoryview, sizes: Sequence[int]) -> list[Chunk]:
    chunks, at = [], 0
    for size_bytes in sizes:
        chunks.append(Chunk(blake3(data[at : at + size_bytes]).digest(), size_bytes))
        at += size_bytes
    return chunks


def _entry(name: str, size_bytes: int, digest: bytes, chunks: Sequence[Chunk]) -> Entry:
    return Entry(name, size_bytes, digest, () if len(chunks) <= 1 else tuple(chunks))


def _finished(read: Read) -> Future[Read]:
    future: Future[Read] = Future()
    future.set_result(read)
    return future


def _fill(fd: int, window: bytearray | memoryview, n: int) -> int:
    """Read into a window from its n-th byte on, as far as it or the file goes; return where that ends."""
    view = memoryview(window)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        while n < len(view) and (n_read := file.readinto(view[n:])):
            n += n_read
    return n

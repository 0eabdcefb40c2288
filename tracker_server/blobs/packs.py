"""Writes chunks into packs, and reads what is in one."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from blake3 import blake3

from tracker_core.artifacts.manifest import Chunk
from tracker_core.artifacts.wire import MAX_CHUNK_BYTES
from tracker_core.errors import UsageError
from tracker_core.paths import project_dir_name

from ..store.store_blobs import NewPack
from .pack_format import FOOTER_BYTES, PackIndex, decode_tail, encode_tail, index_bytes
from .pack_place import OpenPack, PackPlace

PACK_BYTES = 64 << 20
# Of tiny chunks a pack has not more than this many, or its index would be larger than what it describes.
PACK_CHUNKS = 100_000
# Packs that come to the device, or are sent to an object store, at once.
_SEALING = 2


class PackWriter:
    """Writes chunks into packs of about 64 MiB. While one comes to the device, the next is written. Not thread-safe.

    Args:
        place: where the packs go.
        project: whose they are.
    """

    def __init__(self, place: PackPlace, project: str) -> None:
        self._place = place
        self._project = project
        self._folder = project_dir_name(project)
        self._open: OpenPack | None = None
        self._chunks: list[tuple[bytes, int, int]] = []
        self._offset = 0
        self._threads: ThreadPoolExecutor | None = None
        self._sealing: deque[tuple[OpenPack, NewPack, Future[None]]] = deque()
        self._sealed: list[NewPack] = []

    @property
    def n_sealed(self) -> int:
        """How many packs `take_sealed` would give."""
        return len(self._sealed)

    def add(self, digest: bytes, data: bytes | memoryview) -> None:
        """Append a chunk, whose bytes are known to be those of the digest. Raises OSError."""
        if self._open is None:
            self._open = self._place.new_pack(self._folder)
        self._open.write(data)
        self._chunks.append((digest, self._offset, len(data)))
        self._offset += len(data)
        if self._offset >= PACK_BYTES or len(self._chunks) >= PACK_CHUNKS:
            self._seal()

    def finish(self) -> None:
        """Put all packs into their place. Raises OSError."""
        if self._open is not None:
            self._seal()
        self._wait(0)
        if self._threads is not None:
            self._threads.shutdown()

    def _seal(self) -> None:
        """Begin to put the pack being written into its place; only so many are on their way at once."""
        assert self._open is not None
        tail = encode_tail(self._project, self._chunks)
        self._open.write(tail)
        self._wait(_SEALING - 1)
        new = NewPack(self._open.pack_id, self._offset + len(tail), self._chunks)
        self._sealing.append((self._open, new, self._start(self._open)))
        self._open, self._chunks, self._offset = None, [], 0

    def _start(self, pack: OpenPack) -> Future[None]:
        try:
            self._threads = self._threads or ThreadPoolExecutor(_SEALING, "tracker-seal")
            return self._threads.submit(pack.seal)
        except RuntimeError:  # the interpreter is ending, or there may be no more threads
            done: Future[None] = Future()
            pack.seal()
            done.set_result(None)
            return done

    def _wait(self, n_left: int) -> None:
        """Wait until so few packs are on their way."""
        while len(self._sealing) > n_left:
            self._sealing[0][2].result()
            self._sealed.append(self._sealing.popleft()[1])

    def take_sealed(self) -> list[NewPack]:
        """Return the packs that are in their place and were not returned before."""
        sealed, self._sealed = self._sealed, []
        return sealed

    def discard(self) -> None:
        """Remove what is being written, and what was sealed and not taken. Never raises OSError."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        left = [pack for pack, _, _ in self._sealing] + ([self._open] if self._open is not None else [])
        for pack in left:
            pack.discard()
        # One that could not be sealed may be in its place all the same.
        for pack_id in [pack.pack_id for pack, _, _ in self._sealing] + [new.pack_id for new in self.take_sealed()]:
            with contextlib.suppress(OSError):  # the garbage collector takes what is left
                self._place.remove(self._folder, pack_id)
        self._sealing.clear()
        self._open = None


def check_chunk(chunk: Chunk, data: bytes | memoryview) -> None:
    """Raise UsageError where bytes are not those of a chunk."""
    if not 0 < chunk.size_bytes <= MAX_CHUNK_BYTES or len(data) != chunk.size_bytes:
        got = f"a chunk of {len(data):,} bytes that is said to have {chunk.size_bytes:,}"
        raise UsageError("artifact chunk", got, f"its size, from 1 to {MAX_CHUNK_BYTES:,} bytes", "send it again")
    if blake3(data).digest() != chunk.digest:
        got = f"bytes that are not those of {chunk.digest.hex()[:64]}"
        raise UsageError("artifact chunk", got, "bytes with the BLAKE3 that was given", "send it again")


def write_pack(place: PackPlace, project: str, chunks: Iterable[tuple[bytes, bytes]]) -> NewPack | None:
    """Write one pack of (digest, bytes), however large; None where there are no chunks.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    done: list[tuple[bytes, int, int]] = []
    pack, offset = place.new_pack(project_dir_name(project)), 0
    try:
        for digest, data in chunks:
            pack.write(data)
            done.append((digest, offset, len(data)))
            offset += len(data)
        tail = encode_tail(project, done)
        pack.write(tail)
        if not done:
            pack.discard()
            return None
        pack.seal()
    except BaseException:
        pack.discard()
        raise
    return NewPack(pack.pack_id, offset + len(tail), done)


def read_pack_index(place: PackPlace, folder: str, pack_id: str) -> PackIndex:
    """Return what is in a pack, by its own index.

    Raises:
        DamagedPackError: it has none that is whole.
        OSError: it cannot be read.
    """
    where = f"{place.place}: pack {folder}/{pack_id}"
    size_bytes = place.size_bytes(folder, pack_id)
    footer = _last_bytes(place, folder, pack_id, size_bytes, FOOTER_BYTES)
    n_index = index_bytes(footer, size_bytes, where)
    tail = _last_bytes(place, folder, pack_id, size_bytes, FOOTER_BYTES + n_index)
    return decode_tail(tail, size_bytes, where)


def _last_bytes(place: PackPlace, folder: str, pack_id: str, size_bytes: int, n: int) -> bytes:
    n = min(n, size_bytes)
    return next(iter(place.read_ranges(folder, pack_id, [(size_bytes - n, n)]))) if n else b""

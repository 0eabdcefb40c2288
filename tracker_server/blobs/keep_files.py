"""Brings files into a store of chunks: local or on a server, it is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tracker_core.artifacts.manifest import Chunk, Entry
from tracker_core.artifacts.source import ChunkTarget

from .read_files import Read, Reading, Source

# The target is asked for so many chunks at a time, or as soon as there are so many bytes, or windows of large files.
_ASK_CHUNKS = 10_000
_ASK_BYTES = 32 << 20
_ASK_WINDOWS = 4


def keep_files(
    target: ChunkTarget,
    lease: str,
    files: Sequence[tuple[str, str]],
    known: Mapping[str, Entry] | None = None,
    say: Callable[[int], None] | None = None,
) -> list[Entry]:
    """Keep the content of files; return their entries, in the same order.

    Every file is read once from its beginning to its end, or again where it changed meanwhile; only chunks that are not
    there yet are written. Reading, hashing and writing go on at the same time.

    Args:
        target: takes the chunks.
        lease: of the target; what is kept is pinned to it.
        files: (path, name in the version) of each. A link is followed to a regular file.
        known: entries of an earlier version, by name: a large file that has the content of its entry is only hashed.
        say: is called with how many bytes are done since it was called last.

    Raises:
        UsageError: one is no regular file, or changed during each of three attempts to read it.
        NotFoundError: the lease is gone.
        OSError: one cannot be read, or the target cannot be written.
    """
    sources = [Source(i, path, name) for i, (path, name) in enumerate(files)]
    entries: dict[int, Entry] = {}
    known = known or {}
    while sources:
        keeping = _Keeping(target, lease, say or (lambda _: None))
        keeping.keep(sources, known)
        entries.update(keeping.entries)
        # What was thought to be there is not: these are read anew, and this time written.
        sources = [source for source in sources if source.number not in entries]
        known = {}
    return [entries[i] for i in range(len(files))]


class _Keeping:
    """One pass over files.

    Attributes:
        entries: by number of the file; those are left out that were found unchanged and whose chunks are not there.
    """

    def __init__(self, target: ChunkTarget, lease: str, say: Callable[[int], None]) -> None:
        self._target = target
        self._lease = lease
        self._say = say
        self._seen: set[bytes] = set()
        self.entries: dict[int, Entry] = {}

    def keep(self, sources: Sequence[Source], known: Mapping[str, Entry]) -> None:
        with Reading(sources, known) as reading:
            self._target.put(self._lease, self._new_chunks(reading))

    def _new_chunks(self, reading: Reading) -> Iterator[tuple[Chunk, memoryview]]:
        waiting: list[Read] = []
        for read in reading:
            waiting.append(read)
            n_chunks = sum(len(one.chunks) for one in waiting)
            n_bytes = sum(one.n_bytes for one in waiting if one.data)
            n_windows = sum(one.window is not None for one in waiting)
            if n_chunks >= _ASK_CHUNKS or n_bytes >= _ASK_BYTES or n_windows >= _ASK_WINDOWS:
                yield from self._settle(reading, waiting)
                waiting = []
        yield from self._settle(reading, waiting)

    def _settle(self, reading: Reading, reads: Sequence[Read]) -> Iterator[tuple[Chunk, memoryview]]:
        """Yield those chunks that are not there, with their bytes."""
        new = {chunk.digest: chunk for read in reads for chunk in read.chunks if chunk.digest not in self._seen}
        missing = self._target.missing(self._lease, list(new.values())) if new else set()
        for read in reads:
            for chunk, data in zip(read.chunks, read.data, strict=False):
                if chunk.digest in missing:
                    missing.discard(chunk.digest)
                    yield chunk, data
            reading.release(read)
            self._say(read.n_bytes)
        # Chunks of files that were only hashed may be missing still.
        self._seen |= new.keys() - missing
        for read in reads:
            for number, entry in read.entries:
                if missing.isdisjoint(chunk.digest for chunk in entry.chunks) and entry.digest not in missing:
                    self.entries[number] = entry

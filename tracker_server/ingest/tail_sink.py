"""Keep posted journals in the tail table of a database, which several server processes may share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..store.store_connection import IndexDatabase
from ..store.store_tail import Appended, Block, append_blocks, sizes_in
from .block_sink import Kept, PostedPart


class TailSink:
    """Appends to the journals of one database. Thread- and process-safe.

    Args:
        database: one that has a tail table.
    """

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database

    def sizes(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how many bytes of each of these journals are kept for good, 0 of one that is not there."""
        return {**dict.fromkeys(names, 0), **sizes_in(self._database, names)}

    def take(self, parts: Mapping[str, Sequence[PostedPart]]) -> Mapping[str, Kept]:
        """Commit what is new of these parts in one transaction; see `BlockSink.take`."""
        blocks = [Block(name, part.offset, part.data, part.modified_ns) for name in parts for part in parts[name]]
        appended = Appended()
        sizes = append_blocks(self._database, blocks, appended)
        return {name: _kept(name, sizes[name], parts[name], appended) for name in parts}

    def check(self) -> None:
        """Raise DatabaseAwayError where the database does not answer."""
        sizes_in(self._database, [""])


def _kept(name: str, size_bytes: int, parts: Sequence[PostedPart], appended: Appended) -> Kept:
    difference = appended.differing.get(name)
    if difference is not None:
        return Kept(size_bytes, "differs", difference)
    is_gap = any(part.end > size_bytes for part in parts)
    return Kept(size_bytes, "gap" if is_gap else "", "", appended.n_new_bytes.get(name, 0))

"""How much of each pack is needed, and what is to become of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..store.store_collect import LIVE, PackRow
from .packs import PACK_BYTES

_MIN_SHARE = 0.5
_SMALL_BYTES = 4 << 20
_MANY_SMALL = 32


@dataclass(frozen=True)
class PackShare:
    """A pack with what is needed of it."""

    row: PackRow
    n_chunks: int
    n_needed: int
    needed_bytes: int

    @property
    def is_worn(self) -> bool:
        """Whether less than half of its bytes is needed."""
        return self.needed_bytes < _MIN_SHARE * self.row.size_bytes and self.n_needed < self.row.n_chunks


def sort_out(shares: Sequence[PackShare]) -> tuple[list[PackShare], list[PackShare]]:
    """Return the packs that nothing needs, and those to be written anew."""
    live = [one for one in shares if one.row.state == LIVE]
    dead = [one for one in live if not one.n_needed]
    worn = [one for one in live if one.n_needed and one.is_worn]
    small = [one for one in live if one.n_needed and not one.is_worn and one.row.size_bytes < _SMALL_BYTES]
    return dead, worn + (small if len(small) >= _MANY_SMALL else [])


def groups_of(worn: Sequence[PackShare]) -> Iterator[list[PackShare]]:
    """Yield packs that together fill a new one."""
    group: list[PackShare] = []
    n_bytes = 0
    for one in worn:
        if group and n_bytes + one.needed_bytes > PACK_BYTES:
            yield group
            group, n_bytes = [], 0
        group.append(one)
        n_bytes += one.needed_bytes
    if group:
        yield group
